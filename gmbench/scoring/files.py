"""Gold and predictions as JSON lines, the exchange format with other systems: one example per line.

Gold, where ``size`` (of the image) may be absent:

    {"id", "words", "entities": [{"start", "end", "type", "boxes": [[x1, y1, x2, y2], ...]}],
     "size": [w, h]}

Predictions, where ``score``, ``region`` and ``no_target`` may be absent and the list may also be
called ``pred``:

    {"id", "entities": [{"start", "end", "type", "box": [...] | null, "score", ...}]}

Candidate regions, best first:

    {"id", "boxes": [[x1, y1, x2, y2], ...]}

Golden cases, which hold their own gold and predictions; further keys are comments:

    {"id", "gold": [...], "pred": [...]}

The counts per example, all that the statistics of a run need, are a CSV file, sorted by id.

``end`` is inclusive and boxes are xyxy pixels of the original image. Reading is strict: the first
fault is an error that names file, line, id and what is wrong, and nothing is ever skipped. Equal
content gives equal bytes.
"""

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gmbench.core.entities import Box, Entity, Example, Prediction
from gmbench.core.errors import InputError, did_you_mean
from gmbench.core.files import read_file, read_lines, write_atomically
from gmbench.core.records import Fields, parse_line, to_plain
from gmbench.core.safe_text import of_cell, to_cell, to_json
from gmbench.scoring.counting import Counts, Scores
from gmbench.scoring.intervals import TweetTable, table_of
from gmbench.scoring.oddities import without_area
from gmbench.scoring.protocols import Document

MOST_DIGITS = 10
HEADER = ["id", "pred", "gold", "gmner_tp", "mner_tp", "eeg_tp"]
"""Columns of a table of tweets, by the strict protocol."""


def read_gold(path: Path) -> tuple[Example, ...]:
    """The examples of a gold file, in its order.

    Raises:
        InputError: a malformed line, a duplicate id, a span outside its sentence, or a box without
            area.
        OSError: the file cannot be read.
    """
    examples = []
    for fields, id_ in lines_of(path):
        fields.check_keys(("id", "words", "entities"), ("size",))
        words = fields.texts("words")
        size = fields.size("size") if fields.has("size") else None
        entities = gold_entities(fields, "entities", len(words))
        for box in (box for entity in entities for box in entity.boxes):
            if without_area(box):
                raise fields.error(f"the box {list(box)} has no area; x1 < x2 and y1 < y2")
        examples.append(Example(id=id_, words=words, entities=entities, size=size))
    return tuple(examples)


def read_predictions(path: Path, gold: Iterable[Example]) -> dict[str, tuple[Prediction, ...]]:
    """Predictions by example id, in the order of ``gold``; every example must have one line.

    Raises:
        InputError: a malformed line, a span outside its sentence, or an id that is duplicate,
            missing or not in ``gold``.
        OSError: the file cannot be read.
    """
    found = {}
    for fields, example in lines_for(path, tuple(gold)):
        key = "pred" if fields.has("pred") and not fields.has("entities") else "entities"
        fields.check_keys(("id", key))
        found[example.id] = predicted_entities(fields, key, len(example.words))
    return found


def read_candidates(path: Path, gold: Iterable[Example]) -> dict[str, tuple[Box, ...]]:
    """Candidate boxes by example id, best first; an image without any still needs its line.

    Raises:
        InputError: as for predictions.
        OSError: the file cannot be read.
    """
    found = {}
    for fields, example in lines_for(path, tuple(gold)):
        fields.check_keys(("id", "boxes"), ("scores",))
        found[example.id] = fields.boxes("boxes")
    return found


def lines_of(path: Path) -> Iterator[tuple[Fields, str]]:
    """The objects of a file with their ids, each id once; their other keys are not looked at.

    Raises:
        InputError: a line is no JSON object, or an id is missing or stands twice.
        OSError: the file cannot be read.
    """
    first_seen: dict[str, int] = {}
    lines = list(read_lines(path))
    if not lines[-1][1]:
        lines.pop()
    for number, line in lines:
        fields = Fields(parse_line(path, number, line), f"{path}:{number}")
        id_ = fields.text("id")
        fields = fields.named(f"{path}:{number}: id {id_!r}")
        if id_ in first_seen:
            raise fields.error(f"this id stands twice, first in line {first_seen[id_]}")
        first_seen[id_] = number
        yield fields, id_


def lines_for(path: Path, gold: Sequence[Example]) -> Iterator[tuple[Fields, Example]]:
    """One line for every example of ``gold`` and no other, in the order of ``gold``.

    Raises:
        InputError: as ``lines_of``; an id is not in ``gold``, or is missing.
        OSError: the file cannot be read.
    """
    known = {example.id: example for example in gold}
    found: dict[str, Fields] = {}
    for fields, id_ in lines_of(path):
        example_of(id_, known, fields)
        found[id_] = fields
    check_complete(path, found, known)
    for id_, example in known.items():
        yield found[id_], example


def example_of(id_: str, known: Mapping[str, Example], fields: Fields) -> Example:
    """The example of an id; an unknown one is an error at the place of ``fields``."""
    if id_ not in known:
        raise fields.error(f"this id is not in the gold data{did_you_mean(id_, known)}")
    return known[id_]


def check_complete(path: Path, found: Collection[str], known: Collection[str]) -> None:
    """Raise an ``InputError`` that lists the ids of ``known`` that ``found`` lacks."""
    missing = [id_ for id_ in known if id_ not in found]
    if missing:
        raise InputError(
            f"{path}: {len(missing)} of {len(known)} ids of the gold data are missing: "
            f"{', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}; an example without "
            "entities still needs its line"
        )


