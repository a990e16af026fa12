"""Images to tensors: the whole image squashed to a square, candidate regions as crops.

Nothing is cut off by default: a squash keeps every box (an identity on normalised boxes), and a
crop is letterboxed, so long entities keep their ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

BLANK = 127
"""Grey level of the blank image and of letterbox bars."""


@dataclass(frozen=True, kw_only=True)
class PixelSettings:
    """How an encoder wants its pixels.

    Attributes:
        image_size: side of the squashed image.
        crop_size: side of a candidate region's crop.
        mean, std: per channel, in 0..1.
        region_encoder: what a candidate's vector is made of: its own ``crop``, or ROI-align on one
            feature map of the whole image (``roi_align``), about k times cheaper; ``none`` for
            models that read the boxes of candidates alone.
        crop: ``letterbox``, or ``center``: the shorter side fills the square and the ends of the
            longer one are cut off (MQSPN's released code).
    """

    image_size: int
    crop_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    region_encoder: Literal["crop", "roi_align", "none"] = "crop"
    crop: Literal["letterbox", "center"] = "letterbox"


def whole(image: Image.Image, settings: PixelSettings) -> Tensor:
    """The image squashed to ``[3, image_size, image_size]``, normalised."""
    side = settings.image_size
    return normalise(image.resize((side, side), Image.Resampling.BILINEAR), settings)


def crops(image: Image.Image, boxes: NDArray[np.float64], settings: PixelSettings) -> Tensor:
    """The blank image and one crop per box: ``[K + 1, 3, crop_size, crop_size]``.

    Args:
        image: RGB.
        boxes: ``[K, 4]`` xyxy pixels; a side below one pixel is widened to one.
        settings: crop size and normalisation.
    """
    cut = letterbox if settings.crop == "letterbox" else center
    regions = (cut(image, box, settings.crop_size) for box in boxes)
    return torch.stack(
        [blank(settings, settings.crop_size), *(normalise(region, settings) for region in regions)]
    )


def letterbox(image: Image.Image, box: Sequence[float], side: int) -> Image.Image:
    """The region of ``box`` (xyxy pixels), longest side scaled to ``side``, centred on grey."""
    x1, y1, x2, y2 = inside(image, box)
    scale = side / max(x2 - x1, y2 - y1)
    width = max(1, round((x2 - x1) * scale))
    height = max(1, round((y2 - y1) * scale))
    region = image.resize((width, height), Image.Resampling.BILINEAR, (x1, y1, x2, y2))
    canvas = Image.new("RGB", (side, side), (BLANK, BLANK, BLANK))
    canvas.paste(region, ((side - width) // 2, (side - height) // 2))
    return canvas


def center(image: Image.Image, box: Sequence[float], side: int) -> Image.Image:
    """The middle square of the region of ``box`` (xyxy pixels), scaled to ``side``."""
    x1, y1, x2, y2 = inside(image, box)
    short = min(x2 - x1, y2 - y1)
    left, top = x1 + (x2 - x1 - short) / 2, y1 + (y2 - y1 - short) / 2
    middle = (left, top, left + short, top + short)
    return image.resize((side, side), Image.Resampling.BILINEAR, middle)


def inside(image: Image.Image, box: Sequence[float]) -> tuple[int, int, int, int]:
    """Whole pixels of the image that ``box`` touches, at least one in each direction."""
    x1, y1 = max(0, int(box[0])), max(0, int(box[1]))
    x2 = min(image.width, max(int(np.ceil(box[2])), x1 + 1))
    y2 = min(image.height, max(int(np.ceil(box[3])), y1 + 1))
    return min(x1, x2 - 1), min(y1, y2 - 1), x2, y2


def blank(settings: PixelSettings, side: int) -> Tensor:
    """The blank image of slot 0, ``[3, side, side]``."""
    return normalise(Image.new("RGB", (side, side), (BLANK, BLANK, BLANK)), settings)


def normalise(image: Image.Image, settings: PixelSettings) -> Tensor:
    """RGB image to a normalised ``[3, H, W]`` float tensor."""
    array = torch.from_numpy(np.asarray(image, dtype=np.float32) / 255)
    return ((array - torch.tensor(settings.mean)) / torch.tensor(settings.std)).permute(2, 0, 1)
