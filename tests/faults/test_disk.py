"""A full disk costs the save under way and breaks nothing that is finished (R13)."""

import csv
import errno
import json
import os
import resource

import pytest

from gmbench.grid.jobs import Job, judge
from gmbench.lifecycle.attempts import Status, record_failure
from gmbench.reporting.record import read_result
from gmbench.training.checkpoints import Checkpoints, DurableCheckpoints
from gmbench.training.durable_files import NoRoom, checkpoint_bytes, damage, is_full, require_room
from gmbench.training.loggers import MetricsFile
from gmbench.training.nonfinite import cause_of
from tests.faults.conftest import trainer
from tests.faults.processes import ended
from tests.faults.runs import Made, go
from tests.faults.small_disk import on_small_disk
from tests.faults.test_checkpoints import save, state, step_of

pytestmark = pytest.mark.fault


def test_a_run_that_would_fill_the_disk_is_refused_before_it_begins(tmp_path, promise):
    with pytest.raises(NoRoom, match="make room, or set runs=FOLDER") as refused:
        require_room(tmp_path / "not" / "there" / "yet", 2**60)
    assert cause_of(refused.value) == "disk"
    assert str(tmp_path) in str(refused.value)
    assert not list(tmp_path.iterdir())
    promise("R13", "runs without room refused at the start", 1)


def test_on_a_small_disk_the_command_says_so(world, tmp_path, promise):
    def work(disk):
        assert go(disk / "run", world) == 2
        assert "MiB are free" in (disk / "run" / "refused.txt").read_text()
        said = json.loads((disk / "run" / "failure.json").read_text())
        assert said["status"] == "failed:disk"

    on_small_disk(2**24, work, tmp_path)
    promise("R13", "runs without room refused at the start", 1)


def test_training_goes_on_where_the_disk_is_full(build, tmp_path, promise):
    """The disk holds one checkpoint and a half: the first is written, two more are not."""
    run = build()
    size = checkpoint_bytes(run.module.model, run.module.learns)

    def work(disk):
        made = trainer(disk, epochs=3, may_miss=2)
        made.fit(run.module, run.data)
        kept = made.checkpoint_callback
        assert isinstance(kept, Checkpoints)
        assert (kept.io.missed, kept.epoch) == (2, 0)
        names = {path.name for path in (disk / "checkpoints").iterdir()}
        assert names == {f"{n}.ckpt{end}" for n in ("best", "last") for end in ("", ".json")}
        assert damage(kept.last) is None
        assert DurableCheckpoints().load_checkpoint(kept.last)["epoch"] == 0
        assert abs(kept.last.stat().st_size / size - 1) < 0.1

    on_small_disk(int(1.5 * size), work, tmp_path)
    promise("R13", "full disks survived, nothing finished broken", 1)


def test_a_grid_goes_on_where_a_job_cannot_even_write_why_it_failed(tmp_path, promise):
    def work(disk):
        job = Job(label="a", folder=disk / "run", command=(), sha="0")
        job.folder.mkdir()
        with pytest.raises(OSError, match="space"):
            (disk / "filled").write_bytes(bytes(2**20))
        with pytest.raises(OSError, match="space"):
            record_failure(job.folder, "why", "why")
        outcome = judge(job, 1, None, 1.0)
        assert (outcome.status, outcome.cause) == (Status.FAILED, "exit code 1 without a result")
        assert not list(job.folder.iterdir())

    on_small_disk(2**16, work, tmp_path)
    promise("R13", "full disks survived, nothing finished broken", 1)


def test_one_missed_save_too_many_ends_training(build, tmp_path, plan):
    run = build()
    plan("save:1:enospc;save:2:enospc")
    with pytest.raises(OSError, match="space") as full:
        trainer(tmp_path, may_miss=1).fit(run.module, run.data)
    assert cause_of(full.value) == "disk"


def test_without_any_checkpoint_there_is_nothing_to_test(build, tmp_path, plan):
    run = build()
    plan("save:1:enospc;save:2:enospc")
    with pytest.raises(OSError, match=r"best\.ckpt: never written") as full:
        trainer(tmp_path, may_miss=2).fit(run.module, run.data)
    assert cause_of(full.value) == "disk"


def test_what_was_missed_stands_in_the_result(unbroken, world, tmp_path, promise):
    fault = "save:2:enospc;log:1:enospc;loss:2:nan"
    assert go(tmp_path, world, "+trainer.may_skip_steps=1", fault=fault) == 0
    result = read_result(tmp_path / "result.json")
    assert result.degraded == ("disk", "nan")
    assert result.selection.epoch == 0
    rows = [[row["step"] for row in made.curve()] for made in (Made(tmp_path), unbroken)]
    assert rows[0] == rows[1], "a row is lost, or there twice"
    assert read_result(unbroken.folder / "result.json").degraded == ()
    promise("R13", "full disks survived, nothing finished broken", 2)


def test_a_limit_of_the_system_is_a_full_disk_too(tmp_path, promise):
    """Files may not be longer than half a checkpoint; the system itself refuses the rest."""
    save(tmp_path, 1)
    whole = {path.name for path in tmp_path.iterdir()}
    child = os.fork()
    if child == 0:
        code = 1
        try:
            length = (tmp_path / "last.ckpt").stat().st_size // 2
            resource.setrlimit(resource.RLIMIT_FSIZE, (length, length))
            save(tmp_path, 2)
        except OSError as error:
            known = error.errno == errno.EFBIG and is_full(error) and cause_of(error) == "disk"
            code = 0 if known else 2
        finally:
            os._exit(code)
    assert ended(child) == 0
    assert {path.name for path in tmp_path.iterdir()} == whole
    assert step_of(tmp_path / "last.ckpt") == 1
    promise("R13", "full disks survived, nothing finished broken", 1)


def test_a_folder_that_may_not_be_written_is_an_error_not_a_silence(tmp_path, promise):
    """/proc lets nobody write, whatever his rights; Lightning's own writer says nothing there."""
    for path in ("/proc/self/last.ckpt", "/proc/sys/last.ckpt"):
        with pytest.raises(OSError, match=r"last\.ckpt"):
            DurableCheckpoints(may_miss=9).save_checkpoint(state(1), path)
    promise("R2", "failures to write without an error", 0, of=2)


def test_rows_that_a_full_disk_refused_are_written_later(tmp_path, plan, monkeypatch, caplog):
    written = MetricsFile(tmp_path)
    written.log_metrics({"train/loss": 1.0}, 0)
    written.save()
    before = (tmp_path / "metrics.csv").read_bytes()
    plan("log:1:enospc;log:2:enospc")
    for step in (1, 2):
        written.log_metrics({"dev/f1": 0.5}, step)
        written.save()
        assert (tmp_path / "metrics.csv").read_bytes() == before
    assert len([r for r in caplog.records if "trying again later" in r.message]) == 1
    monkeypatch.undo()
    written.finalize("success")
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["train/loss"], row["dev/f1"]) for row in rows] == [
        ("0", "1.0", ""),
        ("1", "", "0.5"),
        ("2", "", "0.5"),
    ]
