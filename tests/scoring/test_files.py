"""JSON lines: round trip to the byte, and every malformed line named."""

import json
import math
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmbench.core.entities import Entity, Example, Prediction
from gmbench.core.errors import InputError
from gmbench.scoring.files import read_gold, read_predictions, write_gold, write_predictions

WORDS = ("RT", "@", "_", "Kevin", "Durant", "\u2028", "😀")
EXAMPLES = (
    Example("b", WORDS, (Entity(3, 4, "PER", ((1.0, 2.0, 30.5, 40.1),)), Entity(0, 0, "ORG"))),
    Example("a", ("x",)),
)
PREDICTIONS = {
    "b": (
        Prediction(3, 4, "PER", (1.0, 2.0, 0.1 + 0.2, 40.0), 0.9, 3, 0.25),
        Prediction(0, 0, "ORG", None, 0.5),
    ),
    "a": (),
}


def test_gold_round_trip(tmp_path):
    path = tmp_path / "gold.jsonl"
    write_gold(path, EXAMPLES)
    again = read_gold(path)
    assert [(e.id, e.words, e.entities) for e in again] == [
        (e.id, e.words, e.entities) for e in EXAMPLES
    ]
    first = path.read_bytes()
    write_gold(path, again)
    assert path.read_bytes() == first
    assert first.count(b"\n") == 2


def test_predictions_round_trip(tmp_path):
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, PREDICTIONS)
    assert read_predictions(path, EXAMPLES) == PREDICTIONS
    assert list(read_predictions(path, EXAMPLES)) == ["b", "a"]
    other = tmp_path / "other.jsonl"
    write_predictions(other, dict(reversed(PREDICTIONS.items())))
    assert other.read_bytes() == path.read_bytes()


finite = st.floats(allow_nan=False, allow_infinity=False)
boxes = st.tuples(finite, finite, finite, finite)


@given(box=st.none() | boxes, score=st.floats(0, 1), region=st.none() | st.integers(0, 99))
def test_every_digit_survives(tmp_path_factory, box, score, region):
    path = tmp_path_factory.getbasetemp() / "digits.jsonl"
    wanted = {"a": (Prediction(0, 0, "PER", box, score, region),)}
    write_predictions(path, wanted)
    assert read_predictions(path, [Example("a", ("x",))]) == wanted


