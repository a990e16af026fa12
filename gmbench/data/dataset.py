"""Examples -> items: sub-words, pixels, crops or cached region features of one tweet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from gmbench.core.boxes import to_unit
from gmbench.core.entities import Example
from gmbench.core.iou import pairwise_iou
from gmbench.core.tensors import Batch, Targets
from gmbench.data.features import RegionFeatures
from gmbench.data.images import Pictures, picture_of
from gmbench.data.pixels import PixelSettings, blank, crops, whole


# Words to sub-words with a fast tokenizer: no word is ever lost.
@dataclass(frozen=True, slots=True)
class Tokens:
    """One tokenised sentence.

    Attributes:
        ids: sub-word ids with the tokenizer's special tokens.
        words: the word of each sub-word; -1 for special tokens.
    """

    ids: tuple[int, ...]
    words: tuple[int, ...]


def tokenise(
    tokenizer: PreTrainedTokenizerFast, sentences: Sequence[Sequence[str]]
) -> list[Tokens]:
    """Tokenise sentences that are already split into words.

    A word for which the tokenizer returns no piece (an invisible character, say) becomes the
    unknown token, so that every word has a sub-word and a place in the spans.

    Raises:
        ValueError: the tokenizer is not a fast one (no ``word_ids``).
    """
    if not tokenizer.is_fast:
        raise ValueError(f"{tokenizer.name_or_path}: a fast tokenizer is needed for word_ids()")
    if not sentences:
        return []
    encoded = tokenizer(
        [list(words) for words in sentences],
        is_split_into_words=True,
        add_special_tokens=False,
        truncation=False,
        padding=False,
    )
    unknown = tokenizer.unk_token_id
    result = []
    for row, words in enumerate(sentences):
        pieces: list[list[int]] = [[] for _ in words]
        for piece, word in zip(encoded["input_ids"][row], encoded.word_ids(row), strict=True):
            pieces[word].append(piece)
        ids: list[int] = [tokenizer.cls_token_id]
        index = [-1]
        for word, found in enumerate(pieces):
            ids.extend(found or [unknown])
            index.extend([word] * max(1, len(found)))
        result.append(Tokens((*ids, tokenizer.sep_token_id), (*index, -1)))
    return result


Input = Literal["pixels", "regions"]


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One example as tensors, before padding."""

    example: Example
    tokens: Tokens
    size: tuple[int, int]
    boxes: Tensor  # [K + 1, 4] xyxy pixels, zeros in slot 0
    pixels: Tensor | None
    crops: Tensor | None
    features: Tensor | None


class GroundedDataset(Dataset[Item]):
    """Examples with what a model wants to see of their images."""

    def __init__(
        self,
        examples: Sequence[Example],
        *,
        tokens: Sequence[Tokens],
        inputs: frozenset[Input],
        pixels: PixelSettings,
        num_regions: int,
        features: RegionFeatures | None = None,
        picture_of: Pictures = picture_of,
    ) -> None:
        """Keep the parts.

        Args:
            examples: what the reader read.
            tokens: of each example.
            inputs: ``pixels`` (the whole image), ``regions`` (candidates), or both.
            pixels: how the vision encoder wants its pixels.
            num_regions: first candidates to keep.
            features: cached region vectors in place of crops, one row an example.
            picture_of: where a picture comes from: decoded before, or changed.
        """
        self.examples = examples
        self.tokens = tokens
        self.inputs = inputs
        self.settings = pixels
        self.num_regions = num_regions
        self.features = features
        self.picture_of = picture_of

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Item:
        example = self.examples[index]
        boxes = np.zeros((1, 4))
        if "regions" in self.inputs and example.candidates is not None:
            boxes = np.concatenate([boxes, example.candidates.boxes[: self.num_regions]])
        features = crop = image = None
        if self.features is not None:
            features = self.features.row(index, len(boxes))
        encodes = "regions" in self.inputs and self.features is None
        wants_crops = encodes and self.settings.region_encoder == "crop"
        wants_whole = "pixels" in self.inputs or (encodes and not wants_crops)
        if example.image is not None and (wants_crops or wants_whole):
            picture = self.picture_of(example)
            image = whole(picture, self.settings) if wants_whole else None
            crop = crops(picture, boxes[1:], self.settings) if wants_crops else None
        elif wants_crops:
            crop = blank(self.settings, self.settings.crop_size)[None]
        return Item(
            example=example,
            tokens=self.tokens[index],
            size=example.size or (1, 1),
            boxes=torch.from_numpy(boxes).float(),
            pixels=image,
            crops=crop,
            features=features,
        )


