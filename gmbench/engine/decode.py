"""Outputs -> Predictions: thresholds, joint spans, duplicates and overlaps (QGN section 8)."""

from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from gmbench.boxes import to_pixels
from gmbench.engine.costs import Activation, activate
from gmbench.structures import Box, Prediction
from gmbench.tensors import Batch, Outputs

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

        host = [t.cpu() for t in (keep, types, starts, ends, score, regions, boxes, no_target)]
        proposal_free = outputs.boxes is not None
        order = torch.argsort(
            host[4].masked_fill(~host[0], -1), dim=1, descending=True, stable=True
        )
        kept, *columns = [t.gather(1, order).tolist() for t in host[:6]]
        boxes_list = host[6].gather(1, order[..., None].expand(-1, -1, 4)).tolist()
        no_target_list = host[7].gather(1, order).tolist()
        answers = []
        for b in range(len(batch)):
            rows: list[Prediction] = []
            taken = 0  # a bit a word, for flat answers
            for q, real in enumerate(kept[b]):
                if not real:
                    break
                kind, start, end, value, region = (column[b][q] for column in columns)
                if self.overlap == "flat":
                    words = (1 << end + 1) - (1 << start)
                    if taken & words:
                        continue
                    taken |= words
                elif any(_conflict(start, end, r.start, r.end, self.overlap) for r in rows):
                    continue
                x1, y1, x2, y2 = boxes_list[b][q]
                box: Box | None = (x1, y1, x2, y2) if region != 0 else None
                rows.append(
                    Prediction(
                        start=start,
                        end=end,
                        type=self.types[kind - 1],
                        box=box,
                        score=value,
                        region=None if proposal_free else region,
                        no_target=no_target_list[b][q],
                    )
                )
            answers.append(tuple(rows))
        return answers

    def _spans(self, outputs: Outputs) -> tuple[Tensor, Tensor, Tensor]:
        """First word, last word (both inclusive) and score, each ``[B, Q]``."""
        start = activate(outputs.start_logits, self.span_activation)
        end = activate(outputs.end_logits, self.span_activation)
        if self.span == "argmax":
            (start_score, first), (end_score, last) = start.max(dim=-1), end.max(dim=-1)
            return first, last, start_score * end_score
        words = start.shape[-1]
        most = min(words, self.max_span)
        # The ends that each start may have, and no others: [B, Q, W, most]
        ends = F.pad(end, (0, most - 1)).unfold(2, most, 1)
        place = torch.arange(words, device=start.device)
        beyond = place[:, None] + place[:most] >= words  # [W, most]
        pairs = (start[..., None] * ends).masked_fill_(beyond, -1.0)
        best, flat = pairs.flatten(2).max(dim=-1)
        first = flat // most
        return first, first + flat % most, best

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
