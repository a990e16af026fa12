"""The command of every experiment: print its rows, ``--launch`` runs, ``--build`` files."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from experiments.engine.collect import Block, collect, find
from experiments.engine.files import by_column, markdown, ours, portable, table_csv
from experiments.engine.launching import How, launch
from experiments.engine.measures import Measure
from experiments.engine.plan import Experiment, plan
from experiments.papers.footnotes import Footnotes
from gmbench.config import friendly
from gmbench.core.command_line import console
from gmbench.core.files import write_atomically
from gmbench.reporting.index import read_index
from gmbench.reporting.tables import Table


def main(experiment: Experiment, arguments: Sequence[str] | None = None) -> int:
    """The command line of an experiment.

    Returns:
        0 done, 2 bad arguments or some run failed, 130 interrupted.
    """
    options = _parser(experiment).parse_intermixed_args(arguments)
    screen = console()
    try:
        planned = plan(
            experiment,
            preset=options.preset,
            extra=options.overrides,
            seeds=options.seeds,
            runs=options.runs_dir,
        )
    except Exception as error:
        said = friendly(error, options.overrides)
        if said is None:
            raise
        print(said, file=sys.stderr)
        return 2
    found = find(planned, read_index(options.runs_dir))
    code = 0
    if options.launch:
        code = launch(
            planned,
            rows=options.rows,
            how=How(
                runs=options.runs_dir,
                jobs=options.jobs,
                timeout=options.timeout,
                launcher=options.launcher,
            ),
        )
        found = find(planned, read_index(options.runs_dir))
    blocks = collect(experiment, planned, found)
    for block in blocks:
        for number, measures in enumerate(by_column(experiment)):
            screen.print(_table(experiment, block, measures, first=number == 0))
    missing = len(planned) - len(found)
    if not planned:
        screen.print("Nothing of it can be run on this data.")
    screen.print(f"{len(found)} of {len(planned)} runs are there, {missing} missing.")
    if missing and not options.launch:
        screen.print(f"Run them: {_command(experiment, options, options.overrides)} --launch")
    if options.build and blocks:
        _build(experiment, blocks, options, screen)
    return code


def _parser(experiment: Experiment) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {experiment.module}", description=experiment.title
    )
    add = parser.add_argument
    add("overrides", nargs="*", help="of every run, say data.root=FOLDER or trainer.epochs=8")
    add(
        "--preset",
        choices=("paper", "world", "photos", "smoke"),
        default="paper",
        help="the paper's data (default), the built-in world, photographs (data.coco=FOLDER), or "
        "seconds of the world",
    )
    add("--launch", action="store_true", help="run what is missing, one process a run")
    add("--build", action="store_true", help="write NAME.md, .csv and .png")
    add("--seeds", type=_seeds, help="say 1,2,3")
    add("--rows", type=lambda text: text.split(","), help="launch only these keys, say full,wo_ptq")
    add("--jobs", type=int, default=1, help="runs at a time")
    add("--timeout", type=float, help="seconds a run may take")
    add("--launcher", help="a Hydra launcher in place of our processes, say submitit_slurm")
    add("--runs-dir", type=Path, default=Path("runs"), help="folder of run folders")
    add("--out", type=Path, default=Path("experiments/results"), help="where --build writes")
    return parser


def _seeds(text: str) -> tuple[int, ...]:
    seeds = tuple(int(part) for part in text.split(","))
    if len(set(seeds)) != len(seeds):
        raise argparse.ArgumentTypeError("a seed stands twice")
    return seeds


def _command(experiment: Experiment, options: argparse.Namespace, overrides: Sequence[str]) -> str:
    parts = ["python", "-m", experiment.module]
    parts += [] if options.preset == "paper" else ["--preset", options.preset]
    parts += ["--seeds", ",".join(map(str, options.seeds))] if options.seeds else []
    return shlex.join([*parts, *overrides])


def _build(
    experiment: Experiment, blocks: Sequence[Block], options: argparse.Namespace, console: Console
) -> None:
    from experiments.engine.picture import picture

    name = experiment.name if options.preset == "paper" else f"{experiment.name}_{options.preset}"
    command = f"{_command(experiment, options, portable(options.overrides))} --build"
    options.out.mkdir(parents=True, exist_ok=True)
    drawn = None
    if experiment.picture is not None:
        drawn = experiment.picture(blocks[0])
    for suffix, data in (
        ("md", markdown(experiment, blocks, preset=options.preset, command=command).encode()),
        ("csv", table_csv(experiment, blocks, preset=options.preset).encode()),
        ("png", drawn or picture(experiment, blocks)),
    ):
        write_atomically(options.out / f"{name}.{suffix}", data)
    console.print(f"Written: {options.out / name}.{{md,csv,png}}")


def _table(
    experiment: Experiment, block: Block, measures: Sequence[Measure], *, first: bool
) -> Table:
    """The cells of some measures; what a row is and misses stands in the first table alone."""
    lines = [[cell for cell in row if cell.measure in measures] for row in block.cells]
    printed = any(cell.paper is not None for line in lines for cell in line)
    heads = ["row", *(["key, overrides", "missing"] if first else [])]
    for measure in measures:
        heads += [measure.title, *(["paper"] if printed else [])]
    notes, rows = Footnotes(), []
    for line in lines:
        variant, missing = line[0].row, line[0].wanted - len(line[0].runs)
        cells: list[object] = [variant.label]
        if first:
            overrides = " ".join((f"{variant.key}:", *variant.overrides_on(block.setting)))
            cells += [Text(overrides, style="dim"), missing or ""]
        for cell in line:
            cells.append(ours(cell).replace("*", ""))
            if printed:
                reason = cell.paper.reason if cell.paper else None
                notes.mark(reason)
                value = "" if cell.value is None else f"{cell.value:.2f}{'!' if reason else ''}"
                cells.append(Text(value, style="dim"))
        rows.append(cells)
    return Table(
        heads=heads,
        sections=[rows],
        title=f"{experiment.title}: {block.setting.label}" if first else measures[0].column or "",
        caption="\n".join([*(f"! {text}" for text in notes.letters), *block.set_aside]),
        left=2 if first else 1,
    )
