import json
from io import BytesIO
from pathlib import Path

import pytest

from gmbench.core.errors import InputError
from gmbench.serving.posts import ONE_WORD, post, read_folder, read_posts, word_places


def read(*rows, images=None, name=Path("folder/posts.jsonl")):
    content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    return list(read_posts(BytesIO(content), name, images))


def test_words_are_what_stands_between_white_space():
    made = post(" Zoë\u00a0Kravitz \n in 🇫🇷 Paris! ")
    assert made.words == ("Zoë", "Kravitz", "in", "🇫🇷", "Paris!")
    assert [made.text[start:end] for start, end in made.places] == list(made.words)


def test_given_words_are_found_one_after_the_other():
    made = post("a b a bab", words=["a", "a", "b", "b"])
    assert made.places == ((0, 1), (4, 5), (6, 7), (8, 9))
    assert post(None, words=["New York", "is"]).text == "New York is"


@pytest.mark.parametrize("words", [["b", "a"], ["a", ""], ["c"]])
def test_words_that_do_not_stand_there(words):
    with pytest.raises(ValueError, match="does not stand in the text"):
        word_places("a b", words)


@pytest.mark.parametrize(("text", "words"), [("", None), ("  ", None), (None, None), (None, [])])
def test_nothing_to_read(text, words):
    with pytest.raises(ValueError, match="no word"):
        post(text, words=words)


def test_pictures_are_looked_for_beside_the_file_or_where_told(tmp_path):
    (tmp_path / "a.jpg").touch()
    rows = [{"id": "a", "text": "x"}, {"id": "b", "text": "x", "image": "c.png"}]
    first, second = read(*rows)
    assert first.image is None
    assert second.image == Path("folder/c.png")
    first, second = read(*rows, images=tmp_path)
    assert first.image == tmp_path / "a.jpg"
    assert second.image == tmp_path / "c.png"
    (tmp_path / "deeper").mkdir()
    (climber,) = read({"id": "../a", "text": "x"}, images=tmp_path / "deeper")
    assert climber.image is None


def test_lines_are_read_one_at_a_time():
    served = []

    class Lines(BytesIO):
        def readline(self, limit=-1):
            served.append(1)
            return b'{"id": "a", "text": "x"}\n'

    posts = read_posts(Lines(), Path("p.jsonl"))
    assert not served
    next(posts), next(posts)
    assert len(served) == 2


def test_a_byte_order_mark_and_empty_lines_do_no_harm():
    content = b'\xef\xbb\xbf{"id": "a", "text": "x"}\r\n\n{"id": "b", "text": "y", "size": [3, 4]}'
    first, second = read_posts(BytesIO(content), Path("p.jsonl"))
    assert (first.id, second.id, second.size) == ("a", "b", (3, 4))


def test_a_folder_without_text_or_with_a_bad_one(tmp_path):
    with pytest.raises(InputError, match=r"no NAME\.txt"):
        list(read_folder(tmp_path))
    (tmp_path / "a.txt").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"a\.txt: not UTF-8 at byte 0"):
        list(read_folder(tmp_path))
    (tmp_path / "a.txt").write_text(" ")
    with pytest.raises(InputError, match=r"a\.txt: the text has no word"):
        list(read_folder(tmp_path))


@pytest.mark.parametrize("ending", [".JPG", ".Png", ".jfif", ".AVIF"])
def test_a_picture_beside_a_text_is_found_by_any_ending(ending, tmp_path):
    (tmp_path / "a.txt").write_text("Rosa Lind")
    (tmp_path / f"a{ending}").touch()
    (found,) = read_folder(tmp_path)
    assert found.image == tmp_path / f"a{ending}"


@pytest.mark.parametrize(
    "text", ["北京大学的学生在图书馆学习", "สวัสดีชาวโลกทุกคน", "東京タワーへ行きました"]
)
def test_a_text_without_spaces_is_one_word_and_a_note(text):
    assert post(text).notes == (ONE_WORD,)
    assert post(text, words=[text[:2], text[2:]]).notes == ()
    assert post("Rosa Lind in 北京").notes == ()
