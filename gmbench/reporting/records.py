"""Frozen dataclasses <-> plain JSON values, checked against their type hints on the way in."""

import dataclasses
import difflib
import math
import types
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


class RecordError(ValueError):
    """A stored record does not have the shape its class declares; the message names the key."""


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
        RecordError: a key is missing, unknown or of the wrong type, or the class itself refuses
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
            raise RecordError(f"{place} must be a list, not {value!r}")
        item = get_args(kind)[0]
        return tuple(_read(item, v, where, f"{key}[{n}]") for n, v in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise RecordError(f"{place} must be an object, not {value!r}")
        item = get_args(kind)[1]
        return {name: _read(item, v, where, _join(key, name)) for name, v in value.items()}
    return _read_scalar(kind, value, place)


def _read_record(kind: type, value: Any, where: str, key: str) -> Any:
    place = f"{where}: {key}" if key else where
    if not isinstance(value, Mapping):
        raise RecordError(f"{place} must be an object, not {value!r}")
    fields, optional = _fields(kind), _optional(kind)
    for name in value:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(fields)}"
            raise RecordError(f"{where}: unknown key {_join(key, name)!r}; {hint}")
    arguments = {}
    for name, hint_of in fields.items():
        if name not in value:
            if name in optional:
                continue
            near = difflib.get_close_matches(name, value, n=1)
            hint = f"; is it {near[0]!r}?" if near else ""
            raise RecordError(f"{where}: key {_join(key, name)!r} is missing{hint}")
        arguments[name] = _read(hint_of, value[name], where, _join(key, name))
    try:
        return kind(**arguments)
    except ValueError as fault:
        raise RecordError(f"{place}: {fault}") from fault


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
        raise RecordError(f"{place} must be {names[kind]}, not {value!r}")
    if kind is float and not math.isfinite(value):
        raise RecordError(f"{place} must be finite, not {value}")
    return value


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
