"""The command line of ``gmbench.score``."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from gmbench.command_line import CommandLine
from gmbench.data.source import SPLITS
from gmbench.score_input import FORMATS, UsageError
from gmbench.scoring.protocols import PROTOCOLS
from gmbench.scoring.statistics import RESAMPLES

BELONGS = {
    "cases": {"cases", "corpus", "json", "protocol", "iou", "types"},
    "verify": {"verify", "gold_root"},
    "compare": {"compare", "json", "resamples", "seed"},
}
"""What each of the other modes knows; anything else given with it is an error, never ignored."""


def options(description: str | None, arguments: Sequence[str] | None) -> Namespace:
    """What was asked for.

    Raises:
        UsageError: it does not make sense.
    """
    parser = _parser(description)
    args = parser.parse_args(arguments)
    mode = next((name for name in BELONGS if getattr(args, name)), None)
    given = {name for name, value in vars(args).items() if value != parser.get_default(name)}
    given.discard("files")
    if args.files and mode:
        raise UsageError(f"--{mode} takes no other file, got {args.files[0]}")
    if mode:
        stray = given - BELONGS[mode]
        reason = f"does not belong to --{mode}"
    elif args.gold_root:
        stray, reason = given & {"corpus", "train"}, "does not belong to --gold-root"
    else:
        stray = given & {"corpus", "split", "text_dir"}
        reason = "belongs to --cases" if "corpus" in stray else "belongs to --gold-root"
    if stray:
        name = {"written": "from"}.get(min(stray), min(stray).replace("_", "-"))
        raise UsageError(f"--{name} {reason}")
    if not 0.0 < args.iou <= 1.0 or (args.protocol != "strict" and args.iou != 0.5):
        raise UsageError("--iou must lie in (0, 1], and be 0.5 under another protocol")
    return args


class _Parser(CommandLine):
    def error(self, message: str) -> NoReturn:
        raise UsageError(self.explained(message))


def _parser(description: str | None) -> ArgumentParser:
    parser = _Parser("python -m gmbench.score", description)
    add = parser.add_argument
    add("files", nargs="*", type=Path, metavar="GOLD PRED", help="JSON lines, one tweet a line")
    add("--json", action="store_true", help="print JSON instead of tables")
    add("--protocol", choices=PROTOCOLS, default="strict", help="whose counting rules")
    add("--iou", type=float, default=0.5, metavar="X", help="least IoU under strict (0.5)")
    add("--types", choices=("coarse", "fine"), help="fold fine types into their parents, or not")
    add(
        "--resamples",
        type=whole_number,
        metavar="N",
        help=f"of the intervals ({RESAMPLES}; with --json 0 = no intervals)",
    )
    add("--seed", type=whole_number, default=0, metavar="N", help="of the resamples (0)")
    add("--train", type=Path, metavar="GOLD", help="training gold: seen and unseen names")
    folder = parser.add_argument_group("gold from a folder in the layout of Twitter-GMNER")
    folder.add_argument("--gold-root", type=Path, metavar="DIR", help="then PRED is the only file")
    folder.add_argument("--split", choices=SPLITS, default="test", help="(test)")
    folder.add_argument("--text-dir", metavar="NAME", help="(txt, or txt_fine for --types fine)")
    other = parser.add_argument_group("predictions of other systems")
    add = other.add_argument
    add("--from", dest="written", choices=FORMATS, default="gmbench", help="how PRED is written")
    add("--candidates", type=Path, metavar="PATH", help="ranked regions: JSON lines or VinVL's npz")
    add("--none", type=whole_number, default=0, metavar="N", help="the index that means none (0)")
    instead = parser.add_argument_group("instead of two files")
    mode = instead.add_mutually_exclusive_group()
    mode.add_argument("--cases", type=Path, metavar="FILE", help="lines that hold gold and pred")
    mode.add_argument("--verify", type=Path, metavar="RUN", help="count a run's figures again")
    mode.add_argument("--compare", type=Path, nargs=2, metavar="RUN", help="two runs, paired tests")
    instead.add_argument("--corpus", action="store_true", help="add all cases up")
    return parser


def whole_number(text: str) -> int:
    """A whole number from 0, from the command line."""
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value
