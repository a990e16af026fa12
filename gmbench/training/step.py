"""The training step under way: what it started from, and how far it came."""

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from gmbench.core.distributed import NonFinite
from gmbench.core.files import write_atomically
from gmbench.core.tensors import Batch
from gmbench.objective.losses import LossValues
from gmbench.training.nonfinite import nonfinite_gradients
from gmbench.training.resume import RandomState

# A step that failed, written down so that it can be replayed: safetensors and JSON.
FOLDER = "nonfinite"
"""Of the dump in a run folder."""

WEIGHT, RANDOM = "weight.", "random."


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """What one training step started from, and how far it came.

    Attributes:
        step: optimiser steps done before it.
        epoch: from 0.
        ids: of its examples, in order.
        loss: the total, or None where it broke off earlier.
        parts: weighted terms of the last layer.
        gradients: parameters whose gradient is not finite.
        precision: Lightning's, say ``bf16-mixed``.
        message: the error.
    """

    step: int
    epoch: int
    ids: tuple[str, ...]
    loss: str | None = None
    parts: Mapping[str, str]
    gradients: tuple[str, ...] = ()
    precision: str = "32-true"
    message: str = ""


@dataclass(frozen=True, eq=False)
class Dump:
    """A step that failed.

    Attributes:
        record: which, and its values, written with ``float.hex``.
        random: state of the random generators before its forward pass.
        weights: parameters that ever learn and buffers, as they were.
    """

    record: StepRecord
    random: RandomState
    weights: Mapping[str, Tensor]


def write_dump(folder: Path, dump: Dump) -> None:
    """Write ``step.json`` and ``state.safetensors``."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {RANDOM + name: value for name, value in dump.random.tensors().items()}
    tensors |= {WEIGHT + n: w.detach().cpu().contiguous() for n, w in dump.weights.items()}
    write_atomically(folder / "state.safetensors", save(tensors))
    text = json.dumps(asdict(dump.record), indent=2)
    write_atomically(folder / "step.json", (text + "\n").encode())


def read_dump(folder: Path) -> Dump:
    """What :func:`write_dump` wrote.

    Raises:
        OSError: a file is missing.
    """
    plain = json.loads((folder / "step.json").read_bytes())
    plain["ids"], plain["gradients"] = tuple(plain["ids"]), tuple(plain["gradients"])
    tensors = load_file(folder / "state.safetensors")
    return Dump(
        record=StepRecord(**plain),
        random=RandomState.of_tensors(_under(RANDOM, tensors)),
        weights=_under(WEIGHT, tensors),
    )


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def hexes(values: Mapping[str, Tensor]) -> dict[str, str]:
    """Scalars as ``float.hex`` writes them: JSON has no NaN, and no digit is lost."""
    return {name: float(value).hex() for name, value in values.items()}


def learnt(model: nn.Module, names: AbstractSet[str]) -> dict[str, Tensor]:
    """Parameters of these names and all buffers that a checkpoint holds."""
    parameters = dict(model.named_parameters())
    return {n: t for n, t in model.state_dict().items() if n in names or n not in parameters}


@dataclass
class Step:
    """A training step.

    Attributes:
        batch: of it.
        random: generators before its forward pass.
        values: its loss, once there is one.
        error: of the matcher, in a step that is left out.
    """

    batch: Batch
    random: RandomState
    values: LossValues | None = None
    error: NonFinite | None = None

    @property
    def total(self) -> Tensor:
        """The loss, detached; NaN where there is none."""
        nothing = torch.tensor(float("nan"), device=self.batch.input_ids.device)
        return nothing if self.values is None else self.values.total

    def dump(
        self,
        model: nn.Module,
        learns: frozenset[str],
        *,
        message: str,
        step: int,
        epoch: int,
        precision: str,
    ) -> Dump:
        """All that it takes to make the step again.

        Args:
            model: with the gradients of the step, if it came so far.
            learns: names of parameters that ever learn.
            message: why.
            step: optimiser steps before it.
            epoch: from 0.
            precision: Lightning's.
        """
        values = self.values
        record = StepRecord(
            step=step,
            epoch=epoch,
            ids=self.batch.ids,
            loss=None if values is None else float(values.total).hex(),
            parts={} if values is None else hexes(values.parts),
            gradients=nonfinite_gradients(model),
            precision=precision,
            message=message,
        )
        return Dump(record, self.random, learnt(model, learns))


def no_loss(model: nn.Module) -> Tensor:
    """A loss that every parameter takes part in, as DDP wants, and no step can come of."""
    sums = [parameter.sum() for parameter in model.parameters() if parameter.requires_grad]
    return torch.stack(sums).sum() * float("nan")
