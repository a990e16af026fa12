"""Check a data set: what is missing and where to get it, counts, leakage, fingerprint.

It takes the overrides of gmbench.run, and ``--config-dir`` for a data set of your own.

  python -m gmbench.prepare data=twitter_gmner data.root=FOLDER
  python -m gmbench.prepare --config-dir own_conf data=own regions=grid
  python -m gmbench.prepare data=photos data.coco=FOLDER regions=ssd --recall recall.png

Exit codes: 0 a run would start, 1 it would not, 2 bad configuration.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from gmbench.config import check_data, compose, friendly, parse
from gmbench.core.command_line import CommandLine, console, exit_code
from gmbench.core.errors import InputError, first_ten
from gmbench.core.files import write_atomically
from gmbench.core.progress import show_bars, track
from gmbench.data.examples import Split
from gmbench.data.regions import RegionSource
from gmbench.data.regions.grid import Pyramid
from gmbench.data.regions.selective_search import SelectiveSearch
from gmbench.data.source import SPLITS, DataSource
from gmbench.data.summary import ALL, RECALL_KS, Summary, recall_at, summarise, unused_types
from gmbench.lifecycle.build_data import build_regions, build_source
from gmbench.reporting.charts import recall_chart
from gmbench.reporting.plots import charts_png
from gmbench.reporting.tables import Table

SHOWN = 20
"""Maximum number of bad files and objects that are listed."""


def prepare(
    source: DataSource,
    regions: RegionSource | None,
    screen: Console,
    *,
    label: str = "candidates",
    beside: Mapping[str, RegionSource] | None = None,
    picture: Path | None = None,
) -> int:
    """Read everything, decode every image, and print a report.

    Args:
        source: the data set; its policies decide what is an error, never what is shown.
        regions: candidates to check too, or None.
        screen: where to print.
        label: name of ``regions``.
        beside: further sources by name, whose recall stands beside that of ``regions``.
        picture: file to draw the recall into.

    Returns:
        0 if a run would start with these settings, else 1.
    """

    def say(line: str, label: str = "", style: str = "") -> None:
        screen.print(Text.assemble((f"{label} " if label else "", style), line), soft_wrap=True)

    lacking = source.missing()
    for line in lacking:
        say(line, "missing", "red")
    if lacking:
        return 1
    lenient = replace(source, missing_image="blank", bad_input="mask", drop_leaked=False)
    try:
        with screen.status("reading every text, annotation and image"):
            splits = [lenient.read(name, regions) for name in SPLITS]
            fingerprint = source.fingerprint()
    except InputError as error:
        say(str(error), "error", "red")
        return 1
    summary = summarise(splits, types=tuple(source.types))
    for table in tables(source.name, summary):
        screen.print(table)
    if regions is not None and any(part.covered for part in summary.coverage.values()):
        curves = _recall(splits, label, beside or {})
        screen.print(recall_table(source.name, curves))
        if picture is not None:
            picture.parent.mkdir(parents=True, exist_ok=True)
            chart = recall_chart(curves, RECALL_KS, source.name)
            write_atomically(picture, charts_png([chart]))
            say(f"drawn: {picture}")
    if source.limit is None and (unused := unused_types(splits, source.types)):
        say(unused, "note", "yellow")
    for line in _notes(summary, splits, drop_leaked=source.drop_leaked):
        say(line)
    problems = [line for split in splits for line in split.report.problems]
    for line in problems[:SHOWN]:
        say(line, "bad", "yellow")
    if len(problems) > SHOWN:
        say(f"... and {len(problems) - SHOWN:,} more", "bad", "yellow")
    if images := [name for split in splits for name in split.report.absent_images]:
        what = f"{len(images):,} images in {source.images} ({first_ten(images)})"
        policy = "data.missing_image=blank goes without"
        say(f"{what}; {source.image_advice}; {policy}", "missing", "red")
    if candidates := [line for split in splits for line in split.report.absent_regions]:
        say(f"candidates of {len(candidates):,} images; {candidates[0]}", "missing", "red")
    say(f"fingerprint {fingerprint}")
    is_forgiven = source.bad_input == "mask" or not (problems or candidates)
    return 0 if is_forgiven and (not images or source.missing_image == "blank") else 1


def tables(name: str, summary: Summary) -> tuple[Table, Table]:
    """Counts by split, and entities (groundable ones) by type and split."""
    heads = ("", *summary.counts)
    sizes = [asdict(part) for part in summary.counts.values()]
    counts = [
        (label.replace("_", " "), *(f"{size[label]:,}" for size in sizes)) for label in sizes[0]
    ]
    types = [
        (
            row.type,
            *(f"{part[i].entities:,} ({part[i].groundable:,})" for part in summary.types.values()),
        )
        for i, row in enumerate(summary.types[ALL])
    ]
    return (
        Table(title=f"{name}: counts", heads=heads, sections=[counts]),
        Table(title=f"{name}: entities (groundable) by type", heads=heads, sections=[types]),
    )


def _recall(
    splits: Sequence[Split], label: str, beside: Mapping[str, RegionSource]
) -> dict[str, tuple[float, ...]]:
    """Recall on all splits of the examples' own candidates, and of other sources."""
    shown = [e for part in splits for e in part.examples if any(x.boxes for x in e.entities)]
    return {label: recall_at(shown)} | {
        name: recall_at(track(shown, f"recall of {name}"), regions)
        for name, regions in beside.items()
    }


