"""Frozen dataclasses <-> plain JSON values, checked against their type hints on the way in."""

import dataclasses
import json
import math
import types
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from gmbench.core.entities import Box
from gmbench.core.errors import InputError, did_you_mean

Record = TypeVar("Record")


def to_plain(value: Any) -> Any:
    """Dictionaries, lists and scalars that ``from_plain`` turns back into an equal record.

    Mappings are sorted by key, so that equal records give equal bytes.
    """
    if dataclasses.is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_plain(value[key]) for key in sorted(value)}
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    return value


def from_plain(kind: type[Record], value: Any, where: str) -> Record:
    """The record of class ``kind`` that ``value`` describes.

    Args:
        kind: a frozen dataclass of scalars, tuples, mappings by name and other such records.
        value: what ``to_plain`` gave, or what JSON made of it.
        where: the place named in errors, say the file.

    Raises:
        InputError: a key is missing, unknown or of the wrong type, or the class itself refuses
            the values.
    """
    read: Record = _read(kind, value, where, "")
    return read


def _read(kind: Any, value: Any, where: str, key: str) -> Any:
    place = f"{where}: {key}" if key else where
    origin = get_origin(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _read_record(kind, value, where, key)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(kind):
            return None
        (present,) = (part for part in get_args(kind) if part is not type(None))
        return _read(present, value, where, key)
    if origin is tuple:
        if not isinstance(value, list):
            raise InputError(f"{place} must be a list, not {value!r}")
        item = get_args(kind)[0]
        return tuple(_read(item, v, where, f"{key}[{n}]") for n, v in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise InputError(f"{place} must be an object, not {value!r}")
        item = get_args(kind)[1]
        return {name: _read(item, v, where, _join(key, name)) for name, v in value.items()}
    return _read_scalar(kind, value, place)


def _read_record(kind: type, value: Any, where: str, key: str) -> Any:
    place = f"{where}: {key}" if key else where
    if not isinstance(value, Mapping):
        raise InputError(f"{place} must be an object, not {value!r}")
    fields, optional = _fields(kind), _optional(kind)
    for name in value:
        if name not in fields:
            hint = did_you_mean(name, fields) or f"; known: {', '.join(fields)}"
            raise InputError(f"{where}: unknown key {_join(key, name)!r}{hint}")
    arguments = {}
    for name, hint_of in fields.items():
        if name not in value:
            if name in optional:
                continue
            hint = did_you_mean(name, value)
            raise InputError(f"{where}: key {_join(key, name)!r} is missing{hint}")
        arguments[name] = _read(hint_of, value[name], where, _join(key, name))
    try:
        return kind(**arguments)
    except ValueError as fault:
        raise InputError(f"{place}: {fault}") from fault


@cache
def _fields(kind: type) -> dict[str, Any]:
    """Name and type of every field; hints are slow to evaluate, and a report reads thousands."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


@cache
def _optional(kind: type) -> frozenset[str]:
    """Fields that records written before they were added do not have."""
    fields = dataclasses.fields(kind)
    return frozenset(f.name for f in fields if f.default is not dataclasses.MISSING)


def _read_scalar(kind: Any, value: Any, place: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
        raise InputError(f"{place} must be {names[kind]}, not {value!r}")
    if kind is float and not math.isfinite(value):
        raise InputError(f"{place} must be finite, not {value}")
    return value


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


# Typed access to a JSON object, with errors that say where it stands.


def parse_line(path: Path, number: int, line: bytes) -> Mapping[str, Any]:
    """The JSON object of one line.

    Raises:
        InputError: not UTF-8, not JSON, not an object, or an object with a key twice.
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
        row = json.loads(line.decode("utf-8"), object_pairs_hook=once)
    except InputError:
        raise
    except UnicodeDecodeError as fault:
        raise InputError(f"{where}: not UTF-8 at byte {fault.start}") from fault
    except json.JSONDecodeError as fault:
        raise InputError(f"{where}: not JSON: {fault.msg} at column {fault.colno}") from fault
    except (ValueError, RecursionError) as fault:
        raise InputError(f"{where}: not JSON that can be read: {fault}") from fault
    if not isinstance(row, dict):
        raise InputError(f"{where}: a JSON object was expected, not {_say(row)}")
    return row


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
            raise self.error(f"{key} must be a whole number from 0, not {_say(value)}")
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
            raise self.error(f"{key} must be [width, height] in pixels, not {_say(value)}")
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
                raise self.error(f"{key}[{n}] must be an object, not {_say(value)}")
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
            raise self.error(f"{key} must be a list, not {_say(value)}")
        return value

    def _text(self, name: str, value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise self.error(f"{name} must be a non-empty string, not {_say(value)}")
        return value

    def _number(self, name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"{name} must be a number, not {_say(value)}")
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
            raise self.error(f"{name} must be four numbers [x1, y1, x2, y2], not {_say(value)}")
        x1, y1, x2, y2 = (self._number(f"{name}[{n}]", x) for n, x in enumerate(value))
        return x1, y1, x2, y2


def _say(value: Any) -> str:
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
