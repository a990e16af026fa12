"""Suite ``device``: samples a second, MFU and memory of training, by batch size and precision.

On a GPU time is wall time between synchronisations, on a CPU the process's own.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from tests.speed.counting import operations
from tests.speed.measure import Findings, Laps, NoDevice, Row, Spread, take_turns
from tests.speed.processes import own_peak
from tests.speed.sizes import Bench, Size, build, configuration

PEAK_TFLOPS = {"H200": (494.0, 989.0), "H100": (494.0, 989.0), "A100": (156.0, 312.0)}
"""Dense TF32 and bf16 peaks by name of the GPU; float32 matrices run in TF32 where allowed."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured on which device.

    Attributes:
        device: ``cpu`` or ``cuda``.
        batches: rows of a batch.
        precisions: ``fp32``, ``bf16``.
        compiled: measure each also under torch.compile.
    """

    device: str = "cuda"
    batches: tuple[int, ...] = (16, 64, 256)
    precisions: tuple[str, ...] = ("fp32", "bf16")
    compiled: bool = True


def run(
    models: Sequence[str], size: Size, repeats: int, overrides: Sequence[str], settings: Settings
) -> Findings:
    """Train each model at every batch size, precisions in turns.

    Args:
        models: names in conf/model.
        size: the shapes; its rows give way to the batch sizes.
        repeats: rounds that count.
        overrides: of the models' configuration.
        settings: the rest.

    Raises:
        NoDevice: there is no such device.
    """
    device = torch.device(settings.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise NoDevice("--device cuda: no CUDA device here")
    rows: list[Row] = []
    ratios: dict[str, Spread] = {}
    for model in models:
        for number in settings.batches:
            found, faster = _measured(
                model, replace(size, rows=number), repeats, overrides, settings
            )
            rows += found
            ending = "" if number == settings.batches[0] else f"_batch{number}"
            ratios |= {f"{model}_{name}{ending}": spread for name, spread in faster.items()}
    return Findings(tuple(rows), ratios)


def _measured(
    model: str, size: Size, repeats: int, overrides: Sequence[str], settings: Settings
) -> tuple[list[Row], dict[str, Spread]]:
    device = torch.device(settings.device)
    bench = build(configuration(model, size, overrides), size)
    bench.model.to(device)
    batch = bench.batch.to(device)
    bench = replace(bench, batch=batch)
    gflop, _ = operations(bench.step)
    ways: dict[str, tuple[str, nn.Module]] = {p: (p, bench.model) for p in settings.precisions}
    if settings.compiled:
        compiled: Any = torch.compile(bench.model)
        ways |= {f"{p} compiled": (p, compiled) for p in settings.precisions}
    tasks = {
        name: _step(replace(bench, model=module), precision, device)
        for name, (precision, module) in ways.items()
    }
    memory, waits = {}, {}
    for name, task in tasks.items():
        task()  # compiles; makes the optimiser's moments
        memory[name], waits[name] = _once(task, device)
    laps = take_turns(tasks, repeats=repeats)
    rows = []
    for name, lap in laps.items():
        seconds = _seconds(lap, device)
        facts = {
            "samples_s": size.rows / seconds.median,
            "tflops": gflop / 1e3 / seconds.median,
            "peak_mb": memory[name],
        }
        if device.type == "cuda":
            facts["synchronisations"] = waits[name]
            if (peak := _peak_tflops(name, device)) is not None:
                facts["mfu"] = facts["tflops"] / peak
        rows.append(lap.row("device", f"{model} batch {size.rows} {name}", **facts))
    ratios = {
        f"{name.replace(' ', '_')}_over_fp32": _over(laps[name], laps["fp32"], device)
        for name in laps
        if name != "fp32" and "fp32" in laps
    }
    return rows, ratios


def _step(bench: Bench, precision: str, device: torch.device) -> Callable[[], object]:
    def step() -> object:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            outputs = bench.model(bench.batch)
        found = bench.finish(outputs)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return found

    return step


def _once(task: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Peak MB of one step, and how often it waited for the device; the one at its end is ours."""
    if device.type != "cuda":
        task()
        return own_peak(), 0.0
    torch.cuda.reset_peak_memory_stats(device)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            task()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waited = sum("synchroniz" in str(one.message) for one in said)
    return torch.cuda.max_memory_allocated(device) / 2**20, float(waited)


def _seconds(lap: Laps, device: torch.device) -> Spread:
    return Spread.of(lap.wall if device.type == "cuda" else lap.cpu)


def _over(lap: Laps, floor: Laps, device: torch.device) -> Spread:
    if device.type != "cuda":
        return lap.over(floor)
    return Laps(lap.wall, lap.wall).over(Laps(floor.wall, floor.wall))


def _peak_tflops(name: str, device: torch.device) -> float | None:
    found = [
        peaks for gpu, peaks in PEAK_TFLOPS.items() if gpu in torch.cuda.get_device_name(device)
    ]
    return found[0]["bf16" in name] if found else None
