"""The three losses: text, grounding, existence; gold is gathered by type, nothing is matched."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gmbench.core.boxes import giou, patches_inside
from gmbench.core.distributed import mean_over
from gmbench.core.tensors import MASKED, Outputs, Targets
from models.mner_qg.outputs import existence_of, spans_of

MIN_WEIGHT = 1e-8
"""Lower bound of the weight inside a box: keeps the logarithm finite."""


@dataclass(frozen=True, kw_only=True)
class TextLoss:
    """Binary cross-entropy of every start, end and span of every type.

    Each is summed over its words (or pairs of words) and averaged over questions.

    Attributes:
        weight: of the whole term.
        start, end, match: factors of its parts.
    """

    weight: float = 1.0
    start: float = 1.0
    end: float = 1.0
    match: float = 1.0

    def __call__(self, outputs: Outputs, targets: Targets, matching: object) -> Tensor:
        """A scalar.

        Raises:
            ValueError: the model scores no spans.
        """
        match = spans_of(outputs)
        truth = gold_spans(targets, *match.shape[1:3])  # [B, C, W, W]
        start, end = truth.any(dim=3), truth.any(dim=2)  # [B, C, W] each
        loss = (
            self.start * real_bce(outputs.start_logits, start).sum(dim=-1)
            + self.end * real_bce(outputs.end_logits, end).sum(dim=-1)
            + self.match * real_bce(match, truth).sum(dim=(-2, -1))
        )  # [B, C]
        return mean_over(loss, torch.ones_like(loss, dtype=torch.bool))


@dataclass(frozen=True, kw_only=True)
class GroundingLoss:
    """The box of each type that the image shows, against the largest gold box of its entities.

    Attributes:
        weight: of the whole term.
        l1, giou: factors of ``|b - t|_1`` and ``1 - GIoU``.
        place: factor of ``-log`` of the weight on places inside the box (ours; one-stage grounding
            scores its places with a cross-entropy). 0 leaves the choice to the box alone.
    """

    weight: float = 1.0
    l1: float = 5.0
    giou: float = 2.0
    place: float = 1.0

    def __call__(self, outputs: Outputs, targets: Targets, matching: object) -> Tensor:
        """A scalar: the mean over types with a gold box; 0 without any.

        Raises:
            ValueError: the model draws no boxes.
        """
        if outputs.boxes is None:
            raise ValueError("the grounding loss needs outputs with boxes")
        gold, has = gold_boxes(targets, outputs.boxes.shape[1])  # [B, C, 4], [B, C]
        gold = gold.to(outputs.boxes.dtype)
        loss = self.l1 * (outputs.boxes - gold).abs().sum(dim=-1)  # [B, C, 4] -> [B, C]
        loss = loss + self.giou * (1 - giou(outputs.boxes, gold))
        places = None if outputs.attention is None else outputs.attention.query_to_patch
        if self.place and places is not None:
            inside = (places * patches_inside(gold, places.shape[-1])).sum(dim=-1)  # [B, C]
            loss = loss - self.place * inside.clamp(min=MIN_WEIGHT).log()
        return mean_over(loss, has)


@dataclass(frozen=True, kw_only=True)
class ExistenceLoss:
    """Whether the sentence names an entity of the type, and whether the image shows one.

    Attributes:
        weight: of the whole term.
        exists, groundable: factors of the two bits; the second is taught for types that the
            sentence names.
    """

    weight: float = 1.0
    exists: float = 1.0
    groundable: float = 1.0

    def __call__(self, outputs: Outputs, targets: Targets, matching: object) -> Tensor:
        """A scalar.

        Raises:
            ValueError: the model says neither.
        """
        if outputs.no_target_logits is None:
            raise ValueError("the existence loss needs outputs with no_target_logits")
        logits = existence_of(outputs)
        named = of_type(targets, logits.shape[1]).any(dim=2)  # [B, C]
        _, shown = gold_boxes(targets, logits.shape[1])
        exists = mean_over(real_bce(logits, named), torch.ones_like(named))
        groundable = mean_over(real_bce(-outputs.no_target_logits, shown), named)
        return self.exists * exists + self.groundable * groundable


def of_type(targets: Targets, types: int) -> Tensor:
    """Which gold entities each question asks for, ``[B, C, G]``."""
    classes = torch.arange(1, types + 1, device=targets.types.device)
    return (targets.types[:, None] == classes[:, None]) & targets.mask[:, None]


def gold_spans(targets: Targets, types: int, words: int) -> Tensor:
    """Whether words i to j are an entity of the type, ``[B, C, W, W]``."""
    ends = [
        F.one_hot(end.clamp(max=words - 1), words).to(torch.uint8)
        for end in (targets.starts, targets.ends)
    ]  # [B, G, W] each
    wanted = of_type(targets, types).to(torch.float32)  # [B, C, G]
    pairs = torch.einsum("bcg,bgi,bgj->bcij", wanted, *(end.float() for end in ends))
    return pairs > 0


def gold_boxes(targets: Targets, types: int) -> tuple[Tensor, Tensor]:
    """The largest gold box of each type ``[B, C, 4]`` cxcywh, and whether there is one."""
    rows, boxes = len(targets.boxes), targets.boxes.flatten(1, 2)  # [B, G * M, 4]
    real = of_type(targets, types)[..., None] & targets.box_mask[:, None]  # [B, C, G, M]
    real = real.flatten(2)  # [B, C, G * M]
    area = boxes[..., 2:].prod(dim=-1)[:, None].masked_fill(~real, -1.0)  # [B, C, G * M]
    index = area.argmax(dim=-1)[..., None].expand(rows, types, 4)
    return boxes.gather(1, index), real.any(dim=-1)


def real_bce(logits: Tensor, truth: Tensor) -> Tensor:
    """Binary cross-entropy of each logit; masked ones (padding, j < i) give 0."""
    loss = F.binary_cross_entropy_with_logits(logits, truth.to(logits.dtype), reduction="none")
    return loss.masked_fill(logits <= MASKED / 2, 0.0)
