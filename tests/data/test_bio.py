from pathlib import Path

import pytest

from gmbench.core.entities import Entity
from gmbench.core.errors import InputError
from gmbench.data.bio import read_blocks, spans
from tests.data.files import COARSE


def write(folder: Path, data: str | bytes) -> Path:
    path = folder / "train.txt"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def read(folder: Path, data: str | bytes, tag_column: int = 1):
    return read_blocks(write(folder, data), tag_column=tag_column, types=COARSE)


@pytest.mark.parametrize(
    ("tags", "expected", "stray"),
    [
        ("O O", [], 0),
        ("B-PER", [(0, 0, "PER")], 0),
        ("B-PER I-PER O B-LOC", [(0, 1, "PER"), (3, 3, "LOC")], 0),
        ("B-PER I-PER B-PER I-PER", [(0, 1, "PER"), (2, 3, "PER")], 0),
        ("B-PER B-PER B-LOC", [(0, 0, "PER"), (1, 1, "PER"), (2, 2, "LOC")], 0),
        ("I-PER I-PER O", [(0, 1, "PER")], 1),
        ("O I-PER", [(1, 1, "PER")], 1),
        ("B-PER I-LOC I-LOC", [(0, 0, "PER"), (1, 2, "LOC")], 1),
        ("I-PER I-LOC", [(0, 0, "PER"), (1, 1, "LOC")], 2),
    ],
)
def test_spans(tags, expected, stray):
    assert spans(tags.split()) == (tuple(Entity(*span) for span in expected), stray)


def test_a_plain_file(tmp_path):
    first, second = read(tmp_path, "IMGID:1\nAda\tB-PER\nByron\tI-PER\n\nIMGID:16_05\nhi\tO\n\n")
    assert (first.id, first.words, first.line) == ("1", ("Ada", "Byron"), 1)
    assert first.surface(first.entities[0]) == "Ada Byron"
    assert (second.id, second.entities, second.line) == ("16_05", (), 5)


@pytest.mark.parametrize(
    "data",
    [
        "IMGID:1\nAda\tB-PER\n\nIMGID:2\nhi\tO",
        "IMGID:1\nAda\tB-PER\n\nIMGID:2\nhi\tO\n",
        "IMGID:1\r\nAda\tB-PER\r\n\r\nIMGID:2\r\nhi\tO\r\n",
        "\ufeffIMGID:1\nAda\tB-PER\n\n\n\nIMGID:2\nhi\tO\n\n\n",
        "\n\nIMGID:1\nAda\tB-PER\n \nIMGID:2\nhi\tO\n\n",
    ],
    ids=["no newline", "no blank line", "cr", "bom and blank lines", "leading blank lines"],
)
def test_forms_that_are_accepted(tmp_path, data):
    blocks = read(tmp_path, data)
    assert [(b.id, b.words) for b in blocks] == [("1", ("Ada",)), ("2", ("hi",))]
    assert blocks[0].entities == (Entity(0, 0, "PER"),)


def test_words_of_invisible_characters_and_line_separators_are_words(tmp_path):
    odd = ["\ufe0f", "\u200b", "\x92", "\u2028", "a\u0085b", "\u00a0"]
    (only,) = read(tmp_path, "IMGID:1\n" + "".join(f"{word}\tO\n" for word in odd))
    assert only.words == tuple(odd)


def test_any_column_of_tags(tmp_path):
    data = "IMGID:1\nAda\tO\tB-PER\n\n"
    assert read(tmp_path, data)[0].entities == ()
    assert read(tmp_path, data, tag_column=2)[0].entities == (Entity(0, 0, "PER"),)


@pytest.mark.parametrize(
    ("data", "line", "parts"),
    [
        ("IMGID:1\nAda\tB-PRE\n", 2, ["'B-PRE'", "did you mean B-PER?"]),
        ("IMGID:1\nAda\tPER\n", 2, ["unknown tag 'PER'", "PER"]),
        ("IMGID:1\nAda\tB-\n", 2, ["unknown tag 'B-'"]),
        ("IMGID:1\nAda\t\n", 2, ["unknown tag ''"]),
        ("IMGID:1\nAda\tB-person\n", 2, ["'B-person'", "LOC, ORG, OTHER, PER"]),
        ("IMGID:1\nAda B-PER\n", 2, ["no tab in 'Ada B-PER'", "word<TAB>tag"]),
        ("IMGID:1\n\tO\n", 2, ["empty word"]),
        ("Ada\tB-PER\n", 1, ["no id", "IMGID:<id>"]),
        ("IMGID:1\nx\tO\n\nAda\tB-PER\n", 4, ["no id"]),
        ("IMGID:1\nx\tO\nIMGID:2\ny\tO\n", 3, ["blank line", "began in line 1"]),
        ("IMGID:1\nx\tO\n\nIMGID:1\ny\tO\n", 4, ["'1'", "line 1", "unique"]),
        ("IMGID:1\n\nIMGID:2\ny\tO\n", 1, ["no word"]),
        ("IMGID:\nx\tO\n", 1, ["cannot be an id"]),
        ("IMGID:../../etc/passwd\nx\tO\n", 1, ["cannot be an id", "slash"]),
        (b"IMGID:1\nx\tO\n\xff\xfe\tO\n", 3, ["not UTF-8"]),
    ],
)
def test_faults_name_file_and_line(tmp_path, data, line, parts):
    with pytest.raises(InputError) as caught:
        read(tmp_path, data)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'train.txt'}:{line}: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_missing_column_says_which_there_are(tmp_path):
    with pytest.raises(InputError, match=r"train.txt:2: no tag column 2: .* 1 after the word"):
        read(tmp_path, "IMGID:1\nAda\tO\n", tag_column=2)


def test_an_empty_and_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="no tweet"):
        read(tmp_path, "\n\n")
    with pytest.raises(InputError, match="cannot be read"):
        read_blocks(tmp_path / "absent.txt", tag_column=1, types=COARSE)
