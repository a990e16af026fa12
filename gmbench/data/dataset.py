"""Examples -> items: sub-words, pixels, crops or cached region features of one tweet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from gmbench.data.cache import RegionFeatures
from gmbench.data.images import Pictures, picture_of
from gmbench.data.pixels import PixelSettings, blank, crops, whole
from gmbench.data.tokens import Tokens
from gmbench.faults import strike
from gmbench.structures import Example

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
        strike("load")
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
