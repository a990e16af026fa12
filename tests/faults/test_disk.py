"""A full disk costs the save under way and breaks nothing that is finished (R13)."""

import errno
import json
import resource

import pytest

from gmbench.core.errors import InputError
from gmbench.grid.jobs import Job, judge
from gmbench.lifecycle.attempts import Status, record_failure
from gmbench.reporting.record import read_result
from gmbench.training.checkpoints import (
    Checkpoints,
    DurableCheckpoints,
    checkpoint_bytes,
    require_room,
)
from gmbench.training.durable_files import damage, is_full
from gmbench.training.failures import cause_of
from gmbench.training.loggers import MetricsFile
from tests.faults.conftest import trainer
from tests.faults.processes import ended, forked
from tests.faults.runs import BEST_AND_LAST, Made, go
from tests.faults.small_disk import on_small_disk
from tests.faults.test_checkpoints import save, state, step_of

pytestmark = pytest.mark.fault
SURVIVED = ("R13", "full disks survived, nothing finished broken")
REFUSED = ("R13", "runs without room refused at the start", 1)


def test_a_run_that_would_fill_the_disk_is_refused_before_it_begins(tmp_path, promise):
    with pytest.raises(InputError, match="make room, or set runs=FOLDER") as refused:
        require_room(tmp_path / "not" / "there" / "yet", 2**60)
    assert cause_of(refused.value) == "disk"
    assert str(tmp_path) in str(refused.value)
    assert not list(tmp_path.iterdir())
    promise(*REFUSED)


def test_on_a_small_disk_the_command_says_so(world, tmp_path, promise):
    def work(disk):
        assert go(disk / "run", world) == 2
        assert "MiB are free" in (disk / "run" / "error.txt").read_text()
        failure = json.loads((disk / "run" / "failure.json").read_text())
        assert failure["status"] == "failed:disk"

    on_small_disk(2**24, work, tmp_path)
    promise(*REFUSED)


def test_training_goes_on_where_the_disk_is_full(build, tmp_path, promise):
    """The disk holds one checkpoint and a half: the first is written, two more are not."""
    run = build()
    size = checkpoint_bytes(run.module.model, run.module.learns)

    def work(disk):
        made = trainer(disk, "trainer.epochs=3", "+trainer.may_miss_saves=2")
        made.fit(run.module, run.data)
        kept = made.checkpoint_callback
        assert isinstance(kept, Checkpoints)
        assert (kept.io.missed, kept.epoch) == (2, 0)
        assert Made(disk).checkpoints() == BEST_AND_LAST
        assert damage(kept.last) is None
        assert DurableCheckpoints().load_checkpoint(kept.last)["epoch"] == 0
        assert abs(kept.last.stat().st_size / size - 1) < 0.1

    on_small_disk(int(1.5 * size), work, tmp_path)
    promise(*SURVIVED, 1)


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
    promise(*SURVIVED, 1)


@pytest.mark.parametrize(
    ("may_miss", "error"), [(1, "No space"), (2, r"best\.ckpt: never written")]
)
def test_one_missed_save_too_many_or_nothing_to_test_ends_training(
    build, tmp_path, plan, may_miss, error
):
    run = build()
    plan("save:1:enospc;save:2:enospc")
    with pytest.raises(OSError, match=error) as full:
        trainer(tmp_path, f"+trainer.may_miss_saves={may_miss}").fit(run.module, run.data)
    assert cause_of(full.value) == "disk"


def test_what_was_missed_stands_in_the_result(unbroken, world, tmp_path, promise):
    assert go(tmp_path, world, fault="save:2:enospc;log:1:enospc") == 0
    result = read_result(tmp_path / "result.json")
    assert result.degraded == ("disk",)
    assert result.selection.epoch == 0
    rows = [[row["step"] for row in made.curve()] for made in (Made(tmp_path), unbroken)]
    assert rows[0] == rows[1], "a row is lost, or there twice"
    assert read_result(unbroken.folder / "result.json").degraded == ()
    promise(*SURVIVED, 2)


def test_a_limit_of_the_system_is_a_full_disk_too(tmp_path, promise):
    """Files may not be longer than half a checkpoint; the system itself refuses the rest."""
    save(tmp_path, 1)
    whole = {path.name for path in tmp_path.iterdir()}

    def work():
        length = (tmp_path / "last.ckpt").stat().st_size // 2
        resource.setrlimit(resource.RLIMIT_FSIZE, (length, length))
        with pytest.raises(OSError, match="too large") as full:
            save(tmp_path, 2)
        assert full.value.errno == errno.EFBIG
        assert is_full(full.value)
        assert cause_of(full.value) == "disk"

    assert ended(forked(work, tmp_path / "error.txt")) == 0
    assert {path.name for path in tmp_path.iterdir()} == whole
    assert step_of(tmp_path / "last.ckpt") == 1
    promise(*SURVIVED, 1)


def test_a_folder_that_may_not_be_written_is_an_error_not_a_silence(promise):
    """/proc lets nobody write, whatever his rights; Lightning's own writer says nothing there."""
    for path in ("/proc/self/last.ckpt", "/proc/sys/last.ckpt"):
        with pytest.raises(OSError, match=r"last\.ckpt"):
            DurableCheckpoints(may_miss=9).save_checkpoint(state(1), path)
    promise("R2", "failures to write without an error", 0, of=2)


def test_rows_that_a_full_disk_refused_are_written_later(tmp_path, plan, caplog):
    file = MetricsFile(tmp_path)
    file.log_metrics({"train/loss": 1.0}, 0)
    file.save()
    before = (tmp_path / "metrics.csv").read_bytes()
    plan("log:1:enospc;log:2:enospc")
    for step in (1, 2):
        file.log_metrics({"dev/f1": 0.5}, step)
        file.save()
        assert (tmp_path / "metrics.csv").read_bytes() == before
    assert caplog.text.count("trying again later") == 1
    file.finalize("success")
    rows = [(row["step"], row["train/loss"], row["dev/f1"]) for row in Made(tmp_path).curve()]
    assert rows == [("0", "1.0", ""), ("1", "", "0.5"), ("2", "", "0.5")]
