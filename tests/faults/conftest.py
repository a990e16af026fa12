"""A small real run for tests that break things on purpose."""

import importlib
from collections.abc import Callable
from pathlib import Path

import lightning
import pytest
import torch

from gmbench.config import compose
from gmbench.faults import VARIABLE
from gmbench.lifecycle.build import Run, build_run
from gmbench.lifecycle.start import sources_of
from gmbench.training.trainer import TrainerSettings, build_trainer

SMALL = ["data=synthetic_tiny", "trainer=debug", "data.world.train=12", "data.world.dev=6"]
SMALL += ["data.world.test=6", "trainer.batch_size=4", "callbacks.progress=false"]
"""Three steps an epoch."""


@pytest.fixture(scope="package")
def world(tmp_path_factory):
    return tmp_path_factory.mktemp("world")


@pytest.fixture(scope="package")
def build(world) -> Callable[..., Run]:
    def made(*overrides: str) -> Run:
        cfg = compose([*SMALL, f"data.root={world}", f"cache={world}/cache", *overrides])
        lightning.seed_everything(cfg.seed, verbose=False)
        return build_run(cfg)

    return made


@pytest.fixture
def plan(monkeypatch):
    """Sets the fault plan; passes of places are counted anew for a plan not seen before."""
    numbers = iter(range(1000))

    def planned(text: str) -> None:
        # Plans are told apart by their text: an entry that never strikes makes it a new one.
        monkeypatch.setenv(VARIABLE, f"{text};{id(monkeypatch)}.{next(numbers)}:1:raise")

    return planned


class Steps(lightning.Callback):
    """Losses and weights after each step; ``history[0]`` is before the first."""

    def __init__(self) -> None:
        self.losses: list[str] = []
        self.ids: list[tuple[str, ...]] = []
        self.weights: dict[str, torch.Tensor] = {}
        self.history: list[dict[str, torch.Tensor]] = []

    def on_train_start(self, trainer, pl_module):
        self.keep(pl_module)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.losses.append(float(outputs["loss"]).hex())
        self.ids.append(batch.ids)
        self.keep(pl_module)

    def keep(self, module):
        self.weights = {n: t.clone() for n, t in module.model.state_dict().items()}
        self.history.append(self.weights)


def trainer(folder: Path, *callbacks: lightning.Callback, **settings) -> lightning.Trainer:
    settings = {"epochs": 2, "accelerator": "cpu", "progress": False} | settings
    return build_trainer(TrainerSettings(**settings), folder, [], callbacks)


@pytest.fixture(scope="package")
def unbroken(tmp_path_factory, world):
    """Two epochs of three steps, in one go."""
    from tests.faults.runs import Made, go

    importlib.import_module("models")
    sources_of("models")  # read once: somebody may be editing while this runs
    folder = tmp_path_factory.mktemp("unbroken")
    assert go(folder, world) == 0, list(folder.iterdir())
    made = Made(folder)
    assert [step for step, *_ in made.losses] == list(range(6))
    for epoch in (made.losses[:3], made.losses[3:]):
        assert len({id_ for *_, ids in epoch for id_ in ids.split()}) == 12
    return made
