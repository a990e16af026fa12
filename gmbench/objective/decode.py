"""Outputs -> Predictions: thresholds, joint spans, duplicates and overlaps (QGN section 8)."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from gmbench.core.boxes import to_pixels
from gmbench.core.entities import Box, Prediction
from gmbench.core.tensors import Batch, Outputs
from gmbench.objective.costs import Activation, activate

LEAST_SIDE = 1e-3
"""Of a predicted box, as a share of the image."""


class Decodes(Protocol):
    """Whatever turns a model's outputs into predictions; a model may bring its own."""

    def __call__(self, outputs: Outputs, batch: Batch) -> list[tuple[Prediction, ...]]:
        """Predictions of each example, best first."""
        ...


class Decoder:
    """Turns a model's outputs into at most one prediction a query, best first.

    Ties are broken by the query's number, so the answer is a pure function of the outputs.
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
        """Keep the choices.

        Args:
            types: names of classes 1..C.
            type_threshold: least probability of the predicted type.
            span: ``joint`` = best ``start <= end`` by the product of both probabilities;
                ``argmax`` = each end on its own, a turned-round span is dropped (the papers).
            span_activation: as the model was trained.
            max_span: most words of a span (the longest of the real data has 9).
            overlap: ``flat`` = a prediction that shares a word with a better one is dropped;
                ``nested`` = only crossing and equal spans are; ``none`` = only equal spans.
            no_target_threshold: a proposal-free model answers *not in the image* from here on.
        """
        self.types = types
        self.type_threshold = type_threshold
        self.span = span
        self.span_activation = span_activation
        self.max_span = max_span
        self.overlap = overlap
        self.no_target_threshold = no_target_threshold

    @torch.no_grad()
    def __call__(self, outputs: Outputs, batch: Batch) -> list[tuple[Prediction, ...]]:
        """Predictions of each example, best first."""
        exact = outputs.map(lambda t: t.float() if t.is_floating_point() else t)
        probability, types = exact.type_logits.softmax(dim=-1).max(dim=-1)  # [B, Q]
        starts, ends, span_score = self._spans(exact)
        regions, boxes, no_target = self._regions(exact, batch)
        score = probability * span_score
        keep = (types > 0) & (probability > self.type_threshold) & (starts <= ends)

        host = [t.cpu() for t in (keep, starts, ends, types, score, regions, no_target, boxes)]
        order = torch.argsort(
            host[4].masked_fill(~host[0], -1), dim=1, descending=True, stable=True
        )
        kept, firsts, lasts = (t.gather(1, order).tolist() for t in host[:3])
        best = order.tolist()
        # Single elements of a tensor would cost ten times as much as those of an array.
        kinds, scores, slots, absent, drawn = (t.numpy() for t in host[3:])
        chosen = Columns(
            kinds=kinds,
            scores=scores,
            regions=slots,
            absent=absent,
            boxes=drawn,
            proposal_free=outputs.boxes is not None,
            types=self.types,
        )
        return [
            tuple(
                chosen.prediction(b, best[b][place], firsts[b][place], lasts[b][place])
                for place in self._standing(kept[b], firsts[b], lasts[b])
            )
            for b in range(len(batch))
        ]

    def _standing(self, kept: list[bool], firsts: list[int], lasts: list[int]) -> list[int]:
        """Places, best first, of the spans that no better one excludes."""
        found: list[int] = []
        taken = 0  # a bit a word, for flat answers
        for place, (real, start, end) in enumerate(zip(kept, firsts, lasts, strict=True)):
            if not real:
                break
            if self.overlap == "flat":
                words = (1 << end + 1) - (1 << start)
                if taken & words:
                    continue
                taken |= words
            elif any(_conflict(start, end, firsts[o], lasts[o], self.overlap) for o in found):
                continue
            found.append(place)
        return found

    def _spans(self, outputs: Outputs) -> tuple[Tensor, Tensor, Tensor]:
        """First word, last word (both inclusive) and score, each ``[B, Q]``."""
        start = activate(outputs.start_logits, self.span_activation)
        end = activate(outputs.end_logits, self.span_activation)
        if self.span == "argmax":
            (start_score, first), (end_score, last) = start.max(dim=-1), end.max(dim=-1)
            return first, last, start_score * end_score
        # With an end's score not below 0, the best pair of a start is with its best end.
        most = min(start.shape[-1], self.max_span)
        ends = F.pad(end, (0, most - 1), value=-1.0)
        end_score, last = F.max_pool1d(ends, most, stride=1, return_indices=True)  # [B, Q, W]
        score, first = (start * end_score).max(dim=-1)
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
        slot = outputs.region_logits.argmax(dim=-1)
        rows = slot[..., None].expand(-1, -1, 4)
        boxes = batch.region_boxes.gather(1, rows).to(outputs.region_logits.dtype)
        return slot, boxes, outputs.region_logits.softmax(dim=-1)[..., 0]


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """What predictions are made of beside their spans; few queries of a sentence get that far.

    Attributes:
        kinds, scores, regions, absent: ``[B, Q]`` class, score, slot, P(not in the image).
        boxes: ``[B, Q, 4]`` xyxy pixels.
        proposal_free: slots are no candidates.
        types: names of classes 1..C.
    """

    kinds: NDArray[Any]
    scores: NDArray[Any]
    regions: NDArray[Any]
    absent: NDArray[Any]
    boxes: NDArray[Any]
    proposal_free: bool
    types: tuple[str, ...]

    def prediction(self, b: int, q: int, start: int, end: int) -> Prediction:
        """That of query ``q`` of example ``b``."""
        region = int(self.regions[b, q])
        x1, y1, x2, y2 = self.boxes[b, q].tolist()
        box: Box | None = (x1, y1, x2, y2) if region != 0 else None
        return Prediction(
            start=start,
            end=end,
            type=self.types[int(self.kinds[b, q]) - 1],
            box=box,
            score=float(self.scores[b, q]),
            region=None if self.proposal_free else region,
            no_target=float(self.absent[b, q]),
        )


def with_area(boxes: Tensor) -> Tensor:
    """Boxes cxcywh whose centre lies in the image, with sides that no clipping makes vanish."""
    return torch.cat([boxes[..., :2].clamp(0, 1), boxes[..., 2:].clamp(min=LEAST_SIDE)], dim=-1)


def _conflict(start: int, end: int, other_start: int, other_end: int, overlap: str) -> bool:
    """Whether a span (ends inclusive) may not stand beside a better one."""
    if (start, end) == (other_start, other_end):
        return True
    if overlap == "none" or end < other_start or other_end < start:
        return False
    inside = (start >= other_start and end <= other_end) or (
        other_start >= start and other_end <= end
    )
    return overlap == "flat" or not inside
