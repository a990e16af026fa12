"""One run of each kind of model, trained once on a few pictures, and its export."""

import shutil
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from gmbench.config import compose, parse
from gmbench.config.schema import Settings
from gmbench.core.entities import Example
from gmbench.data.regions import RegionSource
from gmbench.lifecycle.build_data import build_regions, build_source
from gmbench.lifecycle.execute import execute
from gmbench.serving.export import export_run
from gmbench.serving.posts import Post
from tests.faults.runs import undrawn


@dataclass(frozen=True)
class Trained:
    """A run, its export, and the test examples it was scored on."""

    run: Path
    export: Path
    examples: tuple[Example, ...]
    regions: RegionSource | None

    @property
    def posts(self) -> list[Post]:
        return [
            Post(
                id=e.id,
                text=" ".join(e.words),
                words=e.words,
                places=tuple((0, 1) for _ in e.words),
                image=e.image,
                size=e.size,
            )
            for e in self.examples
        ]


def settings(model: str, folder: Path) -> Settings:
    composed = compose(
        [
            f"model={model}",
            "data=synthetic_tiny",
            "data.world.train=24",
            "data.world.dev=8",
            "trainer=debug",
            "trainer.epochs=1",
            "callbacks.progress=false",
            # Nothing is learnt of "no entity", so that even this much training finds entities.
            "model.loss.terms.type.nil_weight=0.0",
            f"data.root={folder}/world",
            f"cache={folder}/cache",
        ]
    )
    return parse(composed)


def train(model: str, folder: Path) -> Trained:
    made_with = settings(model, folder)
    run = folder / model / "run"
    with pytest.MonkeyPatch.context() as patch:
        undrawn(patch.setattr)
        execute(made_with, run, (), Console(file=StringIO()))
    source = build_source(made_with)
    regions = build_regions(made_with, source)
    export_run(run, folder / model / "export")
    return Trained(run, folder / model / "export", source.read("test").examples, regions)


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("serving")


@pytest.fixture(scope="session")
def mqspn(place):
    return train("mqspn", place)


@pytest.fixture(scope="session")
def qgn(place):
    return train("qgn", place)


@pytest.fixture
def copied(mqspn, tmp_path):
    """An export that a test may spoil."""
    return shutil.copytree(mqspn.export, tmp_path / "copied")
