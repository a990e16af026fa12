"""What a configuration may hold: one dataclass a group of conf/.

A field without default must stand in the configuration; one with a default may. Any further key is
unknown, unless an interpolation reads it (``model.activation`` in ``${model.activation}``). Nodes
with a ``_target_`` are compared with the constructor's signature instead (signatures.py).
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from gmbench.config.compare import Range, Target

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

    ``may_skip_steps``: training steps that may be left out because a loss, gradient or cost is not
    finite. ``may_miss_saves``: checkpoints that a full disk may cost before the run ends.
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
    may_skip_steps: Annotated[int, Range(0)] = 0
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
