"""Tests of two finished runs, or of two rows of a leaderboard over all their seeds."""

from dataclasses import dataclass
from itertools import combinations

from gmbench.core.errors import InputError
from gmbench.reporting.index import ScoredRun
from gmbench.reporting.leaderboard import (
    BoardRow,
    League,
    conditions,
    p_over_seeds,
    tables_of,
)
from gmbench.reporting.record import RunResult
from gmbench.scoring.counting import TASKS, Task
from gmbench.scoring.intervals import LEVEL, RESAMPLES, Interval
from gmbench.scoring.significance import Comparison, compare, compare_seeds, holm


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
class Pair:
    """Two rows of a leaderboard in one task.

    Attributes:
        first, second: labels of the rows, the better one of the leaderboard first.
        delta: mean F1 of the first minus the second's.
        ahead: pairs of seeds with the first in front.
        of: all pairs of seeds.
        p: of the randomisation; ``p_holm`` is adjusted for the league's other tests.
    """

    task: Task
    first: str
    second: str
    delta: Interval
    ahead: int
    of: int
    p: float
    p_holm: float

    @property
    def differs(self) -> bool:
        """Whether neither tweets nor seeds explain the difference.

        The p value covers the choice of tweets alone; the interval covers tweets and seeds.
        """
        low, high = self.delta.low, self.delta.high
        outside = low is not None and high is not None and (low > 0 or high < 0)
        return outside and self.p_holm <= 1 - LEVEL + 1e-12


def every_pair(league: League, rows: int) -> tuple[Pair, ...]:
    """All pairs of the first ``rows`` rows, by task; rows without counts per tweet are left out."""
    tested: list[tuple[Task, BoardRow, BoardRow, Interval, float]] = []
    top = league.rows[:rows]
    for task in league.tasks:
        counts = {row.label: tables_of(row.entries, task) for row in top if row.figures[task]}
        for one, other in combinations([row for row in top if counts.get(row.label)], 2):
            first, second = counts[one.label], counts[other.label]
            delta = compare_seeds(first, second).delta
            tested.append((task, one, other, delta, p_over_seeds(first, second)))
    adjusted = holm([p for *_, p in tested])
    return tuple(
        Pair(
            task=task,
            first=one.label,
            second=other.label,
            delta=delta,
            ahead=_ahead(one, other, task),
            of=len(one.entries) * len(other.entries),
            p=p,
            p_holm=p_holm,
        )
        for (task, one, other, delta, p), p_holm in zip(tested, adjusted, strict=True)
    )


def _ahead(one: BoardRow, other: BoardRow, task: Task) -> int:
    mine, theirs = one.figures[task], other.figures[task]
    assert mine is not None
    assert theirs is not None
    return sum(a > b for a in mine.values for b in theirs.values)
