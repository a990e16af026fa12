"""Many runs as one report: a leaderboard, or every two of its rows, in each format.

On the terminal (rich), as Markdown, LaTeX, CSV or JSON. Below them, one run and one score as plain
objects.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Group
from rich.text import Text

from gmbench.core.safe_text import printable, to_json
from gmbench.reporting.leaderboard import EVERY_ROW, Board, BoardRow, League, Versus
from gmbench.reporting.pairs import Pair, every_pair
from gmbench.reporting.record import RunResult, TaskFigures
from gmbench.reporting.tables import Row, Table, difference
from gmbench.scoring.counting import PROTOCOL_VERSION, TASKS, Counts, Scores
from gmbench.scoring.intervals import FigureIntervals, Interval
from gmbench.scoring.methods import SeedSummary
from gmbench.scoring.protocols import Scored
from gmbench.scoring.strata import Strata

FORMATS = ("md", "csv", "latex", "json")
"""The formats that are text."""
IN_FULL = "--format md, csv or json"
ABSENT = "-"
MARK = "\u2020"
"""Marks a row with a run that was interrupted or lost something; a note below says what."""
TEST_MEANING = (
    "p: two-sided, by the test that gives the interval and holds the noise of seeds and of "
    "examples; * = at most 5 % after Holm. One seed compares runs, not methods: no interval, no p."
)
BOARD_MEANING = (
    "F1 in %, mean ± sample deviation over n seeds; 95 %: of the mean when examples are drawn "
    f"again; Δ: to the first row. {TEST_MEANING} Holm over the rows."
)
PAIRS_MEANING = (
    "Δ: mean F1 over seeds of the first minus that of the second, in points; seeds ahead: pairs of "
    "a seed of the first and one of the second in which the first has the greater F1. "
    f"{TEST_MEANING} Holm over all tests of a table."
)


@dataclass(frozen=True, kw_only=True)
class Section:
    """One league of a report.

    Attributes:
        league: its title, and the notes below the title.
        table: for people.
        records: the same rows with figures as numbers.
    """

    league: League
    table: Table
    records: Table


@dataclass(frozen=True, kw_only=True)
class Report:
    """Tables of many runs.

    Attributes:
        meaning: what the columns are.
        marks: one line per marked row.
        set_aside, failed: runs that are in no table.
    """

    heading: str
    sections: tuple[Section, ...]
    meaning: str
    marks: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def closing(self) -> list[str]:
        """The lines below the tables."""
        left_out = [f"left out: {line}" for line in self.set_aside]
        return [self.meaning, *self.marks, *left_out, *(f"failed: {run}" for run in self.failed)]

    @property
    def records(self) -> Table:
        """Every row of every league."""
        parts = [section.records for section in self.sections]
        heads = next((part.heads for part in parts if part.heads), ())
        return Table(heads=heads, sections=[list(part.rows) for part in parts])

    def __rich__(self) -> Group:
        """The tables, then the lines below them, for ``Console.print``."""
        tables = []
        for section in self.sections:
            notes = (f"{label}: {text}" for label, text in section.league.notes.items())
            title = "\n".join((section.league.title, *notes))
            table = replace(section.table, title=title)
            tables.append(table.signed(section.league.signature))
        return Group(*tables, *map(Text, self.closing))

    def text(self, form: str) -> str:
        """The report in one of ``FORMATS``."""
        writers = (self._markdown, self._csv, self._latex, self._json)
        return dict(zip(FORMATS, writers, strict=True))[form]()

    def _markdown(self) -> str:
        lines = [f"# {self.heading}", ""]
        for section in self.sections:
            lines += [f"## {section.league.title}", ""]
            for label, text in section.league.notes.items():
                shown = f"`{text}`" if label == EVERY_ROW else text
                lines += [f"{label.capitalize()}: {shown}.", ""]
            lines += [*section.table.markdown(), "", f"`{section.league.signature}`", ""]
        meaning, *others = self.closing
        text = "\n".join([*lines, meaning, "", *(f"- {line}" for line in others)])
        return printable(text.rstrip()) + "\n"

    def _latex(self) -> str:
        lines = []
        for section in self.sections:
            lines.append(f"% {section.league.title}")
            lines += [f"% {label}: {text}" for label, text in section.league.notes.items()]
            lines += [*section.table.latex(), f"% {section.league.signature}", ""]
        return printable("\n".join([*lines, *(f"% {line}" for line in self.closing)])) + "\n"

    def _csv(self) -> str:
        return self.records.csv() if self.records.heads else ""

    def _json(self) -> str:
        leagues = [
            {
                "title": section.league.title,
                "signature": str(section.league.signature),
                "apart": section.league.apart,
                "task": section.league.task,
                "shared": section.league.shared,
                "rows": section.records.records(),
            }
            for section in self.sections
        ]
        plain = {"leagues": leagues, "left_out": self.set_aside, "failed": self.failed}
        return to_json(plain, indent=2) + "\n"


# The leaderboard.
def board_report(board: Board) -> Report:
    """The leaderboard."""
    rows = [row for league in board.leagues for row in league.rows]
    return Report(
        heading="Leaderboard",
        sections=tuple(
            Section(league=league, table=league_table(league), records=_board_records(league))
            for league in board.leagues
        ),
        meaning=BOARD_MEANING if board.leagues else "No finished run here.",
        marks=tuple(f"{MARK} {row.label}: {'; '.join(row.marks)}" for row in rows if row.marks),
        set_aside=board.set_aside,
        failed=board.failed,
    )


def league_table(league: League) -> Table:
    """One row per method, best first."""
    heads = (
        *("row", "n", *(f"{task.upper()} F1" for task in league.tasks)),
        *(f"{league.task.upper()} 95 %", "Δ to the first [95 %]", "p"),
        *("parameters M (trained)", "examples/s", "MiB", "min/run (CPU)"),
    )
    rows = [_board_cells(league, row) for row in league.rows]
    costs = ("parameters M (trained)", "MiB", "examples/s", "min/run (CPU)")
    return Table(heads=heads, sections=[rows], first_out=costs, everything=IN_FULL)


def _board_cells(league: League, row: BoardRow) -> Row:
    interval, versus = row.interval, row.versus
    between = ABSENT
    if interval is not None and interval.low is not None and interval.high is not None:
        between = f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
    delta, p = ABSENT, ABSENT
    if versus is not None:
        delta = difference(versus.delta, digits=1)
        p = p_value(versus, digits=3)
    return [
        f"{row.label} {MARK}" if row.marks else row.label,
        len(row.entries),
        *(_mean(row.figures[task]) for task in league.tasks),
        between,
        delta,
        p,
        f"{row.parameters / 1e6:.2f} ({row.trainable / 1e6:.2f})",
        *(ABSENT if x is None else f"{x:,.0f}" for x in (row.samples_per_second, row.memory_mib)),
        f"{row.minutes:.1f}" + ("" if row.cpu_minutes is None else f" ({row.cpu_minutes:.1f})"),
    ]


def p_value(test: Versus, digits: int) -> str:
    """The adjusted p of a test with its star, or what stands where one seed allows none."""
    if test.p_holm is None:
        return ABSENT
    least = 10**-digits
    shown = f"<{least:.{digits}f}" if test.p_holm < least / 2 else f"{test.p_holm:.{digits}f}"
    return shown + ("*" if test.differs else "")


def _mean(summary: SeedSummary | None) -> str:
    if summary is None:
        return "not reported"
    spread = "" if summary.sd is None else f" ± {100 * summary.sd:.2f}"
    return f"{100 * summary.mean:.2f}{spread}"


def _board_records(league: League) -> Table:
    return Table.of_records([_board_record(league, row) for row in league.rows])


def _board_record(league: League, row: BoardRow) -> dict[str, object]:
    record: dict[str, object] = {
        "league": league.title,
        "row": row.label,
        "n": len(row.entries),
        "marks": "; ".join(row.marks),
        "seeds": " ".join(map(str, row.seeds)),
    }
    for task in TASKS:
        summary = row.figures[task]
        record[f"{task}_f1"] = summary.mean if summary else None
        record[f"{task}_f1_sd"] = summary.sd if summary else None
        record[f"{task}_f1_values"] = " ".join(map(repr, summary.values)) if summary else None
    interval, versus = row.interval, row.versus
    return record | {
        "ranked_by": league.task,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        **_delta_record(versus.delta if versus else None),
        "p": versus.p if versus else None,
        "p_holm": versus.p_holm if versus else None,
        "parameters": row.parameters,
        "trainable": row.trainable,
        "samples_per_second": row.samples_per_second,
        "peak_memory_mib": row.memory_mib,
        "minutes": row.minutes,
        "cpu_minutes": row.cpu_minutes,
    }


# Every two rows of a league.
def pairs_report(board: Board, rows: int) -> Report:
    """The first ``rows`` rows of each league against each other."""
    sections = []
    for league in board.leagues:
        pairs = every_pair(league, rows)
        table = Table(
            heads=("F1", "first", "second", "Δ [95 %]", "seeds ahead", "p", "p Holm"),
            sections=[[_pair_cells(pair) for pair in pairs]],
            left=3,
            first_out=("p",),
            everything=IN_FULL,
        )
        records = Table.of_records([_pair_record(league, pair) for pair in pairs])
        bare = replace(league, apart=(), shared=())  # the leaderboard has said it
        sections.append(Section(league=bare, table=table, records=records))
    return Report(heading="Every two rows", sections=tuple(sections), meaning=PAIRS_MEANING)


def _pair_cells(pair: Pair) -> Row:
    return (
        *(pair.task.upper(), pair.first, pair.second, difference(pair.delta, digits=1)),
        f"{pair.ahead} of {pair.of}",
        *(ABSENT if pair.p is None else f"{pair.p:.4f}", p_value(pair, digits=4)),
    )


def _pair_record(league: League, pair: Pair) -> dict[str, object]:
    columns = ("task", "first", "second", "ahead", "of", "p", "p_holm")
    plain = {name: getattr(pair, name) for name in columns}
    return {"league": league.title, **plain, **_delta_record(pair.delta)}


def _delta_record(delta: Interval | None) -> dict[str, object]:
    return {
        "delta": delta.value if delta else None,
        "delta_low": delta.low if delta else None,
        "delta_high": delta.high if delta else None,
    }


# One run as a flat object: its summary on W&B.
def flat_figures(result: RunResult) -> dict[str, Any]:
    """The figures of a run with their counts, flat, as trackers compare runs by them."""
    metrics = result.metrics
    data = ("name", "fingerprint", "split", "n", "limit", "saw_pixels", "blanked")
    values: dict[str, Any] = {
        "status": "done",
        "config_sha": result.config.sha,
        "protocol": f"{result.protocol.name} {result.protocol.version}",
        **{f"data/{name}": getattr(result.data, name) for name in data},
        **{f"code/{name}": value for name, value in asdict(result.code).items()},
        "device": result.machine.device,
        "parameters": sum(part.total for part in result.parameters),
        "parameters/trained": sum(part.trainable for part in result.parameters),
        **asdict(result.cost),
        "best/rule": f"{result.selection.split} {result.selection.rule}",
        "best/value": result.selection.value,
        "best/epoch": result.selection.epoch,
    }
    rows: dict[str, TaskFigures | None] = {task: getattr(metrics, task) for task in TASKS}
    rows |= {f"{name}/gmner": row.gmner for name, row in metrics.per_type.items()}
    rows |= {f"{name}/mner": row.mner for name, row in metrics.per_type.items()}
    for name, figures in rows.items():
        for figure, value in asdict(figures).items() if figures else ():
            values[f"{result.data.split}/{name}_{figure}"] = value
    return {key: value for key, value in values.items() if value is not None}


# A score as one plain object: what `gmbench.score --json` prints.
Plain = dict[str, Any]


def corpus_object(scored: Scored) -> Plain:
    """Counts and figures of the three tasks (micro) and of every type, and the rules they follow.

    ``macro_f1`` is the mean over types and secondary; EEG has a recall by type and no precision.
    """
    total = scored.total
    types = total.per_type
    return {
        "gmner": {**_figures(total.micro.gmner), "macro_f1": total.macro_f1("gmner")},
        "mner": {**_figures(total.micro.mner), "macro_f1": total.macro_f1("mner")},
        "eeg": _figures(total.micro.eeg),
        "per_type": {
            "gmner": {name: _figures(row.gmner) for name, row in types.items()},
            "mner": {name: _figures(row.mner) for name, row in types.items()},
            "eeg_recall": {
                name: {"tp": row.eeg_tp, "gold": row.gmner.gold, "recall": row.eeg_recall}
                for name, row in types.items()
            },
        },
        "protocol": scored.protocol,
        "version": PROTOCOL_VERSION,
        "iou_threshold": scored.iou_threshold,
        "n": total.n,
    }


def case_object(id_: str, scores: Scores) -> Plain:
    """The counts of one document."""
    return {"id": id_, **{task: asdict(getattr(scores, task)) for task in TASKS}}


def interval_object(intervals: Mapping[str, FigureIntervals], resamples: int, seed: int) -> Plain:
    """The intervals of the three tasks: ``[low, high]``, null where there is none."""
    level = next(iter(intervals.values())).f1.level
    plain: Plain = {"method": "BCa", "level": level, "resamples": resamples, "seed": seed}
    for task, each in intervals.items():
        parts = {"precision": each.precision, "recall": each.recall, "f1": each.f1}
        plain[task] = {name: [part.low, part.high] for name, part in parts.items()}
    return plain


def strata_object(strata: Strata) -> Plain:
    """The splits of a score; ``notes`` names those that could not be made."""
    splits: Plain = {}
    for row in strata.recalls:
        counts = {"gold": row.gold, "gmner": row.gmner, "mner": row.mner, "eeg": row.eeg}
        splits.setdefault(row.split, {})[row.name] = counts
    sides = {
        side.name: {"gmner": _figures(side.gmner), "eeg": _figures(side.eeg)}
        for side in strata.sides
    }
    return {**sides, "found": splits, "notes": list(strata.notes)}


def _figures(counts: Counts) -> Plain:
    return asdict(TaskFigures.of(counts))
