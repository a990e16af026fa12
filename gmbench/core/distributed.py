"""Means over a whole batch, whichever process holds which part of it; for losses."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from gmbench.core.entities import Prediction

T = TypeVar("T")


def processes() -> int:
    """How many train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def over_all(value: Tensor) -> Tensor:
    """The sum of a count over all processes; itself where there is one."""
    if processes() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


def each(count: Tensor) -> Tensor:
    """What a process divides its sum by where ``count`` is over all of them.

    Gradients are then averaged over processes: the mean of ``sum / (count / n)`` over n of them is
    the sum of all divided by ``count``, as if there were one.
    """
    return count if processes() == 1 else count / processes()


def mean_over(loss: Tensor, where: Tensor) -> Tensor:
    """Mean of ``loss`` over ``where``, of the same shape; 0 (with a graph) if it is nowhere."""
    return loss.masked_fill(~where, 0.0).sum() / each(over_all(where.sum()).clamp(min=1))


# Several processes that train together: records across them, without pickles.
def rank() -> int:
    """Which of them this one is, also before they have met."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank()
    # What torchrun, Lightning's own launcher and Slurm tell the processes that they start.
    named = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return next((int(value) for value in named if value), 0)


def gather_predictions(
    mine: Mapping[str, Sequence[Prediction]],
) -> dict[str, tuple[Prediction, ...]]:
    """Predictions of all processes by example id, each id once, sorted.

    Raises:
        ValueError: an example was answered in two ways.
    """
    if processes() == 1:
        return {id_: tuple(found) for id_, found in mine.items()}
    plain = {id_: [asdict(prediction) for prediction in mine[id_]] for id_ in mine}
    text = json.dumps(plain, default=float)
    rows = gather_bytes({"records": torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)})
    found: dict[str, tuple[Prediction, ...]] = {}
    for row in rows:
        for id_, answers in json.loads(bytes(row["records"].numpy())).items():
            read = tuple(_prediction(answer) for answer in answers)
            if found.setdefault(id_, read) != read:
                raise ValueError(f"two processes answered {id_!r} differently")
    return dict(sorted(found.items()))


def _prediction(plain: dict[str, object]) -> Prediction:
    box = plain["box"]
    plain["box"] = tuple(box) if isinstance(box, list) else None
    return Prediction(**plain)  # type: ignore[arg-type]


def gather_bytes(named: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Byte tensors of every process, in the order of their ranks; all must hold the same names.

    Args:
        named: ``[length]`` uint8 each; lengths may differ between processes.
    """
    if processes() == 1:
        return [dict(named)]
    found: list[dict[str, Tensor]] = [{} for _ in range(processes())]
    for name in sorted(named):
        for rank, row in enumerate(_gather(named[name])):
            found[rank][name] = row
    return found


def _gather(row: Tensor) -> list[Tensor]:
    device = _device()
    mine = row.to(device)
    lengths = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(processes())]
    dist.all_gather(lengths, torch.tensor([len(mine)], device=device))
    counts = [int(length) for length in lengths]
    padded = torch.zeros(max(counts), dtype=torch.uint8, device=device)
    padded[: len(mine)] = mine
    rows = [torch.zeros_like(padded) for _ in counts]
    dist.all_gather(rows, padded)
    return [row[:count].cpu() for row, count in zip(rows, counts, strict=True)]


def _device() -> torch.device:
    """Where tensors must lie to travel."""
    on_gpu = dist.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")


class NonFinite(ArithmeticError):
    """A loss, gradient norm, cost or score is NaN or infinite; weights are as before the step."""


def agreed(work: Callable[[], T], like: Tensor) -> T:
    """``work()``; where it is not finite in one process, it fails in all of them.

    Otherwise the others would wait for that one in the next sum over all.

    Args:
        work: may raise ``NonFinite``; must not wait for other processes itself.
        like: any tensor of the device in use.

    Raises:
        NonFinite: here or in another process.
    """
    if processes() == 1:
        return work()
    found, error = None, None
    try:
        found = work()
    except NonFinite as fault:
        error = fault
    failed = float(over_all(like.new_full((), float(error is not None), dtype=torch.float32)))
    if error is not None:
        raise error
    if failed:
        raise NonFinite("something in another process's share of the batch is not finite")
    assert found is not None
    return found
