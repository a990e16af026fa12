"""Frozen region features, computed once and kept in one memory-mapped file."""

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track
from torch import Tensor

from gmbench.core.entities import Example
from gmbench.core.errors import InputError
from gmbench.core.files import write_atomically
from gmbench.data.images import Pictures, picture_of
from gmbench.data.pixels import PixelSettings, blank, crops, whole

CACHE_VERSION = 1
STRIDE = 64
"""Examples between two notes of how far a build has come."""

Encode = Callable[[Tensor, Tensor | None], Tensor]
"""Pixels ``[N, 3, h, w]`` and None -> a vector a crop ``[N, D]``; a whole picture
``[1, 3, H, W]`` and boxes ``[K, 4]`` xyxy in 0..1 -> a vector a box ``[K, D]``."""


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

    Args:
        examples: in the order in which rows will be asked for.
        encode: frozen encoder, see :data:`Encode`.
        pixels: sizes, normalisation and what a vector is made of.
        num_regions: first candidates of each example.
        folder: where cache files live.
        identity: names data and encoder weights; a change of either computes anew.
        label: shown beside the progress bar.
        picture_of: where pictures come from; what it does to them is part of ``identity``.

    Raises:
        InputError: a picture cannot be read; nothing is kept then.
    """
    key = _key(examples, pixels, num_regions, identity)
    path, index = folder / f"regions-{key}.npy", folder / f"regions-{key}.json"
    if not index.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{path.stem}.lock"):  # of several processes one builds
            if not index.is_file():
                part = path.with_suffix(".part.npy")
                try:
                    _compute(examples, encode, pixels, num_regions, part, label, picture_of)
                except InputError:  # once the picture is mended the key may be another
                    part.unlink(missing_ok=True)
                    part.with_suffix(".json").unlink(missing_ok=True)
                    raise
                os.replace(part, path)
                _write(index, {"offsets": _offsets(examples, num_regions).tolist()})
                part.with_suffix(".json").unlink(missing_ok=True)
    offsets = np.asarray(json.loads(index.read_text())["offsets"], dtype=np.int64)
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    return RegionFeatures(values=values, offsets=offsets)


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
    """The settings that change a vector; the defaults in the words of the first caches."""
    plain = (
        f"PixelSettings(image_size={pixels.image_size}, crop_size={pixels.crop_size}, "
        f"mean={pixels.mean}, std={pixels.std})"
    )
    kind = (pixels.region_encoder, pixels.crop)
    return plain if kind == ("crop", "letterbox") else f"{plain}|{kind}"


def _compute(
    examples: Sequence[Example],
    encode: Encode,
    pixels: PixelSettings,
    num_regions: int,
    part: Path,
    label: str,
    picture_of: Pictures,
) -> None:
    """Fill the file example by example: no more than ``STRIDE`` of them are ever in memory.

    A build that was broken off goes on where it stopped.
    """
    offsets = _offsets(examples, num_regions)
    nothing = blank_vector(encode, pixels).half().cpu().numpy()
    progress = part.with_suffix(".json")
    values, done = _begun(part, progress, (int(offsets[-1]), len(nothing)), len(examples))
    steps = range(done, len(examples), STRIDE)
    for first in track(steps, description=f"region features of {label}", transient=True):
        last = min(first + STRIDE, len(examples))
        for example, row in zip(examples[first:last], offsets[first:last], strict=True):
            values[row] = nothing
            found = _boxes(example, num_regions)
            if len(found) and example.image is not None:
                picture = picture_of(example)
                vectors = box_vectors(picture, found, encode, pixels).half()
                values[row + 1 : row + 1 + len(found)] = vectors.cpu().numpy()
        values.flush()
        # A mapping keeps every page it has touched: begin a new one.
        values = np.lib.format.open_memmap(part, mode="r+")
        _write(progress, {"done": last})


def _offsets(examples: Sequence[Example], most: int) -> NDArray[np.int64]:
    """First row of each example, and the number of all rows: ``[N + 1]``."""
    return np.cumsum([0, *(1 + len(_boxes(example, most)) for example in examples)])


def _write(path: Path, content: dict[str, Any]) -> None:
    write_atomically(path, json.dumps(content).encode())


def _boxes(example: Example, most: int) -> NDArray[np.float64]:
    """The candidates that get a vector; none without a picture."""
    if example.candidates is None or example.image is None:
        return np.zeros((0, 4))
    return example.candidates.boxes[:most]


def _begun(
    part: Path, progress: Path, shape: tuple[int, int], number: int
) -> tuple["np.memmap[Any, np.dtype[np.float16]]", int]:
    """The unfinished file, and how many examples it holds: that of an earlier build, or a new."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        done = int(json.loads(progress.read_text())["done"])
        values = np.lib.format.open_memmap(part, mode="r+")
        if values.shape == shape and values.dtype == np.float16 and 0 <= done <= number:
            return values, done
    progress.unlink(missing_ok=True)
    return np.lib.format.open_memmap(part, mode="w+", dtype=np.float16, shape=shape), 0


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
