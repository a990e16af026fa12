"""The pools of names and colours: disjoint, and told apart by construction."""

from random import Random

import pytest

from gmbench.data.synthetic import cast as cast_module
from gmbench.data.synthetic.cast import PARENTS, POOLS, draw_cast
from gmbench.data.synthetic.looks import COLOURS

BENCH, PRETRAIN = POOLS["bench"], POOLS["pretrain"]
BENCH_COLOURS, PRETRAIN_COLOURS = COLOURS["bench"], COLOURS["pretrain"]


def cast_of(pool, seed=0, size=600, ambiguity=0.4):
    return draw_cast(
        pool=pool, size=size, ambiguity=ambiguity, held_out=0.35, rng=Random(f"{seed}/cast")
    )


def test_pools_share_no_syllable_suffix_or_title():
    for pool in POOLS.values():
        assert all(len(syllable) == 3 for syllable in pool.syllables)
        assert len(set(pool.syllables)) == len(pool.syllables)
    assert not set(BENCH.syllables) & set(PRETRAIN.syllables)
    for parent, suffixes in BENCH.suffixes.items():
        assert not set(suffixes) & set(PRETRAIN.suffixes[parent])
    assert not set(BENCH.adjectives) & set(PRETRAIN.adjectives)
    assert not set(BENCH.nouns) & set(PRETRAIN.nouns)
    for ours, theirs in zip(BENCH.institutes, PRETRAIN.institutes, strict=True):
        assert not {word[0] for word in ours} & {word[0] for word in theirs}  # acronyms


def test_no_name_of_one_pool_is_a_name_of_the_other():
    surfaces = [
        {surface.words for seed in range(3) for s in cast_of(pool, seed) for surface in s.surfaces}
        for pool in ("bench", "pretrain")
    ]
    assert len(surfaces[0]) > 2000
    assert not surfaces[0] & surfaces[1]


def test_no_colour_of_one_pool_looks_like_one_of_the_other():
    assert not set(BENCH_COLOURS) & set(PRETRAIN_COLOURS)
    for name, colour in BENCH_COLOURS.items():
        for other, rival in PRETRAIN_COLOURS.items():
            distance = sum((a - b) ** 2 for a, b in zip(colour, rival, strict=True)) ** 0.5
            assert distance > 40, (name, other)


@pytest.mark.parametrize("ambiguity", [0.0, 1.0])
def test_ambiguity_gives_names_shared_by_two_types(ambiguity):
    cast = cast_of("bench", ambiguity=ambiguity)
    shared = [s for s in cast if s.namesake is not None]
    things = [s for s in cast if s.parent != "person"]
    assert len(shared) == (len(things) if ambiguity else 0)
    for subject in shared:
        patron = cast[subject.namesake]
        assert (patron.root, patron.held_out) == (subject.root, subject.held_out)
        assert patron.parent != subject.parent


def test_held_out_surfaces_are_borne_by_nobody_else():
    cast = cast_of("bench")
    seen = {surface.words for s in cast if not s.held_out for surface in s.surfaces}
    unseen = {surface.words for s in cast if s.held_out for surface in s.surfaces}
    assert unseen
    assert not seen & unseen


def test_every_parent_has_subjects_on_both_sides():
    cast = cast_of("bench", size=420)
    for parent in PARENTS:
        sides = {s.held_out for s in cast if s.parent == parent}
        assert sides == {True, False}, parent


@pytest.mark.parametrize(
    ("pool", "seed", "size"), [("pretrain", 770_001, 3000), ("bench", 3, 5000)]
)
def test_a_popular_patron_runs_out_of_names_and_another_is_drawn(pool, seed, size):
    cast = cast_of(pool, seed=seed, size=size, ambiguity=0.35)
    assert len(cast) == pytest.approx(size, abs=4)
    surfaces = [surface.words for s in cast for surface in s.surfaces if len(surface.words) > 1]
    assert len(surfaces) == len(set(surfaces))


def test_names_that_run_out_are_an_error_not_a_hang(monkeypatch):
    monkeypatch.setattr(cast_module, "LIMIT", 0)
    with pytest.raises(ValueError, match="lower cast or ambiguity"):
        cast_of("bench", size=5000, ambiguity=1.0)
