"""Examples -> items -> batches: sub-words, pixels, crops or cached region features, targets."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
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

Input = Literal["pixels", "regions"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """One tokenised sentence.

    Attributes:
        ids: sub-word ids, including special tokens.
        words: index of the word of each sub-word; -1 for special tokens.
    """

    ids: tuple[int, ...]
    words: tuple[int, ...]


def tokenise(
    tokenizer: PreTrainedTokenizerFast, sentences: Sequence[Sequence[str]]
) -> list[Tokens]:
    """Tokenise sentences that are already split into words.

    A word for which the tokenizer returns no piece (an invisible character, say) becomes the
    unknown token, so that every word has a sub-word and a position in the spans.

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
        verbose=False,  # too long a text is refused by its name
    )
    result = []
    for row, words in enumerate(sentences):
        pieces: list[list[int]] = [[] for _ in words]
        for piece, word in zip(encoded["input_ids"][row], encoded.word_ids(row), strict=True):
            pieces[word].append(piece)
        ids: list[int] = [tokenizer.cls_token_id]
        index = [-1]
        for word, its_pieces in enumerate(pieces):
            ids.extend(its_pieces or [tokenizer.unk_token_id])
            index.extend([word] * max(1, len(its_pieces)))
        result.append(Tokens((*ids, tokenizer.sep_token_id), (*index, -1)))
    return result


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One example as tensors, before padding."""

    example: Example
    tokens: Tokens
    size: tuple[int, int]
    boxes: Tensor  # [K + 1, 4] xyxy pixels, zeros in slot 0
    pixels: Tensor | None  # [3, H, W]
    crops: Tensor | None  # [K + 1, 3, h, w]
    features: Tensor | None  # [K + 1, D]
    classes: tuple[str, ...] = ()  # of the K candidates, where their source names them


@dataclass(frozen=True, eq=False)
class GroundedDataset(Dataset[Item]):
    """Examples with what a model takes of their images.

    Attributes:
        examples: as read.
        tokens: one per example.
        inputs: ``pixels`` (the whole image), ``regions`` (candidates), or both.
        pixels: how the vision encoder wants its pixels.
        num_regions: maximum number of candidates; the first ones are kept.
        features: cached region vectors in place of crops, one row per example.
        picture_of: where an image comes from: its file, or that with something done to it.
    """

    examples: Sequence[Example]
    _: KW_ONLY
    tokens: Sequence[Tokens]
    inputs: frozenset[Input]
    pixels: PixelSettings
    num_regions: int
    features: RegionFeatures | None = None
    picture_of: Pictures = picture_of

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Item:
        example = self.examples[index]
        boxes = np.zeros((1, 4))
        classes: tuple[str, ...] = ()
        if "regions" in self.inputs and example.candidates is not None:
            candidates = example.candidates.top(self.num_regions)
            boxes = np.concatenate([boxes, candidates.boxes])
            classes = candidates.classes or ()
        features = crop = image = None
        if self.features is not None:
            features = self.features.row(index, len(boxes))
        encoder = self.pixels.region_encoder
        encodes = "regions" in self.inputs and self.features is None
        wants_crops = encodes and encoder == "crop"
        wants_whole = "pixels" in self.inputs or (encodes and encoder == "roi_align")
        if example.image is not None and (wants_crops or wants_whole):
            picture = self.picture_of(example)
            image = whole(picture, self.pixels) if wants_whole else None
            crop = crops(picture, boxes[1:], self.pixels) if wants_crops else None
        elif wants_crops:
            crop = blank(self.pixels, self.pixels.crop_size)[None]
        return Item(
            example=example,
            tokens=self.tokens[index],
            size=example.size or (1, 1),
            boxes=torch.from_numpy(boxes).float(),
            pixels=image,
            crops=crop,
            features=features,
            classes=classes,
        )


@dataclass(frozen=True)
class Collate:
    """Pads items into a batch with real masks, and builds the gold targets.

    Attributes:
        classes: class index of each type, from 1.
        pad_id: the tokenizer's padding id.
        iou_threshold: least IoU at which a candidate shows an entity (MQSPN's released code: 0.5).
        with_regions: whether the batch carries candidate slots.
    """

    classes: Mapping[str, int]
    pad_id: int
    iou_threshold: float = 0.5
    with_regions: bool = True

    def __call__(self, items: Sequence[Item]) -> Batch:
        """Build a batch; items without an image get zero pixels and a false ``image_mask``.

        Raises:
            KeyError: an entity's type is not among ``classes``.
        """
        tokens = [torch.tensor(item.tokens.ids) for item in items]
        words = [torch.tensor(item.tokens.words) for item in items]
        boxes = _pad([item.boxes for item in items])
        slots = _mask_of([len(item.boxes) for item in items])
        classes = tuple(item.classes for item in items)
        return Batch(
            ids=tuple(item.example.id for item in items),
            input_ids=_pad(tokens, self.pad_id),
            token_mask=_mask_of([len(row) for row in tokens]),
            word_index=_pad(words, -1),
            word_mask=_mask_of([len(item.example.words) for item in items]),
            image_sizes=torch.tensor([item.size for item in items], dtype=torch.float32),
            image_mask=torch.tensor([item.example.image is not None for item in items]),
            pixels=_stack_or_zeros([item.pixels for item in items]),
            region_mask=slots if self.with_regions else None,
            region_boxes=boxes if self.with_regions else None,
            region_pixels=_pad_present([item.crops for item in items]),
            region_features=_pad_present([item.features for item in items]),
            region_classes=classes if any(classes) else None,
            targets=self._targets(items, boxes, slots),
        )

    def _targets(self, items: Sequence[Item], boxes: Tensor, slots: Tensor) -> Targets:
        counts = [len(item.example.entities) for item in items]
        golds = max(1, *counts)
        most = max([1, *(len(e.boxes) for item in items for e in item.example.entities)])
        fields = torch.zeros(3, len(items), golds, dtype=torch.long)  # type, start, end [B, G]
        gold_boxes = torch.zeros(len(items), golds, most, 4)
        box_mask = torch.zeros(len(items), golds, most, dtype=torch.bool)
        regions = torch.zeros(len(items), golds, slots.shape[1], dtype=torch.bool)  # [B, G, K+1]
        for b, item in enumerate(items):
            size = torch.tensor(item.size, dtype=torch.float64)
            for g, entity in enumerate(item.example.entities):
                numbers = [self.classes[entity.type], entity.start, entity.end]
                fields[:, b, g] = torch.tensor(numbers)
                if not entity.groundable:
                    regions[b, g, 0] = True
                    continue
                pixels = torch.tensor(entity.boxes, dtype=torch.float64)
                gold_boxes[b, g, : len(pixels)] = to_unit(pixels, size).float()
                box_mask[b, g, : len(pixels)] = True
                overlap = torch.from_numpy(pairwise_iou(boxes[b, 1:], pixels).max(axis=1))
                regions[b, g, 1:] = (overlap >= self.iou_threshold) & slots[b, 1:]
        return Targets(
            mask=_mask_of(counts, golds),
            types=fields[0],
            starts=fields[1],
            ends=fields[2],
            boxes=gold_boxes,
            box_mask=box_mask,
            regions=regions if self.with_regions else None,
        )


def _pad(rows: Sequence[Tensor], value: int = 0) -> Tensor:
    """Pad rows of different lengths to ``[B, longest, ...]``."""
    return pad_sequence(list(rows), batch_first=True, padding_value=value)


def _mask_of(counts: Sequence[int], longest: int | None = None) -> Tensor:
    """``[B, longest]``: True for the first ``counts[b]`` positions of each row."""
    longest = longest or max(counts)
    return torch.arange(longest)[None, :] < torch.tensor(counts)[:, None]


def _stack_or_zeros(rows: Sequence[Tensor | None]) -> Tensor | None:
    """Stack equal shapes with zeros for missing rows; None if all are missing."""
    present = next((row for row in rows if row is not None), None)
    if present is None:
        return None
    return torch.stack([torch.zeros_like(present) if row is None else row for row in rows])


def _pad_present(rows: Sequence[Tensor | None]) -> Tensor | None:
    """Pad rows that are all present; None if none is."""
    present = [row for row in rows if row is not None]
    return _pad(present) if present else None
