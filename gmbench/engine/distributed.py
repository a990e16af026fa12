"""Several processes that train together: records across them, without pickles."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import torch
import torch.distributed as dist
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from gmbench.nn.means import processes
from gmbench.structures import Prediction


def rank() -> int:
    """Which of them this one is, also before they have met."""
    return int(getattr(rank_zero_only, "rank", 0))


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
