"""Suite ``step``: a training step of each model against the bare encoders on the same batch."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gmbench.objective.losses import SetLoss
from gmbench.objective.matcher import Matcher, Matching
from tests.speed.counting import autograd_nodes, operations, parameters
from tests.speed.measure import Findings, Laps, Row, Spread, take_turns
from tests.speed.sizes import (
    Bench,
    Size,
    batch_of,
    build,
    configuration,
    text_encoder,
    vision_encoder,
)

TEXT, VISION = "text encoder forward+backward", "vision encoder forward+backward"


class TimedMatcher:
    """A matcher that keeps the CPU seconds of its calls; a step calls it once.

    Attributes:
        seconds: of every call so far.
    """

    def __init__(self, inner: Matcher) -> None:
        self.inner = inner
        self.seconds: list[float] = []

    def __call__(self, *arguments: Any, **named: Any) -> tuple[Matching, ...]:
        """As the matcher itself."""
        began = time.process_time()
        found = self.inner(*arguments, **named)
        self.seconds.append(time.process_time() - began)
        return found


def run(models: Sequence[str], size: Size, repeats: int, overrides: Sequence[str]) -> Findings:
    """Time floors and models in turns.

    Args:
        models: names in conf/model.
        size: the shapes.
        repeats: rounds that count.
        overrides: of the models' configuration.
    """
    benches = {m: build(configuration(m, size, overrides), size) for m in models}
    matchers = {m: _time_matching(bench.loss) for m, bench in benches.items()}
    floors = bare_encoders(size, vision=any(bench.pixels for bench in benches.values()))
    facts = {name: _counted(floor) for name, floor in floors.items()}
    for name, bench in benches.items():
        bench.step()  # makes the optimiser's moments, which no later step does
        fewer = replace(size, rows=max(1, size.rows // 4))
        regions = bench.batch.region_features
        width = None if regions is None else regions.shape[-1]
        less = replace(bench, batch=batch_of(fewer, features=width, pixels=bench.pixels))
        facts[name] = _counted(bench.step) | {
            "quarter_ops": operations(less.step)[1],
            "nodes": autograd_nodes(bench.loss(bench.model(bench.batch), bench.batch).total),
            "parameters": parameters(bench.model),
        }
    for matcher in matchers.values():
        matcher.seconds.clear()
    steps = {name: bench.step for name, bench in benches.items()}
    laps = take_turns({**floors, **steps}, repeats=repeats, warmup=0)
    rows = [laps[name].row("step", name, **facts[name]) for name in floors]
    ratios: dict[str, Spread] = {}
    for name, bench in benches.items():
        rows.append(laps[name].row("step", f"{name} training step", **facts[name]))
        rows.append(
            Row("step", f"{name} matching", Spread.of([1e3 * s for s in matchers[name].seconds]))
        )
        ratios |= _ratios(name, bench, laps, facts, matchers[name].seconds)
    shares = [ratio for name, ratio in ratios.items() if name.endswith("_matching_share")]
    ratios["matching_share"] = max(shares, key=lambda share: share.median)
    return Findings(tuple(rows), ratios)


def bare_encoders(size: Size, *, vision: bool) -> dict[str, Callable[[], object]]:
    """The floors: forward and backward of the encoders alone, in training mode."""
    batch = batch_of(size, features=None, pixels=vision)
    text = text_encoder(size).train()
    weight = torch.randn(size.rows, size.pieces, text.width)

    def back(states: Tensor, weights: Tensor, module: torch.nn.Module) -> None:
        (states * weights).sum().backward()  # type: ignore[no-untyped-call]
        module.zero_grad()

    floors: dict[str, Callable[[], object]] = {
        TEXT: lambda: back(text(batch.input_ids, batch.token_mask), weight, text)
    }
    if vision:
        tower = vision_encoder(size).train()
        assert batch.pixels is not None
        pixels, tokens = batch.pixels, torch.randn_like(tower(batch.pixels))
        floors[VISION] = lambda: back(tower(pixels), tokens, tower)
    return floors


def _time_matching(loss: SetLoss) -> TimedMatcher:
    timed = TimedMatcher(loss.matcher)
    loss.matcher = timed
    return timed


def _counted(task: Callable[[], object]) -> dict[str, float]:
    gflop, ops = operations(task)
    return {"gflop": round(gflop, 3), "ops": ops}


def _ratios(
    name: str,
    bench: Bench,
    laps: Mapping[str, Laps],
    facts: Mapping[str, Mapping[str, float]],
    matching: Sequence[float],
) -> dict[str, Spread]:
    """Step over floors by time and by FLOP, and the share of matching."""
    wanted = (TEXT, VISION) if bench.pixels else (TEXT,)
    label = "encoders" if bench.pixels else "text_encoder"
    floor = Laps(
        tuple(sum(parts) for parts in zip(*(laps[f].cpu for f in wanted), strict=True)),
        tuple(sum(parts) for parts in zip(*(laps[f].wall for f in wanted), strict=True)),
    )
    flop = facts[name]["gflop"] / sum(facts[f]["gflop"] for f in wanted)
    growth = facts[name]["ops"] / facts[name]["quarter_ops"]
    share = [part / whole for part, whole in zip(matching, laps[name].cpu, strict=True)]
    return {
        f"{name}_step_over_{label}": laps[name].over(floor),
        f"{name}_flop_over_{label}": Spread(flop, flop, flop),
        f"{name}_matching_share": Spread.of(share),
        f"{name}_operations_growth": Spread(growth, growth, growth),
    }
