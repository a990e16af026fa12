"""The cells of an experiment as Markdown and CSV; equal runs give equal bytes."""

from collections.abc import Iterator, Sequence

from experiments.engine.collect import Block, OurCell
from experiments.engine.measures import Measure
from experiments.engine.plan import Experiment, Preset
from experiments.papers.footnotes import Footnotes
from gmbench.reporting.tables import Table
from gmbench.scoring.intervals import Interval

NOT_RUN = "*not run*"
ABSENT = "-"
INTERVALS = (
    "Intervals, 95 %: noise of seeds and of tweets; **bold** where 0 lies outside. Not corrected "
    "for the number of rows. None where a row has one seed, which compares runs, not methods."
)
FOLDERS = ("data.root", "data.coco", "cache")
"""Keys of overrides whose values are folders; they change nothing of what is computed."""


def portable(overrides: Sequence[str]) -> list[str]:
    """Overrides as a table may tell them: a folder of one machine says nothing on another."""
    return [
        f"{key}=FOLDER" if key.lstrip("+") in FOLDERS and value else override
        for override in overrides
        for key, _, value in (override.partition("="),)
    ]


def markdown(
    experiment: Experiment, blocks: Sequence[Block], *, preset: Preset, command: str
) -> str:
    """The table of an experiment beside the paper's numbers, and where both come from."""
    lines = [f"# {experiment.title}", "", f"`{command}`", ""]
    if experiment.note:
        lines += [experiment.note, ""]
    notes = Footnotes()
    for block in blocks:
        lines += [f"## {block.setting.label}", ""]
        for cells in _tables(experiment, block):
            lines += [*_table(experiment, block, cells, notes), ""]
        lines += [f"- {line}" for line in _provenance(block)]
        lines.append("")
    lines += [f"{letter}) {text}  " for text, letter in notes.letters.items()]
    return "\n".join(lines).rstrip() + "\n"


def by_column(experiment: Experiment) -> list[tuple[Measure, ...]]:
    """The measures that share a table: those of one column group of the paper."""
    columns = dict.fromkeys(measure.column for measure in experiment.measures)
    return [tuple(m for m in experiment.measures if m.column == column) for column in columns]


def _tables(experiment: Experiment, block: Block) -> Iterator[list[tuple[OurCell, ...]]]:
    """Rows of each table of a block: one for each column group of the paper."""
    if any(measure.row for measure in experiment.measures):  # as printed: types downwards
        yield list(zip(*block.cells, strict=True))
        return
    for measures in by_column(experiment):
        rows = [tuple(c for c in row if c.measure in measures) for row in block.cells]
        # What can only be run on the other data has nothing to say here.
        yield [row for row in rows if any(c.wanted or c.paper is not None for c in row)]


def _table(
    experiment: Experiment, block: Block, lines: list[tuple[OurCell, ...]], notes: Footnotes
) -> list[str]:
    downwards = any(measure.row for measure in experiment.measures)
    first = lines[0]
    run = [any(line[n].wanted for line in lines) for n in range(len(first))]
    compared = [
        experiment.reference is not None and cell.measure.compared and not downwards
        for cell in first
    ]
    printed = [any(line[n].paper is not None for line in lines) for n in range(len(first))]
    off = [p and r and block.setting.real for p, r in zip(printed, run, strict=True)]
    shown = list(zip(run, compared, printed, off, strict=True))
    heads = [""]
    for cell, (mine, delta, paper, minus) in zip(first, shown, strict=True):
        name = cell.row.label if downwards else cell.measure.title
        heads += [f"{name}, ours"] if mine else []
        heads += [f"Δ to {_reference(experiment)} [95 %]"] if delta else []
        heads += [f"{name}, paper"] if paper else []
        heads += ["paper's Δ"] if paper and delta else []
        heads += ["ours - paper"] if minus else []
    rows = []
    for line in lines:
        cells = [line[0].measure.title if downwards else line[0].row.label]
        for cell, (mine, delta, paper, minus) in zip(line, shown, strict=True):
            cells += [ours(cell, notes)] if mine else []
            cells += (
                [delta_cell(cell.difference.delta) if cell.difference else ABSENT] if delta else []
            )
            cells += [_paper(cell, notes)] if paper else []
            cells += [_number(cell.delta, "+.2f")] if paper and delta else []
            cells += [_number(cell.off, "+.2f")] if minus else []
        rows.append(cells)
    return Table(heads=heads, sections=[rows], left=len(heads)).markdown()


def _reference(experiment: Experiment) -> str:
    if any(row.against for row in experiment.rows):
        return "its own reference"
    (label,) = (row.label for row in experiment.rows if row.key == experiment.reference)
    return label


