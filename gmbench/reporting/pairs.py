"""Tests of two finished runs, or of two rows of a leaderboard over all their seeds."""

from dataclasses import dataclass
from itertools import combinations

from gmbench.core.errors import InputError
from gmbench.reporting.index import ScoredRun
from gmbench.reporting.leaderboard import (
    BoardRow,
    League,
    Versus,
    conditions,
    method_overrides,
    tables_of,
    versus,
)
from gmbench.reporting.record import RunResult
from gmbench.scoring.counting import TASKS, Task
from gmbench.scoring.intervals import RESAMPLES
from gmbench.scoring.methods import compare_methods
from gmbench.scoring.significance import Comparison, compare


def check_comparable(first: RunResult, second: RunResult) -> None:
    """Check that two runs were scored on the same examples by the same rules.

    Raises:
        InputError: they differ in data, split, limit or protocol; all differences are named.
    """
    one, two = conditions(first), conditions(second)
    differ = [
        f"{key} {one[key]} against {two[key]}"
        for key in one
        if one[key] != two[key] and key not in ("n", "pixels")
    ]
    if differ:
        raise InputError(f"these runs cannot be compared: {'; '.join(differ)}")


def run_names(first: ScoredRun, second: ScoredRun) -> tuple[str, str]:
    """What tells two runs apart: model and seed, then overrides, then folders."""
    if first.name != second.name:
        return first.name, second.name
    mine, theirs = (set(method_overrides(run.result)) for run in (first, second))
    differ = [sorted(mine - theirs), sorted(theirs - mine)]
    if any(differ):
        one, two = (" ".join(own) or "no override" for own in differ)
    else:
        one, two = str(first.folder), str(second.folder)
    return f"{first.name} ({one})", f"{second.name} ({two})"


def compare_runs(
    first: ScoredRun, second: ScoredRun, *, resamples: int = RESAMPLES, seed: int = 0
) -> Comparison:
    """Test the first run against the second, in the tasks that both report.

    Raises:
        InputError: they were not scored on the same examples by the same rules.
    """
    check_comparable(first.result, second.result)
    tasks = [t for t in TASKS if all(getattr(r.result.metrics, t) for r in (first, second))]
    return compare(first.table, second.table, tasks=tasks, resamples=resamples, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Versus):
    """Two rows of a leaderboard in one task.

    Attributes:
        first, second: labels of the rows, the better one of the leaderboard first.
        ahead: pairs of seeds with the first in front.
        of: all pairs of seeds.
    """

    task: Task
    first: str
    second: str
    ahead: int
    of: int


def every_pair(league: League, rows: int) -> tuple[Pair, ...]:
    """All pairs of the first ``rows`` rows, by task, of those with counts per example."""
    pairs: list[tuple[Task, BoardRow, BoardRow]] = []
    differences = []
    top = league.rows[:rows]
    for task in league.tasks:
        counts = {row.label: tables_of(row.entries, task) for row in top if row.figures[task]}
        for one, other in combinations([row for row in top if counts.get(row.label)], 2):
            pairs.append((task, one, other))
            differences.append(compare_methods(counts[one.label], counts[other.label]))
    return tuple(
        Pair(
            delta=found.delta,
            p=found.p,
            p_holm=found.p_holm,
            task=task,
            first=one.label,
            second=other.label,
            ahead=_ahead(one, other, task),
            of=len(one.entries) * len(other.entries),
        )
        for (task, one, other), found in zip(pairs, versus(differences), strict=True)
    )


def _ahead(one: BoardRow, other: BoardRow, task: Task) -> int:
    mine, theirs = one.figures[task], other.figures[task]
    assert mine is not None
    assert theirs is not None
    return sum(a > b for a in mine.values for b in theirs.values)
