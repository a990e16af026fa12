"""Tables for the end of a run, by rich: model beside floors, by type, parameters by part."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from gmbench.reporting.record import FloorFigures, Part, RunResult, TaskFigures
from gmbench.scoring.counting import TASKS, Counts
from gmbench.scoring.intervals import FigureIntervals, Interval
from gmbench.scoring.protocols import Scored
from gmbench.scoring.strata import Strata

NOT_REPORTED = "not reported"
BY_CONSTRUCTION = "given"


def show(result: RunResult, console: Console) -> None:
    """Both tables that end a run."""
    console.print(run_table(result))
    console.print(type_table(result))


def run_table(result: RunResult) -> Table:
    """The model and each floor: P, R, F1 in percent of the three tasks, tp/pred/gold below them.

    GMNER and EEG of a run that saw no pixels are *not reported*; a floor's task that is right by
    construction is *given*.
    """
    table = new_table(f"{result.data.name}, {result.data.split} split: {_examples(result)}")
    table.add_column("", min_width=20, ratio=1)
    for task in TASKS:
        table.add_column(_heads(task), justify="right", no_wrap=True)
    metrics = result.metrics
    model = Text.assemble((result.config.model, "bold"), (f"  seed {result.config.seed}", "dim"))
    table.add_row(
        model,
        _cell(metrics.gmner, NOT_REPORTED, best=True),
        _cell(metrics.mner, NOT_REPORTED, best=True),
        _cell(metrics.eeg, NOT_REPORTED, best=True),
        end_section=True,
    )
    for floor in result.floors:
        table.add_row(floor.name, *(_cell(figures, BY_CONSTRUCTION) for figures in _tasks(floor)))
    table.caption = _caption(result, "micro P, R, F1 in %, below them tp/pred/gold")
    if not result.data.saw_pixels:
        table.caption += (
            "\nThe run saw no pixels: its GMNER and EEG are not reported. Floors need no picture."
        )
    return table


def type_table(result: RunResult) -> Table:
    """GMNER and MNER by entity type, and the recall of EEG, with the macro means labelled so."""
    metrics = result.metrics
    table = new_table(f"{result.config.model} by type")
    table.add_column("type", ratio=1)
    for task in ("GMNER", "MNER"):
        table.add_column(_heads(task), justify="right", no_wrap=True)
    table.add_column("EEG\nrecall", justify="right", no_wrap=True)
    rows = list(metrics.per_type.items())
    for number, (name, row) in enumerate(rows, start=1):
        recall = Text(NOT_REPORTED, style="dim italic")
        if row.eeg_tp is not None:
            gold = row.mner.gold
            share = percent(row.eeg_tp / gold if gold else 0.0)
            recall = Text.assemble(share, "\n", (f"{row.eeg_tp}/{gold}", "dim"))
        table.add_row(
            name,
            _cell(row.gmner, NOT_REPORTED),
            _cell(row.mner, NOT_REPORTED),
            recall,
            end_section=number == len(rows),
        )
    macro = NOT_REPORTED if metrics.gmner_macro_f1 is None else percent(metrics.gmner_macro_f1)
    table.add_row(Text("macro F1", style="italic"), macro, percent(metrics.mner_macro_f1), "")
    table.caption = _caption(result, "P, R, F1 in %, below them tp/pred/gold")
    return table


def parameter_table(parts: Sequence[Part]) -> Table:
    """Parameters by part of the model, and their sum."""
    table = new_table("Parameters")
    table.add_column("part", ratio=1)
    table.add_column("total", justify="right", no_wrap=True)
    table.add_column("trainable", justify="right", no_wrap=True)
    for number, part in enumerate(parts, start=1):
        frozen = part.trainable == 0 and part.total > 0
        trainable = Text("frozen", style="dim italic") if frozen else Text(f"{part.trainable:,}")
        table.add_row(part.name, f"{part.total:,}", trainable, end_section=number == len(parts))
    total, learned = sum(p.total for p in parts), sum(p.trainable for p in parts)
    table.add_row("all", f"{total:,}", f"{learned:,}", style="bold")
    return table


def new_table(title: str) -> Table:
    """An empty table in the style of all tables."""
    return Table(
        title=title,
        title_style="bold",
        title_justify="left",
        caption_style="dim",
        caption_justify="left",
        box=box.ROUNDED,
        header_style="bold",
        expand=False,
    )


def _heads(task: str) -> Text:
    """The task above its three columns, which line up with ``_cell``."""
    return Text(f"{task}\n{'P':>6} {'R':>6} {'F1':>6}", justify="center")


def _cell(figures: TaskFigures | None, absent: str, best: bool = False) -> Text:
    if figures is None:
        return Text(absent, style="dim italic")
    precision, recall, f1 = map(percent, (figures.precision, figures.recall, figures.f1))
    return Text.assemble(
        f"{precision:>6} {recall:>6} ",
        (f"{f1:>6}", "bold green" if best else "bold"),
        "\n",
        (f"{figures.tp}/{figures.pred}/{figures.gold}", "dim"),
    )


def percent(share: float) -> str:
    """A share of 0..1 in percent, two decimals."""
    return f"{100 * share:.2f}"


def _tasks(row: FloorFigures) -> tuple[TaskFigures | None, ...]:
    return row.gmner, row.mner, row.eeg


def _examples(result: RunResult) -> str:
    limited = "" if result.data.limit is None else f" (limited to {result.data.limit})"
    built_in = ", synthetic" if result.data.synthetic else ""
    return f"{result.data.n:,} examples{limited}{built_in}"


def _caption(result: RunResult, what: str) -> str:
    protocol = result.protocol
    return (
        f"Protocol {protocol.name} {protocol.version}, IoU >= {protocol.iou_threshold:g}: {what}."
    )


# Tables of one scored file, by rich: the tasks with intervals, types, splits.
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
    for task in TASKS:
        counts: Counts = getattr(micro, task)
        values = (counts.precision, counts.recall, counts.f1)
        found: tuple[Interval | None, ...] = (None, None, None)
        if intervals is not None:
            known = intervals[task]
            found = (known.precision, known.recall, known.f1)
        styles = ("bold", "bold", "bold green")
        cells = map(_with_interval, values, found, styles)
        table.add_row(Text(task.upper(), style="bold"), *cells, _counts(counts))
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
