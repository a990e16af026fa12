"""Sources of candidate regions: the detector's boxes from which a proposal-based model chooses.

A source is asked once an image and answers boxes in pixels of that image, best first. It is never
asked where a lenient policy accepted that there is no image.
"""

import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from gmbench.core.entities import Candidates
from gmbench.core.errors import REGION_ORIGIN, InputError, MissingRegions, fault, located

# Arrays of a detector's npz file, checked: every fault names the key and the shapes.
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


Missing = Literal["error", "none"]


class RegionSource(Protocol):
    """Anything that knows the candidate regions of an image."""

    def __call__(self, *, id: str, image: Path | None, size: Size | None) -> Candidates | None:
        """Candidates of one image, best first; None where the source has none and may say so.

        Raises:
            InputError: what the source has on the image is missing or damaged.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class VinVL:
    """Detections in ``<folder>/<id>.jpg.npz``: the first ``k`` rows, in the order of the file.

    Keys read: ``bounding_boxes [N, 4]`` xyxy pixels; ``num_boxes``, ``scores [N]``,
    ``box_features [N, D]``, ``image_w`` and ``image_h`` where they are there. Boxes are clipped to
    the image, and a box without area in it is left out; near-equal boxes stay, as the detector gave
    them. Each file is read when it is asked for and only its boxes are unpacked.

    Attributes:
        folder: where the npz files are.
        k: how many rows to keep.
        missing: what to do where there is no file.
        features: keep the detector's vectors too (8 kB a region: 1.3 GB for 10,000 images x 16).
    """

    folder: Path
    k: int = 16
    missing: Missing = "error"
    features: bool = False

    def __post_init__(self) -> None:
        # Configuration files give strings.
        object.__setattr__(self, "folder", Path(self.folder))
        _check(self.k, self.missing)

    def __call__(self, *, id: str, image: Path | None, size: Size | None) -> Candidates | None:
        """The file's first ``k`` boxes."""
        path = self.folder / f"{id}.jpg.npz"
        if not path.is_file():
            if self.missing == "none":
                return None
            raise MissingRegions(
                located(path, "missing candidates", f"{REGION_ORIGIN}; or set regions.missing=none")
            )
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return self._read(path, arrays, size)
        except InputError:
            raise
        except UNREADABLE as error:
            raise fault(
                path, f"not an npz file ({one_line(error)})", "fetch the file again"
            ) from None

    def _read(self, path: Path, arrays: Mapping[str, Any], size: Size | None) -> Candidates:
        boxes = numbers(path, arrays, "bounding_boxes", width=4)
        count = min(box_count(path, arrays, len(boxes)), self.k)
        origin = made_for(path, arrays)
        if size is not None and origin is not None and origin != size:
            raise fault(
                path,
                f"made from an image of {_show(origin)} but the image is {_show(size)}",
                "take the image and its candidates from the same archive",
            )
        extras: dict[str, NDArray[Any] | None] = {"scores": None, "box_features": None}
        for name in extras:
            if name in arrays and (self.features or name != "box_features"):
                extras[name] = numbers(path, arrays, name, rows=len(boxes))[:count]
        if self.features and extras["box_features"] is None:
            raise fault(path, "no 'box_features'", f"it has {listing(arrays)}")
        return tidy(boxes[:count], extras["scores"], extras["box_features"], size=size)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The whole image, then ``rows`` x ``cols`` equal cells row by row: candidates without pixels.

    Attributes:
        rows: cells from top to bottom.
        cols: cells from left to right.
        whole: put the whole image first.
    """

    rows: int = 3
    cols: int = 3
    whole: bool = True

    def __post_init__(self) -> None:
        if self.rows < 1 or self.cols < 1:
            raise ValueError(f"a grid needs rows, cols >= 1, not {self.rows} x {self.cols}")

    def __call__(self, *, id: str, image: Path | None, size: Size | None) -> Candidates | None:
        """The cells of an image of ``size``; None where the size is not known."""
        if size is None:
            return None
        xs = np.linspace(0, size[0], self.cols + 1)
        ys = np.linspace(0, size[1], self.rows + 1)
        cells = [
            (xs[col], ys[row], xs[col + 1], ys[row + 1])
            for row in range(self.rows)
            for col in range(self.cols)
        ]
        first = [(0.0, 0.0, float(size[0]), float(size[1]))] if self.whole else []
        return Candidates(boxes=np.array(first + cells, dtype=np.float64))


@dataclass(frozen=True, kw_only=True)
class JsonLines:
    """Anybody's candidates: ``{"id", "boxes": [[x1, y1, x2, y2], ...], "scores": [...]}`` a line.

    The first ``k`` boxes of a line are kept, clipped to the image, those without area left out;
    ``scores`` may be absent. The file is read at the first question.

    Attributes:
        path: UTF-8 text, one object a line, boxes in pixels.
        k: how many boxes of a line to keep.
        missing: what to do where no line has the id.
    """

    path: Path
    k: int = 16
    missing: Missing = "error"

    def __post_init__(self) -> None:
        # Configuration files give strings.
        object.__setattr__(self, "path", Path(self.path))
        _check(self.k, self.missing)

    def __call__(self, *, id: str, image: Path | None, size: Size | None) -> Candidates | None:
        """The line's first ``k`` boxes."""
        found = self._lines.get(id)
        if found is None and self.missing == "error":
            raise MissingRegions(
                located(self.path, f"no line for {id!r}", "add it, or set regions.missing=none")
            )
        return None if found is None else tidy(found.boxes, found.scores, None, size=size)

    @cached_property
    def _lines(self) -> dict[str, Candidates]:
        found: dict[str, Candidates] = {}
        try:
            text = self.path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise fault(self.path, f"cannot be read ({error})", "set regions.path") from None
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                name, candidates = self._line(number, line)
                if name in found:
                    raise fault(self.path, f"{name!r} for the second time", line=number)
                found[name] = candidates
        return found

    def _line(self, number: int, line: str) -> tuple[str, Candidates]:
        try:
            raw = json.loads(line)
            name = str(raw["id"])
            boxes = np.asarray(raw["boxes"], dtype=np.float64).reshape(-1, 4)
            scores = np.asarray(raw["scores"], np.float64) if raw.get("scores") else None
            if len(boxes) != len(raw["boxes"]) or not np.isfinite(boxes).all():
                raise ValueError("a box is four finite numbers")
            kept = Candidates(boxes=boxes, scores=scores).top(self.k)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise fault(
                self.path,
                f"not a line of candidates ({error})",
                'a line is {"id": "...", "boxes": [[x1, y1, x2, y2], ...], "scores": [...]}',
                line=number,
            ) from None
        return name, kept


def tidy(
    boxes: NDArray[Any],
    scores: NDArray[Any] | None,
    features: NDArray[Any] | None,
    *,
    size: Size | None,
) -> Candidates:
    """Boxes ``[N, 4]`` clipped to the image (where its size is known), those without area dropped.

    The order stays; scores and features go with their boxes.
    """
    clipped = boxes.astype(np.float64)
    if size is not None:
        clipped[:, 0::2] = clipped[:, 0::2].clip(0, size[0])
        clipped[:, 1::2] = clipped[:, 1::2].clip(0, size[1])
    keep = (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    return Candidates(
        boxes=clipped[keep],
        scores=None if scores is None else scores[keep].astype(np.float64),
        features=None if features is None else features[keep].astype(np.float32),
    )


def _check(k: int, missing: str) -> None:
    if k < 1:
        raise ValueError(f"regions.k must be at least 1, not {k}")
    if missing not in {"error", "none"}:
        raise ValueError(f"regions.missing must be error or none, not {missing!r}")


def _show(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
