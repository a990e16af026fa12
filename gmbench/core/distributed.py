"""Several processes that train together: sums and means over all of them, and gathered records."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from gmbench.core.entities import Prediction
from gmbench.core.errors import NonFinite
from gmbench.core.locks import launched_rank
from gmbench.core.records import parse_record, to_plain

T = TypeVar("T")


def processes() -> int:
    """Return the number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return this process's rank; valid before the process group is initialised."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank()
    return launched_rank()


def over_all(value: Tensor) -> Tensor:
    """Return the sum of a value over all processes."""
    if processes() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


def each(count: Tensor) -> Tensor:
    """Return what a process divides its sum by, given the count over all processes.

    DDP averages gradients over n processes: the mean of ``sum / (count / n)`` is the sum of all
    divided by ``count``, as in one process.
    """
    return count if processes() == 1 else count / processes()


def mean_over(loss: Tensor, where: Tensor) -> Tensor:
    """Return the mean of ``loss`` over the mask ``where``; 0 (with a graph) if the mask is empty.

    Both have the same shape, whichever it is.
    """
    return loss.masked_fill(~where, 0.0).sum() / each(over_all(where.sum()).clamp(min=1))


def agreed(work: Callable[[], T], like: Tensor) -> T:
    """Return ``work()``; if it raises ``NonFinite`` in one process, raise it in all of them.

    Otherwise the others would wait for that process in the next sum over all.

    Args:
        work: must not wait for other processes itself.
        like: any tensor on the device in use.

    Raises:
        NonFinite: here or in another process.
    """
    if processes() == 1:
        return work()
    error = None
    try:
        result = work()
    except NonFinite as raised:
        error = raised
    failures = over_all(like.new_full((), float(error is not None), dtype=torch.float32))
    if error is not None:
        raise error
    if failures:
        raise NonFinite("something in another process's share of the batch is not finite")
    return result


@dataclass(frozen=True)
class _Share:
    """Predictions of one process, by example id."""

    predictions: Mapping[str, tuple[Prediction, ...]]


def gather_predictions(
    mine: Mapping[str, Sequence[Prediction]],
) -> dict[str, tuple[Prediction, ...]]:
    """Return the predictions of all processes by example id, each id once, sorted.

    Raises:
        ValueError: two processes predict different entities for the same example.
    """
    share = _Share({id_: tuple(predictions) for id_, predictions in mine.items()})
    if processes() == 1:
        return dict(share.predictions)
    text = json.dumps(to_plain(share), default=float)
    packed = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
    gathered: dict[str, tuple[Prediction, ...]] = {}
    for row in gather_bytes({"share": packed}):
        other = parse_record(_Share, bytes(row["share"].numpy()), "predictions of a process")
        for id_, predictions in other.predictions.items():
            if gathered.setdefault(id_, predictions) != predictions:
                raise ValueError(f"two processes answered {id_!r} differently")
    return dict(sorted(gathered.items()))


def gather_bytes(mine: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Return the byte tensors of every process, by rank, without pickles.

    Args:
        mine: ``[length]`` uint8 each; lengths may differ between processes, names may not.
    """
    if processes() == 1:
        return [dict(mine)]
    from torchmetrics.utilities.distributed import gather_all_tensors  # pads to the longest

    on_gpu = dist.get_backend() == "nccl"
    device = torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
    gathered = {name: gather_all_tensors(mine[name].to(device)) for name in sorted(mine)}
    return [{name: rows[r].cpu() for name, rows in gathered.items()} for r in range(processes())]
