"""The real annotations of Twitter-GMNER v2.0: nothing is lost, nothing is invented."""

import json
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from gmbench import prepare
from gmbench.config import compose, parse
from gmbench.core.entities import Example
from gmbench.core.iou import pairwise_iou
from gmbench.data.examples import Split
from gmbench.data.regions.vinvl import VinVL
from gmbench.data.source import SPLITS
from gmbench.data.summary import Summary, summarise
from gmbench.data.voc import read_voc
from gmbench.lifecycle.build_data import build_source
from gmbench.scoring.fine_types import PARENTS
from tests.data import real_tweets
from tests.data.files import COARSE, FINE, real, source

pytestmark = pytest.mark.real_data

TABLE = {  # DATA.md section 1: train, dev, test, all
    "examples": (7_000, 1_500, 1_500, 10_000),
    "tokens": (112_542, 24_199, 23_738, 160_479),
    "entities": (11_779, 2_450, 2_543, 16_772),
    "groundable_entities": (4_733, 991, 1_046, 6_770),
    "images_with_boxes": (3_925, 832, 855, 5_612),
    "boxes": (5_652, 1_164, 1_242, 8_058),
    "entity_box_pairs": (5_723, 1_171, 1_254, 8_148),
    "examples_without_entity": (358, 87, 82, 527),
}


@pytest.fixture(scope="module")
def coarse(shared) -> list[Split]:
    source = real(shared)
    return [source.read(split) for split in SPLITS]


@pytest.fixture(scope="module")
def fine(shared) -> list[Split]:
    source = real(shared, text_dir="txt_fine", types=FINE)
    return [source.read(split) for split in SPLITS]


@pytest.fixture(scope="module")
def summary(coarse) -> Summary:
    return summarise(coarse, types=list(COARSE))


def everything(splits: Sequence[Split]) -> list[Example]:
    return [example for split in splits for example in split.examples]


@pytest.mark.parametrize("field", TABLE)
def test_the_table_cell_for_cell(summary, field):
    cells = {name: getattr(counts, field) for name, counts in summary.counts.items()}
    assert cells == dict(zip((*SPLITS, "all"), TABLE[field], strict=True))


def test_coarse_and_fine_agree(coarse, fine):
    parents = {"person": "PER", "organization": "ORG", "location": "LOC", "building": "LOC"}
    fine_summary = summarise(fine, types=list(FINE))
    for field, cells in TABLE.items():
        assert tuple(getattr(c, field) for c in fine_summary.counts.values()) == cells
    for one, other in zip(everything(coarse), everything(fine), strict=True):
        assert (one.id, one.words) == (other.id, other.words)
        assert [(e.start, e.end, e.type, e.boxes) for e in one.entities] == [
            (e.start, e.end, parents.get(e.type, "OTHER"), e.boxes) for e in other.entities
        ]


def test_fifty_one_sub_types(shared):
    path = shared / "data" / "twitter_gmner" / "txt_fine" / "train.txt"
    names = {
        line.split("\t")[2].split("-", 1)[1]
        for split in SPLITS
        for line in path.with_name(f"{split}.txt").read_text(encoding="utf-8").split("\n")
        if line.count("\t") == 2 and not line.endswith("\tO")
    }
    assert len(names) == 51
    source = real(shared, text_dir="txt_fine", types={n: n for n in names}, tag_column=2)
    assert sum(len(e.entities) for e in source.read("test").examples) == 2_543


def test_types(summary):
    assert {row.type: row.entities for row in summary.types["all"]} == {
        "PER": 7_195, "LOC": 2_729, "ORG": 4_268, "OTHER": 2_580,
    }  # fmt: skip
    assert sum(row.groundable for row in summary.types["test"]) == 1_046


def test_every_box_of_every_file_is_some_entitys(shared, coarse):
    """The exact name rule misses 0 of 8,058, broken HTML included."""
    folder = shared / "data" / "twitter_gmner" / "xml"
    annotations = {path.stem: read_voc(path) for path in folder.glob("*.xml")}
    assert len(annotations) == 5_612
    assert sum(len(found.objects) for found in annotations.values()) == 8_058
    assert not any(found.faults for found in annotations.values())
    reached = 0
    for example in everything(coarse):
        boxes = {
            (" ".join(example.words[e.start : e.end + 1]), box)
            for e in example.entities
            for box in e.boxes
        }
        found = annotations.get(example.id)
        wanted = {(item.name, item.box) for item in found.objects} if found else set()
        assert boxes == wanted
        assert example.size == (found.size if found else None)
        reached += len(boxes)
    assert reached == 8_058
    broken = [i.name for a in annotations.values() for i in a.objects if "&amp" in i.name.split()]
    assert broken
    grey = [p for p in folder.glob("*.xml") if b"<depth>1</depth>" in p.read_bytes()]
    assert len(grey) == 2


