"""Fine types and their parents."""

import pytest

from gmbench.core.entities import Entity, Prediction
from gmbench.scoring.fine_types import FINE, PARENTS, coarse, with_coarse_types


def test_every_fine_type_has_one_parent():
    assert (len(FINE), len(PARENTS)) == (8, 51)
    assert not set(FINE) & set(PARENTS)
    assert sum(map(len, FINE.values())) == len(PARENTS)


@pytest.mark.real_data
def test_parents_are_those_of_the_annotations(shared):
    seen = set()
    for split in ("train", "dev", "test"):
        path = shared / "data" / "twitter_gmner" / "txt_fine" / f"{split}.txt"
        for line in path.read_text(encoding="utf-8").split("\n"):
            columns = line.split("\t")
            if len(columns) == 3 and columns[1] != "O":
                seen.add((columns[2][2:], columns[1][2:]))
    assert dict(seen) == PARENTS
    assert len(seen) == len(PARENTS)


def test_folding():
    names = ("actor", "person", "PER", "?")
    assert [coarse(name) for name in names] == ["person", "person", "PER", "?"]
    assert with_coarse_types([Entity(0, 0, "city")]) == (Entity(0, 0, "location"),)
    (band,) = with_coarse_types([Prediction(0, 0, "band", score=0.5)])
    assert band == Prediction(0, 0, "organization", score=0.5)
