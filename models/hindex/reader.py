"""SequenceOutputs -> predictions: the sequence that was found, read entity by entity."""

import torch

from gmbench.core.entities import Prediction
from gmbench.core.tensors import Batch, Outputs
from models.hindex.outputs import SequenceOutputs


class SequenceReader:
    """The entities of the sequence, best first; which may be written is the search's to say.

    Args:
        types: names of classes 1..C.
    """

    def __init__(self, *, types: tuple[str, ...]) -> None:
        self.types = types

    @torch.no_grad()
    def __call__(self, outputs: Outputs, batch: Batch) -> list[tuple[Prediction, ...]]:
        """Predictions of each example.

        Raises:
            ValueError: nothing was written: the outputs come from a training step, or the batch
                has no candidates.
        """
        if not isinstance(outputs, SequenceOutputs) or outputs.entities is None:
            raise ValueError("H-Index writes in evaluation alone: these outputs hold no sequence")
        if outputs.region_logits is None or outputs.scores is None or batch.region_boxes is None:
            raise ValueError("H-Index's reader needs candidate regions")
        absent = outputs.region_logits.float().softmax(dim=-1)[..., 0].tolist()  # [B, Q]
        scores, boxes = outputs.scores.exp().tolist(), batch.region_boxes.tolist()
        answers = []
        for b, written in enumerate(outputs.entities.tolist()):
            rows: dict[tuple[int, int], Prediction] = {}
            for n, (first, last, type_, slot) in enumerate(written):
                if type_:
                    x1, y1, x2, y2 = boxes[b][slot]
                    one = Prediction(
                        start=first,
                        end=last,
                        type=self.types[type_ - 1],
                        box=(x1, y1, x2, y2) if slot else None,
                        score=scores[b][n],
                        region=slot,
                        no_target=absent[b][n],
                    )
                    rows.setdefault((first, last), one)  # a gold prefix may have it written twice
            answers.append(tuple(sorted(rows.values(), key=lambda row: -row.score)))
        return answers
