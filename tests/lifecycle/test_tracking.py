"""One real run with its mirror on W&B: what is in there, and what is nowhere in its folder."""

import json
import subprocess
from dataclasses import replace
from io import BytesIO
from shlex import quote

import pytest
from omegaconf import OmegaConf
from PIL import Image

from gmbench.config import check, compose
from gmbench.config.check import parse
from gmbench.config.identity import plain_config
from gmbench.data.fingerprint import Fingerprint
from gmbench.lifecycle.record import PICTURES
from gmbench.lifecycle.tracking import tracked, wandb_arguments
from gmbench.reporting.overlays import EXAMPLES
from gmbench.reporting.record import read_result
from gmbench.training.loggers import TENSORBOARD
from tests.verbs.test_run import TINY
from tests.wandb_reader import read_offline

CANARIES = {
    "WANDB_API_KEY": "canary0environment0of0forty0characters00",
    "GMBENCH_TEST_TOKEN": "canary-of-the-environment",
    "GMBENCH_TEST_PASSWORD": "canary-of-an-exception",
}
REMOTE = "https://me:canary-of-the-remote@example.org/x.git"
ASKED = [*TINY, "trainer.epochs=1", "logger=wandb", "logger.model=true"]
READ = Fingerprint("texts and pictures", "boxes")
ARGUMENT = "+logger.api_key=canary-of-an-argument"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The current folder of a user: a repository whose remote holds a password."""
    folder = tmp_path_factory.mktemp("user")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    subprocess.run(["git", "-C", str(folder), "remote", "add", "origin", REMOTE], check=True)
    return folder


@pytest.fixture(scope="module")
def secrets(folder):
    """Credentials in the environment; what W&B keeps in a home lies here."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CANARIES.items():
            patch.setenv(name, value)
        for name in ("CACHE", "CONFIG"):
            patch.setenv(f"WANDB_{name}_DIR", str(folder / "runs" / name))
        for name in ("WANDB_DATA_DIR", "WANDB_SWEEP_ID", "WANDB_MODE"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def mirrored(folder, secrets, door):
    """The folder of one finished run, its mirror, and the last line of what it printed."""
    done = door.run("gmbench.run", *ASKED, folder=folder)
    assert done.code == 0, done.err
    (result,) = (folder / "runs").rglob("result.json")
    return result.parent, read_offline(result.parent), done.out.splitlines()[-1]


def test_the_mirror_holds_the_configuration_and_who_the_run_is(mirrored):
    run, found, _ = mirrored
    result = read_result(run / "result.json")
    cfg = compose(ASKED)
    read = Fingerprint(result.data.fingerprint, result.data.candidates)
    assert found.run.run_id == wandb_arguments(parse(cfg), (), read, {})["id"]
    assert found.run.run_group == cfg.name
    assert found.run.job_type == "train"
    assert set(found.run.tags) == {"mqspn", "synthetic_tiny", "tiny"}
    world = "data.world.dev=8 data.world.test=8 data.world.train=16"
    name = f"mqspn synthetic_tiny {world} trainer.epochs=1 trainer=debug seed=1"
    assert found.run.display_name == name
    assert found.config["seed"] == 1
    assert found.config["trainer"]["epochs"] == 1
    assert found.config["model"] == plain_config(cfg)["model"]
    assert found.exit_code == 0


def test_the_last_line_is_the_command_that_syncs_it(mirrored, folder):
    run, _, last = mirrored
    (offline,) = (run / "wandb").glob("offline-run-*")
    assert last == f"  wandb sync {quote(str(offline.relative_to(folder)))}"


def test_the_mirror_holds_the_figures_with_their_counts_and_the_curves(mirrored):
    run, found, _ = mirrored
    result = read_result(run / "result.json")
    for task in ("gmner", "mner", "eeg"):
        figures = getattr(result.metrics, task)
        for name in ("tp", "pred", "gold", "precision", "recall", "f1"):
            assert found.summary[f"test/{task}_{name}"] == getattr(figures, name)
    assert found.summary["status"] == "done"
    assert found.summary["data/fingerprint"] == result.data.fingerprint
    lines = (run / "metrics.csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    curve = [float(row["dev/select"]) for row in rows if row["dev/select"]]
    assert curve
    assert [p["dev/select"] for p in found.history if "dev/select" in p] == pytest.approx(curve)


def test_the_mirror_holds_a_table_of_examples_with_both_kinds_of_boxes(mirrored):
    run, found, _ = mirrored
    lines = (run / "predictions.test.jsonl").read_text().splitlines()
    predictions = {row["id"]: row["entities"] for row in map(json.loads, lines)}
    table = json.loads(found.stored("run_table", "examples.table.json").read_text())
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert [row["id"] for row in rows] == list(predictions)
    for row in rows:
        assert row["image"]["boxes"].keys() == {"gold", "predicted"}
        assert found.stored("run_table", row["image"]["path"]).stat().st_size > 0
    gold = [box for row in rows for box in row["image"]["boxes"]["gold"]]
    guessed = [box for row in rows for box in row["image"]["boxes"]["predicted"]]
    assert gold
    assert len(guessed) == sum(e["box"] is not None for p in predictions.values() for e in p)
    for box in gold:
        place = box["position"]
        assert 0 <= place["minX"] < place["maxX"] <= 1
        assert 0 <= place["minY"] < place["maxY"] <= 1


def test_the_mirror_holds_the_pictures_and_the_model(mirrored):
    run, found, _ = mirrored
    keys = {key for point in found.history for key in point}
    for picture in (run / "pictures").glob("*.png"):
        assert f"pictures/{picture.stem}/path" in keys
    assert found.stored("model", "best.ckpt") == (run / "checkpoints" / "best.ckpt").resolve()
    assert found.stored("model", "config.yaml").is_file()


@pytest.mark.parametrize("examples", [24, 0])
def test_event_files_hold_the_pictures_and_examples_go_nowhere_unasked(examples, tmp_path):
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard"
    )
    (tmp_path / PICTURES).mkdir()
    for name, colour in (("errors.png", "navy"), (EXAMPLES, "gold")):
        Image.new("RGB", (6, 4), colour).save(tmp_path / PICTURES / name)
    settings = check(compose([*TINY, "logger=tensorboard", f"+logger.examples={examples}"]))
    with tracked(settings, tmp_path, (), READ) as tracking:
        tracking.finished(run=None, result=None)  # read for W&B alone
    events = reader.EventAccumulator(str(tmp_path / TENSORBOARD))
    events.Reload()
    names = ["pictures/errors"] + ["pictures/examples"] * bool(examples)
    assert sorted(events.Tags()["images"]) == names
    for name, colour in zip(names, ((0, 0, 128), (255, 215, 0)), strict=False):
        (shown,) = events.Images(name)
        picture = Image.open(BytesIO(shown.encoded_image_string))
        assert (picture.size, picture.getpixel((0, 0))) == ((6, 4), colour)


def test_a_run_that_fails_ends_its_mirror_too(folder, secrets):
    settings = check(compose([*TINY, "logger=wandb", "seed=7"]))
    broken = folder / "runs" / "broken"
    broken.mkdir(parents=True)
    text = f"{CANARIES['GMBENCH_TEST_PASSWORD']} at {REMOTE}"

    def fail():
        with tracked(settings, broken, (), READ) as tracking:
            assert len(tracking.loggers) == 2
            raise RuntimeError(text)

    with pytest.raises(RuntimeError, match="canary"):
        fail()
    found = read_offline(broken)
    assert found.exit_code == 1
    assert found.summary["status"] == "failed"
    assert found.summary["cause"] == "RuntimeError: *** at https://***@example.org/x.git"


def test_credentials_are_nowhere(mirrored, folder, door, promise):
    refused = door.run("gmbench.run", *TINY, ARGUMENT, folder=folder)
    assert refused.code == 2
    assert "a secret does not belong on the command line" in refused.err
    assert "canary" not in refused.output
    files = [path for path in (folder / "runs").rglob("*") if path.is_file()]
    written = {path.name for path in files} | {path.suffix for path in files}
    assert {"config.yaml", "attempt.json", "metrics.csv", "result.json", ".wandb"} <= written
    for path in files:
        assert b"canary" not in path.read_bytes(), path
    assert not list((folder / "runs").rglob("*canary*"))
    promise("R11", "planted credentials found in run folders", 0, of=len(CANARIES))


def test_the_exception_of_a_job_in_a_grid_loses_its_credentials(tmp_path, door, monkeypatch):
    secret = "on purpose"  # what the job's exception says
    monkeypatch.setenv("GMBENCH_TEST_TOKEN", secret)
    done = door.run("tests.grid.dying", "-m", "seed=2", folder=tmp_path)
    assert done.code == 2, done.output
    assert "RuntimeError: ***" in done.out
    (output,) = tmp_path.rglob("output.txt")
    assert "raise RuntimeError" in output.read_text()  # the traceback is there
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        assert secret not in path.read_text(), path


def test_an_id_follows_from_what_is_computed():
    cfg = compose([*TINY, "logger=wandb"])

    def settings(key="seed", value=1, read=READ, **environ):
        changed = cfg.copy()
        OmegaConf.update(changed, key, value)
        return wandb_arguments(parse(changed), (), read, environ)

    same = [settings(), settings("name", "other"), settings("logger.mode", "online")]
    assert len({s["id"] for s in same}) == 1
    others = (("seed", 2), ("trainer.epochs", 3), ("mode", "test"))
    ids = {settings(*other)["id"] for other in others} | {same[0]["id"]}
    ids |= {
        settings(read=replace(READ, **{name: "other"}))["id"] for name in ("data", "candidates")
    }
    assert len(ids) == 6
    assert settings(WANDB_SWEEP_ID="abc")["id"] is None  # the sweep has given one
    assert settings("logger.tags", ["mine"])["tags"][-1] == "mine"
