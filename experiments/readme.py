"""Result tables of the pages, from committed result files: ``python -m experiments.readme``.

  python -m experiments.readme                        write every marked table anew
  python -m experiments.readme --check                exit code 1 where a page differs
  python -m experiments.readme --add world/qgn RUN    keep the results of finished runs first

A table stands between ``<!-- results: KIND NAME -->`` and ``<!-- end -->``. ``runs NAME`` is made
of ``experiments/results/runs/NAME/METHOD/seed=N/result.json``; ``overview NAME/TASK,...`` has a
row of mean F1 for each of several such folders; ``table NAME`` is the first table of
``experiments/results/NAME.md``. No number in it is typed. Beside a result stand its counts by
tweet, without any text: ``python -m gmbench.report experiments/results/runs/NAME`` tests the
methods again. Exit codes: 0 done, 1 a page differs (--check), 2 a marker or a file that cannot be
read.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gmbench.config.renames import current_override
from gmbench.core.command_line import CommandLine
from gmbench.core.files import write_atomically
from gmbench.reporting.index import TWEETS, read_scored_run
from gmbench.reporting.leaderboard import of_the_method
from gmbench.reporting.record import RunResult, TaskFigures, read_result, write_result
from gmbench.reporting.tables import Table
from gmbench.scoring.baselines import UPPER_BOUND_OF_ONE_REGION
from gmbench.scoring.counting import TASKS
from gmbench.scoring.files import write_tweet_table
from gmbench.scoring.methods import summarise

RESULTS = Path(__file__).parent / "results"
ROOT = RESULTS.parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), RESULTS.parent / "README.md")
MARKED = re.compile(r"(<!-- results: (\w+) (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
ONE_BY_ONE = 3
"""Seeds of a method up to which each has a line; of more the least and the greatest are told."""


def filled(text: str) -> str:
    """A page with every marked table as its files give it.

    Raises:
        ValueError: a marker names no table or no runs, or a file cannot be read.
    """

    def table(found: re.Match[str]) -> str:
        kind, name = found[2], found[3]
        if kind == "runs":
            lines = runs_table(name)
        elif kind == "overview":
            lines = overview(name.split(","))
        elif kind == "table":
            lines = first_table((RESULTS / f"{name}.md").read_text())
        else:
            raise ValueError(f"{found[1].strip()}: KIND is runs, overview or table")
        return found[1] + "\n".join(lines) + "\n" + found[5]

    return MARKED.sub(table, text)


def first_table(text: str) -> list[str]:
    """The lines of the first table of a page."""
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("|"))
    rest = lines[start:]
    stop = next((n for n, line in enumerate(rest) if not line.startswith("|")), len(rest))
    return rest[:stop]


def runs_table(name: str) -> list[str]:
    """The runs or their range, each method's mean over seeds, baselines, where it is from.

    Raises:
        ValueError: no such runs, or runs that may not share a table.
    """
    methods = kept_runs(name)
    runs = [run for method in methods.values() for run in method]
    first = runs[0]
    shown = [task for task in TASKS if getattr(first.metrics, task) is not None]
    entities = first.metrics.mner.gold
    kind = "built-in world" if first.data.synthetic else first.data.name
    blind = "" if first.data.saw_pixels else ", text alone"
    counts = f"{first.data.n:,} examples, {entities:,} entities"
    title = f"{kind}{blind}, {first.data.split} split ({counts})"
    heads = [title, *(f"{task.upper()} P / R / F1" for task in shown)]
    if not first.data.saw_pixels:
        heads.append(f"F1 of {' / '.join(first.metrics.per_type)}")
    rows = [*_methods(methods, shown), *_baselines(methods, shown)]
    commands = [f"- {label}: `{_command(method)}`" for label, method in methods.items()]
    table = Table(heads=heads, sections=[rows], left=len(heads)).markdown()
    return [*table, "", *commands, "", _origin(runs)]


def kept_runs(name: str) -> dict[str, list[RunResult]]:
    """The kept runs of each method, in order of their seeds.

    Raises:
        ValueError: there are none, or they may not share a table.
    """
    methods = {
        folder.name: [read_result(file) for file in sorted(folder.glob("seed=*/result.json"))]
        for folder in sorted((RESULTS / "runs" / name).glob("*/"))
    }
    runs = [run for method in methods.values() for run in method]
    if not runs:
        raise ValueError(
            f"results: runs {name}: no seed=N/result.json in {RESULTS / 'runs' / name}/*/"
        )
    # Candidates belong to the method: a model that draws its own boxes has none.
    if len({(run.protocol, replace(run.data, candidates=None)) for run in runs}) > 1:
        raise ValueError(f"results: runs {name}: of different data, split or protocol")
    return methods


def overview(names: Sequence[str]) -> list[str]:
    """A row for each ``NAME/TASK``: mean F1 ± sd over seeds of every method, the best baseline.

    Raises:
        ValueError: no such runs, or runs that may not share a table.
    """
    tables = [(kept_runs(name), task) for name, _, task in (one.partition("/") for one in names)]
    methods = sorted({method for kept, _ in tables for method in kept})
    rows = []
    for kept, task in tables:
        first = next(iter(kept.values()))[0]
        kind = "built-in world" if first.data.synthetic else first.data.name
        blind = "" if first.data.saw_pixels else ", text alone"
        epochs = [_epochs(kept[method]) for method in methods if method in kept]
        unequal = f", {'/'.join(epochs)} epochs" if len(set(epochs)) > 1 else ""
        cells = [f"{kind}{blind}{unequal}: {task.upper()} F1"]
        for method in methods:
            values = [100 * getattr(run.metrics, task).f1 for run in kept.get(method, ())]
            found = summarise(values) if values else None
            spread = "" if found is None or found.sd is None else f" ± {found.sd:.1f}"
            bold = "**" if len(values) > 1 else ""  # one seed shows a run, not a method
            cells.append(
                "" if found is None else f"{bold}{found.mean:.1f}{bold}{spread} ({len(values)})"
            )
        # Baselines that are given the gold text are no systems. One that takes a candidate's box
        # stands beside the models that have candidates.
        floors = [floor for method in kept.values() for floor in method[0].floors]
        systems = [floor for floor in floors if floor.mner is not None]
        best = max(systems, key=lambda floor: getattr(floor, task).f1)
        rows.append([*cells, f"{100 * getattr(best, task).f1:.1f} ({best.name})"])
    heads = ["test split", *methods, "best baseline"]
    caption = "Mean F1 ± sd in %, in brackets how many seeds. Baselines learn nothing."
    return [*Table(heads=heads, sections=[rows], left=1).markdown(), "", caption]


def _epochs(method: list[RunResult]) -> str:
    """How often these runs saw the training split, as far as an override says so."""
    words = [word.partition("=") for word in method[0].config.overrides]
    return next((value for key, _, value in reversed(words) if key == "trainer.epochs"), "default")


def _methods(methods: Mapping[str, list[RunResult]], shown: list[str]) -> Iterator[list[str]]:
    for label, method in methods.items():
        for run in method if len(method) <= ONE_BY_ONE else ():
            cells = [f"{label}, seed {run.config.seed}"]
            cells += [_figures(getattr(run.metrics, task)) for task in shown]
            if not run.data.saw_pixels:
                types = run.metrics.per_type.values()
                cells.append(" / ".join(f"{100 * row.mner.f1:.1f}" for row in types))
            yield cells
        if len(method) > 1:
            cells = [f"{label}, mean ± sd of F1 ({len(method)} seeds)"]
            for task in shown:
                found = summarise([100 * getattr(run.metrics, task).f1 for run in method])
                spread = f" ({min(found.values):.1f} to {max(found.values):.1f})"
                cells.append(
                    f"**{found.mean:.1f}** ± {found.sd:.1f}"
                    + (spread if len(method) > ONE_BY_ONE else "")
                )
            yield [*cells, *[""] * (not method[0].data.saw_pixels)]


def _baselines(methods: Mapping[str, list[RunResult]], shown: list[str]) -> Iterator[list[str]]:
    """Each baseline once; an upper bound with the name of the method that has it."""
    said = set()
    for label, (first, *_) in methods.items():
        for floor in first.floors:
            figures = [getattr(floor, task) for task in shown]
            if floor.name in said or all(one is None for one in figures):
                continue
            said.add(floor.name)
            own = floor.name == UPPER_BOUND_OF_ONE_REGION
            name = floor.name.replace("its ceiling", f"upper bound of {label}")
            cells = [name if own else f"baseline: {name}", *map(_figures, figures)]
            yield [*cells, *[""] * (not first.data.saw_pixels)]


def _command(method: list[RunResult]) -> str:
    """What makes these runs."""
    first = method[0]
    words = [
        current_override(word, first.config.model)
        for word in first.config.overrides
        if word.partition("=")[0] not in ("model", "data")
    ]
    folder = {"photos": "data.coco=FOLDER"}.get(first.data.name, "data.root=FOLDER")
    data = [f"data={first.data.name}", *([] if first.data.synthetic else [folder])]
    seeds = ",".join(str(run.config.seed) for run in method)
    many = ["-m"] if len(method) > 1 else []
    verb = ["python", "-m", "gmbench.run", *many]
    return " ".join([*verb, f"model={first.config.model}", *data, *words, f"seed={seeds}"])


def _figures(one: TaskFigures | None) -> str:
    if one is None:
        return "given"
    return f"{100 * one.precision:.1f} / {100 * one.recall:.1f} / **{100 * one.f1:.1f}**"


def _origin(runs: list[RunResult]) -> str:
    first = runs[0]
    commits = sorted({run.code.commit[:10] for run in runs if run.code.commit})
    unknown = sum(run.code.commit is None for run in runs)
    devices = ", ".join(sorted({run.machine.device for run in runs}))
    minutes = sum(run.cost.seconds for run in runs) / 60 / len(runs)
    code = f"commit {', '.join(commits)}" if commits else ""
    if unknown:
        code += f"{' and ' * bool(commits)}no commit recorded for {unknown} of {len(runs)} runs"
    return (
        f"P, R, F1 in %, micro. Protocol {first.protocol.name} {first.protocol.version}, data "
        f"{first.data.fingerprint[:12]}, {code}, on {devices}, {minutes:.0f} minutes a run "
        "(mean, whatever else the machine did); files: `experiments/results/runs`."
    )


def add(name: str, folders: Sequence[Path]) -> None:
    """Keep the results of finished runs and their counts, without what only their machine knew.

    Raises:
        InputError: a run is not finished, its result is damaged, or its counts are not those of it.
    """
    for folder in folders:
        scored = read_scored_run(folder)
        run = scored.result
        overrides = tuple(
            word
            for word in of_the_method(run.config.overrides)
            if "/" not in word.partition("=")[2]
        )
        kept = replace(run, config=replace(run.config, overrides=overrides))
        target = RESULTS / "runs" / name / f"seed={run.config.seed}"
        target.mkdir(parents=True, exist_ok=True)
        write_result(target / "result.json", kept)
        write_tweet_table(target / TWEETS, scored.table)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 = done, 1 = a page differs, 2 = a marker or file is bad."""
    parser = CommandLine("python -m experiments.readme", __doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, say what differs")
    parser.add_argument("--add", metavar="NAME", help="DATA/METHOD that the runs belong to")
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="run folders for --add")
    options = parser.parse_args(arguments)
    code = 0
    try:
        if options.add:
            add(options.add, options.runs)
        for page in PAGES:
            before = page.read_text()
            after = filled(before)
            if after != before and options.check:
                print(f"{page}: differs from its results; python -m experiments.readme writes it")
                code = 1
            elif after != before:
                write_atomically(page, after.encode())
                print(f"{page}: written")
    except (ValueError, OSError) as fault:
        print(fault, file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
