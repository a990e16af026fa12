"""A leaderboard of finished runs: ``python -m gmbench.report RUNS``.

  python -m gmbench.report runs
  python -m gmbench.report runs --by model --format md --out table.md

Mean and deviation over seeds, intervals, tests against the best, cost. Runs that cannot be compared
(other data, protocol, split, limit, no pixels) stand in tables of their own, with the reason.
Exit codes: 0 done, 2 bad arguments or no finished run.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from gmbench.config.compose import stored_config
from gmbench.core.command_line import CommandLine, console
from gmbench.core.entities import Example
from gmbench.core.errors import InputError
from gmbench.core.files import write_atomically
from gmbench.lifecycle.build_data import build_source
from gmbench.reporting import pairs
from gmbench.reporting.formats import TEXTS, terminal
from gmbench.reporting.index import read_index
from gmbench.reporting.leaderboard import Board, leaderboard
from gmbench.reporting.site.pages import write_site
from gmbench.reporting.site.runs import Member
from gmbench.scoring.counting import TASKS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb with the command line's arguments."""
    options = _parser().parse_args(arguments)
    absent = [str(folder) for folder in options.runs if not folder.is_dir()]
    if absent:
        print(f"report: no folder {', '.join(absent)}", file=sys.stderr)
        return 2
    index = read_index(*options.runs)
    if not index.entries:
        inside = f", {len(index.damaged)} damaged" if index.damaged else ""
        print(
            f"report: no finished run in {', '.join(map(str, options.runs))}{inside}",
            file=sys.stderr,
        )
        return 2
    by = tuple(key for key in (options.by or "").split(",") if key)
    board = leaderboard(index, metric=options.metric, by=by, tests=options.tests)
    if options.wandb:
        print(f"W&B: {_mirrored(board, options)}", file=sys.stderr)
    if options.html is not None:
        return _site(board, options)
    if options.pairs and options.format not in ("table", *pairs.TEXTS):
        print(f"report: --pairs has no {options.format}; table, md or csv", file=sys.stderr)
        return 2
    if options.format == "table" and options.out is None:
        screen = console(width=160)
        shown = pairs.terminal(board, options.tests) if options.pairs else terminal(board)
        for renderable in shown:
            screen.print(renderable)
        return 0
    form = "md" if options.format == "table" else options.format
    text = pairs.TEXTS[form](board, options.tests) if options.pairs else TEXTS[form](board)
    if options.out is None:
        sys.stdout.write(text)
    else:
        write_atomically(options.out, text.encode())
    return 0


def _site(board: Board, options: argparse.Namespace) -> int:
    from gmbench.core.errors import InputError
    from gmbench.report import make_site

    try:
        page = make_site(
            board,
            options.html,
            Console(stderr=True),
            images=not options.no_images,
            sentences=not options.no_tweets,
        )
    except InputError as fault:
        print(f"report: {fault}", file=sys.stderr)
        return 2
    print(page)
    return 0


def _mirrored(board: Board, options: argparse.Namespace) -> Path:
    from gmbench.reporting.wandb import mirror_board

    return mirror_board(
        board,
        options.runs,
        by=options.by or "",
        metric=options.metric,
        project=options.wandb_project,
        mode=options.wandb_mode,
    )


def _parser() -> argparse.ArgumentParser:
    parser = CommandLine("python -m gmbench.report", __doc__)
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUNS", help="folders with run folders below them")
    add(
        "--by",
        help="what makes a row: model, data, device, precision, commit or keys of "
        "overrides, with commas; default: model and all overrides",
    )
    add("--metric", choices=TASKS, default="gmner", help="ranks the rows")
    add("--format", choices=("table", *TEXTS), default="table")
    add(
        "--tests",
        type=int,
        default=12,
        help="so many rows from the top are compared with the best, or with each other",
    )
    add("--pairs", action="store_true", help="every two of these rows in place of the leaderboard")
    add(
        "--html",
        type=Path,
        metavar="DIR",
        help="write a site to look at offline: runs, pairs, examples",
    )
    add("--no-images", action="store_true", help="with --html: no pictures of tweets in the site")
    add(
        "--no-tweets",
        action="store_true",
        help="with --html: neither pictures nor sentences of tweets, only what was counted",
    )
    add("--wandb", action="store_true", help="also log it to W&B, as a table and an artifact")
    add("--wandb-mode", choices=("offline", "online"), default="offline")
    add("--wandb-project", default="gmbench", metavar="NAME")
    add("--out", type=Path, help="write to this file (Markdown unless --format says otherwise)")
    return parser


if __name__ == "__main__":
    sys.exit(main())


# The comparison site for `gmbench.report --html`: where its tweets come from.
def make_site(
    board: Board, folder: Path, console: Console, *, images: bool, sentences: bool = True
) -> Path:
    """Write the site; its first page.

    Args:
        board: what it shows.
        folder: new, empty, or an earlier site's.
        console: told what is being written, and which tweets are not at hand.
        images: whether pictures of tweets are copied into it.
        sentences: whether tweets can be read in it; without, there is no browser of examples.

    Raises:
        InputError: the folder holds something else.
        OSError: a file cannot be written.
    """

    def gold_of(member: Member) -> Sequence[Example] | None:
        try:
            return scored_tweets(member)
        except (InputError, OmegaConfBaseException) as fault:
            console.print(f"no examples: {fault}", soft_wrap=True, markup=False)
            return None

    with console.status("writing the site") as status:
        return write_site(
            board,
            folder,
            gold_of=gold_of,
            images=images,
            sentences=sentences,
            said=lambda line: status.update(line.replace("[", "(")),
        )


def scored_tweets(member: Member) -> tuple[Example, ...]:
    """The tweets that a run was scored on.

    Raises:
        InputError: its ``config.yaml`` is missing or malformed.
        InputError: the data set is not there, or is no longer the one that was scored.
    """
    result = member.entry.result
    source = build_source(stored_config(member.entry.folder / "config.yaml"))
    examples = source.read(result.data.split).examples
    if source.fingerprint() != result.data.fingerprint:
        raise InputError(
            f"{source.folder}: no longer the data set that {member.name} was scored on"
        )
    return examples