# Items -> Batch: padding with real masks, and the gold targets.
@dataclass(frozen=True)
class Collate:
    """Pads the items of a batch.

    Attributes:
        classes: class index of each type, from 1.
        pad_id: the tokenizer's padding id.
        iou_threshold: least IoU at which a candidate shows an entity (the released code: 0.5).
        with_regions: whether the batch carries candidate slots.
    """

    classes: Mapping[str, int]
    pad_id: int
    iou_threshold: float = 0.5
    with_regions: bool = True

    def __call__(self, items: Sequence[Item]) -> Batch:
        """One batch; items without a picture get zero pixels and a false ``image_mask``.

        Raises:
            KeyError: an entity's type is not among ``classes``.
        """
        tokens = [torch.tensor(item.tokens.ids) for item in items]
        words = [torch.tensor(item.tokens.words) for item in items]
        boxes = pad([item.boxes for item in items])
        slots = mask_of([len(item.boxes) for item in items])
        return Batch(
            ids=tuple(item.example.id for item in items),
            input_ids=pad(tokens, self.pad_id),
            token_mask=mask_of([len(row) for row in tokens]),
            word_index=pad(words, -1),
            word_mask=mask_of([len(item.example.words) for item in items]),
            image_sizes=torch.tensor([item.size for item in items], dtype=torch.float32),
            image_mask=torch.tensor([item.example.image is not None for item in items]),
            pixels=stack_or_zeros([item.pixels for item in items]),
            region_mask=slots if self.with_regions else None,
            region_boxes=boxes if self.with_regions else None,
            region_pixels=pad_present([item.crops for item in items]),
            region_features=pad_present([item.features for item in items]),
            targets=self._targets(items, boxes, slots),
        )

    def _targets(self, items: Sequence[Item], boxes: Tensor, slots: Tensor) -> Targets:
        counts = [len(item.example.entities) for item in items]
        golds = max(1, *counts)
        most = max([1, *(len(e.boxes) for item in items for e in item.example.entities)])
        fields = torch.zeros(3, len(items), golds, dtype=torch.long)
        gold_boxes = torch.zeros(len(items), golds, most, 4)
        box_mask = torch.zeros(len(items), golds, most, dtype=torch.bool)
        regions = torch.zeros(len(items), golds, slots.shape[1], dtype=torch.bool)
        for b, item in enumerate(items):
            size = torch.tensor(item.size, dtype=torch.float64)
            for g, entity in enumerate(item.example.entities):
                fields[:, b, g] = torch.tensor(
                    [self.classes[entity.type], entity.start, entity.end]
                )
                if not entity.groundable:
                    regions[b, g, 0] = True
                    continue
                pixels = torch.tensor(entity.boxes, dtype=torch.float64)
                gold_boxes[b, g, : len(pixels)] = to_unit(pixels, size).float()
                box_mask[b, g, : len(pixels)] = True
                overlap = torch.from_numpy(pairwise_iou(boxes[b, 1:], pixels).max(axis=1))
                regions[b, g, 1:] = (overlap >= self.iou_threshold) & slots[b, 1:]
        return Targets(
            mask=mask_of(counts, golds),
            types=fields[0],
            starts=fields[1],
            ends=fields[2],
            boxes=gold_boxes,
            box_mask=box_mask,
            regions=regions if self.with_regions else None,
        )


def pad(rows: Sequence[Tensor], value: int = 0) -> Tensor:
    """Rows of different length -> ``[B, longest, ...]``."""
    return pad_sequence(list(rows), batch_first=True, padding_value=value)


def mask_of(counts: Sequence[int], longest: int | None = None) -> Tensor:
    """``[B, longest]``: True for the first ``counts[b]`` places of each row."""
    longest = longest or max(counts)
    return torch.arange(longest)[None, :] < torch.tensor(counts)[:, None]


def stack_or_zeros(rows: Sequence[Tensor | None]) -> Tensor | None:
    """Stack equal shapes, zeros for what is missing; None if everything is."""
    present = next((row for row in rows if row is not None), None)
    if present is None:
        return None
    return torch.stack([torch.zeros_like(present) if row is None else row for row in rows])


def pad_present(rows: Sequence[Tensor | None]) -> Tensor | None:
    """Pad rows that are all present; None if none is."""
    present = [row for row in rows if row is not None]
    return pad(present) if present else None
