"""Score anybody's predictions, check a stored result, compare two runs.

  python -m gmbench.score GOLD.jsonl PRED.jsonl
  python -m gmbench.score --gold-root FOLDER PRED.jsonl
  python -m gmbench.score --verify RUN
  python -m gmbench.score --compare RUN_A RUN_B

Counts GMNER, MNER and EEG by one protocol, with 95 % intervals, by type and by kind of entity.
Exit codes: 0 done, 2 anything wrong: one line says what (file, line, id). Formats and rules are in
docs/scoring.md.
"""

import json
import sys
from argparse import Namespace
from collections.abc import Sequence

from rich.console import Console

from gmbench.data.errors import DataError
from gmbench.reporting.comparison import (
    CannotCompare,
    compare_runs,
    comparison_table,
    read_scored_run,
    rule_of,
)
from gmbench.reporting.records import RecordError, to_plain
from gmbench.reporting.score_object import (
    Plain,
    case_object,
    corpus_object,
    interval_object,
    strata_object,
)
from gmbench.reporting.score_tables import strata_table, task_table, type_score_table
from gmbench.score_input import (
    UsageError,
    candidates_of,
    gold_of_files,
    gold_of_folder,
    in_coarse_types,
    predictions_of,
)
from gmbench.score_options import options
from gmbench.scoring.cases import read_cases
from gmbench.scoring.fields import FileError
from gmbench.scoring.mqspn import ProtocolError
from gmbench.scoring.protocols import Document, Scored, score
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
    cases = read_cases(args.cases)
    if args.types == "coarse":
        cases = {id_: document.in_coarse_types() for id_, document in cases.items()}
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


def compare_two_runs(args: Namespace) -> None:
    """Lay one run beside another on the same tweets: intervals of the difference, and tests."""
    first, second = map(read_scored_run, args.compare)
    resamples = RESAMPLES if args.resamples is None else args.resamples
    if not resamples:
        raise UsageError("--compare needs --resamples of at least 1")
    found = compare_runs(first, second, resamples=resamples, seed=args.seed)
    if args.json:
        print(_dump({"first": first.name, "second": second.name, **to_plain(found)}))
        return
    _console().print(comparison_table(found, first.name, second.name, rule_of(first.result)))


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
    console = _console()
    console.print(task_table(scored, title, found, resamples))
    console.print(type_score_table(scored))
    if splits is not None:
        console.print(strata_table(scored, splits))


def _console() -> Console:
    console = Console()
    # A file or a pipe has no width of its own: room for the tables.
    return console if console.is_terminal else Console(width=120)


def _print_notes(notes: Sequence[str]) -> None:
    for note in notes[:NOTES_SHOWN]:
        print(f"note: {note}", file=sys.stderr)
    if len(notes) > NOTES_SHOWN:
        print(f"note: ... and {len(notes) - NOTES_SHOWN} more", file=sys.stderr)


def _dump(plain: Plain) -> str:
    return json.dumps(plain, ensure_ascii=False, allow_nan=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb.

    Args:
        arguments: the command line's by default.
    """
    try:
        args = options(__doc__, arguments)
        if args.verify is not None:
            return verify_run(args)
        if args.compare is not None:
            compare_two_runs(args)
        elif args.cases is not None:
            score_cases(args)
        else:
            score_files(args)
    except UsageError as error:
        print(f"gmbench.score: {error} (--help shows how)", file=sys.stderr)
        return 2
    except (FileError, ProtocolError, RecordError, DataError, CannotCompare) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename}: {error.strerror}" if error.filename else error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
