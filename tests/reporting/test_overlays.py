"""Gold against predicted as a picture: what is shown, where boxes stand, what is said of them."""

import random
import warnings

import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.font_manager import FontEntry
from PIL import Image

from gmbench.core.entities import Entity, Example, Prediction
from gmbench.reporting import fonts
from gmbench.reporting.fonts import fitting
from gmbench.reporting.overlays import _shown, draw_overlays, lines_of, spread
from gmbench.reporting.plots import BLUE, VERMILION
from gmbench.reporting.verdicts import judged
from tests.scoring.documents import random_document


@pytest.fixture
def tweets(tmp_path):
    """Some with a picture and a box, some without either."""
    path = tmp_path / "grey.jpg"
    Image.new("RGB", (200, 200), (200, 200, 200)).save(path)
    rng = random.Random(3)
    found = []
    for number in range(40):
        entities, _ = random_document(rng)
        found.append(Example(f"t{number}", tuple("w" * 9), tuple(entities), path, (200, 200)))
    return found


def rgb(colour):
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])


def near(path, colour):
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return int((np.abs(pixels - rgb(colour)).max(axis=-1) < 12).sum())


def test_the_tweets_are_spread_and_have_something_to_compare(tweets):
    shown = spread(tweets, saw_pixels=True)
    assert len(shown) == 6
    assert all(any(e.boxes for e in example.entities) for example in shown)
    places = [tweets.index(example) for example in shown]
    assert places == sorted(places)
    assert places[-1] > len(tweets) / 2
    assert spread(tweets[:1], saw_pixels=False) in ([], tweets[:1])
    assert spread([], saw_pixels=True) == []


def test_gold_and_answers_are_both_drawn_and_equal_input_gives_equal_bytes(tweets, tmp_path):
    gold = Entity(0, 1, "PER", ((20.0, 20.0, 100.0, 100.0),))
    answer = Prediction(0, 1, "PER", (110.0, 110.0, 180.0, 180.0), 0.9)
    example = Example("a", ("Ann", "Lee"), (gold,), tweets[0].image, (200, 200))
    for name, answers in (("both", (answer,)), ("again", (answer,)), ("none", ())):
        assert draw_overlays([example], {"a": answers}, tmp_path / name, "m", saw_pixels=True)
    assert (tmp_path / "both").read_bytes() == (tmp_path / "again").read_bytes()
    assert near(tmp_path / "both", BLUE) > 300
    assert near(tmp_path / "both", VERMILION) > 300
    assert near(tmp_path / "none", VERMILION) == 0
    draw_overlays([example], {"a": (answer,)}, tmp_path / "text", "m", saw_pixels=False)
    with Image.open(tmp_path / "text") as text, Image.open(tmp_path / "both") as both:
        assert text.height < both.height


def test_nothing_to_compare_is_no_picture(tmp_path):
    bare = Example("a", ("no", "one"), ())
    assert not draw_overlays([bare], {"a": ()}, tmp_path / "x.png", "m", saw_pixels=True)
    assert not (tmp_path / "x.png").exists()


def test_markup_and_letters_that_no_font_has_are_drawn_without_empty_boxes(tmp_path):
    words = ("$x$", "\\frac", "<b>", "\U0001f1eb\U0001f1f7", "日本", "\U000fffff", *["long"] * 60)
    gold = tuple(Entity(n, n, "OTHER", ((0.0, 0.0, 9.0, 9.0),)) for n in range(6))
    example = Example("a", words, gold, tmp_path / "gone.jpg", (50, 50))  # no such picture
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*[Gg]lyph.*")
        assert draw_overlays([example], {"a": ()}, tmp_path / "x.png", "$m$", saw_pixels=True)


def test_what_no_font_has_is_named_and_marks_that_only_join_are_dropped(monkeypatch):
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [])  # a machine without fonts
    assert fitting("smile \U0001f600 \u2764") == ("smile \U0001f600 \u2764", ["DejaVu Sans"])
    assert fitting("goal \U0001f525\ufe0f")[0] == "goal [fire]"
    assert fitting("\U0001f44f\U0001f3fc")[0] == (
        "[clapping hands sign][emoji modifier fitzpatrick type-3]"
    )
    assert fitting("a\U000fffff\u65e5b")[0] == "a[U+FFFFF U+65E5]b"


def test_a_font_of_the_machine_is_taken_before_a_name(monkeypatch):
    has = FontEntry(fname="/fonts/flame.ttf", name="Flame", style="normal", weight=400)
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [has])
    letters = fonts._letters
    own = {has.fname: frozenset({0x1F525})}
    monkeypatch.setattr(fonts, "_letters", lambda file: own.get(file) or letters(file))
    assert fitting("\U0001f525") == ("\U0001f525", ["DejaVu Sans", "Flame"])


def test_without_a_picture_the_words_have_the_whole_width(tweets, tmp_path):
    gold = Entity(0, 0, "PER", ((0.0, 0.0, 9.0, 9.0),))
    words = tuple(["word"] * 40)
    shown = [
        _shown(Example("a", words, (gold,), path, (200, 200)), (), True)
        for path in (tweets[0].image, tmp_path / "gone.jpg", None)
    ]
    assert [row.picture is None for row in shown] == [False, True, True]
    lines = [len(row.lines) for row in shown]
    assert lines[0] > lines[1] == lines[2]
    assert shown[0].height > 2 * shown[1].height


def test_an_answer_has_the_number_of_its_entity_and_is_called_right_or_by_its_error():
    gold = (Entity(0, 0, "PER"), Entity(2, 2, "ORG", ((0.0, 0.0, 9.0, 9.0),)), Entity(4, 4, "LOC"))
    answers = (Prediction(6, 6, "LOC"), Prediction(2, 2, "ORG"), Prediction(0, 0, "PER"))
    example = Example("a", tuple("abcdefgh"), gold)
    verdict = judged(gold, answers, saw_pixels=True)
    lines = [text for text, _, _ in lines_of(example, answers, verdict, True, 68)]
    assert lines[1:] == [
        "G1  a (PER), not in the image",
        "P1  a (PER), not in the image: right",
        "G2  c (ORG)",
        "P2  c (ORG), not in the image: wrong: region",
        "G3  e (LOC), not in the image",
        "P3  missed",
        "P4  g (LOC), not in the image: wrong: spurious",
    ]
