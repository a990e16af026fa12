"""Frozen region features, computed once and kept in one memory-mapped file."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gmbench.core.entities import Example
from gmbench.core.errors import InputError
from gmbench.core.locks import held
from gmbench.core.progress import track
from gmbench.data.cache import SEAL, intact, reserve, seal, writing
from gmbench.data.images import Pictures, picture_of
from gmbench.data.pixels import PixelSettings, blank, crops, whole

CACHE_VERSION = 2
STRIDE = 64
"""Number of examples between two records of a build's progress."""

Encode = Callable[[Tensor, Tensor | None], Tensor]
"""Crops ``[N, 3, h, w]`` and None -> a vector per crop ``[N, D]``; a whole image ``[1, 3, H, W]``
and boxes ``[K, 4]`` xyxy in 0..1 -> a vector per box ``[K, D]``."""


@dataclass(frozen=True)
class RegionFeatures:
    """Vectors of the blank image and the candidate regions of many examples.

    Attributes:
        values: ``[sum of slots, D]`` fp16, memory-mapped.
        offsets: ``[N + 1]`` first row of each example.
    """

    values: NDArray[np.float16]
    offsets: NDArray[np.int64]

    def row(self, index: int, slots: int) -> Tensor:
        """The first ``slots`` vectors of example ``index``: ``[slots, D]`` float32."""
        first, last = self.offsets[index], self.offsets[index + 1]
        return torch.from_numpy(self.values[first : min(last, first + slots)].astype(np.float32))


def region_features(
    examples: Sequence[Example],
    *,
    encode: Encode,
    pixels: PixelSettings,
    num_regions: int,
    folder: Path,
    identity: str,
    label: str,
    picture_of: Pictures = picture_of,
) -> RegionFeatures:
    """Read the features from ``folder``, or compute and keep them.

    A build that was interrupted goes on where it stopped; a damaged file is built again.

    Args:
        examples: in the order of the rows.
        encode: frozen encoder, see :data:`Encode`.
        pixels: sizes, normalisation and what a vector is made of.
        num_regions: maximum number of candidates per example; the first ones are taken.
        folder: where cache files are kept.
        identity: names data and encoder weights; a change of either computes anew.
        label: shown beside the progress bar.
        picture_of: where images come from; what it does to them is part of ``identity``.

    Raises:
        InputError: an image cannot be read, and nothing is kept; or the folder has no room for the
            file or cannot be written.
    """
    path = folder / f"regions-{_key(examples, pixels, num_regions, identity)}.npy"
    boxes = [_boxes(example, num_regions) for example in examples]
    offsets = np.cumsum([0, *(1 + len(rows) for rows in boxes)])
    if not intact(path):
        with writing(folder), held(folder / f".{path.stem}.lock", path, wait=True):
            if not intact(path):  # another process may have built it
                _build(path, examples, boxes, offsets, encode, pixels, label, picture_of)
    return RegionFeatures(np.load(path, mmap_mode="r", allow_pickle=False), offsets)


def _key(
    examples: Sequence[Example], pixels: PixelSettings, num_regions: int, identity: str
) -> str:
    digest = sha256(f"{CACHE_VERSION}|{identity}|{_described(pixels)}|{num_regions}".encode())
    for example in examples:
        digest.update(f"|{example.id}|{example.image is not None}".encode())
        if example.candidates is not None:
            digest.update(np.ascontiguousarray(example.candidates.boxes[:num_regions]).tobytes())
    return digest.hexdigest()[:16]


def _described(pixels: PixelSettings) -> str:
    """The settings that change a vector, as the first caches described them."""
    plain = (
        f"PixelSettings(image_size={pixels.image_size}, crop_size={pixels.crop_size}, "
        f"mean={pixels.mean}, std={pixels.std})"
    )
    kind = (pixels.region_encoder, pixels.crop)
    return plain if kind == ("crop", "letterbox") else f"{plain}|{kind}"


