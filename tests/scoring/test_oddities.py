"""Mistakes that can be read, and make everything wrong."""

import pytest

from gmbench.core.entities import Entity, Example, Prediction
from gmbench.core.errors import InputError
from gmbench.scoring.files import read_gold, write_gold
from gmbench.scoring.oddities import oddities

BOX = (1.0, 2.0, 30.0, 40.0)
GOLD = [Example("a", ("Rosa", "Lind", "sings"), (Entity(0, 1, "PER", (BOX,)),))]


@pytest.mark.parametrize(
    ("guess", "note"),
    [
        (Prediction(0, 1, "PER", (9, 2, 3, 4)), "1 of 1 predicted boxes are empty or turned"),
        (Prediction(0, 1, "PER", (3, 2, 3, 4)), "1 of 1 predicted boxes are empty or turned"),
        (Prediction(0, 1, "PER", (0, 0.1, 0.5, 1)), "all 1 predicted boxes lie in 0..1"),
        (Prediction(0, 2, "PER", BOX), "1 of 1 predicted spans end one word behind"),
        (Prediction(0, 1, "PERS", BOX), "have type 'PERS', which the gold data has not; did you"),
    ],
)
def test_a_mistake_is_told_once_with_its_count(guess, note):
    (told,) = oddities(GOLD, {"a": [guess]})
    assert note in told


@pytest.mark.parametrize(
    "guesses", [[], [Prediction(0, 1, "PER", BOX)], [Prediction(0, 0, "PER", None)]]
)
def test_of_what_is_sound_nothing_is_told(guesses):
    assert oddities(GOLD, {"a": guesses}) == []


@pytest.mark.parametrize("box", [(9.0, 2.0, 3.0, 4.0), (3.0, 2.0, 3.0, 4.0)])
def test_gold_boxes_without_area_are_refused(box, tmp_path):
    path = tmp_path / "gold.jsonl"
    write_gold(path, [Example("a", ("x",), (Entity(0, 0, "PER", (box,)),))])
    with pytest.raises(InputError, match=r"gold.jsonl:1: id 'a': the box .* has no area"):
        read_gold(path)
