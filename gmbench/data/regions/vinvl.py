"""Candidate regions in one npz file per image: VinVL's, and those of the built-in world."""

import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from gmbench.core.entities import Candidates
from gmbench.core.errors import (
    InputError,
    MissingRegions,
    fault,
    first_line,
    located,
)
from gmbench.core.limits import Count
from gmbench.data.regions import Missing, Size, clipped

UNREADABLE = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, OverflowError, MemoryError),
    *(RuntimeError, SyntaxError, struct.error, zipfile.BadZipFile, zlib.error),
)
"""All that numpy and zipfile raise on a damaged or hostile file."""
MAX_BYTES = 64_000_000
"""Of one array, unpacked; 100 vectors of 2,048 numbers are 0.8 MB."""
ORIGIN = (
    "VinVL's files <id>.jpg.npz come from running github.com/pzzhang/VinVL on the images; those of "
    "Twitter-GMNER are in github.com/NUSTM/FMNERG"
)
AGAIN = "fetch the file again"


@dataclass(frozen=True, kw_only=True)
class VinVL:
    """Detections in ``<folder>/<id>.jpg.npz``: the first ``k`` rows, in the order of the file.

    Keys: ``bounding_boxes [N, 4]`` xyxy pixels; optional ``num_boxes``, ``scores [N]``,
    ``objects [N]`` (names of classes), ``box_features [N, D]``, ``image_w``, ``image_h``. Boxes are
    clipped to the image, and a box without area in it is left out; near-equal boxes stay, as the
    detector gave them. Each file is read when it is asked for and only its boxes are unpacked.

    Attributes:
        folder: where the npz files are.
        k: number of rows to keep.
        missing: what to do if there is no file.
        features: keep the detector's vectors too (8 kB per region: 1.3 GB for 10,000 images x 16).
    """

    folder: Path
    k: Count = 16
    missing: Missing = "error"
    features: bool = False

    def __post_init__(self) -> None:
        # Configuration files give strings.
        object.__setattr__(self, "folder", Path(self.folder))

    def files(self, id: str) -> tuple[Path, ...]:
        """The image's file of candidates."""
        return (self.folder / f"{id}.jpg.npz",)

    def __call__(self, *, id: str, image: Path | None, size: Size | None) -> Candidates | None:
        """The file's first ``k`` boxes."""
        (path,) = self.files(id)
        if not path.is_file():
            if self.missing == "none":
                return None
            todo = f"{ORIGIN}; or set regions.source.missing=none"
            raise MissingRegions(located(path, "missing candidates", todo))
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return clipped(self._read(path, arrays, size), size)
        except InputError:
            raise
        except UNREADABLE as error:
            raise fault(path, f"not an npz file ({first_line(error)})", AGAIN) from None

    def _read(self, path: Path, arrays: NpzFile, size: Size | None) -> Candidates:
        boxes = _numbers(path, arrays, "bounding_boxes", width=4)
        count = _whole_number(path, arrays, "num_boxes")
        if count is not None and not 0 <= count <= len(boxes):
            what = f"'num_boxes' is {count} but 'bounding_boxes' has {len(boxes)} rows"
            raise fault(path, what, AGAIN)
        made_for = [_whole_number(path, arrays, name) for name in ("image_w", "image_h")]
        if size is not None and None not in made_for and made_for != [*size]:
            raise fault(
                path,
                f"made from an image of {made_for[0]}x{made_for[1]} but the image is "
                f"{size[0]}x{size[1]}",
                "take the image and its candidates from the same archive",
            )
        extras: dict[str, NDArray[Any] | None] = {"scores": None, "box_features": None}
        for name in extras:
            if name in arrays and (self.features or name != "box_features"):
                extras[name] = _numbers(path, arrays, name, rows=len(boxes))
        if self.features and extras["box_features"] is None:
            raise fault(path, "no 'box_features'", f"it has {_keys(arrays)}")
        found = Candidates(
            boxes=boxes,
            scores=extras["scores"],
            features=extras["box_features"],
            classes=_names(arrays, rows=len(boxes)),
        )
        return found.top(self.k if count is None else min(count, self.k))


def _names(arrays: NpzFile, *, rows: int) -> tuple[str, ...] | None:
    """The names of classes, if the file has one for each box.

    Files differ in ``objects``, and hardly any model reads them: what is no name is left out.
    """
    try:
        names = arrays["objects"]
    except UNREADABLE:  # of pickled objects, say
        return None
    return tuple(names.tolist()) if names.dtype.kind == "U" and names.shape == (rows,) else None


def _numbers(
    path: Path, arrays: NpzFile, name: str, *, width: int | None = None, rows: int = -1
) -> NDArray[Any]:
    """A finite array of numbers ``[N, width]``, or ``[rows, ...]`` where no width is given."""
    if name not in arrays:
        raise fault(path, f"no {name!r}", f"it has {_keys(arrays)}")
    try:
        array = _array(path, arrays, name)
    except UNREADABLE as error:
        raise fault(path, f"{name!r} cannot be read ({first_line(error)})", AGAIN) from None
    wanted = f"[N, {width}]" if width else f"[{rows}, ...] as 'bounding_boxes' has rows"
    fits = array.ndim == 2 and array.shape[1] == width if width else array.shape[:1] == (rows,)
    if not fits or array.dtype.kind not in "fiu":
        shape = f"{array.dtype} {list(array.shape)}"
        raise fault(path, f"{name!r} is {shape}, not numbers {wanted}", AGAIN)
    if not np.isfinite(array).all():
        raise fault(path, f"{name!r} has a NaN or infinite number", AGAIN)
    return array


def _array(path: Path, arrays: NpzFile, name: str) -> NDArray[Any]:
    """An array of the archive, unless it is too large to be candidates."""
    assert arrays.zip is not None  # it is open
    if arrays.zip.getinfo(f"{name}.npy").file_size > MAX_BYTES:
        raise fault(path, f"{name!r} unpacks to more than {MAX_BYTES // 10**6} MB", AGAIN)
    return np.asarray(arrays[name])


def _whole_number(path: Path, arrays: NpzFile, name: str) -> int | None:
    """The single number under ``name``; None if the file has no such key."""
    if name not in arrays:
        return None
    array = _array(path, arrays, name)
    if array.size != 1 or array.dtype.kind not in "iuf":
        raise fault(path, f"{name!r} is not one number", AGAIN)
    return int(array.item())


def _keys(arrays: NpzFile) -> str:
    return ", ".join(sorted(arrays)) or "nothing"
