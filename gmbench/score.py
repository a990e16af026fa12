"""Score anybody's predictions, check a stored result, compare two runs.

  python -m gmbench.score GOLD.jsonl PRED.jsonl
  python -m gmbench.score --gold-root FOLDER PRED.jsonl
  python -m gmbench.score --verify RUN
  python -m gmbench.score --compare RUN_A RUN_B
  python -m gmbench.score --audit TABLE.csv
  python -m gmbench.score --labels GOLD.jsonl PRED.jsonl PRED.jsonl ...
  python -m gmbench.score --signature TEXT

Counts GMNER, MNER and EEG by one protocol, with 95 % intervals, by type and by kind of entity.
Exit codes: 0 done, 2 anything wrong: one line says what (file, line, id). Formats and rules are in
docs/scoring.md.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Literal

from gmbench.core.command_line import CommandLine, console, exit_code
from gmbench.core.entities import Box, Example, Prediction
from gmbench.core.records import to_plain
from gmbench.core.safe_text import to_json
from gmbench.data.regions.vinvl import VinVL
from gmbench.data.source import SPLITS, DataSource
from gmbench.reporting.formats import (
    Plain,
    case_object,
    corpus_object,
    interval_object,
    strata_object,
)
from gmbench.reporting.index import TWEETS, read_scored_run
from gmbench.reporting.leaderboard import signature_of
from gmbench.reporting.pairs import compare_runs, run_names
from gmbench.reporting.tables import (
    audit_table,
    comparison_table,
    lost_table,
    rule_of,
    shift_table,
    signature_table,
    strata_table,
    suspect_table,
    task_table,
    type_score_table,
)
from gmbench.scoring.audit import audit, read_table
from gmbench.scoring.counting import TASKS
from gmbench.scoring.files import read_candidates, read_cases, read_gold, read_predictions
from gmbench.scoring.fine_types import (
    COARSE,
    FINE,
    PARENTS,
    with_coarse_types,
)
from gmbench.scoring.importers.candidate_index import read_index
from gmbench.scoring.importers.common import Imported
from gmbench.scoring.importers.conll import read_conll
from gmbench.scoring.importers.llm import read_llm
from gmbench.scoring.importers.mqspn import read_mqspn
from gmbench.scoring.importers.surface import read_e2e, read_riveg, read_surface
from gmbench.scoring.intervals import RESAMPLES, FigureIntervals, intervals
from gmbench.scoring.labels import shifts, suspects, task_of
from gmbench.scoring.lost_points import LostPoints, lost_points
from gmbench.scoring.oddities import oddities
from gmbench.scoring.protocols import PROTOCOLS, Document, Scored, score
from gmbench.scoring.signature import Signature, gold_digits, parse_signature, protocol_name
from gmbench.scoring.strata import Name, Strata, names_of, strata

Types = Literal["coarse", "fine"]
Candidates = Mapping[str, tuple[Box, ...]]
Intervals = dict[str, FigureIntervals]

READERS: dict[str, Callable[[Path, Sequence[Example]], Imported]] = {
    "surface": read_surface,
    "e2e": read_e2e,
    "riveg": read_riveg,
    "conll": read_conll,
    "llm": read_llm,
    "mqspn": read_mqspn,
}
FORMATS = ("gmbench", "index", *READERS)
MAX_CANDIDATES = 100
MAX_NOTES = 10

MODES = {
    "cases": {"cases", "corpus", "json", "protocol", "iou", "types"},
    "verify": {"verify", "gold_root", "trust"},
    "compare": {"compare", "json", "resamples", "seed"},
    "audit": {"audit", "json"},
    "labels": {"labels", "json", "gold_root", "split", "text_dir", "types"},
    "signature": {"signature", "json"},
}
"""The options that each mode other than scoring files accepts; any other is an error."""
OWNERS = {"corpus": "cases", "split": "gold-root", "text_dir": "gold-root", "trust": "verify"}
"""The option without which another makes no sense."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb; ``arguments`` are the command line's by default."""

    def work() -> int:
        options = _options(arguments)
        if options.verify is not None:
            return verify_run(options)
        if options.compare is not None:
            compare_two_runs(options)
        elif options.audit is not None:
            audit_file(options)
        elif options.signature is not None:
            show_signature(options)
        elif options.labels:
            audit_labels(options)
        elif options.cases is not None:
            score_cases(options)
        else:
            score_files(options)
        return 0

    return exit_code(work)


