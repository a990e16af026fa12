"""A leaderboard for the terminal (rich), as Markdown, CSV, LaTeX or JSON."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table

from gmbench.core.records import to_plain
from gmbench.reporting.leaderboard import Board, BoardRow, League
from gmbench.reporting.record import TaskFigures
from gmbench.scoring.counting import TASKS, CorpusScores, Counts, Scores
from gmbench.scoring.intervals import FigureIntervals
from gmbench.scoring.protocols import PROTOCOL_VERSION, Scored
from gmbench.scoring.significance import SeedSummary
from gmbench.scoring.strata import Strata

ABSENT = "-"
MARK = "\u2020"
"""Beside a row with a run that was not an unbroken one; why is told below the tables."""
MEANING = (
    "F1 in %, mean ± sample deviation over n seeds; 95 %: of the mean when tweets are drawn again; "
    "Δ: to the first row, interval over seeds and tweets; p: approximate randomisation by tweet, "
    "Holm over the rows; * = differs from the first row at 5 %."
)


def heads(league: League) -> list[str]:
    """Columns of a league's table."""
    order = [league.task, *(task for task in TASKS if task != league.task)]
    return [
        *("row", "n", *(f"{task.upper()} F1" for task in order), f"{league.task.upper()} 95 %"),
        *("Δ to the first [95 %]", "p", "parameters M (trained)", "tweets/s", "MiB", "min/run"),
    ]


def cells(league: League, row: BoardRow) -> list[str]:
    """One row, in the order of ``heads``."""
    order = [league.task, *(task for task in TASKS if task != league.task)]
    interval, versus = row.interval, row.versus
    between = ABSENT
    if interval is not None and interval.low is not None and interval.high is not None:
        between = f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
    delta, p = ABSENT, ABSENT
    if versus is not None:
        delta = f"{100 * versus.delta.value:+.2f}"
        if versus.delta.low is not None and versus.delta.high is not None:
            delta += f" [{100 * versus.delta.low:+.1f}, {100 * versus.delta.high:+.1f}]"
        p = "<0.001" if versus.p_holm < 0.0005 else f"{versus.p_holm:.3f}"
        p += "*" if versus.differs else ""
    return [
        *(
            marked(row),
            str(len(row.entries)),
            *(_mean(row.figures[task]) for task in order),
            between,
        ),
        *(delta, p, f"{row.parameters / 1e6:.2f} ({row.trainable / 1e6:.2f})"),
        *(_number(row.samples_per_second), _number(row.memory_mib), f"{row.minutes:.1f}"),
    ]


def marked(row: BoardRow) -> str:
    """Its label, with a dagger where one of its runs was resumed inexactly or lost something."""
    return f"{row.label} {MARK}" if row.marks else row.label


def marks(board: Board) -> list[str]:
    """A line for each row with a dagger."""
    rows = (row for league in board.leagues for row in league.rows if row.marks)
    return [f"{MARK} {row.label}: {'; '.join(row.marks)}" for row in rows]


def terminal(board: Board) -> Iterator[RenderableType]:
    """Tables to be printed one after the other, then what was left out."""
    for number, league in enumerate(board.leagues):
        title = league.title
        if number:
            title += f"\napart from the first table: {'; '.join(league.apart)}"
        if league.shared:
            title += f"\nevery row: {' '.join(league.shared)}"
        table = Table(title=title, title_justify="left", box=box.ROUNDED, caption_justify="left")
        for place, head in enumerate(heads(league)):
            if place:
                table.add_column(head, justify="right", overflow="fold")
            else:
                table.add_column(head, overflow="fold", min_width=24)
        for row in league.rows:
            table.add_row(*cells(league, row))
        yield table
    yield Group(*([MEANING] if board.leagues else ["no finished run here"]), *_left_out(board))


def markdown(board: Board) -> str:
    """Markdown, one section a league."""
    lines = ["# Leaderboard", ""]
    for number, league in enumerate(board.leagues):
        lines += [f"## {league.title}", ""]
        lines += [f"Apart from the first table: {'; '.join(league.apart)}.", ""] if number else []
        lines += [f"Every row: `{' '.join(league.shared)}`.", ""] if league.shared else []
        columns = heads(league)
        lines += ["| " + " | ".join(columns) + " |", "|---" + "|---:" * (len(columns) - 1) + "|"]
        for row in league.rows:
            lines.append(
                "| " + " | ".join(c.replace("|", "\\|") for c in cells(league, row)) + " |"
            )
        lines.append("")
    lines += [MEANING if board.leagues else "No finished run here.", ""]
    lines += [f"- {line}" for line in _left_out(board)]
    return "\n".join(lines).rstrip() + "\n"


def latex(board: Board) -> str:
    """A tabular a league, for booktabs."""
    parts = []
    for number, league in enumerate(board.leagues):
        columns = heads(league)
        parts.append(f"% {league.title}")
        parts += [f"% apart from the first table: {'; '.join(league.apart)}"] if number else []
        parts += [f"% every row: {' '.join(league.shared)}"] if league.shared else []
        parts.append(rf"\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}")
        parts += [r"\toprule", _tex(columns), r"\midrule"]
        parts += [_tex(cells(league, row)) for row in league.rows]
        parts += [r"\bottomrule", r"\end{tabular}", ""]
    parts.append(f"% {MEANING}")
    return "\n".join([*parts, *(f"% {line}" for line in _left_out(board))]) + "\n"


