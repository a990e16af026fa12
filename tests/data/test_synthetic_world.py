"""The built-in world: layout, determinism, dials, difficulty."""

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gmbench.core.iou import iou
from gmbench.data.layout import gold_box
from gmbench.data.regions.vinvl import VinVL
from gmbench.data.synthetic import world as world_module
from gmbench.data.synthetic.cast import PARENTS
from gmbench.data.synthetic.dials import Dials
from gmbench.data.synthetic.scenes import CROWDED
from gmbench.data.synthetic.tweets import shown_shares
from gmbench.data.synthetic.world import World
from tests.data.files import COARSE, FINE, source

TINY = {"train": 24, "dev": 12, "test": 12, "cast": 120, "image_min": 96, "image_max": 160}


def fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    return World(**TINY).ensure(tmp_path_factory.mktemp("world"))


def test_layout_is_that_of_the_real_data(built):
    """Both text folders are read under the strict policies, with images and candidates."""
    regions = VinVL(folder=built / "vinvl", k=100)
    for split, count in (("train", 24), ("dev", 12), ("test", 12)):
        coarse, fine = (
            source(built, text_dir=folder, types=types).read(split, regions)
            for folder, types in (("txt", COARSE), ("txt_fine", FINE))
        )
        assert len(coarse) == len(fine) == count
        assert any(entity.groundable for e in coarse.examples for entity in e.entities)
        for one, other in zip(coarse.examples, fine.examples, strict=True):
            assert (one.id, one.words) == (other.id, other.words)
            assert [(e.start, e.end, e.type, e.boxes) for e in one.entities] == [
                (e.start, e.end, PARENTS[e.type].type, e.boxes) for e in other.entities
            ]
            assert max(one.size) <= 160
            found = np.load(built / "vinvl" / f"{one.id}.jpg.npz")
            assert found["bounding_boxes"].shape == (10, 4)
            assert found["bounding_boxes"].dtype == np.float32
            assert (np.diff(found["scores"]) <= 0).all()
            assert len(one.candidates) == found["num_boxes"] == 10


def test_same_settings_same_bytes_whatever_the_hash_seed(built, tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from gmbench.data.synthetic.world import World\n"
        f"print(World(**{TINY!r}).ensure(Path(sys.argv[1])))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    again = Path(result.stdout.strip().splitlines()[-1])
    assert again.name == built.name
    assert fingerprint(again) == fingerprint(built)


def test_other_settings_other_folder(built):
    assert World(**TINY | {"seed": 2}).digest != World(**TINY).digest
    assert built.name == f"world-{World(**TINY).digest}"


def test_a_new_generator_rebuilds(monkeypatch):
    before = World(**TINY).digest
    monkeypatch.setattr(world_module, "GENERATOR_VERSION", 10**6)
    assert World(**TINY).digest != before


def test_asked_again_nothing_is_rebuilt(built):
    stamp = (built / "world.json").stat().st_mtime_ns
    assert World(**TINY).ensure(built.parent) == built
    assert (built / "world.json").stat().st_mtime_ns == stamp


def test_asked_twice_at_once_one_world_is_left(tmp_path):
    world = World(**TINY | {"train": 6, "dev": 3, "test": 3})
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(world.ensure, [tmp_path] * 4))
    assert len(folders) == 1
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == [folders.pop().name]


def test_a_crash_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_args, **_kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(world_module, "write_picture", fail)
    with pytest.raises(OSError, match="no space"):
        World(**TINY).ensure(tmp_path)
    assert not [p for p in tmp_path.iterdir() if p.is_dir()]


@pytest.mark.parametrize("recall", [0.0, 0.4, 0.85, 1.0])
def test_recall_is_exact(tmp_path, recall):
    world = World(**TINY | {"candidate_recall": recall, "entities": 3.0, "multi_box": 0.4})
    folder = world.ensure(tmp_path)
    for split in ("train", "test"):
        total = covered = 0
        for tweet in world.plan(split):
            boxes = np.load(folder / "vinvl" / f"{tweet.id}.jpg.npz")["bounding_boxes"]
            for thing in tweet.gold:
                gold = gold_box(thing.box)
                best = max(iou(gold, tuple(map(float, box))) for box in boxes)
                assert best < 1.0
                total += 1
                covered += best >= 0.5
        assert total > 10
        assert covered == round(recall * total)


