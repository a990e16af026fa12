"""The worked example of README: a model outside of gmbench, by ``--config-dir`` alone."""

import shutil

from gmbench.reporting.results import read_result
from tests.conftest import REPOSITORY
from tests.test_run import TINY, gmbench

EXAMPLE = REPOSITORY / "examples" / "own_model"


def test_a_model_from_outside_the_repository_trains_and_is_scored(tmp_path):
    folder = shutil.copytree(EXAMPLE, tmp_path / "mine")
    done = gmbench("run", "--config-dir", "my_conf", "model=wordwise", *TINY, folder=folder)
    assert done.returncode == 0, done.stderr
    (path,) = folder.rglob("result.json")
    result = read_result(path)
    assert result.config.model == "wordwise"
    assert result.data.saw_pixels
    frozen = {part.name: part.trainable for part in result.parameters}
    assert frozen["asks"] > 0


def test_a_typo_in_it_is_told_like_any_other(tmp_path):
    folder = shutil.copytree(EXAMPLE, tmp_path / "mine")
    done = gmbench(
        "run", "--config-dir", "my_conf", "model=wordwise", "model.network.widht=3", folder=folder
    )
    assert done.returncode == 2
    assert "width" in done.stderr
