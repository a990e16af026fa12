"""How much of a score stands without the picture, the known names or the telling words?

  python -m experiments.studies.shortcuts RUN [RUN ...] --copies FOLDER
  python -m experiments.studies.shortcuts data=own data.root=DATA ... --copies FOLDER --command TEXT
  python -m experiments.studies.shortcuts --out STEM       the table anew, from STEM.json

Answers perturbed copies of the test split, without training again, and writes STEM.json, .csv, .md
and .png. Systems that STEM.json already holds stay in the table. A command reads posts as JSON
lines on standard input and writes a line of predictions for each, as gmbench.score reads them;
{folder} in it is the folder of the copy. Exit codes: 0 done, 2 bad input.
"""

import shlex
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from experiments.shortcuts.effects import ALL, Answers, effects, tables
from experiments.shortcuts.perturb import POSTS, Copies, Copy, write_copies
from experiments.shortcuts.report import Perturbed, Shortcuts, System, read, result_tables, write
from gmbench.config import compose, friendly, parse
from gmbench.core.command_line import CommandLine, console, exit_code
from gmbench.core.errors import InputError
from gmbench.core.progress import track
from gmbench.lifecycle.build_data import build_regions, build_source, stored_data
from gmbench.reporting.record import read_result
from gmbench.scoring.counting import TASKS
from gmbench.scoring.files import read_predictions
from gmbench.scoring.intervals import RESAMPLES

Answer = Callable[[Copy], Answers]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; ``arguments`` are the command line's by default."""
    return exit_code(lambda: _main(_options(arguments)))


def _options(arguments: Sequence[str] | None) -> Namespace:
    parser = CommandLine("python -m experiments.studies.shortcuts", __doc__)
    add = parser.add_argument
    add("sources", nargs="*", metavar="RUN", help="run folders; with --command, KEY=VALUE of data")
    add("--copies", type=Path, metavar="FOLDER", help="where the perturbed data sets go")
    add("--out", type=Path, default=Path("shortcuts"), metavar="STEM", help="(./shortcuts)")
    add("--command", metavar="TEXT", help="a system that is only a command")
    add("--config-dir", type=Path, help="with --command: folder of your own configuration")
    add("--gold-root", type=Path, metavar="DIR", help="where the data set of the runs lies now")
    add("--label", metavar="NAME", help="of the system (model and candidates; command)")
    add("--seed", type=int, default=1, metavar="N", help="of the perturbations (1)")
    add("--resamples", type=int, default=RESAMPLES, metavar="N", help=f"({RESAMPLES})")
    add("--device", default="auto", help="auto (a GPU where there is one), cpu, cuda ...")
    add("--trust", action="append", default=[], metavar="PREFIX", help="a package of RUN's model")
    options = parser.parse_intermixed_args(arguments)
    if (options.sources or options.command) and options.copies is None:
        parser.error("--copies FOLDER: say where texts and pictures of the data set may be written")
    return options


def _main(options: Namespace) -> int:
    stem: Path = options.out
    found = read(stem.with_name(f"{stem.name}.json"))
    if options.command is not None:
        found = _with_command(options, found)
    else:
        for run in map(Path, options.sources):
            found = found.with_system(_audited_run(run, options))
            write(stem, found)  # after each: a run takes minutes
    if not found.systems:
        raise InputError("nothing to do: name a run, or --command (--help shows how)")
    write(stem, found)
    for data in dict.fromkeys(one.data for one in found.systems):
        for table in result_tables(found, data)[:1]:
            console().print(table)
    console().print(f"Written: {stem}.{{json,csv,md,png}}", markup=False)
    return 0


def _audited_run(run: Path, options: Namespace) -> System:
    settings, source = stored_data(run, options.gold_root, options.trust)
    regions = build_regions(settings, source)
    made = write_copies(source, regions, options.copies, seed=options.seed)
    from experiments.shortcuts.trained import answering  # torch

    label = settings.model.name + ("" if regions is None else f", {settings.regions.name}")
    found = audited(
        made,
        answering(
            run,
            reads_regions=regions is not None,
            device=options.device,
            trust=options.trust,
        ),
        label=options.label or label,
        seed=settings.seed,
        options=options,
    )
    metrics = read_result(run / "result.json").metrics
    for effect in found.perturbed[0].effects:
        own = getattr(metrics, effect.task)
        if effect.group == ALL and own is not None and abs(own.f1 - effect.before) > 1e-9:
            print(
                f"{run}: unchanged, it now has {effect.task.upper()} F1 {100 * effect.before:.2f}, "
                f"in its own test {100 * own.f1:.2f}: answers differ with device and batch size",
                file=sys.stderr,
            )
    return found


def _with_command(options: Namespace, found: Shortcuts) -> Shortcuts:
    try:
        settings = parse(compose(options.sources, options.config_dir))
        source = build_source(settings)
        regions = build_regions(settings, source)
    except Exception as error:
        line = friendly(error, options.sources)
        if line is None:
            raise
        raise InputError(line) from None
    made = write_copies(source, regions, options.copies, seed=options.seed)
    label = options.label or "command"

    def answer(copy: Copy) -> Answers:
        return answers_of_command(options.command, copy)

    return found.with_system(audited(made, answer, label=label, seed=None, options=options))


def audited(
    made: Copies, answer: Answer, *, label: str, seed: int | None, options: Namespace
) -> System:
    """A system under every perturbation.

    Args:
        made: the copies, the original first.
        answer: what the system predicts for the test split of a copy.
        label: of the system.
        seed: of the run; None for a command.
        options: ``seed`` of the perturbations, ``resamples`` of the intervals.
    """
    tasks = TASKS if made.saw_pixels else ("mner",)
    counted = [
        tables(copy.examples, answer(copy), made.types, tasks)
        for copy in track(made.copies, f"copies answered by {label}")
    ]
    perturbed = tuple(
        Perturbed(
            how=copy.how,
            changed=copy.changed,
            effects=effects(counted[0], after, resamples=options.resamples),
        )
        for copy, after in zip(made.copies[1:], counted[1:], strict=True)
    )
    return System(
        label=label,
        seed=seed,
        data=made.name,
        fingerprint=made.fingerprint.data,
        candidates=made.fingerprint.candidates,
        n=len(made.copies[0].examples),
        draws=options.seed,
        perturbed=perturbed,
    )


def answers_of_command(command: str, copy: Copy) -> Answers:
    """What a command writes for the posts of a copy.

    Raises:
        InputError: it fails, or does not write a line of predictions for each post.
    """
    words = shlex.split(command)
    words = [word.replace("{folder}", str(copy.folder)) for word in words]
    with TemporaryDirectory(prefix="gmbench-") as folder, (copy.folder / POSTS).open("rb") as posts:
        answers = Path(folder, f"answers to {copy.how}")
        with answers.open("wb") as written:
            try:
                done = subprocess.run(words, stdin=posts, stdout=written, check=False)
            except OSError as error:
                raise InputError(f"--command: {words[0]}: {error.strerror}") from None
        if done.returncode:
            raise InputError(f"--command ended with exit code {done.returncode} on {copy.folder}")
        return read_predictions(answers, copy.examples)


if __name__ == "__main__":
    sys.exit(main())