def _parser() -> ArgumentParser:
    parser = CommandLine("python -m gmbench.score", __doc__)
    add = parser.add_argument
    add("files", nargs="*", type=Path, metavar="GOLD PRED", help="JSON lines, one tweet per line")
    add("--json", action="store_true", help="print JSON instead of tables")
    add("--protocol", choices=PROTOCOLS, default="strict", help="whose counting rules")
    add("--iou", type=float, default=0.5, metavar="X", help="least IoU under strict (0.5)")
    add("--types", choices=("coarse", "fine"), help="fold fine types into their parents, or not")
    add(
        "--resamples",
        type=_whole_number,
        metavar="N",
        help=f"of the intervals ({RESAMPLES}; with --json 0 = no intervals)",
    )
    add("--seed", type=_whole_number, default=0, metavar="N", help="of the resamples (0)")
    add("--train", type=Path, metavar="GOLD", help="training gold: seen and unseen names")
    add("--lost", action="store_true", help="split GMNER's lost points: text, candidates, choice")
    add = parser.add_argument_group(
        "gold from a folder in the layout of Twitter-GMNER"
    ).add_argument
    add("--gold-root", type=Path, metavar="DIR", help="then PRED is the only file")
    add("--split", choices=SPLITS, default="test", help="(test)")
    add("--text-dir", metavar="NAME", help="(txt, or txt_fine for --types fine)")
    add = parser.add_argument_group("predictions of other systems").add_argument
    add("--from", dest="written", choices=FORMATS, default="gmbench", help="how PRED is written")
    add("--candidates", type=Path, metavar="PATH", help="ranked regions: JSON lines or VinVL's npz")
    add("--num-regions", type=_whole_number, metavar="N", help="the first N of each image alone")
    add("--none", type=_whole_number, default=0, metavar="N", help="the index that means none (0)")
    instead = parser.add_argument_group("instead of two files")
    add = instead.add_mutually_exclusive_group().add_argument
    add("--cases", type=Path, metavar="FILE", help="lines that hold gold and pred")
    add("--verify", type=Path, metavar="RUN", help="count a run's figures again")
    add("--compare", type=Path, nargs=2, metavar="RUN", help="two runs, paired tests")
    add("--audit", type=Path, metavar="TABLE", help="figures of a published table that cannot be")
    add("--labels", action="store_true", help="GOLD and PREDs: labels that most PREDs are against")
    add("--signature", metavar="TEXT", help="what the signature under a table means")
    instead.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PREFIX",
        help="with --verify: a package, beside gmbench, that the run's data set may come from",
    )
    instead.add_argument("--corpus", action="store_true", help="add all cases up")
    return parser


