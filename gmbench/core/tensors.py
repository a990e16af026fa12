"""Typed tensors that travel between data, models, matcher, losses and decoding.

Every class checks its shapes and dtypes when it is built: a letter stands for one size in all of a
record (B batch, T sub-words, W words, K1 candidate regions plus the blank slot 0, Q queries,
G gold entities of the example with most, M boxes of the entity with most, C1 types plus
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
    """Gold entities of a batch, padded to the example with most of them.

    Attributes:
        mask: True for an entity, False for padding.
        types: class index, 1..C; 0 in padding.
        starts: index of the first word.
        ends: index of the last word, inclusive.
        boxes: every gold box, cxcywh in 0..1 of the original image.
        box_mask: True for a gold box; an entity without any is *not groundable*.
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
    """Input of a model: sub-words, pixels and candidate regions of a batch.

    Attributes:
        ids: the examples' ids, in order.
        input_ids: sub-words, with the tokenizer's special tokens.
        token_mask: True for a sub-word, False for padding.
        word_index: the word of each sub-word; -1 for special tokens and padding.
        word_mask: True for a word, False for padding.
        image_sizes: width, height in pixels of the original image (1, 1 where unknown).
        image_mask: False without an image: its pixels are zeros, and attention must mask them.
        pixels: the whole image squashed to a square (no crop ever loses a box), normalised.
        region_mask: True for a candidate; slot 0 is the blank image and always True.
        region_boxes: xyxy pixels of the original image; zeros in slot 0.
        region_pixels: one letterboxed crop per slot.
        region_features: one cached vector per slot.
        region_classes: the detector's class of each example's candidates, from slot 1 on; empty
            where it gives none. None if no example has any.
        targets: gold; None at prediction.
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
    region_classes: tuple[tuple[str, ...], ...] | None = None
    targets: Targets | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class Attention(TensorRecord):
    """Attention weights for visualisation; each row sums to 1 over the unpadded keys."""

    query_to_word: Float[Tensor, "B Q W"] | None = None
    query_to_region: Float[Tensor, "B Q K1"] | None = None
    query_to_patch: Float[Tensor, "B Q P"] | None = None


@dataclass(frozen=True, eq=False)
class Outputs(TensorRecord):
    """Output of a model: one row per query. Logits of padding are ``MASKED``.

    A model with loss terms and a decoder of its own may return a subclass with more fields.

    Attributes:
        type_logits: index 0 = no entity, types from 1.
        start_logits: one score per word, for the first word of the span.
        end_logits: the same for its last word.
        region_logits: one score per candidate slot (proposal-based models).
        boxes: cxcywh in 0..1 of the original image (proposal-free models).
        drafts: the boxes before each correction by the box head, first to last; a loss may teach
            them too.
        no_target_logits: log-odds that the entity is not in the image (proposal-free models).
        aux: outputs of earlier layers, for deep supervision in training.
        attention: only on request.
    """

    type_logits: Float[Tensor, "B Q C1"]
    start_logits: Float[Tensor, "B Q W"]
    end_logits: Float[Tensor, "B Q W"]
    region_logits: Float[Tensor, "B Q K1"] | None = None
    boxes: Float[Tensor, "B Q 4"] | None = None
    drafts: tuple[Float[Tensor, "B Q 4"], ...] = ()
    no_target_logits: Float[Tensor, "B Q"] | None = None
    aux: tuple["Outputs", ...] = ()
    attention: Attention | None = None


MASKED = -1e4
"""The logit of a padded word or region: finite, and still 0 after softmax or sigmoid in bf16."""
