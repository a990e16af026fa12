"""The watch over jobs: a run folder changes while it is looked at."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

from gmbench.core.locks import LOCK, held
from gmbench.grid import Job, Limits, Status, run_jobs, runner
from gmbench.reporting.record import write_result
from tests.reporting.sample import sample


def job(folder, code):
    return Job(label="j", folder=folder, command=(sys.executable, "-c", code), sha="s")


def test_a_job_hangs_by_the_steady_clock_only(tmp_path, monkeypatch):
    """The clock on the wall jumps by an hour, and a file vanishes while it is looked at."""
    names, now = os.listdir, time.time
    monkeypatch.setattr(os, "listdir", lambda folder: [*names(folder), ".result.json.1.tmp"])
    monkeypatch.setattr(time, "time", lambda: now() + 3600)
    alive = "import os, time; [(os.utime({!r}, (n, n)), time.sleep(0.1)) for n in range(15)]"
    folders = [tmp_path / "alive", tmp_path / "hung"]
    for folder in folders:
        folder.mkdir()
        (folder / "a").touch()
    commands = (alive.format(str(folders[0] / "a")), "import time; time.sleep(60)")
    outcomes = run_jobs(
        [job(folder, code) for folder, code in zip(folders, commands, strict=True)],
        workers=2,
        limits=Limits(silence=1, grace=1, same_cause=None),
        report=lambda *event: None,
    )
    assert [o.cause for o in outcomes] == [
        "exit code 0 without a result",
        "hang: nothing written for 1 s",
    ]
    assert json.loads((folders[1] / "failure.json").read_text())["cause"] == "hang"


def test_an_output_that_grows_too_long_keeps_its_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "MAX_OUTPUT", 4_000)
    code = "import time; print('x' * 9999, flush=True); time.sleep(0.5); exit('last')"
    (outcome,) = run_jobs([job(tmp_path / "run", code)], report=lambda *event: None)
    text = (tmp_path / "run" / "output.txt").read_text()
    assert outcome.cause == "exit code 1 without a result: last"
    assert text.startswith("xxx")
    assert "left out" in text
    assert len(text) < 3_000


WAYS = {
    "copy(sys.argv[1], 'result.json')": "done",
    "sys.exit(0)": "exit code 0 without a result",
    "sys.exit('last')": "exit code 1 without a result: last",
    "os._exit(3)": "exit code 3 without a result",
    "os.kill(os.getpid(), 9)": "killed by SIGKILL (out of memory, or kill -9)",
    "os.kill(os.getpid(), 15)": "killed by SIGTERM",
    "time.sleep(600)": "timeout: longer than 3 s",
    "write('result.json', '{\"protocol\": {')": "not JSON",
    "copy(sys.argv[1], 'result.json'); write('failure.json', '{}')": "done",
    """write('failure.json', '{"cause": "oom", "message": "one\\\\ntwo"}')""": "oom: one",
}
"""Code of jobs, and what is said of them."""


@pytest.mark.fault
def test_ten_jobs_that_end_in_ten_ways_and_are_made_again(tmp_path, promise):
    result = sample()
    write_result(tmp_path / "whole.json", result)
    tools = (
        "import os, sys, time; from shutil import copy\n"
        "write = lambda name, text: open(name, 'w').write(text)\n"
    )
    mended = tmp_path / "mended"
    jobs = []
    for number, way in enumerate(WAYS):
        folder = tmp_path / str(number)
        code = (
            f"{tools}os.chdir({str(folder)!r})\n"
            f"if os.path.exists({str(mended)!r}): copy(sys.argv[1], 'result.json')\n"
            f"else: {way}"
        )
        command = (sys.executable, "-SIc", code, str(tmp_path / "whole.json"))
        sha = result.config.sha
        jobs.append(Job(label=str(number), folder=folder, command=command, sha=sha))

    def made() -> list[str]:
        limits = Limits(timeout=3, grace=1)
        outcomes = run_jobs(jobs, workers=4, limits=limits, report=lambda *event: None)
        assert [o.job for o in outcomes] == jobs
        return [o.cause or o.status for o in outcomes]

    first = made()
    assert all(cause in said for cause, said in zip(WAYS.values(), first, strict=True)), first
    mended.touch()
    again = made()
    assert again == ["finished before" if said == "done" else "done" for said in first]
    promise("R15", "rows for jobs, each with the right status and cause", len(first), of=10)
    promise("R15", "jobs run again, of those that had failed", again.count("done"), of=8)


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


@pytest.mark.parametrize("ends_well", [True, False])
def test_a_job_that_another_process_works_on_is_waited_for(tmp_path, ends_well, caplog):
    folder, made = tmp_path / "run", sample()
    code = f"open({str(tmp_path / 'made')!r}, 'w'); import sys; sys.exit('made here')"
    shared = replace(job(folder, code), sha=made.config.sha)
    with held(folder / LOCK, folder), ThreadPoolExecutor() as pool:
        other = pool.submit(run_jobs, [shared], report=lambda *event: None)
        while not caplog.records and not other.done():
            time.sleep(0.05)
        assert f"in use by process {os.getpid()}" in caplog.text
        assert [path.name for path in folder.iterdir()] == [LOCK]  # nothing of it is touched
        if ends_well:
            write_result(folder / "result.json", made)
        (folder / LOCK).unlink()  # as if this process had ended
        (outcome,) = other.result(timeout=60)
    assert outcome.status is (Status.SKIPPED if ends_well else Status.FAILED)
    assert (outcome.result == made) is ends_well
    assert (tmp_path / "made").exists() is not ends_well


def test_the_running_jobs_epoch_and_an_estimate_are_told(tmp_path):
    code = "import time; print('Epoch 1/4: dev F1', flush=True); print('else'); time.sleep(2.5)"
    said: list[str] = []
    run_jobs(
        [job(tmp_path / name, code) for name in ("a", "b")],
        limits=Limits(same_cause=1),
        report=lambda *event: None,
        watch=said.append,
    )
    counts, epoch = said[-1].split("\n")
    assert counts.startswith("1 running, 1 waiting of 2 jobs, about ")
    # Two jobs of four epochs each, the first of which took a second or two.
    assert 3 < int(counts.split("about ")[1].split()[0]) < 60
    assert epoch == "  j: Epoch 1/4: dev F1"


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for a signal")
@pytest.mark.parametrize("killed", [False, True])
def test_a_job_does_not_start_once_its_grid_is_gone(killed):
    """The grid may be killed between the fork and the child's request for a signal."""
    grid = 0 if killed else os.getpid()
    started = subprocess.run(
        [sys.executable, "-c", "print('works')"],
        stdout=subprocess.PIPE,
        preexec_fn=partial(runner._die_with, grid),
        check=False,
    )
    assert (started.returncode, started.stdout) == ((1, b"") if killed else (0, b"works\n"))
