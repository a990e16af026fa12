"""Pascal-VOC xml -> named boxes: which entity is where in the image.

A document type is refused, files are capped at 1 MB and elements at 20 levels, so no hostile file
costs time or memory. Coordinates are kept as they stand: 1-based pixels, xyxy, whole or (as CVAT
and VOC2012 write them) with a fraction.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler

from defusedxml import DTDForbidden, EntitiesForbidden, ExternalReferenceForbidden
from defusedxml.sax import parseString

from gmbench.core.entities import Box
from gmbench.core.errors import InputError, did_you_mean, fault
from gmbench.core.files import read_file

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
INTEGER = re.compile(r"\d{1,9}")
NUMBER = re.compile(r"[+-]?\d{1,9}(\.\d{1,20})?")
SIDES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, slots=True)
class VocObject:
    """One ``<object>``: a name and the box that shows it, with its line in the file."""

    name: str
    box: Box
    line: int


@dataclass(frozen=True, slots=True)
class Annotation:
    """Content of an xml file.

    Attributes:
        size: ``(width, height)`` of ``<size>``, or None if it is absent.
        objects: those without a fault, in the file's order.
        faults: one error per object that had to be left out.
    """

    size: tuple[int, int] | None
    objects: tuple[VocObject, ...]
    faults: tuple[InputError, ...] = ()


def read_voc(path: Path) -> Annotation:
    """Read one file; objects with a fault are left out and their errors returned.

    Raises:
        InputError: the file as a whole cannot be read: empty, cut, too large, with a document type,
            or not an ``<annotation>``.
    """
    handler = _Collector()
    try:
        data = read_file(path, MAX_BYTES)
        if not data:
            raise fault(path, "0 bytes", "fetch the file again")
        parseString(data, handler, forbid_dtd=True)
    except OSError as error:
        raise fault(path, f"cannot be read ({error.strerror})") from None
    except (DTDForbidden, EntitiesForbidden, ExternalReferenceForbidden):
        what = "has a document type or entity"
        raise fault(path, what, "remove it: none is allowed", line=handler.line) from None
    except SAXParseException as error:
        what = f"not well-formed ({error.getMessage()})"
        todo = "the file is cut or damaged: fetch it again"
        raise fault(path, what, todo, line=error.getLineNumber()) from None
    except InputError:
        raise
    except (SAXException, LookupError, ValueError) as error:
        raise fault(path, f"not xml ({error})", "fetch the file again") from None
    if handler.root != "annotation":
        raise fault(path, f"opens with <{handler.root}>", "expected <annotation>", line=1)
    return _annotation(path, handler)


def check_name(path: Path, item: VocObject, names: Collection[str]) -> None:
    """Raise an InputError unless the object's name is one of ``names``, the text's entities."""
    if item.name not in names:
        folded = " ".join(item.name.split())
        what = f"the text has no entity named {item.name!r} (the entity's words joined by one space"
        if folded in names:  # one line would not show it
            raise fault(path, f"{what}; here the spaces differ)", "correct them", line=item.line)
        raise fault(path, f"{what}){did_you_mean(item.name, names)}", line=item.line)


def check_inside(path: Path, item: VocObject, size: tuple[int, int]) -> None:
    """Raise an InputError if a box leaves an image of ``size``; touching its border is inside."""
    x1, y1, x2, y2 = item.box
    if x1 < 0 or y1 < 0 or x2 > size[0] or y2 > size[1]:
        what = f"box {_show(item.box)} of {item.name!r} leaves the image of {size[0]}x{size[1]}"
        raise fault(path, what, "correct the box or <size>", line=item.line)


def _annotation(path: Path, handler: "_Collector") -> Annotation:
    faults: list[InputError] = []
    size: tuple[int, int] | None = None
    width, height = (handler.size.get(name, "").strip() for name in ("width", "height"))
    if all(INTEGER.fullmatch(side) and int(side) > 0 for side in (width, height)):
        size = int(width), int(height)
    elif width or height:
        faults.append(fault(path, f"<size> is {width!r} x {height!r}", "two whole numbers > 0"))
    objects: dict[tuple[str, Box], VocObject] = {}
    for raw in handler.objects:
        try:
            item = _object(path, raw)
            if size is not None:
                check_inside(path, item, size)
            if (item.name, item.box) in objects:
                what = f"{item.name!r} has the box {_show(item.box)} twice"
                raise fault(path, what, "remove one", line=item.line)
        except InputError as error:
            faults.append(error)
        else:
            objects[item.name, item.box] = item
    return Annotation(size=size, objects=tuple(objects.values()), faults=tuple(faults))


def _object(path: Path, raw: "_Raw") -> VocObject:
    def wrong(what: str, todo: str) -> InputError:
        return fault(path, f"object {raw.name!r} {what}", todo, line=raw.line)

    if not raw.name:
        raise wrong("has no <name>", "name the entity it shows")
    if raw.bndboxes != 1:
        raise wrong(f"has {raw.bndboxes} <bndbox>", "give it one")
    texts = {side: raw.sides.get(side, "").strip() for side in SIDES}
    for side, text in texts.items():
        if not NUMBER.fullmatch(text):
            raise wrong(f"has <{side}> {text[:40]!r}", "boxes are numbers of pixels")
    x1, y1, x2, y2 = (float(texts[side]) for side in SIDES)
    if x2 <= x1 or y2 <= y1:
        what = f"has no area: xmin {x1:g}, ymin {y1:g}, xmax {x2:g}, ymax {y2:g}"
        raise wrong(what, "xmin < xmax and ymin < ymax")
    return VocObject(name=raw.name, box=(x1, y1, x2, y2), line=raw.line)


def _show(box: Box) -> str:
    return ",".join(f"{side:g}" for side in box)


@dataclass(slots=True)
class _Raw:
    """An object while its element is being read."""

    line: int
    name: str = ""
    bndboxes: int = 0
    sides: dict[str, str] = field(default_factory=dict)


class _Collector(ContentHandler):
    """Keeps the texts of ``size/*``, ``object/name`` and ``object/bndbox/*`` with line numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.root: str | None = None
        self.size: dict[str, str] = {}
        self.objects: list[_Raw] = []
        self._locator: Any = None
        self._path: list[str] = []
        self._text: list[str] = []

    @property
    def line(self) -> int | None:
        """Line that the parser has reached."""
        return None if self._locator is None else self._locator.getLineNumber()

    def setDocumentLocator(self, locator: Any) -> None:
        self._locator = locator

    def startElement(self, name: str, attrs: Any) -> None:
        self.root = self.root or name
        self._path.append(name)
        self._text = []
        if len(self._path) > MAX_DEPTH:
            raise SAXException(f"more than {MAX_DEPTH} levels of elements")
        if self._path[1:] == ["object"]:
            self.objects.append(_Raw(line=self.line or 0))
        elif self._path[1:] == ["object", "bndbox"]:
            self.objects[-1].bndboxes += 1

    def characters(self, content: str) -> None:
        self._text.append(content)

    def endElement(self, name: str) -> None:
        text = "".join(self._text)
        match self._path[1:]:
            case ["size", side]:
                self.size[side] = text
            case ["object", "name"]:
                self.objects[-1].name = text
            case ["object", "bndbox", side]:
                self.objects[-1].sides[side] = text
        self._path.pop()
        self._text = []
