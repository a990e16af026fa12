"""One table object: printed by rich, written as Markdown, LaTeX, CSV or plain rows.

Below it the tables of one run and of one scored file. Those of many runs are in ``formats``.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from gmbench.core.entities import Entity, Example
from gmbench.core.safe_text import printable, to_cell
from gmbench.reporting.record import (
    BaselineFigures,
    Metrics,
    Part,
    RunResult,
    TaskFigures,
    TypeFigures,
)
from gmbench.scoring.audit import FLAGS as AUDIT_FLAGS
from gmbench.scoring.audit import Audit
from gmbench.scoring.counting import TASKS, Counts, Task, TypeScores
from gmbench.scoring.intervals import LEVEL, FigureIntervals, Interval
from gmbench.scoring.labels import KINDS, Shift, Suspect
from gmbench.scoring.lost_points import LostPoints
from gmbench.scoring.protocols import Scored
from gmbench.scoring.signature import KEYS, POSITIONS, Signature
from gmbench.scoring.significance import Comparison
from gmbench.scoring.strata import Strata

NOT_REPORTED = "not reported"
BY_CONSTRUCTION = "given"
TEX = {"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#", "±": r"$\pm$", "<": "$<$"}
TEX |= {"Δ": r"$\Delta$", "\u2020": r"\dag{}"}

FOLDED = 16
"""Width to which a narrow terminal folds a column of text before it loses one of figures."""

Row = Sequence[object]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under headings.

    Attributes:
        heads: one per column.
        sections: blocks of rows, separated by a line on the terminal; a cell is text, ``Text``
            with a style, or a number.
        title, caption: shown on the terminal above and below the table.
        left: number of columns, from the first, that are aligned left; the others hold figures.
        first_out: headings of the columns that a narrow terminal loses first, in this order; after
            them it loses the others, from the right.
        everything: where all columns are found.
        signature: what its figures are to be quoted with, on a line of its own on the terminal.
    """

    heads: Row
    sections: Sequence[Sequence[Row]]
    title: str = ""
    caption: str = ""
    left: int = 1
    first_out: Sequence[str] = ()
    everything: str = ""
    signature: str = ""

    @classmethod
    def of_records(cls, records: Sequence[Mapping[str, object]]) -> "Table":
        """A table of records with equal keys, which become its headings."""
        heads = list(records[0]) if records else []
        return cls(heads=heads, sections=[[list(record.values()) for record in records]])

    def signed(self, signature: Signature) -> "Table":
        """The table with its signature below."""
        return replace(self, signature=str(signature))

    @property
    def rows(self) -> Iterator[Row]:
        """The rows of all sections."""
        return (row for section in self.sections for row in section)

    def within(self, width: int) -> "Table":
        """The table without the columns that ``width`` characters have no room for.

        The first ``left`` columns stay, and are folded; of the others at least one stays. The
        caption names what was left out and where it is found.
        """
        cells = [[str(row[place]) for row in (self.heads, *self.rows)] for place in self._places]
        widths = [
            max(cell_len(line) for cell in column for line in cell.splitlines() or [""])
            for column in cells
        ]
        widths[: self.left] = [min(size, FOLDED) for size in widths[: self.left]]
        names = [" ".join(column[0].split("\n")[0].split()) for column in cells]
        order = [names.index(name) for name in self.first_out if name in names]
        order += [place for place in reversed(self._places[self.left :]) if place not in order]
        out: list[int] = []
        for place in order[:-1]:
            if sum(size + 3 for n, size in enumerate(widths) if n not in out) + 1 <= width:
                break
            out.append(place)
        if not out:
            return self
        kept = [place for place in self._places if place not in out]
        missing = ", ".join(names[place] for place in sorted(out))
        where = f" or {self.everything}" if self.everything else ""
        note = f"Too narrow for: {missing}. A wider terminal (COLUMNS=200){where} shows all."
        return replace(
            self,
            heads=[self.heads[place] for place in kept],
            sections=[[[row[place] for place in kept] for row in part] for part in self.sections],
            caption=f"{self.caption}\n{note}" if self.caption else note,
        )

    @property
    def _places(self) -> range:
        return range(len(self.heads))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table for ``Console.print``, as wide as there is room for."""
        yield self.within(options.max_width)._rich()
        if self.signature:
            yield Text(self.signature)

    def _rich(self) -> RichTable:
        """The table as rich has it; text in it is never read as markup."""
        table = RichTable(
            title=Text(self.title, style="bold") if self.title else None,
            title_justify="left",
            caption=Text(self.caption, style="dim") if self.caption else None,
            caption_justify="left",
            box=box.ROUNDED,
        )
        for place, head in enumerate(self.heads):
            table.add_column(
                _rich_cell(head),
                justify="left" if place < self.left else "right",
                overflow="fold",
                no_wrap=place >= self.left,
            )
        for section in self.sections:
            for row in section:
                table.add_row(*map(_rich_cell, row))
            table.add_section()
        return table

    def markdown(self) -> list[str]:
        """The lines of a Markdown table."""
        right = len(self.heads) - self.left
        rule = "|" + "---|" * self.left + "---:|" * right
        return [_markdown_row(self.heads), rule, *map(_markdown_row, self.rows)]

    def latex(self) -> list[str]:
        """The lines of a ``tabular`` for booktabs."""
        columns = "l" * self.left + "r" * (len(self.heads) - self.left)
        return [
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _latex_row(self.heads),
            r"\midrule",
            *map(_latex_row, self.rows),
            r"\bottomrule",
            r"\end{tabular}",
        ]

    def csv(self) -> str:
        """One line per row below the headings; None is an empty cell."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.heads)
        writer.writerows([to_cell(cell, figures=True) for cell in row] for row in self.rows)
        return text.getvalue()

    def records(self) -> list[dict[str, object]]:
        """One dictionary per row, for JSON."""
        return [dict(zip(map(str, self.heads), row, strict=True)) for row in self.rows]


