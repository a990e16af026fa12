"""Hand-made files of every format: what is read, what *none* looks like, what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gmbench.core.entities import Box, Entity, Example, Prediction
from gmbench.core.errors import InputError
from gmbench.scoring.importers.candidate_index import read_index
from gmbench.scoring.importers.common import Imported, occurrences
from gmbench.scoring.importers.conll import read_conll
from gmbench.scoring.importers.llm import read_llm
from gmbench.scoring.importers.mqspn import read_mqspn
from gmbench.scoring.importers.surface import read_e2e, read_riveg, read_surface

GOLD = (
    Example("7", ("Kevin", "Durant", "'s", "NBA", "finals")),
    Example("8", ("York", "beats", "York")),
)
BOX: Box = (1.0, 2.0, 30.0, 40.0)
CANDIDATES = {"7": (BOX, (5.0, 5.0, 6.0, 6.0)), "8": ()}
NOTHING = {"id": "8", "entities": []}


def written(tmp_path: Path, *lines: object) -> Path:
    path = tmp_path / "p.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def indexed(region: object, **more: object) -> dict[str, object]:
    return {
        "id": "7",
        "entities": [{"start": 0, "end": 1, "type": "PER", "region": region, **more}],
    }


@pytest.mark.parametrize(
    ("region", "none", "expected"),
    [
        (0, 16, Prediction(0, 1, "PER", BOX, region=1)),
        ([0], 16, Prediction(0, 1, "PER", BOX, region=1)),
        (1, 16, Prediction(0, 1, "PER", (5.0, 5.0, 6.0, 6.0), region=2)),
        (15, 16, Prediction(0, 1, "PER", (0.0, 0.0, 0.0, 0.0), region=16)),  # padding: wrong
        (16, 16, Prediction(0, 1, "PER", None, region=0)),
        (None, 16, Prediction(0, 1, "PER", None, region=0)),
        (0, 0, Prediction(0, 1, "PER", None, region=0)),
        (1, 0, Prediction(0, 1, "PER", BOX, region=1)),
        (2, 0, Prediction(0, 1, "PER", (5.0, 5.0, 6.0, 6.0), region=2)),
    ],
)
def test_index_of_a_candidate(tmp_path, region, none, expected):
    found = read_index(written(tmp_path, indexed(region), NOTHING), GOLD, CANDIDATES, none)
    assert found == Imported({"7": (expected,), "8": ()})


@pytest.mark.parametrize(
    ("region", "none", "message"),
    [
        (17, 16, r"region 17 names none of 16 candidates \(they count from 0, and 16 is none\)"),
        (3, 0, r"region 3 names none of 2 candidates \(they count from 1, and 0 is none\)"),
        ([0, 1], 16, r"region must be the index of one candidate or null, not \[0, 1\]"),
        (-1, 0, "region must be the index of one candidate or null, not -1"),
        (True, 0, "region must be the index of one candidate or null, not True"),
    ],
)
def test_an_index_of_nothing_is_named(tmp_path, region, none, message):
    with pytest.raises(InputError, match=r"p\.jsonl:1: id '7': entities\[0\]: " + message):
        read_index(written(tmp_path, indexed(region), NOTHING), GOLD, CANDIDATES, none)


def test_index_with_a_name_as_tiger_writes_it(tmp_path):
    row = {"id": "7", "entities": [{"text": "NBA", "type": "ORG", "region": 0, "score": 0.5}]}
    found = read_index(written(tmp_path, row, NOTHING), GOLD, CANDIDATES, 16)
    assert found.predictions["7"] == (Prediction(3, 3, "ORG", BOX, 0.5, 1),)


@pytest.mark.parametrize("none", [None, [0, 0, 0, 0], [], "None", "n/a"])
def test_surface_and_its_nones(tmp_path, none):
    rows = [
        {"text": "Kevin Durant", "type": "PER", "box": [1, 2, 30, 40]},
        {"text": "NBA", "type": "ORG", "box": none},
    ]
    found = read_surface(written(tmp_path, {"id": "7", "entities": rows}, NOTHING), GOLD)
    expected = (Prediction(0, 1, "PER", BOX), Prediction(3, 3, "ORG", None))
    assert found == Imported({"7": expected, "8": ()})


def test_an_ambiguous_surface_is_reported(tmp_path):
    york = {"text": "York", "type": "LOC", "box": None}
    lines = ({"id": "7", "entities": []}, {"id": "8", "entities": [york, york, york]})
    found = read_surface(written(tmp_path, *lines), GOLD)
    assert [(p.start, p.end) for p in found.predictions["8"]] == [(0, 0), (2, 2), (0, 0)]
    assert len(found.notes) == 3
    assert (
        "p.jsonl:2: id '8': 'York' is ambiguous, it occurs 2 times; read as words 0..0"
        in (found.notes[0])
    )


def test_a_surface_that_is_not_there_counts_as_wrong(tmp_path):
    gone = {"text": "Lakers", "type": "ORG", "box": None}
    found = read_surface(written(tmp_path, {"id": "7", "entities": [gone]}, NOTHING), GOLD)
    assert found.predictions["7"] == (Prediction(5, 5, "ORG"),)  # behind the last word
    assert "'Lakers' is not in the sentence; it counts as a wrong answer" in found.notes[0]


def test_two_boxes_of_one_prediction_are_refused(tmp_path):
    row = {"text": "NBA", "type": "ORG", "box": [[1, 2, 3, 4], [5, 6, 7, 8]]}
    with pytest.raises(InputError, match="box holds 2 boxes; a prediction has one or none"):
        read_surface(written(tmp_path, {"id": "7", "entities": [row]}, NOTHING), GOLD)


@pytest.mark.parametrize(
    ("surface", "words", "found"),
    [
        ("Kevin Durant", GOLD[0].words, [(0, 1)]),
        ("  Kevin   Durant ", GOLD[0].words, [(0, 1)]),
        ("Durant's", GOLD[0].words, [(1, 2)]),  # written together
        ("kevin durant", GOLD[0].words, []),
        ("Kevin Dur", GOLD[0].words, []),
        ("a a", ("a", "a", "a"), [(0, 1), (1, 2)]),
        ("", ("a",), []),
    ],
)
def test_where_a_name_stands(surface, words, found):
    assert occurrences(surface, words) == found


@pytest.mark.parametrize(
    "answer",
    [
        "<think>the NBA|x</think><answer>Kevin Durant|PER|[1,2,30,40]; NBA|ORG|None</answer>",
        "Kevin Durant|PER|[1,2,30,40]\uff1bNBA\uff5cORG\uff5cNone\uff1b",
    ],
)
def test_e2e_answers(tmp_path, answer):
    lines = ({"id": "7", "answer": answer}, {"id": "8", "answer": "None"})
    found = read_e2e(written(tmp_path, *lines), GOLD)
    expected = (Prediction(0, 1, "PER", BOX), Prediction(3, 3, "ORG", None))
    assert found == Imported({"7": expected, "8": ()})


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("NBA|ORG", r"'NBA\|ORG' is not name\|type\|box"),
        ("NBA|ORG|[1,2,3]", r"the box of 'NBA' must be four numbers"),
        ("NBA|ORG|somewhere", r"the box of 'NBA' must be four numbers"),
        (3, "answer must be a string"),
    ],
)
def test_a_malformed_e2e_answer_is_named(tmp_path, answer, message):
    lines = ({"id": "7", "answer": answer}, {"id": "8", "answer": ""})
    with pytest.raises(InputError, match=r"p\.jsonl:1: id '7': " + message):
        read_e2e(written(tmp_path, *lines), GOLD)


@pytest.mark.parametrize("number", ["", "#0", "#6aac", "#00FF"])
def test_riveg_lines(tmp_path, number):
    path = written(
        tmp_path,
        f"\ufeff7.jpg{number}###Kevin Durant(PER)###a player (tall)###2###&[1.0, 2.0, 30.0, 40.0]",
        f"Imageid:7.jpg{number}###NBA(ORG)###a league###0###&[0, 0, 0, 0]",
    )
    found = read_riveg(path, GOLD)
    expected = (Prediction(0, 1, "PER", BOX), Prediction(3, 3, "ORG", None))
    assert found.predictions == {"7": expected, "8": ()}
    assert found.notes == (f"{path}: 1 of 2 tweets have no line: read as no prediction",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("7.jpg###NBA###x###0###&[0, 0, 0, 0]", r"p\.jsonl:1: not ID\.jpg###name"),
        ("9.jpg###NBA(ORG)###x###0###&[0, 0, 0, 0]", "id '9': this id is not in the gold data"),
        ("7.jpg###NBA(ORG)###x###2###&[1, 2, 3]", "id '7': box must be four numbers"),
    ],
)
def test_a_malformed_riveg_line_is_named(tmp_path, line, message):
    with pytest.raises(InputError, match=message):
        read_riveg(written(tmp_path, line), GOLD)


@pytest.mark.parametrize("read", [read_riveg, read_conll])
def test_bytes_that_are_no_text_are_named(tmp_path, read):
    path = tmp_path / "p.txt"
    path.write_bytes(b"\n\xff\n")
    with pytest.raises(InputError, match=r"p\.txt:2: not UTF-8 at byte 0"):
        read(path, GOLD)


CONLL = """IMGID:7
Kevin\tB-PER\t1,2,30,40
Durant\tI-PER
's\tO
NBA\tB-ORG\t-
finals\tO