def recall_table(name: str, curves: Mapping[str, Sequence[float]]) -> Table:
    """Recall in % of each source at each number of candidates."""
    rows = [(label, *(f"{100 * share:.1f}" for share in found)) for label, found in curves.items()]
    heads = ("candidates", *(f"k = {k}" for k in RECALL_KS))
    return Table(
        title=f"{name}: gold boxes met at IoU 0.5 by the first k, in %",
        heads=heads,
        sections=[rows],
    )


def _notes(summary: Summary, splits: Sequence[Split], *, drop_leaked: bool) -> Iterator[str]:
    """Leakage, coverage by candidates, and everything odd that reading counted."""
    for name, leak in summary.leakage.items():
        yield (
            f"leakage: {leak.exact} {name} examples repeat a train text exactly, "
            f"{leak.normalised} after normalisation; {leak.ids} image ids shared"
        )
    if any(leak.normalised for leak in summary.leakage.values()):
        state = "left out" if drop_leaked else "kept; data.drop_leaked=true leaves them out"
        yield f"leakage: the repeated examples are {state}"
    for name, part in summary.coverage.items():
        if part.images:
            share = part.covered / part.groundable if part.groundable else 0.0
            yield (
                f"candidates: {name}: {part.candidates / part.images:.1f} per image on "
                f"{part.images:,} images, covering {part.covered:,} of {part.groundable:,} "
                f"groundable entities at IoU >= 0.5 ({share:.1%})"
            )
    for split in splits:
        odd = {name: n for name, n in split.report.counts().items() if n and name != "tweets"}
        if odd:
            counts = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in odd.items())
            yield f"{split.name}: {counts}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb with ``arguments``, by default the command line's."""
    return exit_code(lambda: _prepare(arguments))


def _prepare(arguments: Sequence[str] | None) -> int:
    parser = CommandLine("python -m gmbench.prepare", __doc__)
    parser.add_argument("--config-dir", type=Path, help="folder of your own configuration")
    parser.add_argument(
        "--recall",
        type=Path,
        metavar="PNG",
        help="draw the recall of the candidates, the grid's and selective search's",
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for gmbench.run")
    options = parser.parse_intermixed_args(arguments)
    try:
        settings = parse(compose(options.overrides, options.config_dir))
        check_data(settings)
        show_bars(settings.callbacks.progress)
        source = build_source(settings)
        regions, name = build_regions(settings, source), settings.regions.name
        beside: dict[str, RegionSource] = {} if name == "grid" else {"grid": Pyramid()}
        if options.recall is not None and name != "selective_search":
            cache = Path(settings.cache) / "selective_search"
            beside["selective search"] = SelectiveSearch(k=max(RECALL_KS), cache=cache)
        return prepare(
            source, regions, console(), label=name, beside=beside, picture=options.recall
        )
    except Exception as error:
        further = [] if options.config_dir is None else ["--config-dir", str(options.config_dir)]
        line = friendly(error, [*further, *options.overrides])
        if line is None:
            raise
        print(line, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