def _rich_cell(cell: object) -> Text:
    return cell if isinstance(cell, Text) else Text("" if cell is None else str(cell))


def _markdown_row(cells: Row) -> str:
    texts = (printable(" ".join(str(cell).splitlines())) for cell in cells)
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def _latex_row(cells: Row) -> str:
    return (
        " & ".join("".join(TEX.get(c, c) for c in printable(str(cell))) for cell in cells) + r" \\"
    )


# The tables that end a run.
def show(result: RunResult, console: Console) -> None:
    """Print both tables that end a run."""
    console.print(run_table(result))
    console.print(type_table(result))


def run_table(result: RunResult) -> Table:
    """P, R, F1 of the model and of each baseline in percent, tp/pred/gold below them.

    GMNER and EEG of a run that saw no pixels are *not reported*; a baseline's task that is right
    by construction is *given*.
    """
    data = result.data
    limited = "" if data.limit is None else f" (limited to {data.limit})"
    built_in = ", synthetic" if data.synthetic else ""
    model = Text.assemble((result.config.model, "bold"), (f"  seed {result.config.seed}", "dim"))
    caption = f"{rule_of(result)}: micro P, R, F1 in %, below them tp/pred/gold."
    if not data.saw_pixels:
        caption += "\nThe run saw no pixels: no GMNER, no EEG. Baselines need no picture."
    return Table(
        title=f"{data.name}, {data.split} split: {data.n:,} examples{limited}{built_in}",
        heads=("", *map(_task_head, TASKS)),
        sections=(
            [(model, *_task_cells(result.metrics, NOT_REPORTED, "bold green"))],
            [(floor.name, *_task_cells(floor, BY_CONSTRUCTION)) for floor in result.floors],
        ),
        caption=caption,
        everything="result.json",
    )


def type_table(result: RunResult) -> Table:
    """Figures of a run by entity type."""
    metrics = result.metrics
    macro = (metrics.gmner_macro_f1, metrics.mner_macro_f1)
    title = f"{result.config.model} by type"
    return _type_table(title, metrics.per_type, macro, rule_of(result))


