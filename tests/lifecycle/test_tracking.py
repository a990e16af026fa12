"""One real run with its mirror on W&B: what is in there, and what is nowhere in its folder."""

import json
import os
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from gmbench.config import check, compose
from gmbench.config.check import parse
from gmbench.config.identity import plain_config
from gmbench.lifecycle.tracking import tracked, wandb_arguments
from gmbench.reporting.overlays import EXAMPLES
from gmbench.reporting.record import read_result
from tests.conftest import REPOSITORY
from tests.verbs.test_run import TINY, gmbench
from tests.wandb_reader import read_offline

CANARIES = {
    "WANDB_API_KEY": "canary0environment0of0forty0characters00",
    "GMBENCH_TEST_TOKEN": "canary-of-the-environment",
    "GMBENCH_TEST_PASSWORD": "canary-of-an-exception",
}
REMOTE = "https://me:canary-of-the-remote@example.org/x.git"
ASKED = [*TINY, "trainer.epochs=1", "logger=wandb", "logger.model=true"]
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
def mirrored(folder, secrets):
    """The folder of one finished run, and its mirror."""
    done = gmbench("run", *ASKED, folder=folder)
    assert done.returncode == 0, done.stderr
    (result,) = (folder / "runs").rglob("result.json")
    return result.parent, read_offline(result.parent)


def test_the_mirror_holds_the_configuration_and_who_the_run_is(mirrored):
    run, found = mirrored
    result = read_result(run / "result.json")
    cfg = compose(ASKED)
    assert found.run.run_id == result.config.sha[:16]
    assert found.run.run_group == cfg.name
    assert found.run.job_type == "train"
    assert set(found.run.tags) == {"mqspn", "synthetic_tiny", "tiny"}
    name = "mqspn synthetic_tiny trainer.epochs=1 trainer=debug seed=1"
    assert found.run.display_name == name
    assert found.config["seed"] == 1
    assert found.config["trainer"]["epochs"] == 1
    assert found.config["model"] == plain_config(cfg)["model"]
    assert found.exit_code == 0


def test_the_mirror_holds_the_figures_with_their_counts_and_the_curves(mirrored):
    run, found = mirrored
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
    run, found = mirrored
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
    run, found = mirrored
    keys = {key for point in found.history for key in point}
    for picture in (run / "pictures").glob("*.png"):
        shown = f"analysis/{picture.stem}/path" in keys
        assert shown == (picture.name != EXAMPLES)  # tweets go nowhere unasked
    assert found.stored("model", "best.ckpt") == (run / "checkpoints" / "best.ckpt").resolve()
    assert found.stored("model", "config.yaml").is_file()


def test_a_run_that_fails_ends_its_mirror_too(folder, secrets):
    settings = check(compose([*TINY, "logger=wandb", "seed=7"]))
    broken = folder / "runs" / "broken"
    broken.mkdir(parents=True)
    text = f"{CANARIES['GMBENCH_TEST_PASSWORD']} at {REMOTE}"

    def fail():
        with tracked(settings, broken, ()) as tracking:
            assert len(tracking.loggers) == 2
            raise RuntimeError(text)

    with pytest.raises(RuntimeError, match="canary"):
        fail()
    found = read_offline(broken)
    assert found.exit_code == 1
    assert found.summary["status"] == "failed"
    assert found.summary["cause"] == "RuntimeError: *** at https://***@example.org/x.git"


def test_credentials_are_nowhere(mirrored, folder, promise):
    refused = gmbench("run", *TINY, ARGUMENT, folder=folder)
    assert refused.returncode == 2
    assert "a secret does not belong on the command line" in refused.stderr
    assert "canary" not in refused.stdout + refused.stderr
    files = [path for path in (folder / "runs").rglob("*") if path.is_file()]
    assert len(files) > 50
    for path in files:
        assert b"canary" not in path.read_bytes(), path
    assert not list((folder / "runs").rglob("*canary*"))
    promise("R11", "planted credentials found in run folders", 0, of=len(CANARIES))


def test_the_exception_of_a_job_in_a_grid_loses_its_credentials(tmp_path):
    secret = "on purpose"  # what the job's exception says
    done = subprocess.run(
        [sys.executable, "-m", "tests.grid.dying", "-m", "seed=2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "GMBENCH_TEST_TOKEN": secret},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "RuntimeError: ***" in done.stdout
    (output,) = tmp_path.rglob("output.txt")
    assert "raise RuntimeError" in output.read_text()  # the traceback is there
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        assert secret not in path.read_text(), path


def test_an_id_follows_from_what_is_computed():
    cfg = compose([*TINY, "logger=wandb"])

    def settings(key="seed", value=1, **environ):
        changed = cfg.copy()
        OmegaConf.update(changed, key, value)
        return wandb_arguments(parse(changed), (), environ)

    same = [settings(), settings("name", "other"), settings("logger.mode", "online")]
    assert len({s["id"] for s in same}) == 1
    others = (("seed", 2), ("trainer.epochs", 3), ("mode", "test"))
    assert len({settings(*other)["id"] for other in others} | {same[0]["id"]}) == 4
    assert settings(WANDB_SWEEP_ID="abc")["id"] is None  # the sweep has given one
    assert settings("logger.tags", ["mine"])["tags"][-1] == "mine"
