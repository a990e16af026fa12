"""SpanOutputs -> predictions: every span of a type, each with the type's one box or none."""

from typing import Literal

import torch
from torch import Tensor

from gmbench.core.boxes import to_pixels
from gmbench.core.entities import Prediction
from gmbench.core.tensors import Batch, Outputs
from models.mner_qg.losses import gold_spans
from models.mner_qg.outputs import existence_of, spans_of

MIN_SIDE = 1e-3
"""Smallest side of a predicted box, as a share of the image."""


class SpanDecoder:
    """Reads all spans of every type, best first.

    Ties are broken by type, start and end, so the answer is a pure function of the outputs.

    Args:
        types: names of classes 1..C.
        rule: ``match`` = a span's own probability decides; ``all`` = its start and its end must
            each be as probable too.
        threshold: least probability.
        existence: a type that the sentence does not seem to name (probability below one half)
            answers with nothing.
        max_span: most words of a span.
        overlap: ``flat`` = a span that shares a word with a better one is dropped; ``type`` = only
            if both are of one type.
        no_target_threshold: *not in the image* from this probability on.
        given_text: answer with the gold spans and types of the batch, so that the regions are
            measured on their own: for a diagnosis, never for scores.
    """

    def __init__(
        self,
        *,
        types: tuple[str, ...],
        rule: Literal["match", "all"] = "match",
        threshold: float = 0.5,
        existence: bool = False,
        max_span: int = 12,
        overlap: Literal["flat", "type"] = "flat",
        no_target_threshold: float = 0.5,
        given_text: bool = False,
    ) -> None:
        self.types = types
        self.rule = rule
        self.threshold = threshold
        self.existence = existence
        self.max_span = max_span
        self.overlap = overlap
        self.no_target_threshold = no_target_threshold
        self.given_text = given_text

    @torch.no_grad()
    def __call__(self, outputs: Outputs, batch: Batch) -> list[tuple[Prediction, ...]]:
        """Predictions of each example, best first.

        Raises:
            ValueError: the outputs hold no spans, boxes or no-target decision; or gold text is to
                be given and the batch has none.
        """
        if outputs.boxes is None or outputs.no_target_logits is None:
            raise ValueError("MNER-QG's decoder needs outputs with boxes and no_target_logits")
        score, keep = self._given(outputs, batch) if self.given_text else self._spans(outputs)
        no_target = outputs.no_target_logits.float().sigmoid().cpu()
        boxes = outputs.boxes.float()  # [B, C, 4]
        boxes = torch.cat([boxes[..., :2], boxes[..., 2:].clamp(min=MIN_SIDE)], dim=-1)
        pixels = to_pixels(boxes, batch.image_sizes[:, None].to(boxes)).tolist()
        absent = (no_target >= self.no_target_threshold).tolist()
        unlikely = no_target.tolist()
        answers: list[list[Prediction]] = [[] for _ in batch.ids]
        spans = keep.nonzero()  # [answers, 4]: example, type, start, end
        order = torch.argsort(score[keep], descending=True, stable=True)
        for (b, c, start, end), value in zip(
            spans[order].tolist(), score[keep][order].tolist(), strict=True
        ):
            name, rows = self.types[c], answers[b]
            if not self.given_text and any(self._conflict(start, end, name, r) for r in rows):
                continue
            x1, y1, x2, y2 = pixels[b][c]
            rows.append(
                Prediction(
                    start=start,
                    end=end,
                    type=name,
                    box=None if absent[b][c] else (x1, y1, x2, y2),
                    score=value,
                    no_target=unlikely[b][c],
                )
            )
        return [tuple(rows) for rows in answers]

    def _spans(self, outputs: Outputs) -> tuple[Tensor, Tensor]:
        """Probability of each span and whether it is an answer, both ``[B, C, W, W]``, on host."""
        logits = spans_of(outputs).float().cpu()
        score = logits.sigmoid()
        # [W, W]: start <= end < start + max_span
        near = torch.ones_like(score[0, 0], dtype=torch.bool).triu().tril(self.max_span - 1)
        real = near & (score > 0)  # padding has 0
        keep = real & (score >= self.threshold)
        if self.rule == "all":
            start = outputs.start_logits.float().cpu().sigmoid() >= self.threshold
            end = outputs.end_logits.float().cpu().sigmoid() >= self.threshold
            keep &= start[..., :, None] & end[..., None, :]  # [B, C, W, 1] & [B, C, 1, W]
        if self.existence:
            keep &= (existence_of(outputs).cpu() >= 0)[..., None, None]
        return score, keep

    def _given(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, Tensor]:
        """The same of the gold text."""
        if batch.targets is None:
            raise ValueError("decode.given_text=true needs a batch with gold entities")
        types, words = spans_of(outputs).shape[1:3]
        gold = gold_spans(batch.targets, types, words).cpu()
        return gold.float(), gold

    def _conflict(self, start: int, end: int, name: str, better: Prediction) -> bool:
        """Whether a span may not stand beside a better one."""
        shares = start <= better.end and better.start <= end
        return shares and (self.overlap == "flat" or name == better.type)
