"""A small real run for tests that break things on purpose."""

import importlib
from collections.abc import Callable
from pathlib import Path

import lightning
import pytest
import torch

from gmbench.config import compose, parse
from gmbench.lifecycle.build import Run, build_run
from gmbench.lifecycle.start import sources_of
from gmbench.training.module import GroundedModule
from gmbench.training.trainer import build_trainer
from tests.faults.plan import install
from tests.faults.runs import SMALL, Made, go, paths


@pytest.fixture(scope="package")
def world(tmp_path_factory):
    return tmp_path_factory.mktemp("world")


@pytest.fixture(scope="package")
def build(world) -> Callable[..., Run]:
    def made(*overrides: str) -> Run:
        settings = parse(compose([*SMALL, *paths(world), *overrides]))
        lightning.seed_everything(settings.seed, verbose=False)
        return build_run(settings)

    return made


@pytest.fixture
def plan(monkeypatch):
    """Patches a fault plan into this process for the length of a test."""
    return lambda text: install(text, monkeypatch.setattr)


class Steps(lightning.Callback):
    """Counts steps and keeps the weights after the last one."""

    def __init__(self) -> None:
        self.count = 0
        self.weights: dict[str, torch.Tensor] = {}

    def on_train_start(self, trainer, pl_module):
        self.weights = {n: t.clone() for n, t in pl_module.model.state_dict().items()}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.count += 1
        self.on_train_start(trainer, pl_module)


def trainer(folder: Path, *overrides: str, watching=()) -> lightning.Trainer:
    return build_trainer(parse(compose([*SMALL, *overrides])), folder, [], watching)


def scored(module: GroundedModule, *scores: float) -> None:
    """Let the value that selects the checkpoint be these, epoch by epoch."""
    log, left = module.log, iter(scores)

    def patched(name, value, **settings):
        log(name, next(left) if name == "dev/select" else value, **settings)

    module.log = patched


@pytest.fixture(scope="package")
def unbroken(tmp_path_factory, world) -> Made:
    """Two epochs of three steps, in one go."""
    importlib.import_module("models")
    sources_of("models")  # read once: somebody may be editing while this runs
    folder = tmp_path_factory.mktemp("unbroken")
    assert go(folder, world) == 0, (folder / "error.txt").read_text()
    made = Made(folder)
    assert made.steps == list(range(6))
    assert [row["step"] for row in made.curve()] == ["2", "5", "6", "6"]  # dev twice, dev and test
    for epoch in (made.losses[:3], made.losses[3:]):
        assert len({id_ for *_, ids in epoch for id_ in ids.split()}) == 12
    return made
