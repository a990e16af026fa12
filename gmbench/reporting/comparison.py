"""Two finished runs against each other: what can be compared, how it came out, as a table."""

from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from gmbench.reporting.leagues import given_text
from gmbench.reporting.results import RunResult, read_result
from gmbench.reporting.tables import new_table
from gmbench.scoring.comparison import TASKS, Comparison, compare
from gmbench.scoring.statistics import LEVEL, RESAMPLES, Interval, TweetTable
from gmbench.scoring.tweets import read_tweet_table

TWEETS = "tweets.test.csv"
"""Counts of every tweet, in a run folder."""


class CannotCompare(ValueError):
    """Two runs do not answer the same question; the message says in what they differ."""


@dataclass(frozen=True, slots=True)
class ScoredRun:
    """A finished run with the counts of every tweet."""

    folder: Path
    result: RunResult
    table: TweetTable

    @property
    def name(self) -> str:
        """Model and seed, as tables show them."""
        return f"{self.result.config.model} seed {self.result.config.seed}"


def read_scored_run(folder: Path) -> ScoredRun:
    """The run in a folder.

    Raises:
        CannotCompare: the run is not finished, or its counts are missing or not those of its
            result.
        RecordError, FileError: a file is malformed.
    """
    for name in ("result.json", TWEETS):
        if not (folder / name).is_file():
            what = "not finished" if name == "result.json" else "made before counts were stored"
            raise CannotCompare(f"{folder}: no {name}, the run is {what}; run it again")
    result, table = read_result(folder / "result.json"), read_tweet_table(folder / TWEETS)
    if len(table.ids) != result.data.n:
        raise CannotCompare(
            f"{folder / TWEETS}: {len(table.ids)} tweets, result.json has "
            f"{result.data.n}; run it again"
        )
    for task in TASKS:
        figures = getattr(result.metrics, task)
        if figures is None:
            continue
        sums = getattr(table, task).sum(axis=0).tolist()
        if sums != [figures.tp, figures.pred, figures.gold]:
            raise CannotCompare(
                f"{folder / TWEETS}: {task} adds up to tp/pred/gold "
                f"{'/'.join(map(str, sums))}, result.json has "
                f"{figures.tp}/{figures.pred}/{figures.gold}: edited? run it again"
            )
    return ScoredRun(folder, result, table)


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
