"""Reads a folder in COCO's format: boxes by photograph, in little memory whatever its size.

An annotation file is never in memory as a whole: its lists are decoded item by item, and of an item
only the box is kept (COCO 2017's 860,000 annotations: 40 MB).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest, sha256
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from gmbench.core.errors import InputError, fault
from gmbench.data.layout import IntBox

CHUNK = 2**20
LISTS = ("images", "annotations", "categories")
ORIGIN = "COCO's format: instances_*.json beside its pictures, as cocodataset.org gives them"
_ROW = np.dtype([("photo", "i8"), ("category", "i8"), ("box", "f8", 4), ("crowd", "?")])


@dataclass(frozen=True, slots=True)
class Instance:
    """One annotated thing: its category, box (0-based, end exclusive), whether it is a crowd."""

    category: str
    box: IntBox
    crowd: bool

    @property
    def area(self) -> int:
        """In square pixels."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph with its instances, largest first."""

    name: str
    file: Path
    size: tuple[int, int]
    instances: tuple[Instance, ...]


@dataclass(frozen=True)
class CocoFolder:
    """A folder with ``instances_*.json``, in it or in ``annotations``, and pictures.

    The pictures of ``instances_NAME.json`` lie in ``NAME``, ``images/NAME``, ``images`` or the
    folder itself.
    """

    path: Path

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The annotation files.

        Raises:
            InputError: there are none.
        """
        found = sorted(
            file
            for folder in (self.path, self.path / "annotations")
            for file in folder.glob("instances_*.json")
        )
        if not found:
            what = "no instances_*.json" if self.path.is_dir() else "no such folder"
            raise fault(self.path, what, f"set data.coco=FOLDER; {ORIGIN}")
        return tuple(found)

    @cached_property
    def digest(self) -> str:
        """sha256 of the annotation files."""
        whole = sha256()
        for file in self.files:
            with file.open("rb") as stream:
                whole.update(f"{file.name}|{file_digest(stream, 'sha256').hexdigest()}|".encode())
        return whole.hexdigest()

    def photos(self, file: Path) -> Iterator[Photo]:
        """Yield the photographs of an annotation file in its order.

        Raises:
            InputError: the file is damaged or an item of it makes no sense.
        """
        images, rows, names = self._items(file)
        rows.sort(order="photo", kind="stable")
        firsts = np.searchsorted(rows["photo"], list(images), "left")
        lasts = np.searchsorted(rows["photo"], list(images), "right")
        folder = self._pictures(file)
        for (name, size), first, last in zip(images.values(), firsts, lasts, strict=True):
            found = [_instance(row, size, names, file) for row in rows[first:last]]
            kept = [one for one in found if one is not None]
            kept.sort(key=lambda one: (-one.area, one.box, one.category))
            yield Photo(name, folder / name, size, tuple(kept))

    def categories(self, file: Path) -> tuple[str, ...]:
        """Names of the categories of an annotation file."""
        return tuple(self._items(file)[2].values())

    def index(self, file: Path) -> Iterator[tuple[str, Path, tuple[int, int]]]:
        """Yield name, path and size of each photograph of an annotation file."""
        folder = self._pictures(file)
        for name, size in self._items(file)[0].values():
            yield name, folder / name, size

    def _items(
        self, file: Path
    ) -> tuple[dict[int, tuple[str, tuple[int, int]]], np.ndarray[Any, Any], dict[int, str]]:
        """Images by id, rows of annotations, and names of categories."""
        images: dict[int, tuple[str, tuple[int, int]]] = {}
        names: dict[int, str] = {}
        rows = np.empty(1024, dtype=_ROW)
        count = 0
        for key, item in _stream(file):
            try:
                if key == "images":
                    name, size = str(item["file_name"]), (int(item["width"]), int(item["height"]))
                    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                        raise ValueError(f"file_name {name!r} leaves the folder")
                    if min(size) < 1 or int(item["id"]) in images:
                        raise ValueError("no size, or an id for the second time")
                    images[int(item["id"])] = name, size
                elif key == "categories":
                    names[int(item["id"])] = str(item["name"])
                else:
                    if count == len(rows):
                        rows = np.concatenate([rows, np.empty_like(rows)])
                    crowd = bool(item.get("iscrowd", 0))
                    box = tuple(map(float, item["bbox"]))
                    rows[count] = int(item["image_id"]), int(item["category_id"]), box, crowd
                    count += 1
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                what = f"an item of {key!r} cannot be read ({error}): {json.dumps(item)[:80]}"
                raise fault(file, what, ORIGIN) from None
        if not images:
            raise fault(file, "no images", ORIGIN)
        return images, rows[:count], names

    def _pictures(self, file: Path) -> Path:
        name = file.stem.removeprefix("instances_")
        for folder in (name, f"images/{name}", "images"):
            if (self.path / folder).is_dir():
                return self.path / folder
        return self.path


def _instance(
    row: Any, size: tuple[int, int], names: Mapping[int, str], file: Path
) -> Instance | None:
    """An instance clipped to its photograph; None if nothing of it is inside."""
    if int(row["category"]) not in names:
        raise fault(file, f"category_id {int(row['category'])} is not in 'categories'", ORIGIN)
    if not np.isfinite(row["box"]).all():
        raise fault(file, f"a bbox of image {int(row['photo'])} is not finite", ORIGIN)
    x, y, w, h = (float(side) for side in row["box"])
    left, right = (min(max(round(v), 0), size[0]) for v in (x, x + w))
    top, bottom = (min(max(round(v), 0), size[1]) for v in (y, y + h))
    if right - left < 1 or bottom - top < 1:
        return None
    return Instance(names[int(row["category"])], (left, top, right, bottom), bool(row["crowd"]))


def _stream(file: Path) -> Iterator[tuple[str, Any]]:
    """Yield the items of the lists ``LISTS`` of a JSON object, each with its list's name.

    Raises:
        InputError: the file is not one JSON object, or ends early.
    """
    decode = json.JSONDecoder().raw_decode
    with file.open(encoding="utf-8") as stream:
        text, at = "", 0

        def more() -> bool:
            nonlocal text, at
            chunk = stream.read(max(CHUNK, len(text) - at))  # doubles for a large item
            text, at = text[at:] + chunk, 0
            return bool(chunk)

        def peek() -> str:
            nonlocal at
            while True:
                while at < len(text) and text[at] in " \t\r\n":
                    at += 1
                if at < len(text):
                    return text[at]
                if not more():
                    raise ValueError("it ends early")

        def take(expected: str) -> None:
            nonlocal at
            if peek() not in expected:
                raise ValueError(f"{text[at]!r} where {' or '.join(expected)} belongs")
            at += 1

        def value() -> Any:
            nonlocal at
            peek()
            while True:
                try:
                    found, end = decode(text, at)
                    if end < len(text):  # what may go on is not read to its end
                        at = end
                        return found
                except ValueError:
                    if not more():
                        raise
                    continue
                if not more():
                    raise ValueError("it ends early")

        try:
            take("{")
            while peek() != "}":
                key = value()
                take(":")
                if key in LISTS and peek() == "[":
                    take("[")
                    while peek() != "]":
                        yield key, value()
                        if peek() != "]":
                            take(",")
                    take("]")
                else:
                    value()
                if peek() != "}":
                    take(",")
        except InputError:
            raise
        except (ValueError, RecursionError) as error:
            line = " ".join(str(error).split())[:120]
            raise fault(file, f"not an annotation file ({line})", "fetch the file again") from None
