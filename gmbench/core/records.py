"""Records as JSON: dataclasses that are checked when they are read, and lines of JSON objects."""

import dataclasses
import json
import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from gmbench.core.entities import Box
from gmbench.core.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

Record = TypeVar("Record")
HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON writes half of a surrogate pair."""


SCALARS = frozenset({bool, float, int, str, NoneType})


def to_plain(value: Any) -> Any:
    """Dictionaries, lists and scalars whose JSON ``parse_record`` turns into an equal record.

    Mappings are sorted by key, so that equal records give equal bytes.
    """
    if type(value) in SCALARS:  # most of them: asked first
        return value
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {name: to_plain(getattr(value, name)) for name in _names(type(value))}  # type: ignore[arg-type]  # classes are hashable
    if isinstance(value, Mapping):
        return {key: to_plain(value[key]) for key in sorted(value)}
    return value


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def parse_record(kind: type[Record], data: bytes | str, where: str) -> Record:
    """The record of class ``kind`` that a JSON document describes.

    Reading is strict: nothing is converted but a whole number to a float, and nothing is ignored.

    Args:
        kind: a frozen dataclass of scalars, tuples, mappings by name and other such records.
        data: the document.
        where: the place named in errors, such as the file.

    Raises:
        InputError: not JSON; a key is missing, unknown or of the wrong type; or the class itself
            refuses the values. The message names the first such key.
    """
    from pydantic import ValidationError  # not at the start: a verb that reads no record is faster

    try:
        adapter = _adapter(kind)  # type: ignore[arg-type]  # classes are hashable
        record: Record | None = adapter.validate_json(data)
    except ValidationError as error:
        faults = error.errors(include_url=False)
    else:
        if record is not None:
            return record
        raise InputError(f"{where} should be an object, not null")
    # A mistyped key is missing under its own name, too: the typo is the better message.
    faults.sort(key=lambda fault: fault["type"] != "unexpected_keyword_argument")
    raise InputError(_message(kind, faults[0], where))


@cache
def _adapter(kind: Any) -> "TypeAdapter[Any]":
    from pydantic import ConfigDict, TypeAdapter

    # Pydantic accepts settings for plain dataclasses only from the outside, here from the union.
    settings = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    return TypeAdapter(kind | None, config=settings)


def _message(kind: Any, fault: "ErrorDetails", where: str) -> str:
    """One line for one fault of a document."""
    *parent, name = path = fault["loc"] or ("",)
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    place = f"{where}: {key}" if key else where
    what = fault["msg"].removeprefix("Input ").removeprefix("Value error, ")
    match fault["type"]:
        case "json_invalid":
            return f"{where}: not JSON: {what.removeprefix('Invalid JSON: ')}"
        case "missing":
            return f"{where}: key {key!r} is missing"
        case "unexpected_keyword_argument":
            known = _keys(kind, parent)
            hint = did_you_mean(str(name), known) or f"; known: {', '.join(known)}"
            return f"{where}: unknown key {key!r}{hint}"
        case "value_error":
            return f"{place}: {what}"
    return f"{place} {what}, not {_shown(fault['input'])}"


def _keys(kind: Any, path: Iterable[str | int]) -> list[str]:
    """The names of the fields of the record at ``path``."""
    for part in path:
        kind = get_type_hints(kind)[str(part)] if dataclasses.is_dataclass(kind) else _item(kind)
        if NoneType in get_args(kind):
            kind = _item(kind)
    return [field.name for field in dataclasses.fields(kind)]


def _item(kind: Any) -> Any:
    """``X`` of ``tuple[X, ...]``, ``Mapping[str, X]`` and ``X | None``."""
    return [part for part in get_args(kind) if part not in (Ellipsis, NoneType)][-1]


# Typed access to a JSON object, with errors that say where it stands.


def parse_line(path: Path, number: int, line: str) -> Mapping[str, Any]:
    """The JSON object of one line, its texts as of :func:`well_formed`.

    Raises:
        InputError: not JSON, not an object, or an object with a key twice.
    """
    where = f"{path}:{number}"
    if not line.strip():
        raise InputError(f"{where}: the line is empty, a JSON object was expected")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) < len(pairs):
            keys = [key for key, _ in pairs]
            raise InputError(f"{where}: key {max(keys, key=keys.count)!r} stands twice")
        return row

    try:
        row = json.loads(line, object_pairs_hook=once)
        if HALF.search(line):
            row = json.loads(well_formed(json.dumps(row, ensure_ascii=False)))
    except InputError:
        raise
    except json.JSONDecodeError as fault:
        raise InputError(f"{where}: not JSON: {fault.msg} at column {fault.colno}") from fault
    except (ValueError, RecursionError) as fault:
        raise InputError(f"{where}: not JSON that can be read: {fault}") from fault
    if not isinstance(row, dict):
        raise InputError(f"{where}: a JSON object was expected, not {_shown(row)}")
    return row


def well_formed(text: str) -> str:
    """The text with every half of a surrogate pair replaced by U+FFFD, so that UTF-8 can hold it.

    Such halves stand in tweets that were cut in the middle of an emoji.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Fields:
    """One JSON object and the place it was read from (``where``).

    Every method takes a key and returns its value checked and typed.

    Raises:
        InputError: the key is missing or its value is not what the method says.
    """

    def __init__(self, row: Mapping[str, Any], where: str) -> None:
        self._row = row
        self.where = where

    def named(self, where: str) -> "Fields":
        """The same object under a better name of its place."""
        return Fields(self._row, where)

    def error(self, what: str) -> InputError:
        """An error at this place."""
        return InputError(f"{self.where}: {what}")

    def check_keys(self, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
        """No key too many, none too few."""
        known = required + optional
        for key in self._row:
            if key not in known:
                hint = did_you_mean(key, known) or f"; known: {', '.join(known)}"
                raise self.error(f"unknown key {key!r}{hint}")
        for key in required:
            self._get(key)

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._row

    def value(self, key: str) -> Any:
        """Whatever stands there, unchecked."""
        return self._get(key)

    def text(self, key: str) -> str:
        """A string with something in it."""
        return self._text(key, self._get(key))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of such strings."""
        return tuple(self._text(f"{key}[{n}]", value) for n, value in enumerate(self._list(key)))

    def number(self, key: str) -> float:
        """A finite number."""
        return self._number(key, self._get(key))

    def share(self, key: str) -> float:
        """A number in 0..1."""
        value = self.number(key)
        if not 0.0 <= value <= 1.0:
            raise self.error(f"{key} must lie in 0..1, not {value}")
        return value

    def index(self, key: str) -> int:
        """A whole number from 0."""
        value = self._get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.error(f"{key} must be a whole number from 0, not {_shown(value)}")
        return value

    def span(self, words: int | None) -> tuple[int, int]:
        """The keys ``start`` and ``end`` of a span, both inclusive, within so many words if any."""
        start, end = self.index("start"), self.index("end")
        if end < start:
            raise self.error(f"span {start}..{end} is turned round (end is inclusive)")
        if words is not None and end >= words:
            raise self.error(
                f"span {start}..{end} lies outside the sentence of {words} words "
                f"(counted from 0, end is inclusive)"
            )
        return start, end

    def size(self, key: str) -> tuple[int, int]:
        """Width and height, whole numbers from 1."""
        value = self._list(key)
        if len(value) != 2 or any(type(side) is not int or side < 1 for side in value):
            raise self.error(f"{key} must be [width, height] in pixels, not {_shown(value)}")
        return value[0], value[1]

    def boxes(self, key: str) -> tuple[Box, ...]:
        """A list of boxes."""
        return tuple(self.box(f"{key}[{n}]", value) for n, value in enumerate(self._list(key)))

    def box_or_none(self, key: str) -> Box | None:
        """A box, or None for null."""
        value = self._get(key)
        return None if value is None else self.box(key, value)

    def rows(
        self, key: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> list["Fields"]:
        """A list of objects, their keys checked."""
        found = []
        for n, value in enumerate(self._list(key)):
            if not isinstance(value, dict):
                raise self.error(f"{key}[{n}] must be an object, not {_shown(value)}")
            fields = Fields(value, f"{self.where}: {key}[{n}]")
            fields.check_keys(required, optional)
            found.append(fields)
        return found

    def _get(self, key: str) -> Any:
        if key not in self._row:
            hint = did_you_mean(key, self._row)
            raise self.error(f"key {key!r} is missing{hint}")
        return self._row[key]

    def _list(self, key: str) -> list[Any]:
        value = self._get(key)
        if not isinstance(value, list):
            raise self.error(f"{key} must be a list, not {_shown(value)}")
        return value

    def _text(self, name: str, value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise self.error(f"{name} must be a non-empty string, not {_shown(value)}")
        return value

    def _number(self, name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"{name} must be a number, not {_shown(value)}")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.error(f"{name} must be finite, not {number}")
        return number

    def box(self, name: str, value: Any) -> Box:
        """A value of this object, or a part of one, as a box; ``name`` says which in errors."""
        if not isinstance(value, list) or len(value) != 4:
            raise self.error(f"{name} must be four numbers [x1, y1, x2, y2], not {_shown(value)}")
        if not all(type(x) is float and math.isfinite(x) for x in value):  # most of them are
            value = [self._number(f"{name}[{n}]", x) for n, x in enumerate(value)]
        x1, y1, x2, y2 = value
        return x1, y1, x2, y2


def _shown(value: Any) -> str:
    """A value as JSON, cut to a readable length."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."


# Where two plain records differ, leaf by leaf, by the keys that lead there.
def differences(stored: Any, found: Any, key: str = "", tolerance: float = 0.0) -> list[str]:
    """One line for each leaf that differs: ``metrics.gmner.tp: stored 3, found 4``.

    Args:
        stored: dictionaries, lists and scalars, as ``to_plain`` gives.
        found: the same, computed again.
        key: what leads to them.
        tolerance: relative; how far two floats may lie apart.
    """
    if isinstance(stored, Mapping) and isinstance(found, Mapping):
        names = dict.fromkeys([*stored, *found])
        return [
            line
            for n in names
            for line in differences(
                stored.get(n, _ABSENT), found.get(n, _ABSENT), f"{key}.{n}" if key else n, tolerance
            )
        ]
    if isinstance(stored, list) and isinstance(found, list) and len(stored) == len(found):
        return [
            line
            for n, (one, other) in enumerate(zip(stored, found, strict=True))
            for line in differences(one, other, f"{key}[{n}]", tolerance)
        ]
    if isinstance(stored, float) and isinstance(found, float):
        near = math.isclose(stored, found, rel_tol=tolerance, abs_tol=tolerance)
        return [] if near else [f"{key}: stored {stored!r}, found {found!r}"]
    # 1 and 1.0 are one number in a file, 1 and true are not.
    if stored == found and isinstance(stored, bool) == isinstance(found, bool):
        return []
    return [f"{key}: stored {stored!r}, found {found!r}"]


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


_ABSENT = _Absent()
