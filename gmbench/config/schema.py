"""The settings of a run, typed: one class per group of conf/, one mark per field.

A field without default must stand in the configuration; one with a default may. Any further key is
unknown, unless an interpolation reads it (``model.activation`` in ``${model.activation}``). Parts
that name their constructor stay plain mappings, which ``construct`` builds; their arguments are
compared with the constructor's signature (check.py).

What makes two runs the same run is declared here and nowhere else: a field carries the mark of
where a difference in it counts. Without a mark it changes what is computed (``METHOD``).
"""

import json
import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from enum import Flag, auto
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from gmbench.core.errors import did_you_mean
from gmbench.core.limits import Count, NotNegative, Share


class Counts(Flag):
    """Where a difference in a setting makes another run."""

    EXECUTION = 0  # nowhere: folders, screens, patience
    SHA = auto()  # the sha of the configuration: whether a finished run is this one
    FOLDER = auto()  # the name of the run folder
    ROW = auto()  # the row of the leaderboard
    RESUME = auto()  # whether a checkpoint is of this run
    METHOD = SHA | FOLDER | ROW | RESUME
    NAMED = SHA | RESUME  # a choice that folder and row name by themselves; METHOD below it
    MACHINE = SHA  # a checkpoint states what was in fact used
    PROCESSES = SHA | FOLDER | ROW  # the same


def is_target(value: object) -> bool:
    """Whether ``value`` is a node that names its constructor."""
    return isinstance(value, Mapping) and "_target_" in value


def _needs_target(value: object) -> object:
    if not is_target(value):
        raise PydanticCustomError("target", "needs a _target_")
    return value


Node = Annotated[dict[str, Any], BeforeValidator(_needs_target)]
"""A part of the run in plain containers: ``_target_`` and its arguments."""


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, protected_namespaces=())


class Model(_Group):
    """conf/model: a network with its objective and its reading of the outputs.

    ``one_region_a_type``: it draws at most one box for all entities of a type in a sentence; the
    resulting upper bound is counted on gold and shown beside its scores.
    """

    name: str
    inputs: list[Literal["regions", "pixels"]]
    network: Node
    loss: Node
    decode: Node
    matcher: Node | None = None
    freeze_vision: bool = False
    one_region_a_type: bool = False


class Encoders(_Group):
    """conf/encoders: pretrained parts, the sizes they see and the rates that suit them."""

    name: str
    text: Node
    tokenizer: Node
    vision: Node
    image_size: Count
    crop_size: Count
    lr_encoder: NotNegative
    lr_head: NotNegative


class Regions(_Group):
    """conf/regions: where candidates come from and how they are encoded; no source, none."""

    name: str
    source: Node | None
    encoder: Literal["crop", "roi_align"] = "crop"
    crop: Literal["letterbox", "center"] = "letterbox"
    num: Count = 15
    eval_num: Count = 15
    iou_threshold: Annotated[float, Field(gt=0, le=1)] = 0.5


class Optim(_Group):
    """conf/optim: AdamW with linear warm-up (a share of all steps) and staged freezing."""

    lr_encoder: NotNegative
    lr_head: Annotated[float, Field(gt=0)]
    weight_decay: NotNegative
    warmup: Share
    clip: NotNegative | None
    freeze_epochs: Annotated[int, Field(ge=0)]


class Trainer(_Group):
    """conf/trainer: how long, how much at once, on what.

    ``may_miss_saves``: number of checkpoints that a full disk may cost before the run ends.
    ``peer_timeout``: seconds that a process waits for the others in a step, or for the next batch.
    """

    epochs: Count
    batch_size: Count
    eval_batch_size: Count
    num_workers: Annotated[int, Field(ge=0), Counts.EXECUTION]
    precision: Literal["auto", "32-true", "bf16-mixed"]
    accelerator: Annotated[Literal["auto", "cpu", "gpu", "cuda", "mps"], Counts.MACHINE]
    devices: Annotated[
        Count | list[Annotated[int, Field(ge=0)]] | Literal["auto"], Counts.PROCESSES
    ]
    nodes: Annotated[Count, Counts.PROCESSES] = 1
    num_threads: Annotated[Count | None, Counts.MACHINE] = None
    deterministic: bool = True
    may_miss_saves: Annotated[int, Field(ge=0), Counts.EXECUTION] = 3
    peer_timeout: Annotated[float, Field(gt=0), Counts.EXECUTION] = 120.0


