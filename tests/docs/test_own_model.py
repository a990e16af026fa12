"""The worked example of README: a model outside of gmbench, by ``--config-dir`` alone."""

import shutil

import pytest

from gmbench.reporting.record import read_result
from tests.conftest import REPOSITORY
from tests.verbs.test_run import TINY

WORDS = ["--config-dir", "my_conf", "model=wordwise"]


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(REPOSITORY / "examples" / "own_model", tmp_path / "mine")


def test_a_model_from_outside_the_repository_trains_and_is_scored(folder, door):
    done = door.run("gmbench.run", *WORDS, *TINY, "trainer.epochs=1", folder=folder)
    assert done.code == 0, done.output
    (path,) = folder.rglob("result.json")
    result = read_result(path)
    assert result.config.model == "wordwise"
    assert result.data.saw_pixels
    frozen = {part.name: part.trainable for part in result.parameters}
    assert frozen["asks"] > 0


def test_a_typo_in_it_is_told_like_any_other(folder, door):
    done = door.run("gmbench.run", *WORDS, "model.network.widht=3", folder=folder)
    assert done.code == 2
    assert "width" in done.output