def rows_of(board: Board) -> list[dict[str, object]]:
    """Every row of every league with its figures as numbers; all have the same keys."""
    return [_record(league, row) for league in board.leagues for row in league.rows]


def table_csv(board: Board) -> str:
    """One line a row, figures as numbers; empty where there is nothing."""
    lines = rows_of(board)
    text = io.StringIO()
    if lines:
        writer = csv.DictWriter(text, fieldnames=list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return text.getvalue()


def table_json(board: Board) -> str:
    """The same, with leagues and what was left out."""
    plain = {
        "leagues": [
            {
                "title": league.title,
                "apart": list(league.apart),
                "task": league.task,
                "shared": list(league.shared),
                "rows": [_record(league, row) for row in league.rows],
            }
            for league in board.leagues
        ],
        "left_out": list(board.set_aside),
        "failed": list(board.failed),
    }
    return json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


TEXTS: Mapping[str, Callable[[Board], str]] = {
    "md": markdown,
    "csv": table_csv,
    "latex": latex,
    "json": table_json,
}
"""The formats that are text."""


def _record(league: League, row: BoardRow) -> dict[str, object]:
    found: dict[str, object] = {
        "league": league.title,
        "row": row.label,
        "n": len(row.entries),
        "marks": "; ".join(row.marks),
        "seeds": " ".join(map(str, row.seeds)),
    }
    for task in TASKS:
        summary = row.figures[task]
        found[f"{task}_f1"] = summary.mean if summary else None
        found[f"{task}_f1_sd"] = summary.sd if summary else None
        found[f"{task}_f1_values"] = " ".join(map(repr, summary.values)) if summary else None
    interval, versus = row.interval, row.versus
    delta = versus.delta if versus else None
    return found | {
        "ranked_by": league.task,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "delta": delta.value if delta else None,
        "delta_low": delta.low if delta else None,
        "delta_high": delta.high if delta else None,
        "p": versus.p if versus else None,
        "p_holm": versus.p_holm if versus else None,
        "parameters": row.parameters,
        "trainable": row.trainable,
        "samples_per_second": row.samples_per_second,
        "peak_memory_mib": row.memory_mib,
        "minutes": row.minutes,
    }


def _left_out(board: Board) -> list[str]:
    return [
        *marks(board),
        *(f"left out: {line}" for line in board.set_aside),
        *(f"failed: {folder}" for folder in board.failed),
    ]


def _mean(summary: SeedSummary | None) -> str:
    if summary is None:
        return "not reported"
    spread = "" if summary.sd is None else f" ± {100 * summary.sd:.2f}"
    return f"{100 * summary.mean:.2f}{spread}"


def _number(value: float | None) -> str:
    return ABSENT if value is None else f"{value:,.0f}"


def _tex(columns: Sequence[str]) -> str:
    signs = {
        "%": r"\%",
        "_": r"\_",
        "&": r"\&",
        "#": r"\#",
        "±": r"$\pm$",
        "<": "$<$",
        "Δ": r"$\Delta$",
    }
    signs[MARK] = r"\dag{}"
    escaped = ["".join(signs.get(c, c) for c in column) for column in columns]
    return " & ".join(escaped) + r" \\"


# Scores as one plain object: what `gmbench.score --json` prints.
Plain = dict[str, Any]


def corpus_object(scored: Scored) -> Plain:
    """Counts and figures of the three tasks (micro) and of every type, and the rules they follow.

    ``macro_f1`` is the mean over types and secondary; EEG has a recall by type and no precision.
    """
    total = scored.total
    return {
        "gmner": {**_figures(total.micro.gmner), "macro_f1": total.macro_f1("gmner")},
        "mner": {**_figures(total.micro.mner), "macro_f1": total.macro_f1("mner")},
        "eeg": _figures(total.micro.eeg),
        "per_type": _per_type(total),
        "protocol": scored.protocol,
        "version": PROTOCOL_VERSION,
        "iou_threshold": scored.iou_threshold,
        "n": total.n,
    }


def case_object(id_: str, scores: Scores) -> Plain:
    """The counts of one document."""
    counts = {"gmner": scores.gmner, "mner": scores.mner, "eeg": scores.eeg}
    return {"id": id_, **{task: asdict(count) for task, count in counts.items()}}


def interval_object(intervals: Mapping[str, FigureIntervals], resamples: int, seed: int) -> Plain:
    """The intervals of the three tasks: ``[low, high]``, null where there is none."""
    level = next(iter(intervals.values())).f1.level
    found: Plain = {"method": "BCa", "level": level, "resamples": resamples, "seed": seed}
    for task, each in intervals.items():
        parts = {"precision": each.precision, "recall": each.recall, "f1": each.f1}
        found[task] = {name: [part.low, part.high] for name, part in parts.items()}
    return found


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


def _per_type(total: CorpusScores) -> Plain:
    types = total.per_type
    return {
        "gmner": {name: _figures(row.gmner) for name, row in types.items()},
        "mner": {name: _figures(row.mner) for name, row in types.items()},
        "eeg_recall": {
            name: {"tp": row.eeg_tp, "gold": row.gmner.gold, "recall": row.eeg_recall}
            for name, row in types.items()
        },
    }


def _figures(counts: Counts) -> Plain:
    plain: Plain = to_plain(TaskFigures.of(counts))
    return plain