class Callbacks(_Group):
    """conf/callbacks."""

    progress: Annotated[bool, Counts.EXECUTION] = True
    patience: Count | None = None
    matching: Annotated[bool, Counts.EXECUTION] = False


class Logger(_Group):
    """conf/logger: metrics.csv is always written; TensorBoard or W&B beside it."""

    name: Literal["csv", "tensorboard", "wandb"]
    project: str = "gmbench"
    mode: Literal["online", "offline"] = "offline"
    tags: list[str] = []
    examples: Annotated[int, Field(ge=0)] = 24
    model: bool = False


class Settings(_Group):
    """Everything one run is made from."""

    name: Annotated[str, Counts.EXECUTION]
    mode: Annotated[Literal["train", "test", "check"], Counts.FOLDER]
    seed: Annotated[int, Field(ge=0, le=2**32 - 1), Counts.NAMED]
    ckpt: Annotated[str | None, Counts.EXECUTION]
    runs: Annotated[str, Counts.EXECUTION]
    cache: Annotated[str, Counts.EXECUTION]
    force: Annotated[bool, Counts.EXECUTION]
    model: Annotated[Model, Counts.NAMED]
    data: Annotated[Node, Counts.NAMED, {"root": Counts.EXECUTION, "coco": Counts.EXECUTION}]
    encoders: Encoders
    regions: Annotated[
        Regions, BeforeValidator(lambda v: {"name": "none", "source": None} if v is None else v)
    ]
    optim: Optim
    trainer: Trainer
    callbacks: Callbacks
    logger: Annotated[Logger, Counts.EXECUTION]
    resume: Annotated[str, Counts.EXECUTION] = "auto"
    resume_inexact: Annotated[bool, Counts.EXECUTION] = False

    _tree: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def tree(self) -> dict[str, Any]:
        """The resolved configuration in plain containers, with keys that only others read."""
        return self._tree

    @classmethod
    def of(cls, tree: dict[str, Any]) -> Self:
        """The settings of a resolved configuration in plain containers.

        Raises:
            pydantic.ValidationError: ``problems(tree, Settings)`` lists why.
        """
        settings = cls.model_validate(tree)
        settings._tree = tree
        return settings


def counts(key: str) -> Counts:
    """Where a difference in a dotted key counts; a key below a declared one counts as that."""
    marks = _marks(Settings)
    above = key
    while above and above not in marks:
        above = above.rpartition(".")[0]
    mark = marks.get(above, Counts.METHOD)
    return Counts.METHOD if mark is Counts.NAMED and above != key else mark


def keys_without(place: Counts) -> tuple[str, ...]:
    """Every declared key in which a difference does not count at ``place``."""
    return tuple(key for key, mark in _marks(Settings).items() if not mark & place)


@cache
def _marks(schema: type[BaseModel]) -> dict[str, Counts]:
    """The mark of every declared key, those of groups and arguments included."""
    return dict(_marked(schema, "", Counts.METHOD))


def _marked(
    schema: type[BaseModel], prefix: str, inherited: Counts
) -> Iterator[tuple[str, Counts]]:
    for name, field in schema.model_fields.items():
        key = f"{prefix}{name}"
        mark = next((m for m in field.metadata if isinstance(m, Counts)), inherited)
        yield key, mark
        for arguments in (m for m in field.metadata if isinstance(m, dict)):
            yield from ((f"{key}.{argument}", inner) for argument, inner in arguments.items())
        if (group := _group(field.annotation)) is not None:
            below = Counts.METHOD if mark is Counts.NAMED else mark
            yield from _marked(group, f"{key}.", below)


def _group(annotation: Any) -> type[BaseModel] | None:
    is_group = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation if is_group else None


