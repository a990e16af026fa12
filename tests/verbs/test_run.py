"""Through the user's door: real commands, a tiny world, tiny encoders."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from gmbench.config import compose, parse
from gmbench.lifecycle.build_data import build_source
from gmbench.reporting.index import read_scored_run
from gmbench.reporting.record import read_analysis, read_result
from gmbench.scoring.counting import score_corpus
from gmbench.scoring.files import read_gold, read_predictions, write_gold
from tests.conftest import REPOSITORY

PICTURES = {"errors.png", "ceiling.png", "examples.png", "curves.png"}
TINY = ["data=synthetic_tiny", "trainer=debug", "callbacks.progress=false"]
TINY += ["data.world.train=16", "data.world.dev=8", "data.world.test=8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("user")


@pytest.fixture(scope="module")
def trained(folder, door):
    """One finished run: its output and its folder."""
    done = door.run("gmbench.run", *TINY, folder=folder)
    assert done.code == 0, done.err
    (result,) = (folder / "runs").rglob("result.json")
    return done, result.parent


def test_a_run_leaves_its_folder(trained):
    done, run = trained
    assert run.name == "seed=1"
    for name in ("config.yaml", "predictions.dev.jsonl", "predictions.test.jsonl", "metrics.csv"):
        assert (run / name).stat().st_size > 0, name
    assert read_analysis(run / "analysis.json").n == read_scored_run(run).result.data.n
    assert {path.name for path in (run / "pictures").iterdir()} >= PICTURES
    assert not list(run.rglob(".*"))
    assert json.loads((run / "attempt.json").read_text())["status"] == "done"
    opened = done.out.splitlines()
    assert opened[0].startswith("mqspn on synthetic_tiny, ")
    assert opened[1] == f"Folder: {run.relative_to(run.parents[5])}"
    assert opened[2].startswith("Time: ")
    epochs = [line for line in opened if line.startswith("Epoch ")]
    assert epochs[0].startswith("Epoch 1/")
    assert len(epochs) == int(epochs[0].split(":")[0].partition("/")[2])
    assert "dev F1 GMNER " in epochs[-1]
    commands = [line.split()[1] for line in opened if line.startswith("  gmbench ")]
    assert commands == ["predict", "report", "export"]
    assert max(len(line) for line in opened if "│" in line) <= 120
    for row in ("mqspn", "training names", "gold text", "GMNER", "MNER", "EEG", "strict"):
        assert row in done.out


def test_without_any_argument_it_begins(tmp_path):
    """README's second command, as it stands there: no argument makes its world small."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    environment.pop("GMBENCH_DATA", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "gmbench.run"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(3)]
    deadline = time.monotonic() + 120
    while not (tmp_path / "data").exists() and time.monotonic() < deadline:
        time.sleep(0.05)  # until its world, a minute's work, is being drawn
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=120)
    output = "".join([*said, rest])
    assert said[0].startswith("mqspn on synthetic, "), output
    assert said[1] == "Folder: runs/default/mqspn/synthetic/seed=1\n"
    assert process.returncode == 130, output
    assert output.endswith("interrupted by SIGINT; the same command begins anew\n")


def test_the_result_can_be_recomputed_from_the_predictions(trained, folder):
    _, run = trained
    result = read_result(run / "result.json")
    source = build_source(parse(compose([*TINY, f"data.root={folder}/data/synthetic"])))
    test = source.read("test")
    gold_file = folder / "gold.jsonl"
    write_gold(gold_file, test.examples)
    gold = read_gold(gold_file)
    predictions = read_predictions(run / "predictions.test.jsonl", gold)
    scores = score_corpus((example.entities, predictions[example.id]) for example in gold)
    for task in ("gmner", "mner", "eeg"):
        counts, stored = getattr(scores.micro, task), getattr(result.metrics, task)
        assert (counts.tp, counts.pred, counts.gold) == (stored.tp, stored.pred, stored.gold)
    assert result.data.fingerprint == source.fingerprint()
    assert result.data.synthetic
    assert result.data.n == len(test.examples)
    assert result.selection.rule == "gmner_f1"


def test_checkpoints_load_without_unpickling(trained):
    _, run = trained
    for name in ("best", "last"):
        state = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert any(key.startswith("model.") for key in state["state_dict"])


def test_a_finished_run_is_shown_not_repeated(trained, folder, door):
    _, run = trained
    before = (run / "result.json").stat().st_mtime_ns
    again = door.run("gmbench.run", *TINY, folder=folder)
    assert again.code == 0, again.err
    assert "Finished before" in again.out
    assert (run / "result.json").stat().st_mtime_ns == before


def test_from_the_command_to_the_fit_there_are_three_functions(trained, folder, door):
    code = (
        "import lightning, sys, traceback, gmbench.run\n"
        "def fit(*_, **__):\n"
        "    frames = [f.name for f in traceback.extract_stack() if '/gmbench/' in f.filename]\n"
        "    sys.exit(' '.join(frames))\n"
        "lightning.Trainer.fit = fit\n"
        "gmbench.run.main()"
    )
    (folder / "frames.py").write_text(code)
    done = door.run("frames", *TINY, "name=frames", folder=folder)
    assert done.err.splitlines()[-1] == "main _task execute"


def test_testing_the_checkpoint_gives_the_same_predictions(trained, folder, door):
    _, run = trained
    best = run / "checkpoints" / "best.ckpt"
    done = door.run("gmbench.run", *TINY, "mode=test", f"ckpt={best}", folder=folder)
    assert done.code == 0, done.err
    results = {p for p in (folder / "runs").rglob("result.json") if "mode=test" in str(p)}
    (tested,) = results
    name = "predictions.test.jsonl"
    assert (tested.parent / name).read_bytes() == (run / name).read_bytes()


