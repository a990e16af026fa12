"""Does agreement against a label find wrong ones? Errors are planted in gold and looked for.

  python -m experiments.studies.label_audit RUNS --name world

RUNS holds finished runs on the same test split. In a copy of its gold a share of the types, spans
and boxes is made wrong; every label is then ranked by the votes of all runs against it.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING

from gmbench.core.command_line import CommandLine, console, exit_code
from gmbench.core.entities import Box, Entity, Example
from gmbench.core.errors import InputError
from gmbench.core.files import write_atomically
from gmbench.core.iou import iou
from gmbench.lifecycle.build_data import stored_data
from gmbench.reporting.index import Entry, read_index
from gmbench.reporting.plots import BLUE, GREEN, GREY, VERMILION, png
from gmbench.reporting.tables import Table, shift_table
from gmbench.scoring.counting import Task
from gmbench.scoring.files import read_predictions
from gmbench.scoring.labels import KINDS, Answers, Shift, kendall, shifts, suspects, task_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRIES = 50
MOST = 200
"""Greatest k of the curve."""
SHOWN = (10, 20, 50, 100)
SEEDS = (1, 2, 3, 4, 5)
Place = tuple[str, int]


def plant(
    gold: Sequence[Example], kind: str, share: float, rng: Random
) -> tuple[list[Example], set[Place]]:
    """Gold with a share of its labels made wrong, and which: id and place of the entity.

    A wrong type is another one, a wrong span a word longer or shorter, a wrong box elsewhere.
    """
    types = sorted({e.type for example in gold for e in example.entities})
    wrong: dict[Place, Entity] = {}
    every = [(example, place) for example in gold for place in range(len(example.entities))]
    wanted = round(share * len(every))
    for example, place in rng.sample(every, len(every)):
        if len(wrong) == wanted:
            break
        entity = example.entities[place]
        if kind == "type":
            changed = [replace(entity, type=name) for name in types if name != entity.type]
        elif kind == "span":
            changed = _moved(example, place)
        else:
            changed = _elsewhere(example, entity, rng)
        if changed:
            wrong[example.id, place] = rng.choice(changed)
    examples = [
        replace(
            example,
            entities=tuple(wrong.get((example.id, n), e) for n, e in enumerate(example.entities)),
        )
        for example in gold
    ]
    return examples, set(wrong)


def _moved(example: Example, place: int) -> list[Entity]:
    """The entity with one boundary moved by a word, not onto another entity."""
    entity = example.entities[place]
    taken = {
        word
        for n, other in enumerate(example.entities)
        if n != place
        for word in range(other.start, other.end + 1)
    }
    ends = [(entity.start - 1, entity.end), (entity.start, entity.end + 1)]
    ends += [(entity.start + 1, entity.end), (entity.start, entity.end - 1)]
    return [
        replace(entity, start=start, end=end)
        for start, end in ends
        if 0 <= start <= end < len(example.words) and not taken & set(range(start, end + 1))
    ]


def _elsewhere(example: Example, entity: Entity, rng: Random) -> list[Entity]:
    """A groundable entity with a box that misses all of its own; none if that cannot be."""
    if not entity.groundable or example.size is None:
        return []
    for _ in range(TRIES):
        (x1, x2), (y1, y2) = (
            (low, low + length)
            for side in example.size
            for length in [rng.uniform(0.1, 0.5) * side]
            for low in [rng.uniform(0, side - length)]
        )
        box: Box = (float(round(x1)), float(round(y1)), float(round(x2)), float(round(y2)))
        if all(iou(box, own) < 0.3 for own in entity.boxes):
            return [replace(entity, boxes=(box,))]
    return []


def hits(
    gold: Sequence[Example], systems: Sequence[Answers], kind: str, share: float, seed: int
) -> tuple[list[bool], int]:
    """Whether each of the first labels of a kind is a planted error, and how many there are."""
    planted, wrong = plant(gold, kind, share, Random(f"{seed}/{kind}"))
    ranked = [one for one in suspects(planted, systems) if one.kind == kind]
    return [(one.id, one.place) in wrong for one in ranked], len(wrong)


@dataclass(frozen=True, kw_only=True)
class Found:
    """Precision among the first 1, 2, ... of one kind, mean over the seeds of the errors.

    Attributes:
        errors: their number.
        share: of the labels that are wrong: the precision of any order, by chance.
        at_all: precision at as many as there are errors.
    """

    kind: str
    precision: tuple[float, ...]
    errors: float
    share: float
    at_all: float


def find(gold: Sequence[Example], systems: Sequence[Answers], kind: str, share: float) -> Found:
    """Plant errors of one kind, seed by seed, and look for them."""
    drawn = [hits(gold, systems, kind, share, seed) for seed in SEEDS]
    labels = sum(len(example.entities) for example in gold)
    return Found(
        kind=kind,
        precision=tuple(
            fmean(sum(found[:k]) / k for found, _ in drawn) for k in range(1, MOST + 1)
        ),
        errors=fmean(count for _, count in drawn),
        share=fmean(count / labels for _, count in drawn),
        at_all=fmean(sum(found[:count]) / max(1, count) for found, count in drawn),
    )


def spoilt(gold: Sequence[Example], share: float) -> list[Example]:
    """Gold with wrong types, spans and boxes at once."""
    examples = list(gold)
    for kind in KINDS:
        examples, _ = plant(examples, kind, share, Random(f"1/{kind}"))
    return examples


def read(folders: Sequence[Path]) -> tuple[list[Entry], Sequence[Example], list[Answers]]:
    """Runs, the gold they share, and their answers.

    Raises:
        InputError: there are fewer than two runs, or they differ in data.
    """
    entries = [e for e in read_index(*folders).entries if e.result.selection.value is not None]
    if len({entry.result.data.fingerprint for entry in entries}) != 1 or len(entries) < 2:
        raise InputError(f"{', '.join(map(str, folders))}: needs two or more runs on the same data")
    _, source = stored_data(entries[0].folder.absolute())
    gold = source.read("test").examples
    return (
        entries,
        gold,
        [read_predictions(entry.folder / "predictions.test.jsonl", gold) for entry in entries],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command of the study; its exit code."""
    parser = CommandLine("python -m experiments.studies.label_audit", __doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUNS")
    parser.add_argument("--share", type=float, default=0.05, help="of the labels made wrong (0.05)")
    parser.add_argument("--name", help="write label_audit_NAME.md, .csv and .png")
    parser.add_argument("--out", type=Path, default=Path("experiments/results"))
    options = parser.parse_args(arguments)

    def study() -> int:
        entries, gold, systems = read(options.runs)
        found = [find(gold, systems, kind, options.share) for kind in KINDS]
        bad, task = spoilt(gold, options.share), task_of(systems)
        moved = shifts(bad, systems, suspects(bad, systems), task)
        true = shifts(gold, systems, (), task, first=())[0]
        names = [f"{e.folder.absolute().parent.name} seed {e.result.config.seed}" for e in entries]
        tables = (precision_table(found), ranking_table(moved, true, names, task))
        for table in tables:
            console().print(table)
        if options.name:
            options.out.mkdir(parents=True, exist_ok=True)
            path = options.out / f"label_audit_{options.name}"
            text = page(entries, tables, share=options.share, name=options.name)
            for suffix, data in (
                (".md", text.encode()),
                (".csv", "".join(table.csv() for table in tables[:1]).encode()),
                (".png", png(lambda figure: draw(figure, found))),
            ):
                write_atomically(path.with_suffix(suffix), data)
        return 0

    return exit_code(study)


def precision_table(found: Sequence[Found]) -> Table:
    """Precision at some k, in %."""
    return Table(
        heads=(
            "wrong",
            "errors",
            "by chance",
            *(f"first {k}" for k in SHOWN),
            "as many as are wrong",
        ),
        sections=[
            [
                (
                    one.kind,
                    f"{one.errors:g}",
                    *(
                        f"{100 * value:.1f}"
                        for value in (one.share, *(one.precision[k - 1] for k in SHOWN), one.at_all)
                    ),
                )
                for one in found
            ]
        ],
        title="Planted errors among the first labels, in %",
    )


def ranking_table(moved: Sequence[Shift], true: Shift, names: Sequence[str], task: Task) -> Table:
    """F1 and rank of the runs on spoilt gold, cleaned gold and the gold that was spoilt."""
    table = shift_table(moved, names, task)
    ranks = sorted(true.f1, reverse=True)
    rows = [
        [*row, f"{100 * value:.2f} ({ranks.index(value) + 1})"]
        for row, value in zip(table.sections[0], true.f1, strict=True)
    ]
    taus = [kendall(true.f1, one.f1) for one in moved]
    shown = ["tau to true gold", *("-" if tau is None else f"{tau:.2f}" for tau in taus), ""]
    more = [[*row, ""] for row in table.sections[1]]
    return replace(
        table,
        heads=(*table.heads, "true gold"),
        sections=[rows, [*more[:1], shown, *more[1:]]],
        title="Gold with errors of all three kinds",
    )


def page(entries: Sequence[Entry], tables: Sequence[Table], *, share: float, name: str) -> str:
    """The tables as a page."""
    first = entries[0].result
    commits = sorted({(e.result.code.commit or "unknown")[:10] for e in entries})
    lines = [
        "# Label audit: are planted errors found?",
        "",
        f"`python -m experiments.studies.label_audit RUNS --name {name}`",
        "",
        f"{100 * share:g} % of the labels of the test split are made wrong, and every label is "
        f"ranked by the votes of {len(entries)} runs against it; means over {len(SEEDS)} draws of "
        "the errors. Chance: the share that is wrong.",
        "",
    ]
    for table in tables:
        lines += [f"## {table.title}", "", *table.markdown(), ""]
        lines += [table.caption, ""] if table.caption else []
    lines += [
        f"Protocol {first.protocol.name} {first.protocol.version}, data {first.data.name} "
        f"{first.data.fingerprint[:12]}, test split, {first.data.n} tweets; commits "
        f"{', '.join(commits)}.",
    ]
    return "\n".join(lines) + "\n"


def draw(figure: "Figure", found: Sequence[Found]) -> None:
    """Precision over k, a line a kind."""
    axes = figure.subplots()
    looks = zip((BLUE, VERMILION, GREEN), ("-", "--", ":"), strict=True)
    for one, (colour, line) in zip(found, looks, strict=True):
        label = f"wrong {one.kind}"
        places = range(1, MOST + 1)
        values = [100 * value for value in one.precision]
        axes.plot(places, values, color=colour, linestyle=line, label=label)
        axes.axhline(100 * one.share, color=GREY, linewidth=0.8)
        axes.axvline(one.errors, color=GREY, linewidth=0.8, linestyle="--")
    axes.set_ylim(0, 102)
    axes.set_xlabel("first k labels")
    axes.set_ylabel("planted errors among them, in %")
    axes.set_title("Precision at k; grey: chance, and how many errors there are")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), handlelength=3.5)


if __name__ == "__main__":
    sys.exit(main())
