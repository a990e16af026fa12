"""What makes two runs the same run: sha, folder, leaderboard row and resume follow one mark."""

from typing import Annotated

import hydra
import pytest

from gmbench.config import compose, conf_dir, schema
from gmbench.config.identity import run_sha
from gmbench.config.schema import Counts
from gmbench.reporting.leaderboard import of_the_method


def sha(*overrides):
    return run_sha(compose(overrides))


def folder_name(*overrides):
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = hydra.compose("config", overrides=list(overrides), return_hydra_config=True)
    return cfg.hydra.job.override_dirname


def test_folders_names_and_screens_do_not_matter():
    default = sha()
    for override in (
        "runs=/elsewhere",
        "name=other",
        "cache=/c",
        "callbacks.progress=false",
        "trainer.num_workers=2",
        "data.root=/my/data",
        "force=true",
        "logger=wandb",
    ):
        assert sha(override) == default, override


def test_what_is_computed_does():
    default = sha()
    different = [
        sha(override)
        for override in (
            "seed=2",
            "trainer.epochs=3",
            "regions.source.folder=/other/candidates",
            "model.network.num_queries=30",
            "data.world.seed=2",
        )
    ]
    assert len({default, *different}) == 6


def test_a_folder_is_named_after_what_it_does_not_name_itself():
    named = "data.limit=8,trainer.devices=2,trainer.epochs=3"
    elsewhere = ["model=qgn", "data=synthetic_tiny", "seed=3", "name=x", "data.root=/d", "runs=/r"]
    screen = [
        "logger=wandb",
        "logger.tags=[a]",
        "callbacks.progress=false",
        "trainer.num_workers=2",
    ]
    assert folder_name(*elsewhere, *screen, "trainer.accelerator=cpu", *named.split(",")) == named
    assert folder_name("mode=test", "ckpt=a.ckpt") == "mode=test"


@pytest.mark.parametrize(
    "mark", [Counts.METHOD, Counts.NAMED, Counts.PROCESSES, Counts.MACHINE, Counts.EXECUTION]
)
def test_a_new_field_is_followed_by_all_four(mark, monkeypatch):
    class Trainer(schema.Trainer):
        extra: Annotated[int, mark] = 0

    class Settings(schema.Settings):
        trainer: Trainer

    monkeypatch.setattr(schema, "Settings", Settings)
    one, other = ({"trainer": {"extra": number}} for number in (1, 2))
    seen = {
        Counts.SHA: run_sha(one) != run_sha(other),
        Counts.RESUME: run_sha(one, Counts.RESUME) != run_sha(other, Counts.RESUME),
        Counts.FOLDER: "extra" in folder_name("+trainer.extra=2"),
        Counts.ROW: of_the_method(["+trainer.extra=2"]) != (),
    }
    assert seen == {place: bool(mark & place) for place in seen}
