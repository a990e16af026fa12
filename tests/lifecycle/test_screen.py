"""The first and the last lines of a run, and the estimates in them."""

import io
import re
import shutil
from pathlib import Path

import pytest
import rich
from rich.console import Console

from gmbench.config import compose, parse
from gmbench.config.compose import stored_settings
from gmbench.config.schema import Settings
from gmbench.core import progress
from gmbench.core.progress import in_words, time_left
from gmbench.lifecycle.screen import MEASURED, closing, opening
from gmbench.reporting.record import read_result

STORED = Path(__file__).parent / "stored" / "run"


def test_a_first_run_is_estimated_by_what_was_measured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = parse(compose(["trainer.accelerator=cpu", "trainer.epochs=7"]))
    first, second, third = opening(settings, tmp_path / "runs" / "x").splitlines()
    assert first == "mqspn on synthetic, 7 epochs, seed 1, CPU"
    assert second == "Folder: runs/x"
    guess = in_words(settings.data["world"]["train"] * 7 / MEASURED["mqspn"])
    assert third.startswith(f"Time: about {guess} of training")


def test_a_later_run_is_estimated_by_the_runs_before(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = stored_settings(STORED / "config.yaml", ())
    place = Path("runs/default", settings.model.name, settings.data["name"], "seed=3")
    shutil.copytree(STORED, place)
    trainer = {**settings.tree["trainer"], "epochs": 4 * settings.trainer.epochs}
    tree = {**settings.tree, "runs": "runs", "trainer": trainer}
    cost = read_result(STORED / "result.json").cost
    third = opening(Settings.of(tree), Path("runs/new")).splitlines()[2]
    assert third.startswith(f"Time: about {in_words(4 * cost.seconds)}, as {place} took")
    other = {**tree, "encoders": {**tree["encoders"], "image_size": 64}}
    assert opening(Settings.of(other), Path("runs/new")).splitlines()[2] != third


def test_the_next_commands_can_be_pasted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = closing(tmp_path / "runs" / "a b" / "seed=1", Path("runs"))
    assert "  gmbench predict 'runs/a b/seed=1' --image I.jpg" in said
    assert "  gmbench report runs\n" in said
    assert said.endswith("  gmbench export 'runs/a b/seed=1' DIR")
    mirrored = closing(
        tmp_path / "runs", Path("runs"), tmp_path / "runs" / "wandb" / "offline-run-1-x"
    )
    assert mirrored.endswith("  gmbench export runs DIR\n  wandb sync runs/wandb/offline-run-1-x")


@pytest.mark.parametrize(
    ("seconds", "words"), [(9.4, "9 s"), (89, "89 s"), (330, "6 min"), (5400, "1.5 h")]
)
def test_durations_in_words(seconds, words):
    assert in_words(seconds) == words
    assert time_left(seconds, 2, 6) == 2 * seconds


@pytest.mark.parametrize("wanted", [True, False])
def test_bars_are_shown_where_they_are_wanted(wanted, monkeypatch):
    screen = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr(rich, "_console", screen)
    progress.show_bars(wanted)
    try:
        assert list(progress.track(range(3), "drawing")) == [0, 1, 2]
    finally:
        progress.show_bars(True)
    assert ("drawing" in screen.file.getvalue()) is wanted


def test_every_bar_asks_whether_it_is_wanted():
    package = Path(progress.__file__).parents[1]
    own = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"from rich(\.progress)? import .*(progress|track)", path.read_text())
    }
    assert own == {"core/progress.py", "predict.py"}  # predict has no callbacks.progress