def _boxes(example: Example, limit: int) -> NDArray[np.float64]:
    """The candidates that get a vector: none without an image."""
    if example.candidates is None or example.image is None:
        return np.zeros((0, 4))
    return example.candidates.boxes[:limit]


def _build(
    path: Path,
    examples: Sequence[Example],
    boxes: Sequence[NDArray[np.float64]],
    offsets: NDArray[np.int64],
    encode: Encode,
    pixels: PixelSettings,
    label: str,
    picture_of: Pictures,
) -> None:
    """Fill the file example by example: at most ``STRIDE`` of them are in memory."""
    part, progress = path.with_suffix(".part.npy"), path.with_suffix(".part.txt")
    nothing = blank_vector(encode, pixels).half().cpu().numpy()
    values, done = _begin(part, progress, (int(offsets[-1]), len(nothing)), len(examples))
    steps = range(done, len(examples), STRIDE)
    encoded: dict[bytes, int] = {}  # first row by content of the image and its boxes
    try:
        for first in track(steps, f"region features of {label}"):
            last = min(first + STRIDE, len(examples))
            for index in range(first, last):
                row, rows = offsets[index], boxes[index]
                values[row] = nothing
                if not len(rows):
                    continue
                picture = picture_of(examples[index])
                content = f"{picture.size}|".encode() + picture.tobytes() + rows.tobytes()
                twin = encoded.setdefault(sha256(content).digest(), row)
                if twin == row:
                    vectors = box_vectors(picture, rows, encode, pixels).half().cpu().numpy()
                else:  # two examples about one photograph
                    vectors = values[twin + 1 : twin + 1 + len(rows)]
                values[row + 1 : row + 1 + len(rows)] = vectors
            values.flush()
            # A mapping keeps every page it has touched: begin a new one.
            values = np.lib.format.open_memmap(part, mode="r+")
            progress.write_text(str(last))
    except InputError:  # once the image is mended the key may be another
        part.unlink(missing_ok=True)
        progress.unlink(missing_ok=True)
        raise
    seal(part)
    part.replace(path)
    progress.unlink(missing_ok=True)


def _begin(
    part: Path, progress: Path, shape: tuple[int, int], count: int
) -> tuple["np.memmap[Any, np.dtype[np.float16]]", int]:
    """The file of an interrupted build or a new one, and the number of examples it holds."""
    with contextlib.suppress(OSError, ValueError):
        done = int(progress.read_text())
        values = np.lib.format.open_memmap(part, mode="r+")
        if values.shape == shape and values.dtype == np.float16 and 0 <= done <= count:
            return values, done
    progress.unlink(missing_ok=True)
    try:  # a mapping without room behind it would end the process by SIGBUS
        with writing(part.parent, 2 * shape[0] * shape[1]):
            values = np.lib.format.open_memmap(part, mode="w+", dtype=np.float16, shape=shape)
            reserve(part, part.stat().st_size + SEAL)
    except InputError:
        part.unlink(missing_ok=True)
        raise
    return values, 0


def blank_vector(encode: Encode, pixels: PixelSettings) -> Tensor:
    """The blank image's vector ``[D]``, made as those of the candidates are."""
    if pixels.region_encoder == "crop":
        return encode(blank(pixels, pixels.crop_size)[None], None)[0]
    everywhere = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    return encode(blank(pixels, pixels.image_size)[None], everywhere)[0]


def box_vectors(
    picture: Image.Image, boxes: NDArray[np.float64], encode: Encode, pixels: PixelSettings
) -> Tensor:
    """``[K, D]`` of boxes ``[K, 4]`` xyxy pixels."""
    if pixels.region_encoder == "crop":
        return encode(crops(picture, boxes, pixels)[1:], None)
    share = boxes / np.asarray([*picture.size, *picture.size])
    return encode(whole(picture, pixels)[None], torch.from_numpy(share).float())
