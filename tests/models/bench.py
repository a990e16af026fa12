"""A run of a model on the tiny world and a few of its tweets, for tests of whole models."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gmbench.build import Run, build_run
from gmbench.config import compose
from gmbench.structures import Example
from gmbench.tensors import Batch


@dataclass
class Bench:
    """One run on the tiny world, and four tweets of it."""

    overrides: list[str]
    run: Run
    batch: Batch


def bench_of(model: str, world: Path, first: Callable[[Example], int]) -> Bench:
    """Build a model; its batch holds the four training tweets that are least by ``first``."""
    overrides = [
        *(f"model={model}", "data=synthetic_tiny", f"data.root={world}", f"cache={world}/cache")
    ]
    run = build_run(compose([*overrides, "trainer=debug"]))
    data = run.data.dataset("train")
    chosen = sorted(range(len(data)), key=lambda i: first(data.examples[i]))[:4]
    batch = run.data.train_dataloader().collate_fn([data[i] for i in chosen])
    return Bench(overrides, run, batch)