def _type_table(
    title: str,
    per_type: Mapping[str, TypeFigures] | Mapping[str, TypeScores],
    macro: Sequence[float | None],
    rule: str,
) -> Table:
    """GMNER and MNER by entity type, the recall of EEG, and the macro means, labelled as such."""
    rows = []
    for name, row in per_type.items():
        recall = Text(NOT_REPORTED, style="dim italic")
        if row.eeg_tp is not None:
            gold = row.mner.gold
            share = percent(row.eeg_tp / gold if gold else 0.0)
            recall = Text.assemble(share, "\n", (f"{row.eeg_tp}/{gold}", "dim"))
        rows.append((name, _cell(row.gmner, NOT_REPORTED), _cell(row.mner, NOT_REPORTED), recall))
    means = [NOT_REPORTED if mean is None else percent(mean) for mean in macro]
    return Table(
        title=title,
        heads=("type", *map(_task_head, TASKS[:2]), "EEG\nrecall"),
        sections=(rows, [(Text("macro F1", style="italic"), *means, "")]),
        caption=f"{rule}: P, R, F1 in %, below them tp/pred/gold.",
    )


def parameter_table(parts: Sequence[Part]) -> Table:
    """Parameters by part of the model, and their sum."""
    rows = []
    for part in parts:
        frozen = part.trainable == 0 and part.total > 0
        trainable = Text("frozen", style="dim italic") if frozen else f"{part.trainable:,}"
        rows.append((part.name, f"{part.total:,}", trainable))
    total, trained = sum(p.total for p in parts), sum(p.trainable for p in parts)
    sums = [Text(cell, style="bold") for cell in ("all", f"{total:,}", f"{trained:,}")]
    return Table(title="Parameters", heads=("part", "total", "trainable"), sections=(rows, [sums]))


def rule_of(result: RunResult) -> str:
    """The protocol in a few words."""
    rules = result.protocol
    return f"Protocol {rules.name} {rules.version}, IoU >= {rules.iou_threshold:g}"


def percent(share: float) -> str:
    """A share of 0..1 in percent, two decimals."""
    return f"{100 * share:.2f}"


def _task_head(task: Task) -> Text:
    """The task above its three columns, which line up with ``_cell``."""
    return Text(f"{task.upper()}\n{'P':>5} {'R':>5} {'F1':>5}", justify="center")


def _task_cells(row: Metrics | BaselineFigures, absent: str, style: str = "bold") -> Iterable[Text]:
    return (_cell(getattr(row, task), absent, style) for task in TASKS)


def _cell(figures: TaskFigures | Counts | None, absent: str, style: str = "bold") -> Text:
    if figures is None:
        return Text(absent, style="dim italic")
    return Text.assemble(_three(figures, style), "\n", _counts(figures))


def _three(figures: TaskFigures | Counts, style: str = "bold") -> Text:
    """P, R, F1 in five places each, so that three tasks fit 80 columns: 100.0, but 66.67."""
    shares = (figures.precision, figures.recall, figures.f1)
    precision, recall, f1 = (f"{percent(share)[:5]:>5}" for share in shares)
    return Text.assemble(f"{precision} {recall} ", (f1, style))


def _counts(figures: TaskFigures | Counts) -> Text:
    return Text(f"{figures.tp}/{figures.pred}/{figures.gold}", style="dim")


# The tables of one scored file.
def task_table(
    scored: Scored,
    title: str,
    intervals: Mapping[str, FigureIntervals] | None = None,
    resamples: int = 0,
) -> Table:
    """P, R, F1 of the three tasks in percent, their intervals if known, and the counts."""
    rows = []
    for task in TASKS:
        counts: Counts = getattr(scored.total.micro, task)
        cells = []
        for name, style in (("precision", "bold"), ("recall", "bold"), ("f1", "bold green")):
            interval = getattr(intervals[task], name) if intervals is not None else None
            cells.append(_with_interval(getattr(counts, name), interval, style))
        rows.append((Text(task.upper(), style="bold"), *cells, _counts(counts)))
    caption = f"{scored.rule}: micro P, R, F1 in %, {scored.total.n:,} examples."
    if intervals is not None:
        caption += f" In brackets: 95 % BCa intervals, {resamples:,} resamples of examples."
    heads = ("task", "P", "R", "F1", "tp/pred/gold")
    return Table(title=title, heads=heads, sections=(rows,), caption=caption)


def type_score_table(scored: Scored) -> Table:
    """Figures of a scored file by entity type."""
    total = scored.total
    macro = (total.macro_f1("gmner"), total.macro_f1("mner"))
    return _type_table("By type", total.per_type, macro, scored.rule)