def test_shares_follow_the_dials():
    world = World(train=1, dev=1, test=1500)
    tweets = world.plan("test")
    mentions = [m for tweet in tweets for m in tweet.sentence.mentions]
    shown = [things for tweet in tweets for things in tweet.shown]
    groundable = sum(map(bool, shown)) / len(shown)
    assert groundable == pytest.approx(world.groundable, abs=0.03)
    assert len(mentions) / len(tweets) == pytest.approx(world.entities, abs=0.08)
    unseen = sum(m.subject.held_out for m in mentions) / len(mentions)
    assert unseen == pytest.approx(world.unseen, abs=0.04)
    several = sum(len(things) > 1 for things in shown) / sum(map(bool, shown))
    assert several == pytest.approx(world.multi_box, abs=0.025)
    empty = sum(not tweet.sentence.mentions for tweet in tweets) / len(tweets)
    assert empty == pytest.approx(world.empty, abs=0.015)
    assert max(len(tweet.sentence.words) for tweet in tweets) <= world.words_max
    for tweet in tweets:
        boxes = [thing.box for thing in tweet.scene.things]
        assert all(iou(a, b) < CROWDED for i, a in enumerate(boxes) for b in boxes[:i])


def test_training_never_names_the_held_out():
    world = World(train=300)
    assert not any(m.subject.held_out for t in world.plan("train") for m in t.sentence.mentions)


@pytest.mark.parametrize("wanted", [0.0, 0.1, 0.42, 0.9, 1.0])
def test_groundable_share_is_solved(wanted):
    shares = shown_shares(wanted)
    mean = sum(kind.share * shares[parent] for parent, kind in PARENTS.items())
    assert mean == pytest.approx(wanted, abs=1e-6)


def test_density_can_be_fixed():
    world = World(entities_min=12, entities_max=12, words_max=120, train=5, candidates=20)
    assert {len(tweet.sentence.mentions) for tweet in world.plan("train")} == {12}


def test_pairs_share_a_name_but_no_surface():
    world = World(pairs=1.0, entities_min=2, entities_max=2, train=60)
    for tweet in world.plan("train"):
        first, second = tweet.sentence.mentions
        assert first.subject.root == second.subject.root
        assert first.subject.parent != second.subject.parent
        words = tweet.sentence.words
        assert words[first.start : first.end + 1] != words[second.start : second.end + 1]


def test_bad_dials_are_all_named_at_once():
    with pytest.raises(ValueError, match=r"groundable=1\.5 .*; .*image_min=500 exceeds"):
        Dials(groundable=1.5, image_min=500)


def test_lookup_floor_stays_low():
    """Names learnt by heart, region none or at random: below 0.45 GMNER on the default world."""
    world = World()
    types: dict[tuple[str, ...], dict[str, int]] = {}
    for tweet in world.plan("train"):
        for mention in tweet.sentence.mentions:
            words = tweet.sentence.words[mention.start : mention.end + 1]
            counts = types.setdefault(words, {})
            counts[mention.subject.type] = counts.get(mention.subject.type, 0) + 1
    known = {words: max(counts, key=counts.__getitem__) for words, counts in types.items()}
    predicted = gold = none = shown = 0
    for tweet in world.plan("test"):
        words = tweet.sentence.words
        truth = {
            (m.start, m.end): (m.subject.type, bool(things))
            for m, things in zip(tweet.sentence.mentions, tweet.shown, strict=True)
        }
        gold += len(truth)
        start = 0
        while start < len(words):
            lengths = [n for n in range(6, 0, -1) if words[start : start + n] in known]
            if not lengths:
                start += 1
                continue
            end = start + lengths[0] - 1
            predicted += 1
            answer = truth.get((start, end))
            if answer and answer[0] == known[words[start : end + 1]]:
                none += not answer[1]
                shown += answer[1]
            start = end + 1
    floor = 2 * none / (predicted + gold)
    at_random = 2 * (0.25 * shown) / (predicted + gold)  # one candidate in four covers, generously
    assert 0.3 < floor < 0.45
    assert at_random < 0.45
