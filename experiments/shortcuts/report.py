"""Effects of many systems as JSON, and the table and picture made of them."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.engine.files import ABSENT, delta_cell
from experiments.shortcuts.effects import ALL, Effect
from gmbench.core.files import read_file, write_atomically
from gmbench.core.records import parse_record, to_plain
from gmbench.core.safe_text import to_cell, to_json
from gmbench.reporting.tables import Table
from gmbench.scoring.counting import TASKS
from gmbench.scoring.methods import summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = 1
DONE = {
    "swapped": "another's picture",
    "blank": "blank picture",
    "mirrored": "mirrored picture",
    "names": "unseen names",
    "lower": "lower case",
    "cues": "cue words masked",
}
"""How tables call a perturbation, in their order."""
HEADER = (
    *("data", "system", "seed", "perturbation", "changed", "of", "group", "task", "figure"),
    *("before", "after", "delta", "low", "high"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbed:
    """What one perturbation does to a system.

    Attributes:
        how: as in ``perturb``.
        changed: number of examples that are not what they were.
    """

    how: str
    changed: int
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A system under every perturbation; one run, if it is trained.

    Attributes:
        label: systems of one label and data set are seeds of one method.
        seed: of the run; None for a command.
        data: name of the data set.
        fingerprint: of it; ``candidates`` of its candidate regions.
        n: number of test examples.
        draws: seed of the perturbations.
    """

    label: str
    seed: int | None
    data: str
    fingerprint: str
    candidates: str | None
    n: int
    draws: int
    perturbed: tuple[Perturbed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcuts:
    """All systems of a table, sorted."""

    systems: tuple[System, ...]
    format: int = FORMAT

    def with_system(self, new: System) -> "Shortcuts":
        """With a system more, or in place of the one of the same label, seed and data set."""

        def key(one: System) -> tuple[str, str, int]:
            return one.data, one.label, -1 if one.seed is None else one.seed

        kept = [one for one in self.systems if key(one) != key(new)]
        return Shortcuts(systems=tuple(sorted([*kept, new], key=key)))


def read(path: Path) -> Shortcuts:
    """The systems of a file; none if it is not there.

    Raises:
        InputError: the file is damaged.
    """
    if not path.exists():
        return Shortcuts(systems=())
    return parse_record(Shortcuts, read_file(path), str(path))


def write(stem: Path, found: Shortcuts) -> None:
    """Write ``STEM.json``, ``.csv``, ``.md`` and ``.png``."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    for suffix, data in files(found).items():
        write_atomically(stem.with_name(f"{stem.name}.{suffix}"), data)


def files(found: Shortcuts) -> dict[str, bytes]:
    """The content of each file, by its ending."""
    return {
        "json": (to_json(to_plain(found)) + "\n").encode(),
        "csv": rows_csv(found).encode(),
        "md": markdown(found).encode(),
        "png": picture(found),
    }


def rows_csv(found: Shortcuts) -> str:
    """Every figure of every system, in percent."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for one in found.systems:
        for done in one.perturbed:
            for effect in done.effects:
                delta = effect.delta
                numbers = (effect.before, effect.after, delta.value, delta.low, delta.high)
                writer.writerow(
                    [to_cell(one.data), to_cell(one.label), one.seed, done.how, done.changed, one.n]
                    + [effect.group, effect.task, effect.figure]
                    + ["" if number is None else f"{100 * number:.2f}" for number in numbers]
                )
    return text.getvalue()


def markdown(found: Shortcuts) -> str:
    """The tables as a page."""
    lines = ["# How much stands without the picture, the known names, the telling words", ""]
    for data in dict.fromkeys(one.data for one in found.systems):
        lines += [f"## {data}", ""]
        for table in result_tables(found, data):
            lines += [*table.markdown(), ""]
            lines += [table.caption, ""] if table.caption else []
    return "\n".join(lines).rstrip() + "\n"


NOTE = (
    "Change in points on the same test examples, gold as it was. One run: 95 % interval over the "
    "examples, by paired bootstrap, bold where 0 lies outside, not corrected for the number of "
    "rows. Several seeds: mean ± sample deviation (number)."
)
SIDES_NOTE = (
    "Groundable: gold entities with a box against predictions with one; not groundable: without. "
    "R: recall, where predictions belong to no group."
)


def result_tables(found: Shortcuts, data: str) -> tuple[Table, Table]:
    """The effects on whole scores, then by groundability and type, of the systems on ``data``."""
    methods: dict[str, list[System]] = {}
    for one in found.systems:
        if one.data == data:
            methods.setdefault(one.label, []).append(one)
    first = next(iter(methods.values()))[0]
    groups = list(dict.fromkeys(e.group for e in first.perturbed[0].effects))
    tasks = [task for task in TASKS if _effect(first.perturbed[0], ALL, task)]
    whole, parts = [], []
    for label, runs in methods.items():
        scores = ["unchanged, F1", "", *(_before(runs, ALL, task) for task in tasks)]
        rows = [[label, *scores]]
        detail = []
        for how, name in DONE.items():
            done = [d for run in runs for d in run.perturbed if d.how == how]
            if not done:
                continue
            changed = f"{done[0].changed:,} of {runs[0].n:,}"
            rows.append([label, name, changed, *(_cell(done, ALL, task) for task in tasks)])
            detail += [
                [label, name, group, *(_cell(done, group, task) for task in tasks)]
                for group in groups
                if group != ALL
            ]
        whole.append(rows)
        parts.append(detail)
    heads = [f"Δ {task.upper()} F1" for task in tasks]
    return (
        Table(
            heads=["system", "perturbation", "examples", *heads],
            sections=whole,
            title=f"Shortcuts: {data}",
            caption=NOTE,
            left=2,
        ),
        Table(
            heads=["system", "perturbation", "entities", *heads],
            sections=parts,
            caption=SIDES_NOTE,
            left=3,
        ),
    )


def _effect(done: Perturbed, group: str, task: str) -> Effect | None:
    return next((e for e in done.effects if (e.group, e.task) == (group, task)), None)


def _before(runs: Sequence[System], group: str, task: str) -> str:
    values = [e.before for run in runs if (e := _effect(run.perturbed[0], group, task))]
    return _spread([100 * value for value in values], "")


def _cell(done: Sequence[Perturbed], group: str, task: str) -> str:
    found = [e for one in done if (e := _effect(one, group, task)) is not None]
    if not found:
        return ABSENT
    kind = " R" if found[0].figure == "recall" else ""
    if len(found) == 1:
        return delta_cell(found[0].delta) + kind
    return _spread([100 * e.delta.value for e in found], "+") + kind


def _spread(values: Sequence[float], sign: str) -> str:
    summary = summarise(values)
    if summary.sd is None:
        return f"{summary.mean:{sign}.2f}"
    return f"{summary.mean:{sign}.2f} ± {summary.sd:.2f} ({len(values)})"


def picture(found: Shortcuts) -> bytes:
    """A panel a task: the change of F1 by perturbation, a marker a system."""
    from gmbench.reporting.plots import LOOKS, png

    lines: dict[str, list[System]] = {}
    many = len({one.data for one in found.systems}) > 1
    for one in found.systems:
        lines.setdefault(f"{one.label}, {one.data}" if many else one.label, []).append(one)
    hows = [how for how in DONE if any(d.how == how for s in found.systems for d in s.perturbed)]

    def draw(figure: "Figure") -> None:
        panels = figure.subplots(1, len(TASKS), sharex=True, sharey=True)
        for axes, task in zip(panels, TASKS, strict=True):
            axes.set_title(task.upper())
            axes.set_xlabel("change of F1 in points")
            axes.axvline(0, color="black", linewidth=0.8)
            axes.set_yticks(range(len(hows)), [DONE[how] for how in hows])
            axes.set_ylim(len(hows) - 0.5, -0.5)
            for number, (label, runs) in enumerate(lines.items()):
                colour, marker, _ = list(LOOKS.values())[number % len(LOOKS)]
                shift = (number - (len(lines) - 1) / 2) * 0.8 / len(lines)
                points = list(_points(runs, hows, task))
                axes.errorbar(
                    [value for _, value, _, _ in points],
                    [place + shift for place, _, _, _ in points],
                    xerr=[[low for *_, low, _ in points], [high for *_, high in points]],
                    fmt=marker,
                    color=colour,
                    markerfacecolor=colour if number < len(LOOKS) else "none",
                    linewidth=1.2,
                    label=label,
                )
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)

    return png(draw, (11, 1.6 + 0.16 * len(hows) * max(3, len(lines))))


def _points(
    runs: Sequence[System], hows: Sequence[str], task: str
) -> Iterator[tuple[int, float, float, float]]:
    """Place, value and reach to either side: the interval of one run, the deviation of several."""
    for place, how in enumerate(hows):
        done = [d for run in runs for d in run.perturbed if d.how == how]
        found = [e.delta for d in done if (e := _effect(d, ALL, task)) is not None]
        if not found:
            continue
        summary = summarise([100 * delta.value for delta in found])
        low = high = summary.sd or 0.0
        if len(found) == 1 and found[0].low is not None and found[0].high is not None:
            low, high = summary.mean - 100 * found[0].low, 100 * found[0].high - summary.mean
        yield place, summary.mean, max(0.0, low), max(0.0, high)