class Unresolved:
    """Stands for a value whose interpolation failed: reported once, compared with nothing."""


_KINDS = {
    "bool_type": "true or false",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "string_type": "text",
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "dataclass_type"), "a mapping"),
}
_LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_SILENT = {"is_instance_of", "needs_python_object", "callable_type", "is_subclass_of"}
"""Errors of types that say nothing about plain values: a module, a tensor, a function."""


def problems(value: object, kind: Any, path: str = "") -> Iterator[str]:
    """Every way in which a plain value is not of type ``kind``, one line each.

    Args:
        value: plain containers and scalars, as OmegaConf.to_container gives them.
        kind: a type; one that says nothing about plain values accepts all of them.
        path: the key of ``value``, for the message.
    """
    settings = _group(kind)
    try:
        if settings is not None:
            settings.model_validate(value)
        else:  # as JSON, where a list may become a tuple and text a path
            strict = ConfigDict(strict=True, arbitrary_types_allowed=True)
            text = json.dumps(value, default=lambda _: None)
            TypeAdapter(kind, config=strict).validate_json(text)
        return
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
    except Exception:  # a type that pydantic does not know, or a value that is not JSON
        return
    members: dict[str, int | str] = {}
    for error in errors:
        nodes, key, union = _walk(value, error, path)
        # Of a union's members the first that is not null speaks for the others.
        spoken = union is not None and members.setdefault(*union) != union[1]
        built = settings is None and any(map(is_target, nodes))  # compared with its constructor
        silent = error["type"] in (*_SILENT, "none_required") or isinstance(nodes[-1], Unresolved)
        if not (spoken or built or silent):
            yield f"{key}: {_message(error, nodes[-1])}"


def _walk(
    value: Any, error: ErrorDetails, path: str
) -> tuple[list[object], str, tuple[str, int | str] | None]:
    """The values from the root to an error, its key, and the member of a union that it is of."""
    nodes, union = [value], None
    for depth, part in enumerate(error["loc"], 1):
        absent = error["type"] == "missing" and depth == len(error["loc"])
        if isinstance(value, list) and isinstance(part, int):
            path, value = f"{path}[{part}]", None if absent else value[part]
        elif absent or (isinstance(value, Mapping) and part in value):
            path, value = f"{path}.{part}" if path else str(part), None if absent else value[part]
        else:  # pydantic names the member of a union by its type
            union = union or (path, part)
        nodes.append(value)
    return nodes, path, union


def _message(error: ErrorDetails, value: object) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "missing"
    if kind == "target":
        return f"needs a _target_, not {_shown(value)}"
    if kind in _KINDS:
        hint = "; did you mean null?" if value == "None" else ""
        if kind == "string_type" and isinstance(value, bool):
            hint = "; write it in quotes (YAML reads NO, yes and on as false and true)"
        return f"{_shown(value)} is not {_KINDS[kind]}{hint}"
    if kind == "literal_error":
        choices = re.findall(r"'(.*?)'", context["expected"]) or [context["expected"]]
        return f"{value!r} is not one of {', '.join(choices)}{did_you_mean(str(value), choices)}"
    if kind == "too_short" and context["min_length"] == 1:
        return "is empty"
    if kind == "too_long":
        return f"{context['actual_length']} values where {context['max_length']} belong"
    for name, words in _LIMITS.items():
        if name in context:
            return f"{value} is not {words} {context[name]:g}"
    return f"{_shown(value)}: {error['msg']}"


def _shown(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else repr(value)


def unknown_keys(
    tree: Mapping[str, Any], read: AbstractSet[str], schema: type[BaseModel], prefix: str = ""
) -> Iterator[str]:
    """Every key that ``schema`` does not declare and no interpolation reads, one line each."""
    fields = schema.model_fields
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if name not in fields and key not in read:
            yield f"{key}: unknown key{did_you_mean(name, fields, prefix)}"
        elif name in fields and isinstance(value, Mapping):
            group = _group(fields[name].annotation)
            yield from unknown_keys(value, read, group, f"{key}.") if group else ()