def ours(cell: OurCell, notes: Footnotes | None = None) -> str:
    """Mean ± sample deviation (n), or that there is nothing."""
    if cell.summary is None:
        return ABSENT if not cell.wanted else "*not reported*" if cell.runs else NOT_RUN
    n = len(cell.summary.values)
    spread = "" if cell.summary.sd is None else f" ± {cell.summary.sd:.2f}"
    missing = f" of {cell.wanted}" if n < cell.wanted else ""
    texts = dict.fromkeys(run.note for run in cell.runs if run.note)
    marks = "".join(_mark(notes, text) for text in texts) if notes else ""
    return f"{cell.summary.mean:.2f}{spread} ({n}{missing}){marks}"


def delta_cell(delta: Interval) -> str:
    """A difference in points with its interval, bold where 0 lies outside."""
    if delta.low is None or delta.high is None:
        return f"{100 * delta.value:+.2f}"
    sure = "**" if delta.low > 0 or delta.high < 0 else ""
    return f"{sure}{100 * delta.value:+.2f}{sure} [{100 * delta.low:+.2f}, {100 * delta.high:+.2f}]"


def _paper(cell: OurCell, notes: Footnotes) -> str:
    if cell.paper is None:
        return ABSENT
    mark = _mark(notes, cell.paper.reason)
    if cell.value is None:
        return f"{cell.paper.printed}?{mark}"
    return f"{cell.value:.2f}{mark}"


def _mark(notes: Footnotes, text: str | None) -> str:
    """The raised letter of a text; empty without a text."""
    letter = notes.mark(text)
    return f"<sup>{letter}</sup>" if letter else ""


def _number(value: float | None, form: str) -> str:
    return ABSENT if value is None else format(value, form)


def _provenance(block: Block) -> Iterator[str]:
    runs = block.runs
    yield (
        f"{len(runs)} of {len(block.planned)} runs are there; mean ± sample deviation over seeds "
        "(number of seeds)."
    )
    if any(cell.difference is not None for row in block.cells for cell in row):
        yield INTERVALS
    if not block.setting.real and any(cell.paper for row in block.cells for cell in row):
        yield (
            "The paper's numbers are of real tweets with BERT and CLIP. Ours here are of the "
            f"{block.setting.label}: only directions can be compared, never the numbers."
        )
    if runs:
        first = runs[0].result
        protocol = f"{first.protocol.name} {first.protocol.version}"
        data = first.data
        prints = dict.fromkeys(run.result.data.fingerprint[:12] for run in runs)  # in rows' order
        yield (
            f"Protocol {protocol}, data {data.name} {', '.join(prints)}, {data.split} split, "
            f"{data.n} tweets{'' if data.limit is None else f', limited to {data.limit}'}."
        )
        seconds = sum(run.result.cost.seconds for run in runs)
        commits = sorted({(run.result.code.commit or "unknown")[:10] for run in runs})
        dirty = any(run.result.code.dirty for run in runs)
        yield (
            f"{seconds / 60:.0f} minutes of computing on "
            f"{', '.join(sorted({run.result.machine.device for run in runs}))}; "
            f"commits {', '.join(commits)}{' with uncommitted changes' if dirty else ''}."
        )
    for line in block.set_aside:
        yield f"Set aside, not comparable: {line}."


COLUMNS = (
    *("experiment", "preset", "setting", "row", "label", "x", "measure", "wanted", "n"),
    *("seeds", "values", "mean", "sd", "delta", "low", "high"),
    *("paper_printed", "paper", "paper_delta", "paper_flag", "ours_minus_paper", "overrides"),
)


def table_csv(experiment: Experiment, blocks: Sequence[Block], *, preset: Preset) -> str:
    """One line a cell; empty where there is nothing."""
    lines = []
    for block in blocks:
        overrides = {run.row.key: " ".join(portable(run.overrides)) for run in block.planned}
        lines += [
            _fields(experiment, preset, block, cell, overrides.get(cell.row.key, ""))
            for row in block.cells
            for cell in row
        ]
    return Table(heads=COLUMNS, sections=[lines]).csv()


def _fields(
    experiment: Experiment, preset: str, block: Block, cell: OurCell, overrides: str
) -> list[object]:
    summary, difference, paper = cell.summary, cell.difference, cell.paper
    delta = None if difference is None else difference.delta
    return [
        *(experiment.name, preset, block.setting.key, cell.row.key, cell.row.label, cell.row.x),
        *(cell.measure.title, cell.wanted, len(summary.values) if summary else 0),
        " ".join(str(run.seed) for run in cell.runs),
        " ".join(_plain(v) for v in summary.values) if summary else None,
        _plain(summary.mean if summary else None),
        _plain(summary.sd if summary else None),
        *(
            _plain(None if v is None else 100 * v)
            for v in ((delta.value, delta.low, delta.high) if delta else (None, None, None))
        ),
        paper.printed if paper else None,
        _plain(cell.value),
        _plain(cell.delta),
        paper.flag if paper else None,
        _plain(cell.off),
        overrides,
    ]


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
