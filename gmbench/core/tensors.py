"""Typed tensors that travel between data, models, matcher, losses and decoding.

Every class checks its shapes and dtypes when it is built: one letter is one size throughout the
record (B batch, T sub-words, W words, K1 candidate regions plus the blank slot 0, Q queries,
G gold entities of the longest sample, M boxes of the entity that has most, C1 types plus
*no entity* at index 0, D width, P image patches).
"""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, get_args, get_type_hints

import torch
from jaxtyping import Bool, Float, Int, jaxtyped
from torch import Tensor


class ShapeError(TypeError):
    """A tensor does not have the shape or dtype that its record declares."""


@functools.cache
def _declared(record: type[object]) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """Each field and the tensor types it may have; reading annotations anew costs a step 1 %."""
    return tuple(
        (name, tuple(kind for kind in (get_args(hint) or (hint,)) if hasattr(kind, "dim_str")))
        for name, hint in get_type_hints(record).items()
    )


class TensorRecord:
    """A frozen dataclass of tensors: checked shapes, and moved as a whole."""

    def __post_init__(self) -> None:
        record: Any = type(self)  # mypy: the records are not hashable, their classes are
        with jaxtyped("context"):
            for name, kinds in _declared(record):
                value = getattr(self, name)
                if not isinstance(value, Tensor):
                    continue
                if kinds and not any(isinstance(value, kind) for kind in kinds):
                    wanted = " or ".join(f"{k.__name__}" for k in kinds)
                    raise ShapeError(
                        f"{type(self).__name__}.{name} must be {wanted} with the sizes of the "
                        f"fields before it, not {value.dtype} {list(value.shape)}"
                    )

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """A copy in which ``change`` was applied to every tensor, nested records included."""

        def walk(value: Any) -> Any:
            if isinstance(value, Tensor):
                return change(value)
            if isinstance(value, TensorRecord):
                return value.map(change)
            if isinstance(value, tuple):
                return tuple(walk(item) for item in value)
            return value

        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return type(self)(**{f.name: walk(getattr(self, f.name)) for f in fields})

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """A copy on ``device``."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """A copy in page-locked memory, so that the transfer to a GPU can overlap with work."""
        return self.map(lambda tensor: tensor.pin_memory())


@dataclass(frozen=True, eq=False)
class Targets(TensorRecord):
    """Gold entities of a batch, padded to the sample that has most of them.

    Attributes:
        mask: True where an entity stands.
        types: class index, 1..C; 0 in padding.
        starts, ends: word indices, both inclusive.
        boxes: every gold box, cxcywh in 0..1 of the original image.
        box_mask: True where a gold box stands; a row without any is *not groundable*.
        regions: candidate slots that show the entity (IoU at least the threshold with one of its
            boxes); slot 0 (the blank image) for an entity that is not groundable. A groundable
            entity that no candidate covers has an empty row. None without candidates.
    """

    mask: Bool[Tensor, "B G"]
    types: Int[Tensor, "B G"]
    starts: Int[Tensor, "B G"]
    ends: Int[Tensor, "B G"]
    boxes: Float[Tensor, "B G M 4"]
    box_mask: Bool[Tensor, "B G M"]
    regions: Bool[Tensor, "B G K1"] | None = None

    @property
    def groundable(self) -> Bool[Tensor, "B G"]:
        """True where the entity has a gold box."""
        return self.box_mask.any(dim=-1)


@dataclass(frozen=True, eq=False)
class Batch(TensorRecord):
    """What a model reads.

    Attributes:
        ids: the examples' ids, in order.
        input_ids, token_mask: sub-words with the tokenizer's special tokens; True = real.
        word_index: the word of each sub-word; -1 for special tokens and padding.
        word_mask: True where a word stands.
        image_sizes: width, height in pixels of the original image (1, 1 where unknown).
        image_mask: False where there is no picture: its pixels are zeros, to be masked as keys.
        pixels: the whole image squashed to a square (no crop ever loses a box), normalised.
        region_mask: True where a candidate stands; slot 0 is the blank image and always True.
        region_boxes: xyxy pixels of the original image; zeros in slot 0.
        region_pixels: one letterboxed crop a slot.
        region_features: one cached vector a slot.
        targets: gold, absent at prediction.
    """

    ids: tuple[str, ...]
    input_ids: Int[Tensor, "B T"]
    token_mask: Bool[Tensor, "B T"]
    word_index: Int[Tensor, "B T"]
    word_mask: Bool[Tensor, "B W"]
    image_sizes: Float[Tensor, "B 2"]
    image_mask: Bool[Tensor, "B"]
    pixels: Float[Tensor, "B 3 H V"] | None = None
    region_mask: Bool[Tensor, "B K1"] | None = None
    region_boxes: Float[Tensor, "B K1 4"] | None = None
    region_pixels: Float[Tensor, "B K1 3 h v"] | None = None
    region_features: Float[Tensor, "B K1 D"] | None = None
    targets: Targets | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class Attention(TensorRecord):
    """Weights for pictures, only on demand; each row sums to 1 over its real keys."""

    query_to_word: Float[Tensor, "B Q W"] | None = None
    query_to_region: Float[Tensor, "B Q K1"] | None = None
    query_to_patch: Float[Tensor, "B Q P"] | None = None


@dataclass(frozen=True, eq=False)
class Outputs(TensorRecord):
    """What a model answers: one row a query. Padded words and regions hold ``MASKED``.

    A model that brings loss terms and a decoder of its own may answer with a subclass that holds
    more.

    Attributes:
        type_logits: index 0 = no entity, types from 1.
        start_logits, end_logits: a score for each word.
        region_logits: a score for each candidate slot (proposal-based models).
        boxes: cxcywh in 0..1 of the original image (proposal-free models).
        no_target_logits: log-odds that the entity is not in the image (proposal-free models).
        aux: the same of earlier layers, for deep supervision in training.
        attention: only on demand.
    """

    type_logits: Float[Tensor, "B Q C1"]
    start_logits: Float[Tensor, "B Q W"]
    end_logits: Float[Tensor, "B Q W"]
    region_logits: Float[Tensor, "B Q K1"] | None = None
    boxes: Float[Tensor, "B Q 4"] | None = None
    no_target_logits: Float[Tensor, "B Q"] | None = None
    aux: tuple["Outputs", ...] = ()
    attention: Attention | None = None


MASKED = -1e4
"""The logit of a padded word or region: finite, and still 0 after softmax or sigmoid in bf16."""
