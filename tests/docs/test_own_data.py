"""examples/own_data: prepare finds it well, and names file and line of what a newcomer breaks."""

import re
import shutil

import pytest

from gmbench.prepare import main
from tests.conftest import REPOSITORY

WORDS = ["--config-dir", "own_conf", "data=own", "regions=grid"]


@pytest.fixture
def template(tmp_path, monkeypatch):
    folder = shutil.copytree(REPOSITORY / "examples" / "own_data", tmp_path / "own")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "120")
    return folder / "tweets"


def test_the_template_is_well(template, capsys):
    assert main(WORDS) == 0
    told = capsys.readouterr().out
    assert "fingerprint" in told
    counts = re.search(r"tweets\W+8\W+2\W+2\W", told)
    assert counts, told
    for name in ("PERSON", "PLACE", "TEAM"):
        assert name in told


def mistyped_tag(tweets):
    path = tweets / "txt" / "train.txt"
    path.write_text(path.read_text().replace("Rosa\tB-PERSON", "Rosa\tB-PERSN", 1))
    return "train.txt:2"


def lost_tab(tweets):
    path = tweets / "txt" / "dev.txt"
    path.write_text(path.read_text().replace("twice\tO", "twice O", 1))
    return "dev.txt:5"


def misnamed_box(tweets):
    path = tweets / "xml" / "1.xml"
    path.write_text(path.read_text().replace("Rosa Lind", "Rosa L."))
    return "1.xml"


def lost_picture(tweets):
    (tweets / "images" / "3.jpg").unlink()
    return "images"


@pytest.mark.parametrize("harm", [mistyped_tag, lost_tab, lost_picture])
def test_what_is_wrong_is_named(harm, template, capsys):
    named = harm(template)
    assert main(WORDS) == 1
    assert named in capsys.readouterr().out


def test_a_box_of_no_entity_is_counted(template, capsys):
    misnamed_box(template)
    main(WORDS)
    assert "train: 1 " in capsys.readouterr().out
