"""Two finished runs against each other: what can be compared, how it came out, as a table."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations

from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from gmbench.reporting.index import CannotCompare, ScoredRun, given_text
from gmbench.reporting.leaderboard import Board, BoardRow, League, summed, tables_of
from gmbench.reporting.record import RunResult
from gmbench.reporting.tables import new_table
from gmbench.scoring.counting import TASKS, Task
from gmbench.scoring.intervals import LEVEL, RESAMPLES, Interval
from gmbench.scoring.significance import (
    Comparison,
    compare,
    compare_seeds,
    holm,
    randomisation_p,
)


def check_comparable(first: RunResult, second: RunResult) -> None:
    """Whether two runs were scored on the same thing by the same rules.

    Raises:
        CannotCompare: they differ in data, split, limit or protocol; all differences are named.
    """
    one, two = _said(first), _said(second)
    differ = [f"{key} {one[key]} against {two[key]}" for key in one if one[key] != two[key]]
    if differ:
        raise CannotCompare(f"these runs cannot be compared: {'; '.join(differ)}")


def _said(result: RunResult) -> dict[str, str]:
    """All that has to be equal."""
    data, rules = result.data, result.protocol
    return {
        "protocol": f"{rules.name} {rules.version} IoU {rules.iou_threshold:g}",
        "data": data.name,
        "data fingerprint": data.fingerprint[:12],
        "split": data.split,
        "limit": str(data.limit),
        "text": "given" if given_text(result) else "read",
    }


def compare_runs(
    first: ScoredRun,
    second: ScoredRun,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Comparison:
    """The first run against the second, in the tasks that both report.

    Raises:
        CannotCompare: they were not scored on the same thing by the same rules.
    """
    check_comparable(first.result, second.result)
    tasks = [t for t in TASKS if all(getattr(r.result.metrics, t) for r in (first, second))]
    return compare(
        first.table, second.table, tasks=tasks, resamples=resamples, level=level, seed=seed
    )


def comparison_table(found: Comparison, first: str, second: str, rule: str) -> Table:
    """F1 of both, the difference with its interval, and the test, for each task.

    Args:
        found: the comparison.
        first: name of the first system.
        second: name of the second.
        rule: the protocol in a few words.
    """
    table = new_table(escape(f"{first} against {second}"))
    level = found.tasks[0].difference.delta.level if found.tasks else LEVEL
    table.add_column("F1")
    for head in (
        "first",
        "second",
        f"difference, {level:.0%} interval",
        "not better",
        "p",
        "p Holm",
    ):
        table.add_column(head, justify="right", no_wrap=True)
    for row in found.tasks:
        one = row.difference
        clear = row.p_holm <= 1 - level
        table.add_row(
            row.task.upper(),
            f"{100 * one.first:.2f}",
            f"{100 * one.second:.2f}",
            Text(_difference(one.delta), style="bold" if clear else ""),
            f"{one.not_better:.4f}",
            f"{one.p:.4f}",
            Text(f"{row.p_holm:.4f}", style="bold" if clear else ""),
        )
    table.caption = (
        f"{rule}, {found.n:,} tweets: F1 in %, differences in points. Interval: paired bootstrap "
        "by tweet (BCa). Not better: share of resamples in which the first does not lead. p: "
        "approximate randomisation, two-sided; Holm over the rows. "
        f"{found.resamples:,} resamples, seed {found.seed}. One run each says nothing of other "
        "seeds."
    )
    return table


def _difference(delta: Interval) -> str:
    value = f"{100 * delta.value:+.2f}"
    if delta.low is None or delta.high is None:
        return f"{value}  (no interval)"
    return f"{value}  [{100 * delta.low:+.2f}, {100 * delta.high:+.2f}]"


def rule_of(result: RunResult) -> str:
    """The protocol in a few words."""
    rules = result.protocol
    return f"Protocol {rules.name} {rules.version}, IoU >= {rules.iou_threshold:g}"


# Every two rows of a league against each other, over all seeds: `gmbench.report --pairs`.
HEADS = ("F1", "first", "second", "Δ [95 %]", "seeds ahead", "p", "p Holm")
MEANING = (
    "Δ: mean F1 over seeds of the first minus that of the second, in points, with the interval of "
    "a hierarchical bootstrap over seeds and tweets; seeds ahead: pairs of a seed of the first and "
    "one of the second in which the first has the greater F1; p: approximate randomisation by "
    "tweet on the counts summed over as many seeds as both have, two-sided; Holm over all tests of "
    "a table; * = at most 5 % with 0 outside the interval: neither tweets nor seeds explain it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two rows and a task.

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
        """Whether it stands against both kinds of noise.

        The p value speaks of tweets alone, whatever the seeds did; the interval of both.
        """
        low, high = self.delta.low, self.delta.high
        outside = low is not None and high is not None and (low > 0 or high < 0)
        return outside and self.p_holm <= 1 - LEVEL + 1e-12


def every_pair(league: League, rows: int) -> tuple[Pair, ...]:
    """All pairs of the first so many rows, task by task; those without counts of tweets left out.

    Args:
        league: rows that may be compared.
        rows: so many from the top.
    """
    found: list[tuple[Task, BoardRow, BoardRow, Interval, float]] = []
    order: list[Task] = [league.task, *(task for task in TASKS if task != league.task)]
    top = league.rows[:rows]
    for task in order:
        counts = {row.label: tables_of(row.entries, task) for row in top if row.figures[task]}
        for one, other in combinations([row for row in top if counts.get(row.label)], 2):
            first, second = counts[one.label], counts[other.label]
            seeds = min(len(first), len(second))
            p = randomisation_p(summed(first[:seeds]), summed(second[:seeds]))
            found.append((task, one, other, compare_seeds(first, second).delta, p))
    adjusted = holm([one[-1] for one in found])
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
        for (task, one, other, delta, p), p_holm in zip(found, adjusted, strict=True)
    )


def _ahead(one: BoardRow, other: BoardRow, task: Task) -> int:
    mine, theirs = one.figures[task], other.figures[task]
    assert mine is not None
    assert theirs is not None
    return sum(a > b for a in mine.values for b in theirs.values)


def terminal(board: Board, rows: int) -> Iterator[RenderableType]:
    """A table a league, then what the columns are."""
    for league in board.leagues:
        table = Table(title=league.title, title_justify="left", box=box.ROUNDED)
        for place, head in enumerate(HEADS):
            table.add_column(head, justify="left" if place < 3 else "right", overflow="fold")
        for pair in every_pair(league, rows):
            table.add_row(*_cells(pair))
        yield table
    yield MEANING


def markdown(board: Board, rows: int) -> str:
    """Markdown, a section a league."""
    lines = ["# Every two rows", ""]
    for league in board.leagues:
        lines += [f"## {league.title}", "", f"| {' | '.join(HEADS)} |"]
        lines += ["|---|---|---|" + "---:|" * (len(HEADS) - 3)]
        lines += [
            f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in _cells(pair))} |"
            for pair in every_pair(league, rows)
        ]
        lines.append("")
    return "\n".join([*lines, MEANING]) + "\n"


def table_csv(board: Board, rows: int) -> str:
    """One line a pair and task, figures as numbers."""
    text = io.StringIO()
    plain = [field.name for field in fields(Pair) if field.name != "delta"]
    names = ["league", *plain, "delta", "delta_low", "delta_high"]
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    for league in board.leagues:
        for pair in every_pair(league, rows):
            delta = pair.delta
            writer.writerow(
                {name: getattr(pair, name) for name in plain}
                | {"league": league.title, "delta": delta.value}
                | {"delta_low": delta.low, "delta_high": delta.high}
            )
    return text.getvalue()


TEXTS: Mapping[str, Callable[[Board, int], str]] = {"md": markdown, "csv": table_csv}
"""The formats that are text."""


def _cells(pair: Pair) -> Sequence[str]:
    delta = f"{100 * pair.delta.value:+.2f}"
    if pair.delta.low is not None and pair.delta.high is not None:
        delta += f" [{100 * pair.delta.low:+.1f}, {100 * pair.delta.high:+.1f}]"
    sure = "*" if pair.differs else ""
    return (
        *(pair.task.upper(), pair.first, pair.second, delta, f"{pair.ahead} of {pair.of}"),
        *(f"{pair.p:.4f}", f"{pair.p_holm:.4f}{sure}"),
    )
