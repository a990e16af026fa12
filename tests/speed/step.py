"""Suite ``step``: a training step of each model against the bare encoders on the same batch."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from gmbench.core.errors import InputError
from tests.speed.measure import (
    Findings,
    Laps,
    Row,
    Spread,
    now,
    operations,
    take_turns,
)
from tests.speed.sizes import (
    Bench,
    Size,
    batch_of,
    build,
    configuration,
    text_encoder,
    vision_encoder,
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where and how steps are measured.

    Attributes:
        device: ``cpu`` or ``cuda``.
        batches: rows of a batch; empty = the size's own.
        precisions: ``fp32``, ``bf16``.
        compiled: measure each also under torch.compile.
    """

    device: str = "cpu"
    batches: tuple[int, ...] = ()
    precisions: tuple[str, ...] = ("fp32",)
    compiled: bool = False


class TimedMatcher:
    """A matcher that keeps the seconds of its calls, one per step."""

    def __init__(self, inner: Callable[..., Any], device: torch.device) -> None:
        self.inner, self.device = inner, device
        self.seconds: list[float] = []

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        began = now(self.device)
        matching = self.inner(*arguments, **named)
        self.seconds.append(now(self.device) - began)
        return matching


def run(
    models: Sequence[str], size: Size, repeats: int, overrides: Sequence[str], settings: Settings
) -> Findings:
    """Time encoders and models in turns, for each batch size and precision.

    Args:
        models: names in conf/model.
        size: the shapes.
        repeats: rounds that count.
        overrides: for the models' configuration.
        settings: device, batch sizes, precisions.

    Raises:
        InputError: the device is not available.
    """
    device = torch.device(settings.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: no CUDA device found")
    rows: list[Row] = []
    figures: dict[str, Spread] = {}
    for number in settings.batches or (size.rows,):
        sized = replace(size, rows=number)
        for model in models:
            bench = build(configuration(model, sized, overrides), sized)
            found = _measured(model, bench, sized, repeats, settings)
            rows += found.rows
            ending = f"_batch{number}" if number != (settings.batches or (number,))[0] else ""
            figures |= {f"{model}_{key}{ending}": value for key, value in found.figures.items()}
    return Findings(tuple(rows), figures)


def _measured(model: str, bench: Bench, size: Size, repeats: int, settings: Settings) -> Findings:
    device = torch.device(settings.device)
    bench.model.to(device)
    bench = replace(bench, batch=bench.batch.to(device))
    matcher = bench.loss.matcher = TimedMatcher(bench.loss.matcher, device)
    ways: dict[str, tuple[str, nn.Module]] = {p: (p, bench.model) for p in settings.precisions}
    if settings.compiled:
        compiled: Any = torch.compile(bench.model)
        ways |= {f"{p}_compiled": (p, compiled) for p in settings.precisions}
    steps = {
        way: partial(replace(bench, model=module).step, precision)
        for way, (precision, module) in ways.items()
    }
    bench.step()  # creates the optimiser's moments, which no later step does
    facts = _counts(bench, size)
    memory = {way: _watched(step, device) for way, step in steps.items()}
    bare = _bare_encoders(size, bench, device)
    first = settings.precisions[0]
    laps = take_turns({**bare, **steps}, repeats=repeats, device=device)
    rows = []
    for name in bare:
        flop, ops = operations(bare[name])
        rows.append(laps[name].row("step", name, gflop=flop, ops=ops))
    label = "encoders" if len(bare) > 1 else "text_encoder"
    figures = {
        f"step_over_{label}": laps[first].over(*(laps[name] for name in bare)),
        f"flop_over_{label}": Spread.of(facts["gflop"] / sum(row.facts["gflop"] for row in rows)),
        "operations": Spread.of(facts["ops"]),
        "operations_growth": Spread.of(facts["ops"] / facts["quarter_ops"]),
    }
    for way in steps:
        speed = {"samples_s": size.rows / Spread.of(*laps[way].seconds).median}
        every = {**facts, **speed, **memory[way]}
        rows.append(laps[way].row("step", f"{model} batch {size.rows} {way}", **every))
        if way != first:
            figures[f"{way}_over_{first}"] = laps[way].over(laps[first])
    # The matcher ran once per step, in turns: those of the first way, in the rounds that count.
    matching = Laps(tuple(matcher.seconds[-repeats * len(steps) :: len(steps)]))
    rows.append(matching.row("step", f"{model} batch {size.rows} matching"))
    figures["matching_share"] = matching.over(laps[first])
    return Findings(tuple(rows), figures)


def _counts(bench: Bench, size: Size) -> dict[str, float]:
    """GFLOP and operations of a step, of one on a quarter of the batch too, and parameters."""
    gflop, ops = operations(bench.step)
    regions = bench.batch.region_features
    quarter = batch_of(
        replace(size, rows=max(1, size.rows // 4)),
        features=None if regions is None else regions.shape[-1],
        pixels=bench.batch.pixels is not None,
    )
    less = replace(bench, batch=quarter.to(bench.batch.input_ids.device))
    return {
        "gflop": gflop,
        "ops": ops,
        "quarter_ops": operations(less.step)[1],
        "parameters": sum(p.numel() for p in bench.model.parameters() if p.requires_grad),
    }


def _bare_encoders(
    size: Size, bench: Bench, device: torch.device
) -> dict[str, Callable[[], object]]:
    """The baseline: forward and backward of the encoders alone, in training mode."""
    batch, text = bench.batch, text_encoder(size).to(device).train()

    def both_ways(module: nn.Module, *inputs: torch.Tensor) -> None:
        states = module(*inputs)
        states.backward(torch.ones_like(states))
        module.zero_grad()

    passes = {"text encoder": partial(both_ways, text, batch.input_ids, batch.token_mask)}
    if batch.pixels is not None:
        vision = vision_encoder(size).to(device).train()
        passes["vision encoder"] = partial(both_ways, vision, batch.pixels)
    return {f"{name} forward+backward": both for name, both in passes.items()}


def _watched(task: Callable[[], object], device: torch.device) -> dict[str, float]:
    """Peak MB of one step and, on a GPU, how often it waited for the device."""
    task()  # compiles
    if device.type == "cpu":
        return {}  # suite memory gives each model a process of its own
    torch.cuda.reset_peak_memory_stats(device)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as messages:
            warnings.simplefilter("always")
            task()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waits = sum("synchroniz" in str(message.message) for message in messages)
    peak = torch.cuda.max_memory_allocated(device) / 2**20
    return {"peak_mb": peak, "synchronisations": waits}
