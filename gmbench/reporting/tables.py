"""Tables for the end of a run, by rich: model beside floors, by type, parameters by part."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gmbench.reporting.figures import FloorFigures, TaskFigures
from gmbench.reporting.results import Part, RunResult

NOT_REPORTED = "not reported"
BY_CONSTRUCTION = "given"
TASKS = ("GMNER", "MNER", "EEG")


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
