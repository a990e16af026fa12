"""Check a data set: what is missing and where to get it, counts, leakage, fingerprint.

It takes the overrides of gmbench.run, and ``--config-dir`` for a data set of your own.

  python -m gmbench.prepare data=twitter_gmner data.root=FOLDER
  python -m gmbench.prepare --config-dir own_conf data=own regions=grid

Exit codes: 0 a run would start, 1 it would not, 2 bad configuration.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gmbench.config import compose, friendly, parse
from gmbench.core.command_line import CommandLine
from gmbench.core.errors import IMAGE_ORIGIN, REGION_ORIGIN, InputError
from gmbench.data.examples import Split
from gmbench.data.regions import RegionSource
from gmbench.data.source import SPLITS, DataSource
from gmbench.data.summary import Summary, count_rows, summarise, type_rows
from gmbench.lifecycle.build_data import build_regions, build_source

SHOWN = 20


def prepare(source: DataSource, regions: RegionSource | None, console: Console) -> int:
    """Read everything, decode every image, and print what was found.

    Args:
        source: the data set; its policies decide what is an error, never what is shown.
        regions: candidates to check too, or None.
        console: where to print.

    Returns:
        0 where a run would start with these settings, else 1.
    """
    lacking = source.missing()
    for line in lacking:
        console.print(f"[red]missing[/] {escape(line)}", soft_wrap=True)
    if lacking:
        return 1
    lenient = replace(source, missing_image="blank", bad_input="mask", drop_leaked=False)
    try:
        with console.status("reading every text, annotation and image"):
            splits = [lenient.read(name, regions, verify_images=True) for name in SPLITS]
            mark = source.fingerprint()
    except InputError as error:
        console.print(f"[red]error[/] {escape(str(error))}", soft_wrap=True)
        return 1
    summary = summarise(splits, types=tuple(source.types))
    console.print(_table(f"{source.name}: counts", summary, count_rows(summary)))
    console.print(
        _table(f"{source.name}: entities (groundable) by type", summary, type_rows(summary))
    )
    _leaks(summary, source, console)
    _coverage(summary, console)
    usable = _faults(splits, source, console)
    console.print(f"fingerprint {mark}", soft_wrap=True, highlight=False)
    return 0 if usable else 1


def _table(title: str, summary: Summary, rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(title=escape(title), title_justify="left")
    table.add_column("")
    for name in summary.counts:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _leaks(summary: Summary, source: DataSource, console: Console) -> None:
    for name, leak in summary.leakage.items():
        console.print(
            f"leakage: {leak.exact} {name} tweets repeat a train text exactly, {leak.normalised} "
            f"after normalisation; {leak.ids} image ids shared",
            soft_wrap=True,
        )
    if any(leak.normalised for leak in summary.leakage.values()):
        state = "left out" if source.drop_leaked else "kept; data.drop_leaked=true leaves them out"
        console.print(f"leakage: the repeated tweets are {state}", soft_wrap=True)


def _coverage(summary: Summary, console: Console) -> None:
    for name, part in summary.coverage.items():
        if part.images:
            share = part.covered / part.groundable if part.groundable else 0.0
            console.print(
                f"candidates: {name}: {part.candidates / part.images:.1f} an image on "
                f"{part.images:,} images, covering {part.covered:,} of {part.groundable:,} "
                f"groundable entities at IoU >= 0.5 ({share:.1%})",
                soft_wrap=True,
            )


def _faults(splits: Sequence[Split], source: DataSource, console: Console) -> bool:
    """Print what is missing or bad; whether the source's own policies forgive it."""
    problems = [line for split in splits for line in split.report.problems]
    for line in problems[:SHOWN]:
        console.print(f"[yellow]bad[/] {escape(line)}", soft_wrap=True)
    if len(problems) > SHOWN:
        console.print(f"[yellow]bad[/] ... and {len(problems) - SHOWN:,} more")
    for split in splits:
        odd = {name: n for name, n in split.report.counts().items() if n and name != "tweets"}
        if odd:
            told = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in odd.items())
            console.print(f"{split.name}: {told}", soft_wrap=True)
    images = sum(split.report.missing_images for split in splits)
    regions = sum(split.report.missing_regions for split in splits)
    if images:
        console.print(
            f"[red]missing[/] {images:,} images in {escape(str(source.images))}; {IMAGE_ORIGIN}; "
            "data.missing_image=blank goes without",
            soft_wrap=True,
        )
    if regions:
        console.print(
            f"[red]missing[/] candidates of {regions:,} images; {REGION_ORIGIN}; "
            "regions.missing=none goes without",
            soft_wrap=True,
        )
    forgiven = source.bad_input == "mask"
    return (
        (not problems or forgiven)
        and (not images or source.missing_image == "blank")
        and (not regions or forgiven)
    )


def _options(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """What is no override, and the overrides."""
    parser = CommandLine("python -m gmbench.prepare", __doc__)
    parser.add_argument("--config-dir", type=Path)
    options, overrides = parser.parse_known_args(arguments)
    if wrong := [word for word in overrides if word.startswith("-")]:
        parser.error(f"unrecognized arguments: {' '.join(wrong)}")
    return options, overrides


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb.

    Args:
        arguments: overrides; the command line's by default.
    """
    overrides = list(sys.argv[1:] if arguments is None else arguments)
    if {"-h", "--help"} & set(overrides):
        print(__doc__)
        return 0
    try:
        options, overrides = _options(overrides)
        settings = parse(compose(overrides, options.config_dir))
        source = build_source(settings)
        regions = build_regions(settings, source)
        return prepare(source, regions, Console())
    except Exception as error:
        line = friendly(error, overrides)
        if line is None:
            raise
        print(line, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
