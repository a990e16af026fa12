"""Frozen region features, computed once and kept in one memory-mapped file."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track
from torch import Tensor

from gmbench.data.images import open_image
from gmbench.data.pixels import PixelSettings, blank, crops, whole
from gmbench.structures import Example

CACHE_VERSION = 1


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
    """
    key = _key(examples, pixels, num_regions, identity)
    path, index = folder / f"regions-{key}.npy", folder / f"regions-{key}.json"
    if not index.is_file():
        _compute(examples, encode, pixels, num_regions, path, index, label)
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
    path: Path,
    index: Path,
    label: str,
) -> None:
    nothing = blank_vector(encode, pixels).half()
    rows: list[Tensor] = []
    offsets = [0]
    for example in track(examples, description=f"region features of {label}", transient=True):
        boxes = np.zeros((0, 4))
        if example.candidates is not None and example.image is not None:
            boxes = example.candidates.boxes[:num_regions]
        found = nothing[None]
        if len(boxes) and example.image is not None:
            picture = open_image(example.image, example.size)
            found = torch.cat([found, box_vectors(picture, boxes, encode, pixels).half()])
        rows.append(found)
        offsets.append(offsets[-1] + len(found))
    path.parent.mkdir(parents=True, exist_ok=True)
    values = torch.cat(rows).cpu().numpy()
    _replace(path, lambda part: np.save(part, values))
    _replace(index, lambda part: part.write_text(json.dumps({"offsets": offsets})))


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


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside ``path`` and move into place: never half a file."""
    part = path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