def test_bom_crlf_and_a_missing_last_newline_are_accepted(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id":"a","entities":[]}\r\n{"id":"b","entities":[]}')
    assert read_predictions(path, EXAMPLES) == {"b": (), "a": ()}


def line(**changes: Any) -> str:
    entity = {"start": 3, "end": 4, "type": "PER", "box": [1, 2, 3, 4], "score": 0.5}
    entity.update(changes)
    return json.dumps({"id": "b", "entities": [entity]})


def without(key: str) -> str:
    row = json.loads(line())
    del row["entities"][0][key]
    return json.dumps(row)


ENTITY = r"p\.jsonl:2: id 'b': entities\[0\]: "
FAULTS = {
    "empty line": ("", r"p\.jsonl:2: the line is empty"),
    "not json": ('{"id": "b", ', r"p\.jsonl:2: not JSON: .* column 13"),
    "not an object": ("[1]", r"p\.jsonl:2: a JSON object was expected, not \[1\]"),
    "too deep": ("[" * 100_000, r"p\.jsonl:2: not JSON that can be read"),
    "no id": ('{"entities": []}', r"p\.jsonl:2: key 'id' is missing"),
    "number as id": ('{"id": 7, "entities": []}', r"p\.jsonl:2: id must be a non-empty string"),
    "id twice": ('{"id": "a", "entities": []}', r"2: id 'a': this id stands twice, .* line 1"),
    "key twice": ('{"id": "b", "id": "c", "entities": []}', r"2: key 'id' stands twice"),
    "unknown id": (
        '{"id": "bb", "entities": []}',
        r"2: id 'bb': this id is not in the gold data; did you mean b",
    ),
    "no entities": ('{"id": "b"}', r"2: id 'b': key 'entities' is missing"),
    "near key": ('{"id": "b", "entitys": []}', r"'entitys'; did you mean entities"),
    "far key": ('{"id": "b", "zzz": []}', r"unknown key 'zzz'; known: id, entities"),
    "entities no list": ('{"id": "b", "entities": {}}', r"entities must be a list, not \{\}"),
    "entity no object": ('{"id": "b", "entities": [3]}', r"entities\[0\] must be an object, not 3"),
    "no box": (without("box"), ENTITY + r"key 'box' is missing"),
    "boxes for box": (line(boxes=[]), ENTITY + r"unknown key 'boxes'; did you mean box"),
    "past the end": (line(end=7), ENTITY + r"span 3\.\.7 lies outside the sentence of 7 words"),
    "turned round": (line(start=5), ENTITY + r"span 5\.\.4 is turned round"),
    "negative": (line(start=-1), ENTITY + r"start must be a whole number from 0, not -1"),
    "fraction": (line(start=1.0), ENTITY + r"start must be a whole number from 0, not 1\.0"),
    "truth as index": (line(start=True), ENTITY + r"start must be a whole number from 0, not true"),
    "empty type": (line(type=""), ENTITY + r"type must be a non-empty string"),
    "nan": (line(box=[1, 2, math.nan, 4]), ENTITY + r"box\[2\] must be finite, not nan"),
    "infinity": (line(box=[1, 2, 3, math.inf]), ENTITY + r"box\[3\] must be finite, not inf"),
    "huge": (line(box=[1, 2, 10**400, 4]), ENTITY + r"box\[2\] must be finite, not inf"),
    "three numbers": (line(box=[1, 2, 3]), ENTITY + r"box must be four numbers .* \[1, 2, 3\]"),
    "no box but a word": (line(box="none"), ENTITY + r"box must be four numbers .* \"none\""),
    "text in box": (line(box=[1, 2, "3", 4]), ENTITY + r"box\[2\] must be a number, not \"3\""),
    "score": (line(score=math.nan), ENTITY + r"score must be finite"),
    "region": (line(region=-2), ENTITY + r"region must be a whole number from 0, not -2"),
    "no_target": (line(no_target=1.5), ENTITY + r"no_target must lie in 0\.\.1, not 1\.5"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_malformed_line_is_named(fault, tmp_path):
    text, message = FAULTS[fault]
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "a", "entities": []}\n' + text + "\n")
    with pytest.raises(InputError, match=message) as caught:
        read_predictions(path, EXAMPLES)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_missing_ids_are_named(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "a", "entities": []}\n')
    with pytest.raises(InputError, match="1 of 2 ids of the gold data are missing: b; an example"):
        read_predictions(path, EXAMPLES)


def test_bytes_that_are_no_text_are_named(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_bytes(b'{"id": "\xff"}\n')
    with pytest.raises(InputError, match=r"p\.jsonl:1: not UTF-8 at byte 8"):
        read_predictions(path, EXAMPLES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a", "entities": []}', "id 'a': key 'words' is missing"),
        ('{"id": "a", "words": ["x", ""], "entities": []}', r"words\[1\] must be a non-empty"),
        (
            '{"id": "a", "words": ["x"], "entities": [{"start": 0, "end": 1, "type": "T", '
            '"boxes": []}]}',
            r"entities\[0\]: span 0\.\.1 lies outside the sentence of 1 words",
        ),
        (
            '{"id": "a", "words": ["x"], "entities": [{"start": 0, "end": 0, "type": "T", '
            '"boxes": [[1, 2, 3, NaN]]}]}',
            r"entities\[0\]: boxes\[0\]\[3\] must be finite, not nan",
        ),
        (
            '{"id": "a", "words": ["x"], "entities": [{"start": 0, "end": 0, "type": "T", '
            '"boxes": null}]}',
            r"entities\[0\]: boxes must be a list, not null",
        ),
    ],
)
def test_gold_is_checked_as_strictly(text, message, tmp_path):
    path = tmp_path / "gold.jsonl"
    path.write_text(text + "\n")
    with pytest.raises(InputError, match=message):
        read_gold(path)


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "p.jsonl"
    write_predictions(path, PREDICTIONS)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="a number is not finite"):
        write_predictions(path, {"a": [Prediction(0, 0, "PER", (0.0, 0.0, math.nan, 1.0))]})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_predictions(path, {"a": ()})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
