"""The watch over jobs: a run folder changes while it is looked at."""

import os
import sys

from gmbench.grid import Job, Limits, Status, run_jobs
from gmbench.grid.runner import _silence


def job(folder, code):
    return Job(label="j", folder=folder, command=(sys.executable, "-c", code), sha="s")


def test_a_file_that_vanishes_while_it_is_looked_at(tmp_path, monkeypatch):
    (tmp_path / "there").touch()
    names = os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: [*names(folder), ".result.json.1.tmp"])
    assert _silence(job(tmp_path, "")) < 60


def test_a_job_that_writes_nothing_for_too_long(tmp_path):
    (outcome,) = run_jobs(
        [job(tmp_path / "run", "import time; time.sleep(60)")],
        limits=Limits(silence=1, grace=1),
        report=lambda *event: None,
    )
    assert outcome.status is Status.FAILED
    assert outcome.cause == "hang: nothing written for 1 s"
    assert (tmp_path / "run" / "failure.json").is_file()


def test_a_grid_whose_first_jobs_fail_alike_is_given_up(tmp_path):
    jobs = [job(tmp_path / str(n), "import sys; sys.exit('no such thing')") for n in range(5)]
    outcomes = run_jobs(jobs, report=lambda *event: None)
    assert [o.status for o in outcomes] == [Status.FAILED] * 3 + [Status.SKIPPED] * 2
    assert "no such thing" in outcomes[0].cause
    assert "failed alike" in outcomes[4].cause


def test_a_folder_that_cannot_be_made_is_a_failed_job(tmp_path):
    (tmp_path / "file").touch()
    (outcome,) = run_jobs([job(tmp_path / "file" / "run", "")], report=lambda *event: None)
    assert outcome.status is Status.FAILED
    assert outcome.cause.startswith("not started")
