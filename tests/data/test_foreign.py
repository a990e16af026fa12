"""Foreign patches: what they cover, what they never touch, and that such data is other data."""

import numpy as np
import pytest
from PIL import Image

from gmbench.config import compose, parse
from gmbench.core.entities import Entity, Example
from gmbench.data.foreign import CELLS, ForeignPatches, free_cells
from gmbench.data.images import picture_of
from gmbench.lifecycle.build import build_run

SIZE = (80, 64)


def tweet(tmp_path, name, colour, boxes=()):
    path = tmp_path / f"{name}.png"
    Image.new("RGB", SIZE, colour).save(path)
    gold = tuple(Entity(start=i, end=i, type="PER", boxes=(box,)) for i, box in enumerate(boxes))
    return Example(id=name, words=("a", "b", "c"), entities=gold, image=path, size=SIZE)


@pytest.fixture
def tweets(tmp_path):
    held = ((0.0, 0.0, 35.0, 20.0), (60.0, 50.0, 80.0, 64.0))
    return [tweet(tmp_path, "red", (255, 0, 0), held), tweet(tmp_path, "blue", (0, 0, 255))]


def foreign_pixels(picture):
    """Where the blue picture shows."""
    return np.asarray(picture)[..., 2] == 255


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_share_of_free_cells_is_covered_and_gold_never(tweets, share):
    pictures = ForeignPatches(share=share).pictures("train", tweets)
    blue = foreign_pixels(pictures(tweets[0]))
    free = free_cells(tweets[0], SIZE)
    covered = [blue[top:bottom, left:right].all() for left, top, right, bottom in free]
    assert sum(covered) == round(share * len(free))
    assert blue.sum() == sum(
        (right - left) * (bottom - top)
        for (left, top, right, bottom), hit in zip(free, covered, strict=True)
        if hit
    )
    for entity in tweets[0].entities:
        left, top, right, bottom = map(int, entity.boxes[0])
        assert not blue[top:bottom, left:right].any()


def test_cells_that_touch_gold_are_not_free(tweets):
    # 80 x 64 in 8 x 8 cells of 10 x 8: the boxes touch 4 x 3 and 2 x 2 of them
    assert len(free_cells(tweets[0], SIZE)) == CELLS**2 - 12 - 4
    assert len(free_cells(tweets[1], SIZE)) == CELLS**2


def test_more_noise_keeps_the_patches_of_less_and_the_same_tweet_looks_the_same(tweets):
    less, more = (
        foreign_pixels(ForeignPatches(share=share).pictures("dev", tweets)(tweets[0]))
        for share in (0.25, 0.5)
    )
    assert (more | less == more).all()
    again = ForeignPatches(share=0.25).pictures("dev", list(reversed(tweets)))(tweets[0])
    assert (foreign_pixels(again) == less).all()


def test_other_splits_and_a_lone_picture_stay_as_they_are(tweets):
    noise = ForeignPatches(share=1.0, splits=["test"])
    assert noise.pictures("train", tweets) is picture_of
    assert noise.pictures("test", tweets[:1]) is picture_of


def test_a_run_sees_them_in_the_splits_named_and_its_data_is_other_data(world):
    places = [f"data.root={world}", f"cache={world}/cache"]
    tiny = ["model=qgn", "data=synthetic_tiny", "trainer=debug", *places]
    plain = build_run(parse(compose(tiny)))
    noisy = build_run(parse(compose([*tiny, "+foreign=patches", "data.foreign.splits=[test]"])))
    assert plain.source.fingerprint() != noisy.source.fingerprint()
    for split, same in (("train", True), ("dev", True), ("test", False)):
        seen, changed = (run.data.dataset(split)[0].pixels for run in (plain, noisy))
        assert seen is not None
        assert changed is not None
        assert seen.equal(changed) == same
    assert plain.data.gold("test") == noisy.data.gold("test")