def strata_table(scored: Scored, strata: Strata) -> Table:
    """Groundable against ungroundable with P, R, F1; the other splits with recall only."""
    sections: list[list[Row]] = [
        [
            (
                *("" if place else "in the image", side.name, side.gmner.gold),
                *(_three(side.gmner), _three(side.eeg), ""),
            )
            for place, side in enumerate(strata.sides)
        ]
    ]
    for split, recalls in groupby(strata.recalls, key=lambda row: row.split):
        sections.append(
            [
                (
                    *("" if place else split, row.name, row.gold),
                    *(_recall(tp, row.gold) for tp in (row.gmner, row.eeg, row.mner)),
                )
                for place, row in enumerate(recalls)
            ]
        )
    caption = (
        f"{scored.rule}: in %; predictions count as groundable when they have a box. Other splits "
        "cut the gold only: recall."
    )
    return Table(
        title="By kind of entity",
        heads=("split", "kind", "gold", "GMNER P, R, F1", "EEG P, R, F1", "MNER"),
        sections=sections,
        caption="".join((caption, *(f"\n{note}." for note in strata.notes))),
        left=2,
        first_out=("EEG P, R, F1", "MNER"),
        everything="--json",
    )


def lost_table(lost: LostPoints) -> Table:
    """What GMNER lacks to 100, by cause."""

    def row(name: str, errors: int | str, points: Interval) -> Row:
        return name, errors, _with_interval(points.value, points, "bold")

    meanings = {
        "text": "text",
        "candidates": "no candidate",
        "choice": "wrong choice",
        "none": "wrong *not in the image*",
    }
    causes = [
        row(meaning, lost.parts[name].errors, lost.parts[name].points)
        for name, meaning in meanings.items()
    ]
    caption = (
        "In points of F1; errors: predictions and gold entities that the cause keeps from being "
        "right. They and 2 tp are all there are."
    )
    if lost.recall is not None:
        caption += (
            f"\n{percent(lost.recall.value)} % of the groundable entities with the right text have "
            "a candidate."
        )
    return Table(
        title="Points lost",
        heads=("cause", "errors", "points"),
        sections=[causes, [row("GMNER F1", f"2 x {lost.tp}", lost.gmner)]],
        caption=caption,
    )


def suspect_table(ranked: Sequence[Suspect], gold: Sequence[Example], most: int) -> Table:
    """The first suspects of each kind: label, what most systems say instead, votes."""
    words = {example.id: example.words for example in gold}
    sections = [
        [
            (
                kind if one.rank == 1 else "",
                one.id,
                label_text(words[one.id], one.gold, kind),
                label_text(words[one.id], one.instead, kind),
                f"{one.against} : {one.support}",
            )
            for one in ranked
            if one.kind == kind and one.rank <= most
        ]
        for kind in KINDS
    ]
    systems = ranked[0].systems if ranked else 0
    return Table(
        title=f"Labels that most of {systems} systems are against",
        heads=("", "example", "label", "instead", "against : for"),
        sections=list(filter(None, sections)),
        caption=f"The first {most} of each kind; --json prints them all, one a line.",
        left=4,
    )


def label_text(words: Sequence[str], entity: Entity | None, kind: str) -> str:
    """An entity as far as one question is about it."""
    if entity is None:
        return "no entity"
    name = " ".join(words[entity.start : entity.end + 1])
    boxes = [" ".join(f"{side:.0f}" for side in box) for box in entity.boxes]
    shown = {"span": "", "type": entity.type, "region": "; ".join(boxes) or "not in the image"}
    return ", ".join(filter(None, (name, shown[kind])))


