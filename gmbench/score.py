"""Score anybody's predictions: ``python -m gmbench.score GOLD.jsonl PRED.jsonl``.

Counts GMNER, MNER and EEG by one protocol, with 95 % intervals, by type and by kind of entity.
Exit codes: 0 done, 2 anything wrong: one line says what (file, line, id). Formats and rules are in
docs/scoring.md.
"""

import json
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from gmbench.data.errors import DataError
from gmbench.data.source import SPLITS
from gmbench.reporting.records import RecordError
from gmbench.reporting.score_object import (
    Plain,
    case_object,
    corpus_object,
    interval_object,
    strata_object,
)
from gmbench.score_input import (
    FORMATS,
    UsageError,
    candidates_of,
    gold_of_files,
    gold_of_folder,
    in_coarse_types,
    predictions_of,
)
from gmbench.scoring.cases import read_cases
from gmbench.scoring.fields import FileError
from gmbench.scoring.mqspn import ProtocolError
from gmbench.scoring.protocols import PROTOCOLS, Document, Scored, score
from gmbench.scoring.statistics import RESAMPLES, FigureIntervals, intervals
from gmbench.scoring.strata import Strata, strata

NOTES_SHOWN = 10
Intervals = dict[str, FigureIntervals]


def score_files(args: Namespace) -> None:
    """Score one file of predictions and print what was found."""
    wanted = ("PRED",) if args.gold_root else ("GOLD", "PRED")
    if len(args.files) != len(wanted):
        raise UsageError(f"expected {' and '.join(wanted)}, got {len(args.files)} files")
    if args.gold_root:
        gold = gold_of_folder(args.gold_root, args.split, args.text_dir, args.types)
    else:
        gold = gold_of_files(args.files[0], args.train)
    candidates = None if args.candidates is None else candidates_of(args.candidates, gold.examples)
    path = args.files[-1]
    imported = predictions_of(path, gold.examples, args.written, candidates, args.none)
    _print_notes(imported.notes)
    predictions = imported.predictions
    if args.types == "coarse":
        gold, predictions = in_coarse_types(gold, predictions)
    documents = {
        example.id: Document(
            example.entities,
            predictions[example.id],
            example.words,
            None if candidates is None else candidates[example.id],
        )
        for example in gold.examples
    }
    scored = score(documents, args.protocol, args.iou)
    splits = None
    if scored.protocol == "strict":
        pairs = [(example, predictions[example.id]) for example in gold.examples]
        splits = strata(pairs, train_names=gold.train_names, iou_threshold=args.iou)
    resamples = args.resamples
    if resamples is None:
        resamples = 0 if args.json else RESAMPLES
    found = _intervals(scored, resamples, args.seed)
    if not args.json:
        _print_tables(scored, str(path), found, resamples, splits)
        return
    plain = corpus_object(scored)
    plain["types"] = args.types or "as written"
    if found is not None:
        plain["intervals"] = interval_object(found, resamples, args.seed)
    if splits is not None:
        plain["strata"] = strata_object(splits)
    print(_dump(plain))


def score_cases(args: Namespace) -> None:
    """Score lines that hold their own gold, case by case or as one corpus."""
    if args.files:
        raise UsageError(f"--cases takes no other file, got {args.files[0]}")
    cases = read_cases(args.cases)
    scored = score(cases, args.protocol, args.iou)
    if args.corpus:
        if args.json:
            print(_dump(corpus_object(scored)))
        else:
            _print_tables(scored, str(args.cases), None, 0, None)
        return
    counted = dict(zip(scored.ids, scored.rows, strict=True))
    for id_ in cases:
        micro = counted[id_].micro
        if args.json:
            print(_dump(case_object(id_, micro)))
            continue
        parts = (("GMNER", micro.gmner), ("MNER", micro.mner), ("EEG", micro.eeg))
        print(id_, *(f"{task} {c.tp}/{c.pred}/{c.gold}" for task, c in parts), sep="  ")
    if not args.json:
        print(f"{len(cases)} cases, tp/pred/gold. {scored.rule}.")


def verify_run(args: Namespace) -> int:
    """Score a run's predictions again; 0 where every stored figure stands."""
    from gmbench.verification import verify  # it reads the run's configuration

    wrong = verify(args.verify, args.gold_root)
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        print(f"{args.verify}: every stored figure stands")
    return 2 if wrong else 0


def _intervals(scored: Scored, resamples: int, seed: int) -> Intervals | None:
    if not resamples:
        return None
    table = scored.table()
    tasks = (table.gmner, table.mner, table.eeg)
    found = intervals(*tasks, resamples=resamples, seed=seed)
    return dict(zip(("gmner", "mner", "eeg"), found, strict=True))


def _print_tables(
    scored: Scored,
    title: str,
    found: Intervals | None,
    resamples: int,
    splits: Strata | None,
) -> None:
    # Deferred: --json needs no tables.
    from rich.console import Console

    from gmbench.reporting.score_tables import strata_table, task_table, type_score_table

    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width of its own: room for the tables
        console = Console(width=120)
    console.print(task_table(scored, title, found, resamples))
    console.print(type_score_table(scored))
    if splits is not None:
        console.print(strata_table(scored, splits))


def _print_notes(notes: Sequence[str]) -> None:
    for note in notes[:NOTES_SHOWN]:
        print(f"note: {note}", file=sys.stderr)
    if len(notes) > NOTES_SHOWN:
        print(f"note: ... and {len(notes) - NOTES_SHOWN} more", file=sys.stderr)


def _dump(plain: Plain) -> str:
    return json.dumps(plain, ensure_ascii=False, allow_nan=False)


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _parser() -> ArgumentParser:
    parser = _Parser(
        prog="python -m gmbench.score",
        description=__doc__,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
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
    instead.add_argument("--corpus", action="store_true", help="add all cases up")
    return parser


def whole_number(text: str) -> int:
    """A whole number from 0, from the command line."""
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb.

    Args:
        arguments: the command line's by default.
    """
    try:
        args = _parser().parse_args(arguments)
        if not 0.0 < args.iou <= 1.0 or (args.protocol != "strict" and args.iou != 0.5):
            raise UsageError("--iou must lie in (0, 1], and be 0.5 under another protocol")
        if args.corpus and args.cases is None:
            raise UsageError("--corpus belongs to --cases")
        if args.verify is not None:
            return verify_run(args)
        if args.cases is not None:
            score_cases(args)
        else:
            score_files(args)
    except UsageError as error:
        print(f"gmbench.score: {error} (--help shows how)", file=sys.stderr)
        return 2
    except (FileError, ProtocolError, RecordError, DataError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
