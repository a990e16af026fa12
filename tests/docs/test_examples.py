"""examples/: the data template is well and its faults are named; a model from outside trains."""

import re
import shutil

import pytest

from gmbench.prepare import main
from gmbench.reporting.record import read_result
from tests.conftest import REPOSITORY
from tests.verbs.test_run import TINY

DATA = ["--config-dir", "own_conf", "data=own", "regions=grid"]
MODEL = ["--config-dir", "my_conf", "model=wordwise"]


@pytest.fixture
def tweets(tmp_path, monkeypatch):
    folder = shutil.copytree(REPOSITORY / "examples" / "own_data", tmp_path / "own")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "120")
    return folder / "tweets"


def test_the_template_is_well(tweets, capsys):
    assert main(DATA) == 0
    text = capsys.readouterr().out
    assert "fingerprint" in text
    assert re.search(r"examples\W+8\W+2\W+2\W", text), text
    for name in ("PERSON", "PLACE", "TEAM"):
        assert name in text


@pytest.mark.parametrize(
    ("file", "good", "bad", "code", "named"),
    [
        ("txt/train.txt", "Rosa\tB-PERSON", "Rosa\tB-PERSN", 1, "train.txt:2"),
        ("txt/dev.txt", "twice\tO", "twice O", 1, "dev.txt:5"),
        ("images/3.jpg", None, None, 1, "images"),
        ("xml/1.xml", "Rosa Lind", "Rosa L.", None, "train: 1 "),  # a box of no entity is counted
    ],
)
def test_what_is_wrong_is_named(file, good, bad, code, named, tweets, capsys):
    path = tweets / file
    if good is None:
        path.unlink()
    else:
        path.write_text(path.read_text().replace(good, bad, 1))
    assert main(DATA) == code or code is None
    assert named in capsys.readouterr().out


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(REPOSITORY / "examples" / "own_model", tmp_path / "mine")


def test_a_model_from_outside_the_repository_trains_and_is_scored(folder, door):
    done = door.run("gmbench.run", *MODEL, *TINY, "trainer.epochs=1", folder=folder)
    assert done.code == 0, done.output
    (path,) = folder.rglob("result.json")
    result = read_result(path)
    assert result.config.model == "wordwise"
    assert result.data.saw_pixels
    frozen = {part.name: part.trainable for part in result.parameters}
    assert frozen["asks"] > 0


def test_a_typo_in_it_is_told_like_any_other(folder, door):
    done = door.run("gmbench.run", *MODEL, "model.network.widht=3", folder=folder)
    assert done.code == 2
    assert "width" in done.output
