"""What a configuration may hold: one dataclass a group of conf/.

A field without default must stand in the configuration; one with a default may. Any further key is
unknown, unless an interpolation reads it (``model.activation`` in ``${model.activation}``). Nodes
with a ``_target_`` are compared with the constructor's signature instead (signatures.py).
"""

import dataclasses
import math
import types
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from gmbench.core.errors import did_you_mean as hint


# Plain values compared with types: every difference is one line that names its key.
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
    for each in dataclasses.fields(kind):
        if each.name in value:
            yield from problems(value[each.name], hints[each.name], dot + each.name, read)
        elif each.default is each.default_factory is dataclasses.MISSING:
            yield f"{dot}{each.name}: missing"


Count = Annotated[int, Range(1)]
NotNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]


@dataclass(frozen=True)
class Model:
    """conf/model: a network with its objective and its reading of the outputs.

    ``one_region_a_type``: it is built to draw one box, or none, for all entities of a type in a
    sentence; that ceiling is then counted on gold and stands beside its scores.
    """

    name: str
    inputs: list[Literal["regions", "pixels"]]
    network: Target
    loss: Target
    decode: Target
    matcher: Target | None = None
    freeze_vision: bool = False
    one_region_a_type: bool = False


@dataclass(frozen=True)
class Encoders:
    """conf/encoders: pretrained parts, the sizes they see and the rates that suit them."""

    name: str
    text: Target
    tokenizer: Target
    vision: Target
    image_size: Count
    crop_size: Count
    lr_encoder: NotNegative
    lr_head: NotNegative


@dataclass(frozen=True)
class Regions:
    """conf/regions: where candidates come from and how they are encoded; no source, none."""

    name: str
    source: Target | None
    encoder: Literal["crop", "roi_align"] = "crop"
    crop: Literal["letterbox", "center"] = "letterbox"
    num: Count = 15
    eval_num: Count = 15
    iou_threshold: Annotated[float, Range(0, 1, above=True)] = 0.5


@dataclass(frozen=True)
class Optim:
    """conf/optim: AdamW with linear warm-up (a share of all steps) and staged freezing."""

    lr_encoder: NotNegative
    lr_head: Annotated[float, Range(0, above=True)]
    weight_decay: NotNegative
    warmup: Share
    clip: NotNegative | None
    freeze_epochs: Annotated[int, Range(0)]


@dataclass(frozen=True)
class Trainer:
    """conf/trainer: how long, how much at once, on what.

    ``may_miss_saves``: checkpoints that a full disk may cost before the run ends.
    ``peer_timeout``: seconds that a process waits for the others in a step.
    """

    epochs: Count
    batch_size: Count
    eval_batch_size: Count
    num_workers: Annotated[int, Range(0)]
    precision: Literal["auto", "32-true", "bf16-mixed"]
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"]
    devices: Count | list[Annotated[int, Range(0)]] | Literal["auto"]
    nodes: Count = 1
    num_threads: Count | None = None
    deterministic: bool = True
    may_miss_saves: Annotated[int, Range(0)] = 3
    peer_timeout: Annotated[float, Range(0, above=True)] = 120.0


@dataclass(frozen=True)
class Callbacks:
    """conf/callbacks."""

    progress: bool = True
    patience: Count | None = None
    matching: bool = False


@dataclass(frozen=True)
class Logger:
    """conf/logger: metrics.csv is always written; TensorBoard or W&B beside it."""

    name: Literal["csv", "tensorboard", "wandb"]
    project: str = "gmbench"
    mode: Literal["online", "offline"] = "offline"
    tags: list[str] = field(default_factory=list)
    examples: Annotated[int, Range(0)] = 24
    model: bool = False


@dataclass(frozen=True)
class Root:
    """The whole configuration."""

    name: str
    mode: Literal["train", "test", "check"]
    seed: Annotated[int, Range(0, 2**32 - 1)]
    ckpt: str | None
    runs: str
    cache: str
    force: bool
    model: Model
    data: Target
    encoders: Encoders
    regions: Regions | None
    optim: Optim
    trainer: Trainer
    callbacks: Callbacks
    logger: Logger
    resume: str = "auto"
    resume_inexact: bool = False