IMGID:8
York\tI-LOC
beats\tO\t
York\tB-LOC\tnone
"""


def test_conll_with_boxes(tmp_path):
    path = tmp_path / "p.txt"
    path.write_bytes(b"\xef\xbb\xbf" + CONLL.replace("\n", "\r\n").encode())
    found = read_conll(path, GOLD)
    assert found == Imported(
        {
            "7": (Prediction(0, 1, "PER", BOX), Prediction(3, 3, "ORG")),
            "8": (Prediction(0, 0, "LOC"), Prediction(2, 2, "LOC")),
        }
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("beats", "meets", r"p\.txt:10: id '8': word 'meets', but the gold data have 'beats'"),
        ("'s\tO\n", "", r"p\.txt:2: id '7': 4 words, but the gold data have 5"),
        ("I-PER", "I-PER\t1,2,3,4", r"p\.txt:3: id '7': a box stands on the first word"),
        ("'s\tO", "'s\tO\t1,2,3,4", r"p\.txt:4: id '7': a box on a word that is no entity"),
        ("30,40", "30", r"p\.txt:2: id '7': box must be four numbers"),
        ("30,40", "30,x", r"p\.txt:2: id '7': box\[3\] must be a number"),
        ("30,40", "30,nan", r"p\.txt:2: id '7': box\[3\] must be finite"),
        ("I-LOC", "PLACE", r"p\.txt:9: id '8': tag 'PLACE' is neither O nor B- or I-"),
        ("I-LOC", "I-LOC\t-\t-", r"p\.txt:9: id '8': 4 columns"),
        ("IMGID:8", "IMGID:7", r"p\.txt:8: id '7': this id stands twice"),
        ("IMGID:8", "IMGID:9", r"p\.txt:8: id '9': this id is not in the gold data"),
        ("\nIMGID:8", "IMGID:8", r"p\.txt:7: 'IMGID:8' inside a tweet"),
        ("IMGID:7\n", "", r"p\.txt:1: a tweet begins without a line IMGID"),
    ],
)
def test_a_malformed_conll_line_is_named(tmp_path, old, new, message):
    assert old in CONLL
    path = tmp_path / "p.txt"
    path.write_text(CONLL.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        read_conll(path, GOLD)


def test_a_tweet_missing_in_conll_is_named(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text(CONLL.split("\n\n")[0])
    with pytest.raises(InputError, match="1 of 2 ids of the gold data are missing: 8"):
        read_conll(path, GOLD)


ENTITIES = [
    {"text": "Kevin Durant", "type": "PER", "box": [1, 2, 30, 40]},
    {"text": "NBA", "type": "ORG", "box": None},
]


@pytest.mark.parametrize(
    "answer",
    [
        ENTITIES,
        {"entities": ENTITIES},
        json.dumps(ENTITIES),
        f"Sure! Here it is:\n```json\n{json.dumps(ENTITIES, indent=1)}\n```\nAnything else?",
        json.dumps({"entities": ENTITIES}),
        '[{"entity": "Kevin Durant", "label": "PER", "bbox_2d": [[1, 2, 30, 40]]}, '
        '{"name": "NBA", "type": "ORG"}]',
        # What comes before the answer, or beside it, is not the answer.
        f'<think>[{{"text": "finals", "type": "ORG"}}]?</think>{json.dumps(ENTITIES)}',
        f'Draft: [{{"text": "finals", "type": "ORG"}}]. No: {json.dumps(ENTITIES)}, box [1].',
        f"Of the boxes [[1, 2, 30, 40]] {{first}}: {json.dumps(ENTITIES)} [1]",
    ],
)
def test_llm_answers(tmp_path, answer):
    lines = ({"id": "7", "answer": answer}, {"id": "8", "answer": "[]"})
    found = read_llm(written(tmp_path, *lines), GOLD)
    expected = (Prediction(0, 1, "PER", BOX), Prediction(3, 3, "ORG", None))
    assert found == Imported({"7": expected, "8": ()})


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("I cannot help with that.", "no JSON in the answer"),
        ('[{"text": "NBA", ', "no JSON in the answer"),
        ({"text": "NBA"}, "the answer holds no list of entities"),
        (None, "the answer holds no list of entities"),
        ([3], "entity 1 is no object but 3"),
        ("The box is [1, 2, 3, 4].", "the answer holds no list of entities"),
        ("[" * 50_000, "no JSON in the answer"),
        ([{"type": "ORG"}], "entity 1: exactly one of text, entity, name, mention, span"),
        ([{"text": "NBA"}], "entity 1: exactly one of type, label must be there"),
        ([{"text": "NBA", "type": "ORG", "where": 3}], "entity 1: unknown key 'where'"),
        ([{"text": "NBA", "type": "ORG", "box": [1, 2, 3]}], "entity 1: box must be four numbers"),
    ],
)
def test_a_malformed_llm_answer_is_named(tmp_path, answer, message):
    lines = ({"id": "7", "answer": answer}, {"id": "8", "answer": "[]"})
    with pytest.raises(InputError, match=r"p\.jsonl:1: id '7': " + message):
        read_llm(written(tmp_path, *lines), GOLD)


@pytest.mark.parametrize("read", [read_surface, read_e2e, read_llm])
def test_a_missing_tweet_is_named(tmp_path, read):
    key = "entities" if read is read_surface else "answer"
    with pytest.raises(InputError, match="1 of 2 ids of the gold data are missing: 8"):
        read(written(tmp_path, {"id": "7", key: []}), GOLD)


def sentence(**changes: object) -> dict[str, object]:
    entity = {"entity_type": "PER", "start": 0, "end": 1, "phrase": "Kevin Durant", "region": 2}
    other = {"entity_type": "MISC", "start": 3, "end": 3, "phrase": "NBA", "region": 0}
    return {
        "tokens": list(GOLD[0].words),
        "pre_entities": [{**entity, "region_box": None}, other],
        "gt_entities": [],
        "image_id": "7.jpg",
        "candidate_regions": [[5, 5, 6, 6], list(BOX)],
        **changes,
    }


EMPTY = {"tokens": list(GOLD[1].words), "pre_entities": [], "image_id": "8.jpg"}


def test_mqspn_writes_one_list_of_sentences(tmp_path):
    path = written(tmp_path, [{**EMPTY, "candidate_regions": []}, sentence()])
    expected = (Prediction(0, 1, "PER", BOX, region=2), Prediction(3, 3, "OTHER", None, region=0))
    assert read_mqspn(path, GOLD) == Imported({"7": expected, "8": ()})
    named_so = [replace(GOLD[0], entities=(Entity(3, 3, "MISC"),))]
    (_, other) = read_mqspn(written(tmp_path, [sentence()]), named_so).predictions["7"]
    assert other.type == "MISC"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({}, "expected one JSON list"),
        ("[", "not JSON"),
        ([3], "sentence 1 is no object"),
        ([sentence(), sentence()], "sentence 2: id '7': this id stands twice"),
        ([sentence(image_id="9.jpg")], "id '9': this id is not in the gold data"),
        ([sentence(tokens=["Kevin"])], "its tokens are not the words of the gold data"),
        ([sentence(candidate_regions=[])], "region 2 names none of 0 candidates"),
        ([sentence()], "1 of 2 ids of the gold data are missing: 8"),
    ],
)
def test_a_malformed_file_of_mqspn_is_named(tmp_path, rows, message):
    with pytest.raises(InputError, match=rf"p\.jsonl: .*{message}"):
        read_mqspn(written(tmp_path, rows), GOLD)