def shift_table(found: Sequence[Shift], systems: Sequence[str], task: Task) -> Table:
    """F1 of the systems, with their ranks, as suspects are dropped or mended."""
    ranks = [sorted(one.f1, reverse=True) for one in found]
    rows = [
        [name, *(f"{percent(v)} ({r.index(v) + 1})" for v, r in zip(values, ranks, strict=True))]
        for name, values in zip(systems, zip(*(one.f1 for one in found), strict=True), strict=True)
    ]
    taus = ["-" if one.tau is None else f"{one.tau:.2f}" for one in found]
    return Table(
        title=f"{task.upper()} F1 and rank without and with mended suspects",
        heads=("", *(f"{one.first or ''}\n{one.how}".strip() for one in found)),
        sections=[rows, [["tau", *taus], ["labels", *(one.labels for one in found)]]],
        caption="The first so many of each kind. Dropped: their examples are left out. Mended: the "
        "label is what most systems say, which favours these. tau: Kendall's, with the order on "
        "gold as it is.",
        everything="--json",
    )


def audit_table(audited: Audit, title: str) -> Table:
    """The flags of an audit with their arithmetic."""
    kinds = dict.fromkeys(flag.flag for flag in audited.flags)
    meanings = (f"{kind}: {AUDIT_FLAGS[kind]}." for kind in kinds)
    checked = f"{audited.rows} lines and {audited.differences} stated differences"
    return Table(
        title=f"{title}: {checked}, {len(audited.flags) or 'no'} flags",
        heads=("flag", "figure", "arithmetic"),
        sections=[[(flag.flag, flag.key, flag.proof) for flag in audited.flags]],
        caption="\n".join(meanings),
        left=3,
    )


def signature_table(signature: Signature) -> Table:
    """The parts of a signature and what they mean."""
    plain = {name: getattr(signature, name) for name in (*POSITIONS, *KEYS)}
    shown = plain | {"iou": f"{signature.iou:g}", "tasks": " ".join(signature.tasks)}
    shown["seeds"] = " to ".join(str(n) for n in sorted(set(signature.seeds)))
    meanings = POSITIONS | KEYS
    rows = [(name, value, meanings[name]) for name, value in shown.items() if value is not None]
    return Table(title=str(signature), heads=("part", "value", "meaning"), sections=[rows], left=3)


def _with_interval(value: float, interval: Interval | None, style: str) -> Text:
    text = Text(percent(value), style=style)
    if interval is not None:
        shown = "[no interval: one example]"
        if interval.low is not None and interval.high is not None:
            shown = f"[{percent(interval.low)}, {percent(interval.high)}]"
        text.append(f"\n{shown}", style="not bold dim default")
    return text


def _recall(tp: int, gold: int) -> Text:
    if not gold:
        return Text("no gold", style="dim italic")
    return Text.assemble("R ", (f"{percent(tp / gold):>6}", "bold"), (f"  {tp}/{gold}", "dim"))


def comparison_table(comparison: Comparison, first: str, second: str, rule: str) -> Table:
    """F1 of two runs on the same examples, the difference with its interval, and the test."""
    level = comparison.tasks[0].difference.delta.level if comparison.tasks else LEVEL
    rows = []
    for row in comparison.tasks:
        one = row.difference
        style = "bold" if row.p_holm <= 1 - level else ""
        rows.append(
            (
                row.task.upper(),
                percent(one.first),
                percent(one.second),
                Text(difference(one.delta, gap="  ", absent="(no interval)"), style=style),
                f"{one.not_better:.4f}",
                f"{one.p:.4f}",
                Text(f"{row.p_holm:.4f}", style=style),
            )
        )
    between = f"difference, {level:.0%} interval"
    return Table(
        title=f"{first} against {second}",
        heads=("F1", "first", "second", between, "not better", "p", "p Holm"),
        sections=(rows,),
        first_out=("not better", "p"),
        caption=(
            f"{rule}, {comparison.n:,} examples: F1 in %, differences in points. Interval: paired "
            "bootstrap by example (BCa). Not better: share of resamples in which the first does "
            "not lead. p: approximate randomisation, two-sided; Holm over the rows. "
            f"{comparison.resamples:,} resamples, seed {comparison.seed}. One run each says "
            "nothing of other seeds."
        ),
    )


def difference(delta: Interval, digits: int = 2, gap: str = " ", absent: str = "") -> str:
    """A difference in points with its interval in brackets; ``absent`` in place of no interval."""
    between = absent
    if delta.low is not None and delta.high is not None:
        between = f"[{100 * delta.low:+.{digits}f}, {100 * delta.high:+.{digits}f}]"
    return f"{100 * delta.value:+.2f}{gap}{between}".rstrip()
