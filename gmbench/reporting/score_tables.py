"""Tables of one scored file, by rich: the tasks with intervals, types, splits."""

from collections.abc import Mapping

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from gmbench.reporting.tables import TASKS, new_table, percent
from gmbench.scoring.counting import Counts
from gmbench.scoring.protocols import Scored
from gmbench.scoring.statistics import FigureIntervals, Interval
from gmbench.scoring.strata import Strata

FIGURES = ("P", "R", "F1")


def task_table(
    scored: Scored,
    title: str,
    intervals: Mapping[str, FigureIntervals] | None = None,
    resamples: int = 0,
) -> Table:
    """P, R, F1 of the three tasks in percent, their intervals below them, and the counts.

    Args:
        scored: a corpus under one protocol, which the caption names.
        title: what was scored.
        intervals: by task (``gmner``, ``mner``, ``eeg``); None = none were computed.
        resamples: what the intervals were computed with.
    """
    table = new_table(escape(title))  # a path is no markup
    table.add_column("task")
    for name in FIGURES:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("tp/pred/gold", justify="right", no_wrap=True)
    micro = scored.total.micro
    for task, counts in zip(TASKS, (micro.gmner, micro.mner, micro.eeg), strict=True):
        values = (counts.precision, counts.recall, counts.f1)
        found: tuple[Interval | None, ...] = (None, None, None)
        if intervals is not None:
            known = intervals[task.lower()]
            found = (known.precision, known.recall, known.f1)
        styles = ("bold", "bold", "bold green")
        cells = map(_with_interval, values, found, styles)
        table.add_row(Text(task, style="bold"), *cells, _counts(counts))
    table.caption = f"{scored.rule}: micro P, R, F1 in %, {scored.total.n:,} tweets."
    if intervals is not None:
        table.caption += f" In brackets: 95 % BCa intervals, {resamples:,} resamples of tweets."
    return table


def type_score_table(scored: Scored) -> Table:
    """GMNER and MNER by entity type with the macro means labelled so, and the recall of EEG."""
    table = new_table("By type")
    table.add_column("type")
    for task in TASKS[:2]:
        table.add_column(f"{task} P, R, F1", justify="right", no_wrap=True)
        table.add_column("tp/pred/gold", justify="right", no_wrap=True)
    table.add_column("EEG recall", justify="right", no_wrap=True)
    rows = list(scored.total.per_type.items())
    for number, (name, row) in enumerate(rows, start=1):
        table.add_row(
            Text(name),  # a name from a file is no markup
            _three(row.gmner),
            _counts(row.gmner),
            _three(row.mner),
            _counts(row.mner),
            f"{percent(row.eeg_recall)}  ({row.eeg_tp}/{row.gmner.gold})",
            end_section=number == len(rows),
        )
    macro = [f"{percent(scored.total.macro_f1(task)):>22}" for task in ("gmner", "mner")]
    table.add_row(Text("macro F1", style="italic"), macro[0], "", macro[1], "", "")
    table.caption = f"{scored.rule}: P, R, F1 in %."
    return table


def strata_table(scored: Scored, strata: Strata) -> Table:
    """Groundable against ungroundable with P, R, F1; the other splits with recall only."""
    table = new_table("By kind of entity")
    table.add_column("split")
    table.add_column("kind")
    table.add_column("gold", justify="right")
    for task in ("GMNER P, R, F1", "EEG P, R, F1", "MNER"):
        table.add_column(task, justify="right", no_wrap=True)
    for number, side in enumerate(strata.sides, start=1):
        table.add_row(
            "in the image" if number == 1 else "",
            side.name,
            str(side.gmner.gold),
            _three(side.gmner),
            _three(side.eeg),
            "",
            end_section=number == len(strata.sides),
        )
    previous = ""
    for number, row in enumerate(strata.recalls):
        later = strata.recalls[number + 1 :]
        table.add_row(
            "" if row.split == previous else row.split,
            row.name,
            str(row.gold),
            *(_recall(found, row.gold) for found in (row.gmner, row.eeg, row.mner)),
            end_section=bool(later) and later[0].split != row.split,
        )
        previous = row.split
    table.caption = (
        f"{scored.rule}: in %; predictions count as groundable when they have a box. Other splits "
        "cut the gold only: recall."
    )
    for note in strata.notes:
        table.caption += f"\n{note}."
    return table


def _with_interval(value: float, interval: Interval | None, style: str) -> Text:
    text = Text(percent(value), style=style)
    if interval is not None:
        known = interval.low is not None and interval.high is not None
        low, high = interval.low or 0.0, interval.high or 0.0
        shown = f"[{percent(low)}, {percent(high)}]" if known else "[no interval: one tweet]"
        text.append(f"\n{shown}", style="not bold dim default")
    return text


def _three(counts: Counts) -> Text:
    precision, recall, f1 = map(percent, (counts.precision, counts.recall, counts.f1))
    return Text.assemble(f"{precision:>6}  {recall:>6}  ", (f"{f1:>6}", "bold"))


def _recall(found: int, gold: int) -> Text:
    if not gold:
        return Text("no gold", style="dim italic")
    return Text.assemble(
        "R ", (f"{percent(found / gold):>6}", "bold"), (f"  {found}/{gold}", "dim")
    )


def _counts(counts: Counts) -> Text:
    return Text(f"{counts.tp}/{counts.pred}/{counts.gold}", style="dim")