def _options(arguments: Sequence[str] | None) -> Namespace:
    """The options; a combination that makes no sense ends the process with one line."""
    parser = _parser()
    options = parser.parse_args(arguments)
    mode = next((name for name in MODES if getattr(options, name)), None)
    given = {name for name, value in vars(options).items() if value != parser.get_default(name)}
    given.discard("files")
    if options.files and mode not in (None, "labels"):
        parser.error(f"--{mode} takes no other file, got {options.files[0]}")
    if mode:
        stray, reason = given - MODES[mode], f"does not belong to --{mode}"
    elif options.gold_root:
        stray, reason = given & {"corpus", "train", "trust"}, "does not belong to --gold-root"
    else:
        stray = given & set(OWNERS)
        reason = "".join(f"belongs to --{OWNERS[name]}" for name in sorted(stray)[:1])
    if stray:
        name = {"written": "from"}.get(min(stray), min(stray).replace("_", "-"))
        parser.error(f"--{name} {reason}")
    if not 0.0 < options.iou <= 1.0 or (options.protocol != "strict" and options.iou != 0.5):
        parser.error("--iou must lie in (0, 1], and be 0.5 under another protocol")
    if options.written == "index" and options.candidates is None:
        parser.error("--from index names candidate regions: give them by --candidates")
    if options.num_regions is not None and options.candidates is None:
        parser.error("--num-regions cuts the list of --candidates")
    if options.lost and options.protocol != "strict":
        parser.error("--lost is defined for the protocol strict")
    if mode == "compare" and options.resamples == 0:
        parser.error("--compare needs --resamples of at least 1")
    wanted = ("PRED",) if options.gold_root else ("GOLD", "PRED")
    if mode == "labels" and len(options.files) < len(wanted) + 1:
        parser.error(f"--labels needs {' and '.join(wanted)} and more PREDs: one has no majority")
    if not mode and len(options.files) != len(wanted):
        parser.error(f"expected {' and '.join(wanted)}, got {len(options.files)} files")
    return options


