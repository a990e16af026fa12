"""Generated data in the layout of Twitter-GMNER: built once and whole, written post by post."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from gmbench.core.files import replacing, sweep
from gmbench.core.locks import held

IntBox = tuple[int, int, int, int]
FOLDERS = ("txt", "txt_fine", "xml", "images", "vinvl")


class Label(Protocol):
    """What a named entity is."""

    @property
    def type(self) -> str:
        """Coarse type, of four."""
        ...

    @property
    def parent(self) -> str:
        """Parent type, of eight."""
        ...

    @property
    def subtype(self) -> str:
        """Subtype, of the 51 of the real data."""
        ...


@dataclass(frozen=True, slots=True)
class Annotated:
    """A named entity: words ``start..end`` (inclusive), its types, and the boxes that show it.

    Attributes:
        boxes: x0, y0, x1, y1 in pixels, 0-based, the end exclusive; empty = not groundable.
    """

    start: int
    end: int
    label: Label
    boxes: tuple[IntBox, ...]


def gold_box(box: IntBox) -> IntBox:
    """As annotated: integer pixels counted from 1, both corners inside the thing."""
    x0, y0, x1, y1 = box
    return x0 + 1, y0 + 1, x1, y1


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """Return ``folder``; if it does not exist, ``build`` fills it first.

    If two processes ask at once, one builds and the other waits. A folder that exists is complete:
    ``build`` writes into a temporary one beside it, which is renamed, or removed after an error.

    Raises:
        OSError: the folder cannot be written.
    """
    if folder.is_dir():
        return folder
    with held(folder.parent / f".{folder.name}.lock", folder, wait=True):
        if not folder.is_dir():
            sweep(folder.parent, folder.name)
            with replacing(folder) as building:
                build(building)
    return folder


class LayoutWriter:
    """Writes the annotations of one split; images and candidates are left to the caller.

    Args:
        folder: of the data set; the folders of the layout are created.
        split: ``train``, ``dev`` or ``test``.
    """

    def __init__(self, folder: Path, split: str) -> None:
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._xml = folder / "xml"
        self._texts: tuple[IO[str], ...] = tuple(
            (folder / name / f"{split}.txt").open("w", encoding="utf-8", newline="\n")
            for name in ("txt", "txt_fine")
        )
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for text in self._texts:
            text.close()

    def write(
        self, id: str, words: Sequence[str], entities: Sequence[Annotated], size: tuple[int, int]
    ) -> None:
        """Add a block to both texts, and ``xml/<id>.xml`` if an entity has a box."""
        tags = [("O", "O\tO")] * len(words)
        for entity in entities:
            label = entity.label
            for index in range(entity.start, entity.end + 1):
                part = "B" if index == entity.start else "I"
                fine = f"{part}-{label.parent}\t{part}-{label.subtype}"
                tags[index] = f"{part}-{label.type}", fine
        gap = "\n" if self.count else ""
        for column, text in enumerate(self._texts):
            rows = (f"{word}\t{tag[column]}\n" for word, tag in zip(words, tags, strict=True))
            text.write(f"{gap}IMGID:{id}\n{''.join(rows)}")
        self.count += 1
        objects = [
            (" ".join(words[entity.start : entity.end + 1]), gold_box(box))
            for entity in entities
            for box in entity.boxes
        ]
        if objects:
            (self._xml / f"{id}.xml").write_text(voc(id, size, objects), encoding="utf-8")


def write_candidates(
    folder: Path,
    id: str,
    size: tuple[int, int],
    boxes: NDArray[np.floating],
    scores: NDArray[np.floating] | None = None,
    features: NDArray[np.floating] | None = None,
    classes: Sequence[str] | None = None,
) -> None:
    """``vinvl/<id>.jpg.npz``: boxes ``[K, 4]`` xyxy pixels and what is known of them, best first.

    Args:
        folder: of the data set.
        id: of the example.
        size: of its image.
        boxes: of the candidates.
        scores: ``[K]``.
        features: ``[K, D]`` a detector's vectors.
        classes: K names.
    """
    further = {"scores": scores, "box_features": features, "objects": classes}
    named: dict[str, Any] = {key: value for key, value in further.items() if value is not None}
    np.savez(
        folder / "vinvl" / f"{id}.jpg.npz",
        bounding_boxes=boxes,
        **named,
        num_boxes=np.int64(len(boxes)),
        image_w=np.int64(size[0]),
        image_h=np.int64(size[1]),
    )


def voc(name: str, size: tuple[int, int], objects: Sequence[tuple[str, tuple[float, ...]]]) -> str:
    """A VOC annotation of an image: names with their boxes, xyxy pixels."""
    lines = [
        "<annotation>",
        f"\t<filename>{name}.jpg</filename>",
        f"\t<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>",
    ]
    for label, box in objects:
        corners = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        inner = "".join(
            f"<{tag}>{np.format_float_positional(value, precision=20, trim='-')}</{tag}>"
            for tag, value in corners
        )
        lines.append(
            f"\t<object><name>{escape(label)}</name><difficult>0</difficult>"
            f"<bndbox>{inner}</bndbox></object>"
        )
    return "\n".join([*lines, "</annotation>", ""])
