"""Every try at a job is counted, also one that was killed before it could say a word."""

import json
from dataclasses import replace

from gmbench.grid.jobs import Job, judge
from gmbench.lifecycle.attempts import (
    ATTEMPT,
    attempt_of,
    begin_attempt,
    ended_attempt,
    record_failure,
)
from gmbench.reporting.record import Attempt, read_result, write_result
from tests.reporting.sample import sample


def test_tries_are_counted_by_job(tmp_path):
    assert attempt_of(tmp_path) is None
    assert [begin_attempt(tmp_path, "a").number for _ in range(3)] == [1, 2, 3]
    assert begin_attempt(tmp_path, "b").number == 1
    stored = attempt_of(tmp_path)
    assert (stored.job_id, stored.status, stored.ended) == ("b", "running", None)
    (tmp_path / ATTEMPT).write_text("{")
    assert begin_attempt(tmp_path, "b").number == 1


def test_a_failure_tells_which_try_it_was(tmp_path):
    for _ in range(2):
        begin_attempt(tmp_path, "a")
    record_failure(tmp_path, "oom", "no memory")
    told = json.loads((tmp_path / "failure.json").read_text())["attempt"]
    assert (told["job_id"], told["number"], told["status"]) == ("a", 2, "failed:oom")
    assert told["began"] <= told["ended"]
    assert attempt_of(tmp_path).status == "failed:oom"


def test_a_job_that_was_killed_has_its_try_too(tmp_path):
    begin_attempt(tmp_path, "a")
    job = Job(label="x", folder=tmp_path, command=("true",), sha="a")
    assert "SIGKILL" in str(judge(job, -9, None, 1.0).cause)
    told = json.loads((tmp_path / "failure.json").read_text())
    assert told["attempt"]["number"] == 1
    assert told["status"].startswith("failed:killed by SIGKILL")


def test_a_job_that_never_began_has_none(tmp_path):
    record_failure(tmp_path / "new", "hang", "nothing written")
    assert json.loads((tmp_path / "new" / "failure.json").read_text())["attempt"] is None


def test_a_result_keeps_its_try_and_older_results_have_none(tmp_path):
    begin_attempt(tmp_path, "a")
    result = replace(sample(), attempt=ended_attempt(tmp_path, "done"))
    write_result(tmp_path / "result.json", result)
    assert read_result(tmp_path / "result.json") == result
    assert isinstance(result.attempt, Attempt)
    assert result.attempt.status == "done"
    plain = json.loads((tmp_path / "result.json").read_text())
    del plain["attempt"]
    (tmp_path / "result.json").write_text(json.dumps(plain))
    assert read_result(tmp_path / "result.json").attempt is None
