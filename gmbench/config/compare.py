"""Plain values compared with types: every difference is one line that names its key."""

import dataclasses
import math
import types
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from gmbench.config.wording import hint


@dataclass(frozen=True)
class Range:
    """Limits of a number, both inclusive; ``above`` excludes the lower one."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        low = f"{'above' if self.above else 'at least'} {self.low:g}"
        return low if math.isinf(self.high) else f"{low} and at most {self.high:g}"


class Target:
    """A node that names its constructor: a mapping with ``_target_``."""


class Unresolved:
    """Stands for a value whose interpolation failed: reported once, compared with nothing."""


def problems(
    value: object, kind: Any, path: str = "", read: AbstractSet[str] = frozenset()
) -> Iterator[str]:
    """Every way in which ``value`` is not of type ``kind``, one line each.

    Args:
        value: plain containers and scalars, as OmegaConf.to_container gives them.
        kind: a type; one that says nothing about plain values (a module, a tensor) accepts all.
        path: the key, for the message.
        read: keys that interpolations read, and that therefore are not unknown.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(value, Unresolved) or kind is Any:
        return
    if origin is Annotated:
        found = list(problems(value, arguments[0], path, read))
        yield from found
        limits = (limit for limit in arguments[1:] if isinstance(limit, Range))
        if not found and isinstance(value, int | float):
            yield from (f"{path}: {value} is not {x}" for x in limits if value not in x)
    elif origin in (Union, types.UnionType):
        yield from _union(value, arguments, path, read)
    elif origin is Literal:
        if not any(value == choice and type(value) is type(choice) for choice in arguments):
            choices = [str(choice) for choice in arguments]
            yield f"{path}: {value!r} is not one of {', '.join(choices)}{hint(str(value), choices)}"
    elif kind is Target:
        if not is_target(value):
            yield f"{path}: needs a _target_, not {_show(value)}"
    elif is_target(value):
        return
    elif dataclasses.is_dataclass(kind) and isinstance(kind, type):
        yield from _node(value, kind, path, read)
    elif kind in _SCALARS:
        accepts, name = _SCALARS[kind]
        if not isinstance(value, accepts) or (isinstance(value, bool) and kind is not bool):
            yield f"{path}: {_show(value)} is not {name}"
    elif origin in (list, tuple, Sequence):
        yield from _sequence(value, origin, arguments, path, read)
    elif origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            yield f"{path}: {_show(value)} is not a mapping"
        else:
            for key, item in value.items():
                yield from problems(item, arguments[1], f"{path}.{key}", read)


def is_target(value: object) -> bool:
    """Whether ``value`` is a node that names its constructor."""
    return isinstance(value, Mapping) and "_target_" in value


_SCALARS: dict[Any, tuple[Any, str]] = {
    bool: (bool, "true or false"),
    int: (int, "an integer"),
    float: (int | float, "a number"),
    str: (str, "text"),
    Path: (str, "a path"),
    types.NoneType: (types.NoneType, "null"),
}


def _show(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else repr(value)


def _union(
    value: object, members: Sequence[Any], path: str, read: AbstractSet[str]
) -> Iterator[str]:
    found = [list(problems(value, member, path, read)) for member in members]
    if all(found):  # the first member that is not null speaks for the others
        first = next(i for i, member in enumerate(members) if member is not types.NoneType)
        yield from found[first]


def _sequence(
    value: object, origin: Any, arguments: Sequence[Any], path: str, read: AbstractSet[str]
) -> Iterator[str]:
    if not isinstance(value, list | tuple):
        yield f"{path}: {_show(value)} is not a list"
        return
    kinds = list(arguments[:1]) * len(value)
    if origin is tuple and arguments[-1] is not Ellipsis:
        kinds = list(arguments)
        if len(kinds) != len(value):
            yield f"{path}: {len(value)} values where {len(kinds)} belong"
            return
    for index, (item, kind) in enumerate(zip(value, kinds, strict=True)):
        yield from problems(item, kind, f"{path}[{index}]", read)


def _node(value: object, kind: type[Any], path: str, read: AbstractSet[str]) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{path}: {_show(value)} is not a mapping"
        return
    dot = f"{path}." if path else ""
    hints = get_type_hints(kind, include_extras=True)
    for key in value:
        if key not in hints and dot + str(key) not in read:
            yield f"{dot}{key}: unknown key{hint(str(key), hints, dot)}"
    for field in dataclasses.fields(kind):
        if field.name in value:
            yield from problems(value[field.name], hints[field.name], dot + field.name, read)
        elif field.default is field.default_factory is dataclasses.MISSING:
            yield f"{dot}{field.name}: missing"
