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
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NoReturn

from gmbench.core.command_line import CommandLine, console
from gmbench.core.entities import Box, Example, Prediction
from gmbench.core.errors import InputError
from gmbench.core.records import to_plain
from gmbench.data.regions.vinvl import VinVL
from gmbench.data.source import SPLITS, DataSource
from gmbench.reporting.formats import (
    Plain,
    case_object,
    corpus_object,
    interval_object,
    strata_object,
)
from gmbench.reporting.index import read_scored_run
from gmbench.reporting.pairs import compare_runs
from gmbench.reporting.tables import (
    comparison_table,
    rule_of,
    strata_table,
    task_table,
    type_score_table,
)
from gmbench.scoring.files import read_candidates, read_cases, read_gold, read_predictions
from gmbench.scoring.importers.common import Imported
from gmbench.scoring.importers.conll import read_conll
from gmbench.scoring.importers.index import read_index
from gmbench.scoring.importers.llm import read_llm
from gmbench.scoring.importers.surface import read_e2e, read_riveg, read_surface
from gmbench.scoring.intervals import RESAMPLES, FigureIntervals, intervals
from gmbench.scoring.protocols import (
    COARSE,
    FINE,
    PARENTS,
    PROTOCOLS,
    Document,
    Scored,
    score,
    with_coarse_gold,
    with_coarse_types,
)
from gmbench.scoring.strata import Name, Strata, names_of, strata

# What `gmbench.score` reads: gold from a file or a data folder, predictions in any format.
Types = Literal["coarse", "fine"]
Candidates = Mapping[str, tuple[Box, ...]]

READERS: dict[str, Callable[[Path, Sequence[Example]], Imported]] = {
    "surface": read_surface,
    "e2e": read_e2e,
    "riveg": read_riveg,
    "conll": read_conll,
    "llm": read_llm,
}
FORMATS = ("gmbench", "index", *READERS)
MOST_CANDIDATES = 100


class UsageError(ValueError):
    """The command line does not make sense; one line says why."""


@dataclass(frozen=True)
class Gold:
    """What predictions are compared with.

    Attributes:
        examples: of the split.
        train_names: words of every training entity; None = not known.
    """

    examples: tuple[Example, ...]
    train_names: Collection[Name] | None = None


def gold_of_files(path: Path, train: Path | None) -> Gold:
    """Gold from JSON lines, with the training split's if it is given.

    Raises:
        InputError: a malformed line.
        OSError: a file cannot be read.
    """
    return Gold(read_gold(path), None if train is None else names_of(read_gold(train)))


def gold_of_folder(root: Path, split: str, text_dir: str | None, types: Types | None) -> Gold:
    """Gold from a folder in the layout of Twitter-GMNER; its pictures are not needed.

    Args:
        root: holds the text folder and ``xml``.
        split: ``train``, ``dev`` or ``test``.
        text_dir: None = ``txt``, or ``txt_fine`` for fine types.
        types: ``fine`` reads the second column of tags, anything else the first.

    Raises:
        InputError: the folder cannot be read.
    """
    fine = types == "fine"
    source = DataSource(
        name=root.name,
        root=root,
        text_dir=text_dir or ("txt_fine" if fine else "txt"),
        xml_dir="xml",
        image_dir="images",
        tag_column=2 if fine else 1,
        types={name: name for name in (PARENTS if fine else (*COARSE, *FINE))},
        missing_image="blank",
    )
    examples = source.read(split).examples
    train = source.texts / "train.txt"
    names = None
    if train.is_file():
        blocks = source.blocks("train")
        names = frozenset(b.words[e.start : e.end + 1] for b in blocks for e in b.entities)
    return Gold(examples, names)


def candidates_of(path: Path, gold: Sequence[Example]) -> Candidates:
    """Ranked candidate boxes from JSON lines, or from a folder of VinVL's ``<id>.jpg.npz``.

    Raises:
        InputError: a malformed line, or an id that is missing, unknown or there twice.
        InputError: a file of the folder is missing or damaged.
        OSError: the file cannot be read.
    """
    if not path.is_dir():
        return read_candidates(path, gold)
    source = VinVL(folder=path, k=MOST_CANDIDATES)
    found: dict[str, tuple[Box, ...]] = {}
    for example in gold:
        regions = source(id=example.id, image=None, size=example.size)
        rows = [] if regions is None else regions.boxes.tolist()
        found[example.id] = tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in rows)
    return found


def predictions_of(
    path: Path, gold: Sequence[Example], written: str, candidates: Candidates | None, none: int
) -> Imported:
    """Predictions in one of ``FORMATS``.

    Args:
        path: the file.
        gold: the examples that need predictions.
        written: the format.
        candidates: asked for by ``index``.
        none: the index that means *none* in ``index``.

    Raises:
        UsageError: ``index`` without candidates.
        InputError: the file has a fault.
        OSError: it cannot be read.
    """
    if written == "gmbench":
        return Imported(read_predictions(path, gold))
    if written != "index":
        return READERS[written](path, gold)
    if candidates is None:
        raise UsageError("--from index names candidate regions: give them by --candidates")
    return read_index(path, gold, candidates, none)


def in_coarse_types(
    gold: Gold, predictions: Mapping[str, tuple[Prediction, ...]]
) -> tuple[Gold, dict[str, tuple[Prediction, ...]]]:
    """Both with parents in place of fine types."""
    examples = tuple(replace(e, entities=with_coarse_gold(e.entities)) for e in gold.examples)
    folded = {id_: with_coarse_types(found) for id_, found in predictions.items()}
    return replace(gold, examples=examples), folded


# The command line of `gmbench.score`.
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
    from gmbench.lifecycle.verify import verify  # it reads the run's configuration

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
    console().print(comparison_table(found, first.name, second.name, rule_of(first.result)))


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
    screen = console()
    screen.print(task_table(scored, title, found, resamples))
    screen.print(type_score_table(scored))
    if splits is not None:
        screen.print(strata_table(scored, splits))


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
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename}: {error.strerror}" if error.filename else error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
