"""``python -m experiments.NAME``: print the rows; ``--launch`` runs them, ``--build`` the files."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from experiments.engine.collect import Block, collect, find
from experiments.engine.files import Notes, markdown, ours, table_csv
from experiments.engine.launching import How, launch
from experiments.engine.plan import Experiment, plan
from gmbench.config import friendly
from gmbench.reporting.index import read_index
from gmbench.scoring.atomic import write_atomically


def main(experiment: Experiment, arguments: Sequence[str] | None = None) -> int:
    """The command line of an experiment.

    Returns:
        0 done, 2 bad arguments or some run failed, 130 interrupted.
    """
    options = _parser(experiment).parse_intermixed_args(arguments)
    console = Console() if sys.stdout.isatty() else Console(width=140)
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
        console.print(_table(experiment, block))
    missing = len(planned) - len(found)
    if not planned:
        console.print("Nothing of it can be run on this data.")
    console.print(f"{len(found)} of {len(planned)} runs are there, {missing} missing.")
    if missing and not options.launch:
        console.print(f"Run them: {_command(experiment, options)} --launch")
    if options.build:
        _build(experiment, blocks, options, console)
    return code


def _parser(experiment: Experiment) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m experiments.{experiment.name}", description=experiment.title
    )
    add = parser.add_argument
    add("overrides", nargs="*", help="of every run, say data.root=FOLDER or trainer.epochs=8")
    add(
        "--preset",
        choices=("paper", "world", "smoke"),
        default="paper",
        help="the paper's data (default), the built-in world, or seconds of it",
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


def _command(experiment: Experiment, options: argparse.Namespace) -> str:
    parts = ["python", "-m", f"experiments.{experiment.name}"]
    parts += [] if options.preset == "paper" else ["--preset", options.preset]
    parts += ["--seeds", ",".join(map(str, options.seeds))] if options.seeds else []
    return shlex.join([*parts, *options.overrides])


def _build(
    experiment: Experiment, blocks: Sequence[Block], options: argparse.Namespace, console: Console
) -> None:
    from experiments.engine.picture import picture

    name = experiment.name if options.preset == "paper" else f"{experiment.name}_{options.preset}"
    command = f"{_command(experiment, options)} --build"
    options.out.mkdir(parents=True, exist_ok=True)
    drawn = None
    if experiment.picture is not None:
        first = {row[0].row.label: row[0].runs[0] for row in blocks[0].cells if row[0].runs}
        drawn = experiment.picture(first)
    for suffix, data in (
        ("md", markdown(experiment, blocks, preset=options.preset, command=command).encode()),
        ("csv", table_csv(experiment, blocks, preset=options.preset).encode()),
        ("png", drawn or picture(experiment, blocks)),
    ):
        write_atomically(options.out / f"{name}.{suffix}", data)
    console.print(f"Written: {options.out / name}.{{md,csv,png}}")


def _table(experiment: Experiment, block: Block) -> Table:
    table = Table(
        title=f"{experiment.title}: {block.setting.label}",
        title_justify="left",
        box=box.ROUNDED,
        caption_justify="left",
    )
    table.add_column("row", overflow="fold")
    table.add_column("key, overrides", style="dim", overflow="fold")
    table.add_column("missing", justify="right")
    printed = any(cell.paper is not None for row in block.cells for cell in row)
    for measure in experiment.measures:
        table.add_column(measure.title, justify="right")
        if printed:
            table.add_column("paper", justify="right", style="dim")
    notes = Notes()
    for row in block.cells:
        cells: list[str] = []
        for cell in row:
            cells.append(ours(cell).replace("*", ""))
            if printed:
                flagged = cell.paper is not None and cell.paper.reason
                cells.append(
                    "" if cell.value is None else f"{cell.value:.2f}{'!' if flagged else ''}"
                )
                notes.mark(cell.paper.reason if cell.paper else None)
        first = row[0]
        world = () if block.setting.real else first.row.world_only
        overrides = " ".join((f"{first.row.key}:", *first.row.overrides, *world))
        missing = first.wanted - len(first.runs)
        table.add_row(escape(first.row.label), escape(overrides), str(missing or ""), *cells)
    table.caption = "\n".join([*(f"! {text}" for text in notes.letters), *block.set_aside]) or None
    return table