def _whole_number(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


@dataclass(frozen=True)
class Gold:
    """What predictions are compared with.

    Attributes:
        train_names: words of every training entity; None = not known.
    """

    examples: tuple[Example, ...]
    train_names: Collection[Name] | None = None


def gold_of_folder(root: Path, split: str, text_dir: str | None, types: Types | None) -> Gold:
    """Gold from a folder in the layout of Twitter-GMNER; its images are not needed.

    ``root`` holds the text folder (by default ``txt``, or ``txt_fine`` for fine types) and ``xml``.
    Fine types are read from the second column of tags, any others from the first.

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
    if not (source.texts / "train.txt").is_file():
        return Gold(examples)
    blocks = source.blocks("train")
    return Gold(
        examples,
        frozenset(b.words[e.start : e.end + 1] for b in blocks for e in b.entities),
    )


def candidates_of(path: Path, gold: Sequence[Example]) -> Candidates:
    """Ranked candidate boxes from JSON lines, or from a folder of VinVL's ``<id>.jpg.npz``.

    Raises:
        InputError: a malformed line; an id that is missing, unknown or there twice; a file of the
            folder that is missing or damaged.
        OSError: the file cannot be read.
    """
    if not path.is_dir():
        return read_candidates(path, gold)
    source = VinVL(folder=path, k=MAX_CANDIDATES)
    candidates: dict[str, tuple[Box, ...]] = {}
    for example in gold:
        regions = source(id=example.id, image=None, size=example.size)
        rows = [] if regions is None else regions.boxes.tolist()
        candidates[example.id] = tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in rows)
    return candidates


def _gold(options: Namespace) -> Gold:
    if options.gold_root:
        return gold_of_folder(options.gold_root, options.split, options.text_dir, options.types)
    train = None if options.train is None else names_of(read_gold(options.train))
    return Gold(read_gold(options.files[0]), train)


def score_files(options: Namespace) -> None:
    """Score one file of predictions and print the scores."""
    gold = _gold(options)
    examples, path = gold.examples, options.files[-1]
    candidates = None
    if options.candidates is not None:
        found = candidates_of(options.candidates, examples)
        candidates = {id_: boxes[: options.num_regions] for id_, boxes in found.items()}
    predictions = _predictions(options, examples, candidates)
    digits = gold_digits((e.id, e.words, e.entities) for e in examples)
    if options.types == "coarse":
        examples = tuple(replace(e, entities=with_coarse_types(e.entities)) for e in examples)
        predictions = {id_: with_coarse_types(guesses) for id_, guesses in predictions.items()}
    documents = {
        example.id: Document(
            example.entities,
            predictions[example.id],
            example.words,
            None if candidates is None else candidates[example.id],
        )
        for example in examples
    }
    scored = score(documents, options.protocol, options.iou)
    splits = None
    if scored.protocol == "strict":
        pairs = [(example, predictions[example.id]) for example in examples]
        splits = strata(pairs, train_names=gold.train_names, iou_threshold=options.iou)
    resamples = options.resamples
    if resamples is None:
        resamples = 0 if options.json else RESAMPLES
    ranges = _intervals(scored, resamples, options.seed)
    lost = None
    if options.lost:
        lost = lost_points(
            {example.id: example.entities for example in examples},
            predictions,
            candidates,
            iou_threshold=options.iou,
            resamples=resamples,
            seed=options.seed,
        )
    split = options.split if options.gold_root else "file"
    signature = _signature(scored, split, digits, options.types)
    if not options.json:
        _print_tables(scored, str(path), ranges, resamples, splits, signature, lost)
        return
    plain = corpus_object(scored)
    plain["signature"] = str(signature)
    plain["types"] = options.types or "as written"
    if ranges is not None:
        plain["intervals"] = interval_object(ranges, resamples, options.seed)
    if splits is not None:
        plain["strata"] = strata_object(splits)
    if lost is not None:
        plain["lost"] = to_plain(lost)
    _print_json(plain)


def _predictions(
    options: Namespace, gold: Sequence[Example], candidates: Candidates | None
) -> Mapping[str, tuple[Prediction, ...]]:
    """The predictions, in one of ``FORMATS``; notes go to standard error."""
    path = options.files[-1]
    if options.written == "gmbench":
        imported = Imported(read_predictions(path, gold))
    elif options.written == "index":
        imported = read_index(path, gold, candidates or {}, options.none)
    else:
        imported = READERS[options.written](path, gold)
    notes = [*oddities(gold, imported.predictions), *imported.notes]
    for note in notes[:MAX_NOTES]:
        print(f"note: {note}", file=sys.stderr)
    if len(notes) > MAX_NOTES:
        print(f"note: ... and {len(notes) - MAX_NOTES} more", file=sys.stderr)
    return imported.predictions


def score_cases(options: Namespace) -> None:
    """Score lines that hold their own gold, case by case or as one corpus."""
    cases = read_cases(options.cases)
    if options.types == "coarse":
        cases = {id_: document.in_coarse_types() for id_, document in cases.items()}
    scored = score(cases, options.protocol, options.iou)
    digits = gold_digits((id_, case.words, case.gold) for id_, case in cases.items())
    signature = _signature(scored, "cases", digits, options.types)
    if options.corpus and options.json:
        _print_json(corpus_object(scored) | {"signature": str(signature)})
    elif options.corpus:
        _print_tables(scored, str(options.cases), None, 0, None, signature)
    else:
        counted = dict(zip(scored.ids, scored.rows, strict=True))
        for id_ in cases:
            micro = counted[id_].micro
            if options.json:
                _print_json(case_object(id_, micro))
                continue
            counts = [(task, getattr(micro, task)) for task in TASKS]
            print(
                id_, *(f"{task.upper()} {c.tp}/{c.pred}/{c.gold}" for task, c in counts), sep="  "
            )
        if not options.json:
            print(f"{len(cases)} cases, tp/pred/gold. {scored.rule}.\n{signature}")


def verify_run(options: Namespace) -> int:
    """Score a run's predictions again; 0 if every stored figure is confirmed.

    Of a published result, which has neither configuration nor predictions beside it, the counts by
    tweet are added up.
    """
    run: Path = options.verify
    if (run / TWEETS).is_file() and not [*run.glob("config.yaml"), *run.glob("predictions.*")]:
        count = len(read_scored_run(run).table.ids)
        print(
            f"{run}: the totals of all tasks are those of its {TWEETS} ({count:,} tweets); "
            "without config.yaml and predictions, nothing else can be compared"
        )
        return 0
    from gmbench.lifecycle.verify import verify  # it reads the run's configuration

    wrong = verify(options.verify, options.gold_root, options.trust)
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        print(f"{options.verify}: every stored figure stands")
    return 2 if wrong else 0


def compare_two_runs(options: Namespace) -> None:
    """Compare two runs on the same tweets: intervals of the difference, and tests."""
    first, second = map(read_scored_run, options.compare)
    resamples = RESAMPLES if options.resamples is None else options.resamples
    comparison = compare_runs(first, second, resamples=resamples, seed=options.seed)
    names = run_names(first, second)
    signature = signature_of(first.result, [row.task for row in comparison.tasks])
    if options.json:
        plain = dict(zip(("first", "second"), names, strict=True)) | to_plain(comparison)
        _print_json(plain | {"signature": str(signature)})
        return
    table = comparison_table(comparison, *names, rule_of(first.result))
    console().print(table.signed(signature))


def audit_file(options: Namespace) -> None:
    """Print the figures of a published table that cannot come from one list of predictions."""
    audited = audit(*read_table(options.audit))
    if options.json:
        _print_json(to_plain(audited))
        return
    console().print(audit_table(audited, str(options.audit)))


def audit_labels(options: Namespace) -> None:
    """Print the gold entities that most files of predictions are against."""
    gold = _gold(options).examples
    files = options.files if options.gold_root else options.files[1:]
    systems = [read_predictions(path, gold) for path in files]
    if options.types == "coarse":
        gold = tuple(replace(e, entities=with_coarse_types(e.entities)) for e in gold)
        systems = [{i: with_coarse_types(found) for i, found in one.items()} for one in systems]
    ranked, task = suspects(gold, systems), task_of(systems)
    moved = shifts(gold, systems, ranked, task)
    if options.json:
        words = {example.id: example.words for example in gold}
        for suspect in ranked:
            print(to_json(to_plain(suspect) | {"words": list(words[suspect.id])}))
        for shift in moved:
            print(to_json({"kind": "ranking", "task": task} | to_plain(shift)))
        return
    screen = console()
    screen.print(suspect_table(ranked, gold, MAX_NOTES))
    screen.print(shift_table(moved, _apart(files), task))


def _apart(files: Sequence[Path]) -> list[str]:
    """Paths without the folders and names that all of them share at either end."""
    parts = [path.parts for path in files]
    least = min(map(len, parts)) - 1
    ends = []
    for step in (1, -1):
        same = (len({one[::step][n] for one in parts}) == 1 for n in range(least))
        ends.append(sum(takewhile(bool, same)))
    first, last = ends[0], min(ends[1], least - ends[0])
    return ["/".join(one[first : len(one) - last]) for one in parts]


def show_signature(options: Namespace) -> None:
    """Print the parts of a signature and what they mean."""
    signature = parse_signature(options.signature)
    if options.json:
        _print_json(to_plain(signature))
        return
    console().print(signature_table(signature))


def _intervals(scored: Scored, resamples: int, seed: int) -> Intervals | None:
    if not resamples:
        return None
    table = scored.table()
    ranges = intervals(*(getattr(table, task) for task in TASKS), resamples=resamples, seed=seed)
    return dict(zip(TASKS, ranges, strict=True))


def _print_tables(
    scored: Scored,
    title: str,
    ranges: Intervals | None,
    resamples: int,
    splits: Strata | None,
    signature: Signature,
    lost: LostPoints | None = None,
) -> None:
    tables = [task_table(scored, title, ranges, resamples), type_score_table(scored)]
    if splits is not None:
        tables.append(strata_table(scored, splits))
    if lost is not None:
        tables.append(lost_table(lost))
    screen = console()
    for table in tables:
        screen.print(table.signed(signature))


def _signature(scored: Scored, split: str, gold: str, types: Types | None) -> Signature:
    return Signature(
        protocol=protocol_name(scored.protocol),
        iou=scored.iou_threshold,
        tasks=TASKS,
        split=split,
        n=scored.total.n,
        gold=gold,
        types=types,
    )


def _print_json(plain: Plain) -> None:
    print(to_json(plain))


if __name__ == "__main__":
    sys.exit(main())