def test_nothing_odd_is_counted_but_missing_images_and_repeated_names(coarse):
    for split, repeated in zip(coarse, (37, 5, 9), strict=True):
        odd = {name: n for name, n in split.report.counts().items() if n}
        assert odd == {
            "tweets": len(split), "missing_images": len(split), "repeated_surfaces": repeated,
        }  # fmt: skip
        assert split.report.problems == ()


def test_repeated_names_get_all_boxes(coarse):
    """51 names in 50 tweets; each mention has every box of the name."""
    tweets = names = 0
    for example in everything(coarse):
        boxes: dict[str, list[object]] = {}
        for entity in example.entities:
            if entity.groundable:
                name = " ".join(example.words[entity.start : entity.end + 1])
                boxes.setdefault(name, []).append(entity.boxes)
        twice = [group for group in boxes.values() if len(group) > 1]
        assert all(len(set(group)) == 1 for group in twice)
        names += len(twice)
        tweets += bool(twice)
    assert (names, tweets) == (51, 50)


def test_invisible_words_and_overlapping_names_are_there(coarse, summary):
    words = Counter(word for example in everything(coarse) for word in example.words)
    assert words["\ufe0f"] == 131
    assert summary.counts["all"].invisible_words == 142
    assert summary.counts["all"].overlapping_names == 218
    assert words["&amp"] > 0


def test_extremes(coarse):
    examples = everything(coarse)
    boxes = [len(entity.boxes) for e in examples for entity in e.entities if entity.boxes]
    assert (min(boxes), max(boxes)) == (1, 22)
    assert max(len(e.entities) for e in examples) == 6
    assert max(len(e.words) for e in examples) <= 40
    assert max(n.end - n.start + 1 for e in examples for n in e.entities) == 9
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for e in examples for n in e.entities for b in n.boxes]
    whole = [e for e in examples for n in e.entities for b in n.boxes if b[2:] == e.size]
    assert min(areas) < 100
    assert whole


def test_leakage(summary):
    found = {
        name: (leak.ids, leak.exact, leak.normalised) for name, leak in summary.leakage.items()
    }
    assert found == {"dev": (0, 2, 4), "test": (0, 3, 7)}


def test_drop_leaked(shared):
    split = real(shared, drop_leaked=True).read("test")
    assert (len(split), split.report.leaked_dropped) == (1_493, 7)


def test_fingerprints_of_coarse_and_fine_differ(shared):
    source = real(shared)
    assert source.fingerprint() == real(shared, limit=3).fingerprint()
    assert source.fingerprint() != real(shared, text_dir="txt_fine", types=FINE).fingerprint()


def test_real_tweets_with_their_real_pictures(shared, tmp_path, capsys):
    """Pictures put back to their true size: no complaint, and candidates cover the boxes."""
    conf = real_tweets.write(tmp_path, shared)
    assert prepare.main(["--config-dir", str(conf), "data=own", "regions=grid"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if line.startswith(("bad", "missing", "note", "error"))]
    index = {e["id"]: e for e in json.loads((shared / "data/real_images/index.json").read_text())}
    regions = VinVL(folder=tmp_path / "vinvl", k=100, missing="none")
    examples = source(tmp_path).read("test", regions).examples
    assert {example.id for example in examples} == index.keys()
    best = []
    for example in examples:
        entry = index[example.id]
        assert example.size == (entry["orig_w"], entry["orig_h"])
        gold = [tuple(box) for e in entry["entities"] for box in e["boxes"]]
        boxes = {box for e in example.entities for box in e.boxes}
        assert {tuple(map(float, box)) for box in gold} == boxes
        if example.candidates is not None and boxes:
            best.append(pairwise_iou(list(boxes), example.candidates.boxes).max())
    assert len(best) >= 2
    assert np.mean(best) > 0.5


def test_every_one_of_the_51_fine_types_is_read_under_its_own_class(shared):
    root = f"data.root={shared / 'data' / 'twitter_gmner'}"
    source = build_source(parse(compose(["data=twitter_fmnerg_fine", root])))
    assert set(source.types) == set(PARENTS)
    blocks = [block for split in SPLITS for block in source.blocks(split)]
    found = Counter(entity.type for block in blocks for entity in block.entities)
    assert found.total() == TABLE["entities"][-1]
    assert set(found) == set(source.types)
    parents = Counter(PARENTS[name] for name, n in found.items() for _ in range(n))
    whole = build_source(parse(compose(["data=twitter_fmnerg", root])))
    coarse = [block for split in SPLITS for block in whole.blocks(split)]
    assert parents == Counter(e.type for block in coarse for e in block.entities)
