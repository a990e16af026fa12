"""Missing runs of an experiment: trained first, then those that only test another row's weights."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.engine.collect import find
from experiments.engine.measures import Finished
from experiments.engine.plan import Planned
from gmbench.core.command_line import Stopped
from gmbench.grid import Job, Limits, Status, run_jobs
from gmbench.grid.runner import line_of
from gmbench.reporting.index import read_index


@dataclass(frozen=True, kw_only=True)
class How:
    """What ``--launch`` was told.

    Attributes:
        runs: folder of run folders.
        jobs: runs at a time.
        timeout: seconds a run may take.
        launcher: a Hydra launcher in place of our processes.
    """

    runs: Path
    jobs: int = 1
    timeout: float | None = None
    launcher: str | None = None


def launch(planned: Sequence[Planned], *, rows: Sequence[str] | None, how: How) -> int:
    """Make the missing runs, seed by seed: a broken-off table has every row in fewer seeds.

    Args:
        planned: all runs of the experiment.
        rows: launch only these keys.
        how: see there.

    Returns:
        0 done, 2 some run failed, 130 interrupted.
    """
    if how.jobs > 1 and "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // how.jobs))
    code = 0
    for tests in (False, True):
        found = find(planned, read_index(how.runs))
        missing = [
            run
            for run in sorted(planned, key=lambda run: run.seed)
            if run not in found
            and bool(run.row.weights_of) == tests
            and (not rows or run.row.key in rows)
        ]
        if tests and not missing:
            break
        jobs = _jobs(missing, found, how)
        print(
            f"{len(jobs)} runs to {'test' if tests else 'make'}, {how.jobs} at a time", flush=True
        )
        try:
            outcomes = run_jobs(
                jobs,
                workers=how.jobs,
                limits=Limits(timeout=how.timeout),
                report=lambda *event: print(line_of(*event), flush=True),
            )
        except Stopped as stopped:
            print(f"{stopped}: no run is left; the same command goes on", file=sys.stderr)
            return 128 + stopped.number
        code = 2 if any(outcome.status is Status.FAILED for outcome in outcomes) else code
    return code


def _jobs(missing: Sequence[Planned], found: Mapping[Planned, Finished], how: How) -> list[Job]:
    """A process each; a test whose weights are nowhere is trained like any other run."""
    jobs, trained = [], []
    for run in missing:
        weights = _weights(run, found)
        if weights is None and run.row.tested_only:
            print(f"{run.label}: no best.ckpt of row {run.row.weights_of} to test", flush=True)
        elif weights is None:
            trained.append(run)
        else:
            jobs.append(_job(run, how.runs, "mode=test", f"ckpt={_quoted(weights)}"))
    if how.launcher:
        return [*jobs, *_sweeps(trained, how)]
    return [*jobs, *(_job(run, how.runs) for run in trained)]


def _weights(run: Planned, found: Mapping[Planned, Finished]) -> Path | None:
    """The checkpoint of the row that ``run`` borrows from, of its setting and seed."""
    for other, done in found.items():
        same = (other.setting.key, other.seed) == (run.setting.key, run.seed)
        if same and other.row.key == run.row.weights_of:
            path = (done.folder / "checkpoints" / "best.ckpt").absolute()
            return path if path.is_file() else None
    return None


def _job(run: Planned, runs: Path, *more: str) -> Job:
    command = (
        *(sys.executable, "-m", "gmbench.run"),
        *run.overrides,
        f"seed={run.seed}",
        f"name={run.folder.parents[2].name}",
        f"runs={_quoted(runs)}",
        f"hydra.run.dir={_quoted(run.folder)}",
        "callbacks.progress=false",
        *more,
    )
    return Job(label=run.label, folder=run.folder, command=command, sha=run.sha)


def _sweeps(missing: Sequence[Planned], how: How) -> list[Job]:
    """One multirun of Hydra's a row, all of its missing seeds in it, under another launcher."""
    rows: dict[tuple[str, str], list[Planned]] = {}
    for run in missing:
        rows.setdefault((run.setting.key, run.row.key), []).append(run)
    jobs = []
    for runs in rows.values():
        folder = runs[0].folder.parent
        command = (
            *(sys.executable, "-m", "gmbench.run", "-m", *runs[0].overrides),
            f"seed={','.join(str(run.seed) for run in runs)}",
            f"name={folder.parents[1].name}",
            f"runs={_quoted(how.runs)}",
            f"hydra/launcher={how.launcher}",
            f"hydra.sweep.dir={_quoted(folder)}",
            "hydra.sweep.subdir='seed=${seed}'",
            "callbacks.progress=false",
        )
        # The sweep has no result of its own: the last seed's stands for it.
        jobs.append(
            Job(label=runs[-1].label, folder=runs[-1].folder, command=command, sha=runs[-1].sha)
        )
    return jobs


def _quoted(path: Path) -> str:
    """As Hydra reads it, whatever signs it holds."""
    return "'" + str(path).replace("'", r"\'") + "'"
