"""Arrays of a detector's npz file, checked: every fault names the key and the shapes."""

import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmbench.data.errors import fault

Size = tuple[int, int]
UNREADABLE = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, OverflowError, MemoryError),
    *(RuntimeError, SyntaxError, struct.error, zipfile.BadZipFile, zlib.error),
)
"""All that numpy and zipfile raise on a damaged or hostile file."""


def numbers(
    path: Path, arrays: Mapping[str, Any], name: str, *, width: int | None = None, rows: int = -1
) -> NDArray[Any]:
    """A finite array of numbers of the wanted shape, or an error that names key and shapes."""
    if name not in arrays:
        raise fault(path, f"no {name!r}", f"it has {listing(arrays)}")
    try:
        array: NDArray[Any] = arrays[name]
    except UNREADABLE as error:
        raise fault(
            path, f"{name!r} cannot be read ({one_line(error)})", "fetch the file again"
        ) from None
    wanted = f"[N, {width}]" if width else f"[{rows}, ...] as 'bounding_boxes' has rows"
    fits = array.ndim == 2 and array.shape[1] == width if width else array.shape[:1] == (rows,)
    if not fits or array.dtype.kind not in "fiu":
        shape = f"{array.dtype} {list(array.shape)}"
        raise fault(path, f"{name!r} is {shape}, not numbers {wanted}", "fetch the file again")
    if not np.isfinite(array).all():
        raise fault(path, f"{name!r} has a NaN or infinite number", "fetch the file again")
    return array


def box_count(path: Path, arrays: Mapping[str, Any], rows: int) -> int:
    """``num_boxes``, or all rows where it is absent."""
    if "num_boxes" not in arrays:
        return rows
    count = np.asarray(arrays["num_boxes"])
    if count.size != 1 or count.dtype.kind not in "iu" or not 0 <= int(count.item()) <= rows:
        raise fault(
            path, f"'num_boxes' is {count.tolist()} but 'bounding_boxes' has {rows} rows",
            "fetch the file again",
        )  # fmt: skip
    return int(count.item())


def made_for(path: Path, arrays: Mapping[str, Any]) -> Size | None:
    """The size of the image the detector saw, where the file tells."""
    if "image_w" not in arrays or "image_h" not in arrays:
        return None
    sides = [np.asarray(arrays[name]) for name in ("image_w", "image_h")]
    if any(side.size != 1 or side.dtype.kind not in "iuf" for side in sides):
        raise fault(path, "'image_w' or 'image_h' is not one number", "fetch the file again")
    return int(sides[0].item()), int(sides[1].item())


def listing(arrays: Mapping[str, Any]) -> str:
    """The keys of the file, for messages."""
    return ", ".join(sorted(arrays)) or "nothing"


def one_line(error: BaseException) -> str:
    """What an error says, or its name where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