def gold_entities(fields: Fields, key: str, words: int | None) -> tuple[Entity, ...]:
    """The gold entities in a list of one line; ``words`` None: the sentence is not known."""
    entities = []
    for row in fields.rows(key, required=("start", "end", "type", "boxes")):
        start, end = row.span(words)
        entities.append(Entity(start, end, row.text("type"), row.boxes("boxes")))
    return tuple(entities)


def predicted_entities(fields: Fields, key: str, words: int | None) -> tuple[Prediction, ...]:
    """The predicted entities in a list of one line; ``words`` None: the sentence is not known."""
    rows = fields.rows(
        key,
        required=("start", "end", "type", "box"),
        optional=("score", "region", "no_target"),
    )
    return tuple(_prediction(row, words) for row in rows)


def write_gold(path: Path, examples: Iterable[Example]) -> None:
    """Write examples in the order given; raises the errors of ``write_predictions``."""
    _write(
        path,
        (
            {
                "id": example.id,
                "words": list(example.words),
                "entities": [
                    to_plain(replace(e, boxes=tuple(map(_floats, e.boxes))))
                    for e in example.entities
                ],
                **({} if example.size is None else {"size": list(example.size)}),
            }
            for example in examples
        ),
    )


def write_predictions(path: Path, predictions: Mapping[str, Sequence[Prediction]]) -> None:
    """Write predictions sorted by id: the bytes do not depend on batch size or processes.

    Raises:
        ValueError: a number is not finite.
        OSError: the file cannot be written; an existing one is left as it was.
    """
    _write(
        path,
        (
            {"id": id_, "entities": [_plain(prediction) for prediction in predictions[id_]]}
            for id_ in sorted(predictions)
        ),
    )


def _prediction(row: Fields, words: int | None) -> Prediction:
    start, end = row.span(words)
    return Prediction(
        start=start,
        end=end,
        type=row.text("type"),
        box=row.box_or_none("box"),
        score=row.number("score") if row.has("score") else 1.0,
        region=row.index("region") if row.has("region") else None,
        no_target=row.share("no_target") if row.has("no_target") else None,
    )


def _plain(prediction: Prediction) -> dict[str, Any]:
    """One prediction; ``region`` and ``no_target`` are left out where they are unknown."""
    box = None if prediction.box is None else _floats(prediction.box)
    row = to_plain(replace(prediction, box=box, score=float(prediction.score)))
    return {key: value for key, value in row.items() if value is not None or key == "box"}


def _floats(box: Box) -> Box:
    x1, y1, x2, y2 = map(float, box)
    return x1, y1, x2, y2


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    try:
        lines = [to_json(row) + "\n" for row in rows]
    except ValueError as fault:
        raise ValueError(f"{path}: not written, a number is not finite ({fault})") from fault
    write_atomically(path, "".join(lines).encode())


def write_tweet_table(path: Path, table: TweetTable) -> None:
    """Write a table of the strict protocol, whole or not at all.

    Raises:
        ValueError: the tasks differ in predictions or gold, as under other protocols.
        OSError: the file cannot be written.
    """
    tasks = (table.gmner, table.mner, table.eeg)
    if any((task[:, 1:] != table.gmner[:, 1:]).any() for task in tasks):
        raise ValueError("only counts of the strict protocol are stored")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    columns = [table.gmner[:, 1], table.gmner[:, 2], *(task[:, 0] for task in tasks)]
    counts = np.stack(columns, axis=1).tolist()
    writer.writerows([to_cell(id_), *row] for id_, row in zip(table.ids, counts, strict=True))
    write_atomically(path, text.getvalue().encode())


def read_tweet_table(path: Path) -> TweetTable:
    """Read what ``write_tweet_table`` wrote.

    Raises:
        InputError: a line is not what it should be.
        OSError: the file cannot be read.
    """
    try:
        text = read_file(path).decode("utf-8")
        lines = list(csv.reader(io.StringIO(text, newline="")))
    except (UnicodeDecodeError, csv.Error) as fault:
        raise InputError(f"{path}: not a table of counts ({fault})") from None
    if not lines or lines[0] != HEADER:
        raise InputError(f"{path}:1: the columns must be {','.join(HEADER)}")
    ids: list[str] = []
    rows: list[Scores] = []
    for number, line in enumerate(lines[1:], start=2):
        where = f"{path}:{number}"
        if len(line) != len(HEADER) or not all(map(_is_count, line[1:])):
            raise InputError(f"{where}: an id and five whole numbers were expected")
        id_ = of_cell(line[0])
        if ids and id_ <= ids[-1]:
            raise InputError(f"{where}: id {id_!r} stands twice or out of order")
        pred, gold, *tps = map(int, line[1:])
        if max(tps) > min(pred, gold):
            raise InputError(f"{where}: more true positives than predictions or gold entities")
        ids.append(id_)
        rows.append(Scores(*(Counts(tp, pred, gold) for tp in tps)))
    return table_of(ids, rows)


def _is_count(text: str) -> bool:
    """Whether a cell is a whole number that a tweet can reach."""
    return text.isdecimal() and text.isascii() and len(text) < MOST_DIGITS


def read_cases(path: Path) -> dict[str, Document]:
    """Golden cases by id, in the order of the file; sentences are not known.

    Raises:
        InputError: a malformed line, or an id that stands twice.
        OSError: the file cannot be read.
    """
    cases = {}
    for fields, id_ in lines_of(path):
        gold = gold_entities(fields, "gold", None)
        cases[id_] = Document(gold, predicted_entities(fields, "pred", None))
    return cases
