"""Two configurations are the same run exactly when they compute the same."""

from gmbench.config import compose
from gmbench.config.identity import run_sha


def sha(*overrides):
    return run_sha(compose(overrides))


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
