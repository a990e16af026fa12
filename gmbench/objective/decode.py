"""Decoding: a model's outputs -> predictions, at most one a query, best first (QGN section 8).

Each query answers with its likeliest type, the best span ``start <= end`` by the product of both
probabilities, and a region, a box or *not in the image*. Its score is ``p(type) p(start) p(end)``.
Going down from the best score, an answer that a better one excludes (``overlap``) is dropped.
"""

from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from gmbench.core.boxes import to_pixels
from gmbench.core.entities import Prediction
from gmbench.core.tensors import Batch, Outputs
from gmbench.objective.costs import Activation, activate

MIN_SIDE = 1e-3
"""Smallest side of a predicted box, as a share of the image."""


class Decodes(Protocol):
    """Turns a model's outputs into predictions; a model may bring its own."""

    def __call__(self, outputs: Outputs, batch: Batch) -> list[tuple[Prediction, ...]]:
        """Predictions of each example, best first."""
        ...


class Decoder:
    """Turns a model's outputs into at most one prediction per query, best first.

    Ties are broken by query index, so the predictions are a pure function of the outputs.

    Args:
        types: names of classes 1..C.
        type_threshold: minimum probability of the predicted type.
        span: ``joint`` = best ``start <= end`` by the product of both probabilities; ``argmax`` =
            each end on its own, a span whose end comes before its start is dropped (the papers).
        span_activation: as the model was trained.
        max_span: maximum number of words in a span (the longest in the real data has 9).
        overlap: ``flat`` = a prediction that shares a word with a better one is dropped;
            ``nested`` = only crossing and equal spans are; ``none`` = only equal spans.
        no_target_threshold: probability from which a proposal-free model predicts *not in the
            image*.
    """

    def __init__(
        self,
        *,
        types: tuple[str, ...],
        type_threshold: float = 0.0,
        span: Literal["joint", "argmax"] = "joint",
        span_activation: Activation = "sigmoid",
        max_span: int = 12,
        overlap: Literal["flat", "nested", "none"] = "flat",
        no_target_threshold: float = 0.5,
    ) -> None:
        self.types = types
        self.type_threshold = type_threshold
        self.span = span
        self.span_activation = span_activation
        self.max_span = max_span
        self.overlap = overlap
        self.no_target_threshold = no_target_threshold

    @torch.no_grad()
    def __call__(self, outputs: Outputs, batch: Batch) -> list[tuple[Prediction, ...]]:
        """Predictions of each example, best first.

        Raises:
            ValueError: the outputs hold neither region logits nor boxes.
        """
        exact = outputs.map(lambda t: t.float() if t.is_floating_point() else t)
        # [B, Q, C + 1] -> [B, Q]
        probability, types = exact.type_logits.softmax(dim=-1).max(dim=-1)
        starts, ends, span_score = self._spans(exact)
        slots, boxes, no_target = self._regions(exact, batch)
        scores = (probability * span_score).cpu()
        keep = ((types > 0) & (probability > self.type_threshold) & (starts <= ends)).cpu()

        order = scores.masked_fill(~keep, -1).argsort(dim=1, descending=True, stable=True)
        # Queries from the best to the worst, as lists; the spans alone decide which ones stay.
        kept, firsts, lasts = (t.cpu().gather(1, order).tolist() for t in (keep, starts, ends))
        queries = order.tolist()
        # Single elements of a tensor would cost ten times as much as those of an array.
        columns: list[Any] = [t.cpu().numpy() for t in (types, scores, slots, no_target, boxes)]

        def prediction(b: int, place: int) -> Prediction:
            type_, score, slot, absent, box = (column[b, queries[b][place]] for column in columns)
            x1, y1, x2, y2 = box.tolist()
            return Prediction(
                start=firsts[b][place],
                end=lasts[b][place],
                type=self.types[int(type_) - 1],
                box=(x1, y1, x2, y2) if slot != 0 else None,
                score=float(score),
                region=None if outputs.boxes is not None else int(slot),
                no_target=float(absent),
            )

        return [
            tuple(prediction(b, place) for place in self._chosen(kept[b], firsts[b], lasts[b]))
            for b in range(len(batch))
        ]

    def _spans(self, outputs: Outputs) -> tuple[Tensor, Tensor, Tensor]:
        """First word, last word (both inclusive) and score, each ``[B, Q]``."""
        start = activate(outputs.start_logits, self.span_activation)  # [B, Q, W]
        end = activate(outputs.end_logits, self.span_activation)
        if self.span == "argmax":
            (start_score, first), (end_score, last) = start.max(dim=-1), end.max(dim=-1)
            return first, last, start_score * end_score
        # No end scores below 0, so the best pair of a start is with the best end within reach.
        reach = min(start.shape[-1], self.max_span)
        ends = F.pad(end, (0, reach - 1), value=-1.0)  # [B, Q, W + reach - 1]
        end_score, last = F.max_pool1d(ends, reach, stride=1, return_indices=True)  # [B, Q, W]
        score, first = (start * end_score).max(dim=-1)  # [B, Q, W] -> [B, Q]
        return first, last.gather(2, first[..., None])[..., 0], score

    def _regions(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Slot ``[B, Q]`` (0 = not in the image), xyxy pixels ``[B, Q, 4]``, P(slot 0)."""
        if outputs.boxes is not None and outputs.no_target_logits is not None:
            no_target = outputs.no_target_logits.sigmoid()
            slot = (no_target < self.no_target_threshold).long()
            boxes = to_pixels(with_area(outputs.boxes), batch.image_sizes[:, None])
            return slot, boxes, no_target
        if outputs.region_logits is None or batch.region_boxes is None:
            raise ValueError("outputs hold neither region_logits nor boxes with no_target_logits")
        slot = outputs.region_logits.argmax(dim=-1)  # [B, Q, K1] -> [B, Q]
        rows = slot[..., None].expand(-1, -1, 4)
        boxes = batch.region_boxes.gather(1, rows)  # [B, K1, 4] -> [B, Q, 4]
        boxes = boxes.to(outputs.region_logits.dtype)
        return slot, boxes, outputs.region_logits.softmax(dim=-1)[..., 0]

    def _chosen(self, kept: list[bool], firsts: list[int], lasts: list[int]) -> list[int]:
        """Places, best first, of the spans that no better one excludes."""
        chosen: list[int] = []
        taken = 0  # a bit a word, for flat answers
        for place, (real, start, end) in enumerate(zip(kept, firsts, lasts, strict=True)):
            if not real:
                break
            if self.overlap == "flat":
                words = (1 << end + 1) - (1 << start)
                if taken & words:
                    continue
                taken |= words
            elif any(self._excludes(firsts[o], lasts[o], start, end) for o in chosen):
                continue
            chosen.append(place)
        return chosen

    def _excludes(self, better_start: int, better_end: int, start: int, end: int) -> bool:
        """Whether a better span (ends inclusive) excludes another: equal, or crossing."""
        if (start, end) == (better_start, better_end):
            return True
        if self.overlap == "none" or end < better_start or better_end < start:
            return False
        inside = better_start <= start and end <= better_end
        around = start <= better_start and better_end <= end
        return not (inside or around)


def with_area(boxes: Tensor) -> Tensor:
    """Boxes cxcywh whose centre lies in the image, with sides that no clipping makes vanish."""
    return torch.cat([boxes[..., :2].clamp(0, 1), boxes[..., 2:].clamp(min=MIN_SIDE)], dim=-1)