def test_the_same_command_gives_the_same_bytes(trained, folder, door):
    _, run = trained
    done = door.run("gmbench.run", *TINY, "runs=./again", folder=folder)
    assert done.code == 0, done.err
    (other,) = (folder / "again").rglob("predictions.test.jsonl")
    assert other.read_bytes() == (run / "predictions.test.jsonl").read_bytes()


def test_check_mode_says_what_it_found_and_trains_nothing(folder, door):
    done = door.run("gmbench.run", *TINY, "mode=check", "name=checked", folder=folder)
    assert done.code == 0, done.err
    for part in ("One training batch", "text_encoder", "fingerprint", "Memory", "loss", "train"):
        assert part in done.out
    assert not list((folder / "runs" / "checked").rglob("*.ckpt"))


def test_a_grid_trains_what_is_not_there_yet(trained, folder, door):
    done = door.run("gmbench.run", "-m", *TINY, "seed=1,3", folder=folder)
    assert done.code == 0, done.output
    assert "2 jobs: 1 done, 0 failed, 1 skipped" in done.out
    _, run = trained
    assert {path.parent.name for path in run.parent.rglob("result.json")} == {"seed=1", "seed=3"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trainer.epoch=3"], "trainer.epoch: unknown key; did you mean trainer.epochs?"),
        (["model=mqspm"], "did you mean model=mqspn?"),
        (["trainer.epochs=many"], "trainer.epochs: 'many' is not an integer"),
        (["data=twitter_gmner", "data.root=/nowhere"], "data.root: no folder /nowhere"),
        (["regions=none"], "regions has no source; set regions=vinvl"),
        (["model.network.num_queries=4", *TINY], "queries cannot answer"),
        (["--cfg", "job", "-m", "seed=1,2"], "leave -m (--multirun) out"),
        (["trainer.epoch=3", "mode=test"], "ckpt: mode=test needs the checkpoint to test"),
    ],
)
def test_bad_configuration_is_a_line_and_no_folder(arguments, message, folder, door):
    done = door.run(
        "gmbench.run", *arguments, "name=bad", "callbacks.progress=false", folder=folder
    )
    assert done.code == 2, done.output
    assert message in done.err
    assert "Traceback" not in done.err
    assert not list((folder / "runs" / "bad").rglob("result.json"))
    assert all(log.stat().st_size for log in (folder / "runs" / "bad").rglob("log.txt"))


def break_jpg(world: Path) -> str:
    path = min((world / "images").glob("train*.jpg"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path.name


def break_xml(world: Path) -> str:
    path = min((world / "xml").glob("train*.xml"))
    path.write_bytes(b"")
    return path.name


def add_dtd(world: Path) -> str:
    path = min((world / "xml").glob("train*.xml"))
    path.write_text('<!DOCTYPE a [<!ENTITY b "c">]>\n' + path.read_text())
    return path.name


def unknown_tag(world: Path) -> str:
    path = world / "txt" / "train.txt"
    path.write_text(path.read_text().replace("\tB-PER", "\tB-PERS", 1))
    return "train.txt:"


def broken_npz(world: Path) -> str:
    path = min((world / "vinvl").glob("train*.npz"))
    path.write_bytes(b"not an archive")
    return path.name


@pytest.mark.parametrize("harm", [break_jpg, break_xml, add_dtd, unknown_tag, broken_npz])
def test_bad_input_is_one_line_and_nothing_is_written(harm, trained, folder, tmp_path, door):
    (made,) = (folder / "data" / "synthetic").glob("world-*")
    world = shutil.copytree(made, tmp_path / "world")
    named = harm(world)
    arguments = [*TINY, "data.world=null", f"data.root={world}", "name=harmed"]
    done = door.run("gmbench.run", *arguments, f"cache={tmp_path}/cache", folder=tmp_path)
    assert done.code == 2, done.output
    lines = [line for line in done.err.splitlines() if named in line]
    assert len(lines) == 1, done.err
    assert "Traceback" not in done.err
    assert not list((tmp_path / "runs").rglob("result.json"))
    assert not list(tmp_path.rglob("*.part*"))


def test_the_lenient_policy_counts_what_it_left_out(trained, folder, tmp_path, door):
    _, run = trained
    (made,) = (folder / "data" / "synthetic").glob("world-*")
    world = shutil.copytree(made, tmp_path / "world")
    min((world / "images").glob("test*.jpg")).unlink()
    ckpt = f"ckpt={run / 'checkpoints' / 'best.ckpt'}"
    arguments = [*TINY, "data.world=null", f"data.root={world}", "data.missing_image=blank"]
    arguments += ["mode=test", ckpt]
    done = door.run("gmbench.run", *arguments, f"cache={tmp_path}/cache", folder=tmp_path)
    assert done.code == 0, done.err
    (result,) = (tmp_path / "runs").rglob("result.json")
    assert json.loads(result.read_text())["data"]["blanked"] == 1


def test_prepare_tells_what_is_missing_and_where_it_is(folder, door):
    done = door.run(
        "gmbench.prepare", "data=twitter_gmner", f"data.root={folder}/none", folder=folder
    )
    assert done.code == 1
    assert "NUSTM/GMNER" in done.out
    fine = door.run("gmbench.prepare", *TINY[:1], *TINY[3:], folder=folder)
    assert fine.code == 0, fine.output
    assert "fingerprint" in fine.out
