"""A leaderboard of finished runs: ``python -m gmbench.report RUNS``.

  python -m gmbench.report runs
  python -m gmbench.report runs --by model --format md --out table.md
  python -m gmbench.report runs --power 1.0 --picture power.png

Mean and deviation over seeds, intervals, tests against the best, cost. Runs that cannot be compared
(other data, protocol, split, limit, no pixels) stand in tables of their own, with the reason.
Exit codes: 0 done, 2 bad arguments or no finished run.
"""

import argparse
import json
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from shlex import quote

from gmbench.core.command_line import CommandLine, console, exit_code
from gmbench.core.entities import Example
from gmbench.core.errors import InputError
from gmbench.core.files import write_atomically
from gmbench.core.records import to_plain
from gmbench.reporting.formats import FORMATS, board_report, pairs_report
from gmbench.reporting.index import read_index
from gmbench.reporting.leaderboard import Board, leaderboard
from gmbench.reporting.site.pages import write_site
from gmbench.reporting.site.runs import Member
from gmbench.scoring.counting import TASKS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb with the command line's arguments."""
    return exit_code(lambda: _report(_parser().parse_args(arguments)))


def _report(options: argparse.Namespace) -> int:
    try:
        board = _board(options)
        if options.wandb:
            unsynced = _mirror(board, options)
            if unsynced is not None:
                print(f"wandb sync {quote(str(unsynced))}", file=sys.stderr)
        if options.html is not None:
            print(_site(board, options))
            return 0
        if options.power is not None:
            _power(board, options)
            return 0
    except InputError as fault:
        print(f"report: {fault}", file=sys.stderr)
        return 2
    report = pairs_report(board, options.tests) if options.pairs else board_report(board)
    if options.format == "table" and options.out is None:
        console().print(report)
        return 0
    text = report.text("md" if options.format == "table" else options.format)
    if options.out is None:
        sys.stdout.write(text)
    else:
        write_atomically(options.out, text.encode())
    return 0


def _board(options: argparse.Namespace) -> Board:
    absent = [str(folder) for folder in options.runs if not folder.is_dir()]
    if absent:
        raise InputError(f"no folder {', '.join(absent)}")
    index = read_index(*options.runs)
    if not index.entries:
        damaged = f", {len(index.damaged)} damaged" if index.damaged else ""
        raise InputError(f"no finished run in {', '.join(map(str, options.runs))}{damaged}")
    by = tuple(key for key in (options.by or "").split(",") if key)
    return leaderboard(index, metric=options.metric, by=by, tests=options.tests)


def _power(board: Board, options: argparse.Namespace) -> None:
    """Print how many seeds and examples tell ``--power`` points apart, by table of the report.

    Raises:
        InputError: the difference is no number of points.
    """
    from gmbench.reporting.power_plan import draw_power, plan_of, power_table

    written = options.format in ("table", "md", "json") and not options.out
    if not 0 < options.power < 100 or not written:
        raise InputError(
            "--power takes points of F1 in (0, 100), --format json or md and --picture FILE"
        )
    plans = {league.title: plan_of(league, options.power) for league in board.leagues}
    known = [(league, found) for league in board.leagues if (found := plans[league.title])]
    if options.format == "json":
        print(json.dumps(to_plain(plans), ensure_ascii=False, allow_nan=False))
    else:
        for league, found in known:
            table = power_table(league, found)
            if options.format == "md":
                lines = [f"# {table.title}", "", *table.markdown(), "", table.caption]
                print("\n".join([*lines, "", f"`{table.signature}`"]))
            else:
                console().print(table)
    for title in (title for title, found in plans.items() if found is None):
        print(
            f"{title}: no method has two seeds, so nothing is known of the spread", file=sys.stderr
        )
    if options.picture is not None and known:
        draw_power(options.picture, *known[0])


def _mirror(board: Board, options: argparse.Namespace) -> Path | None:
    from gmbench.reporting.wandb import mirror_board

    return mirror_board(
        board,
        options.runs,
        by=options.by or "",
        metric=options.metric,
        project=options.wandb_project,
        mode=options.wandb_mode,
    )


def _site(board: Board, options: argparse.Namespace) -> Path:
    """Write the site that ``--html`` asks for; its first page.

    Raises:
        InputError: the folder holds something else.
    """
    screen = console(stderr=True)

    def gold_of(member: Member) -> Sequence[Example] | None:
        try:
            return scored_examples(member, options.trust)
        except (InputError, OSError) as fault:
            screen.print(f"no examples: {fault}", soft_wrap=True, markup=False)
            return None

    with screen.status("writing the site") as status:
        return write_site(
            board,
            options.html,
            gold_of=gold_of,
            images=not options.no_images,
            sentences=not options.no_tweets,
            progress=lambda line: status.update(line.replace("[", "(")),
        )


def scored_examples(member: Member, trust: Collection[str] = ()) -> tuple[Example, ...]:
    """The examples that a run was scored on.

    Raises:
        InputError: its ``config.yaml`` is missing or malformed, or the data set is not there or is
            no longer the one that was scored.
    """
    # Only here, since the configuration's schema takes as long to import as all the rest.
    from gmbench.lifecycle.build_data import stored_data

    result = member.entry.result
    _, source = stored_data(member.entry.folder, trust=trust)
    examples = source.read(result.data.split).examples
    if source.fingerprint() != result.data.fingerprint:
        raise InputError(
            f"{source.folder}: no longer the data set that {member.name} was scored on"
        )
    return examples


def _parser() -> argparse.ArgumentParser:
    parser = CommandLine("python -m gmbench.report", __doc__)
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUNS", help="folders with run folders below them")
    add(
        "--by",
        help="what names a row: model, data, device, precision, commit or keys of overrides, with "
        "commas; runs of other methods are rows of their own; default: model and all overrides",
    )
    add("--metric", choices=TASKS, default="gmner", help="ranks the rows")
    add("--format", choices=("table", *FORMATS), default="table")
    add(
        "--tests",
        type=int,
        default=12,
        help="so many rows from the top are compared with the best, or with each other",
    )
    add(
        "--power",
        type=float,
        metavar="POINTS",
        help="how many seeds and examples tell so many points of F1 apart, in place of the table",
    )
    add("--picture", type=Path, metavar="FILE", help="with --power: its curve for the first table")
    add("--pairs", action="store_true", help="every two of these rows in place of the leaderboard")
    add(
        "--html",
        type=Path,
        metavar="DIR",
        help="write a site to look at offline: runs, pairs, examples",
    )
    add("--no-images", action="store_true", help="with --html: no pictures of examples in the site")
    add(
        "--no-tweets",
        action="store_true",
        help="with --html: neither pictures nor sentences of examples, only what was counted",
    )
    add(
        "--trust",
        action="append",
        default=[],
        metavar="PREFIX",
        help="with --html: a package, beside gmbench, that a run's data set may come from",
    )
    add("--wandb", action="store_true", help="also log it to W&B, as a table and an artifact")
    add("--wandb-mode", choices=("offline", "online"), default="offline")
    add("--wandb-project", default="gmbench", metavar="NAME")
    add("--out", type=Path, help="write to this file (Markdown unless --format says otherwise)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
