import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from gmbench.config import compose, parse
from gmbench.core.entities import Entity
from gmbench.core.errors import InputError, MissingRegions
from gmbench.data.regions.grid import Pyramid
from gmbench.data.regions.vinvl import VinVL
from gmbench.data.source import SPLITS
from gmbench.lifecycle.build_data import build_source
from tests.data.files import COARSE, dataset, source, thing, voc

SENTENCES = {
    "1": "Ada/B-PER meets Ada/B-PER in Rome/B-LOC",
    "2": "AT/B-ORG &amp/I-ORG ;/I-ORG T/I-ORG",
    "3": "no name here",
}
XMLS = {
    "1": voc(thing("Ada", (1, 1, 100, 80)) + thing("Ada", (5, 5, 20, 20))),
    "2": voc(thing("AT &amp ; T")),
}


def test_a_sound_data_set(tmp_path):
    split = source(dataset(tmp_path, SENTENCES, XMLS, images=["1", "2", "3"])).read("train")
    first, second, third = split.examples
    both = ((1.0, 1.0, 100.0, 80.0), (5.0, 5.0, 20.0, 20.0))
    assert first.entities == (
        Entity(0, 0, "PER", both), Entity(2, 2, "PER", both), Entity(4, 4, "LOC"),
    )  # fmt: skip
    assert second.entities == (Entity(0, 3, "ORG", ((10, 10, 50, 40),)),)
    assert third.entities == ()
    assert [e.size for e in split.examples] == [(100, 80)] * 3
    assert first.image == tmp_path / "images" / "1.jpg"
    assert all(e.candidates is None for e in split.examples)
    counts = {name: n for name, n in split.report.counts().items() if n}
    assert counts == {"tweets": 3, "repeated_surfaces": 1}


def test_missing_images_are_an_error_with_count_names_and_origin(tmp_path):
    many = {str(i): "word" for i in range(25)}
    data = source(dataset(tmp_path, many, {}, images=["3"]), name="twitter_gmner")
    with pytest.raises(InputError) as caught:
        data.read("train")
    message = str(caught.value)
    assert "24 of 25 images of split 'train' are missing" in message
    assert "(0.jpg, 1.jpg, 2.jpg, 4.jpg, 5.jpg, 6.jpg, 7.jpg, 8.jpg, 9.jpg, 10.jpg, ...)" in message
    assert "NUSTM/GMNER" in message
    assert "data.missing_image=blank" in message


def test_files_of_an_own_data_set_are_named_with_what_is_there_instead(tmp_path):
    root = dataset(tmp_path)
    (root / "images" / "1.jpg").rename(root / "images" / "1.JPG")
    (root / "images" / "2.jpg").unlink()
    data = source(root)
    with pytest.raises(InputError, match=r"\(1\.jpg \(but there is 1\.JPG\), 2\.jpg\); add") as why:
        data.read("train")
    (root / "txt" / "dev.txt").rename(root / "txt" / "Dev.txt")
    (line,) = data.missing()
    assert line.startswith(f"{root / 'txt'}: lacks dev.txt (but there is Dev.txt); add it")
    assert "NUSTM" not in f"{why.value}{line}"


def test_blank_goes_without_and_asks_no_source(tmp_path):
    class Angry:
        def __call__(self, *, id, image, size):
            raise AssertionError(id)

    root = dataset(tmp_path, SENTENCES, XMLS, images=[])
    (root / "images").rmdir()
    split = source(root, missing_image="blank").read("train", Angry())
    assert [e.image for e in split.examples] == [None] * 3
    assert [e.candidates for e in split.examples] == [None] * 3
    assert [e.size for e in split.examples] == [(100, 80), (100, 80), None]
    assert split.report.missing_images == 3
    assert split.examples[0].entities[0].groundable


def test_folders_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such folder; set data\.root; .*NUSTM/GMNER"):
        source(tmp_path / "nowhere", name="twitter_gmner").read("train")
    root = dataset(tmp_path)
    (root / "txt" / "dev.txt").unlink()
    (root / "xml" / "1.xml").unlink()
    (root / "xml").rmdir()
    with pytest.raises(InputError) as caught:
        source(root, name="twitter_gmner").read("dev")
    message = str(caught.value)
    assert f"{root / 'txt'}: lacks dev.txt; " in message
    assert f"{root / 'xml'}: no such folder" in message
    assert "Twitter10000_v2.0" in message
    assert "NUSTM/FMNERG" in message
    with pytest.raises(InputError, match="no split 'valid'; there are train, dev, test"):
        source(root).read("valid")


def test_limit_and_leaks(tmp_path):
    root = dataset(tmp_path)
    (root / "txt" / "test.txt").write_text("IMGID:t1\nsomething\tO\nnew\tO\n\nIMGID:t2\nAda\tO\n"
                                           "Byron\tO\nsings\tO\n\nIMGID:t3\nlast\tO\n")  # fmt: skip
    lenient = source(root, missing_image="blank")
    assert len(lenient.read("test")) == 3
    assert [e.id for e in source(root, missing_image="blank", limit=2).read("test").examples] == [
        "t1", "t2",
    ]  # fmt: skip
    (root / "images" / "2.jpg").unlink()
    assert len(source(root, limit=1).read("train")) == 1  # the rest needs no image
    dropping = source(root, missing_image="blank", drop_leaked=True)
    clean = dropping.read("dev")
    assert (len(clean), clean.report.leaked_dropped) == (0, 2)
    assert len(dropping.read("train")) == 2
    assert dropping.read("test").report.leaked_dropped == 0  # "RT Ada Byron" names nobody: kept
    assert dropping.fingerprint() != lenient.fingerprint()


def test_candidates(tmp_path):
    root = dataset(tmp_path)
    for example in source(root).read("train", Pyramid(levels=[(1.0, 1), (0.5, 2)])).examples:
        assert len(example.candidates) == 5
    folder = root / "vinvl"
    folder.mkdir()
    np.savez(folder / "2.jpg.npz", bounding_boxes=np.array([[1, 2, 3, 4.0]]))
    with pytest.raises(MissingRegions, match=r"1\.jpg\.npz: missing candidates"):
        source(root).read("train", VinVL(folder=folder))
    first, second = source(root).read("train", VinVL(folder=folder, missing="none")).examples
    assert first.candidates is None
    assert second.candidates.boxes.tolist() == [[1, 2, 3, 4]]
    with pytest.raises(MissingRegions, match=r"\(2 of 2 images of split 'dev'\)"):
        source(root).read("dev", VinVL(folder=folder))
    (folder / "1.jpg.npz").write_bytes(b"x")
    with pytest.raises(InputError, match=r"1\.jpg\.npz: not an npz file"):
        source(root).read("train", VinVL(folder=folder))
    masked = source(root, bad_input="mask").read("train", VinVL(folder=folder))
    assert masked.report.masked_regions == 1


def test_the_fingerprint_knows_content_not_place(tmp_path):
    first, second = dataset(tmp_path / "a"), dataset(tmp_path / "b")
    mark = source(first).fingerprint()
    assert mark == source(second).fingerprint()
    assert len(mark) == 64
    (second / "txt").rename(second / "texts")
    (second / "xml" / "stranger.xml").write_text("not of this data set")
    assert source(second, text_dir="texts", limit=1, missing_image="blank").fingerprint() == mark
    changed = {
        source(first, types={**COARSE, "MISC": "misc"}).fingerprint(),
        source(second, text_dir="texts", name="other name").fingerprint(),
    }
    (first / "xml" / "1.xml").write_text(voc(thing("Ada Byron", (10, 10, 50, 41))))
    changed.add(source(first).fingerprint())
    (first / "images" / "2.jpg").unlink()
    changed.add(source(first).fingerprint())
    texts = [second / "texts" / f"{split}.txt" for split in SPLITS]
    for path in texts:
        path.write_text("IMGID:" + path.stem + "\nAda\tB-PER\tO\n")
    columns = {source(second, text_dir="texts", tag_column=n).fingerprint() for n in (1, 2)}
    assert len(columns) == 2
    assert len(changed) == 4
    assert mark in changed


@dataclass
class SmallWorld:
    calls: int = 0

    def ensure(self, root: Path) -> Path:
        self.calls += 1
        return dataset(root / "small-1")


def test_a_built_in_world_is_made_and_read_by_the_same_reader(tmp_path):
    world = SmallWorld()
    data = source(tmp_path, world=world)
    assert data.synthetic
    assert not source(tmp_path).synthetic
    assert world.calls == 0
    assert [len(data.read(split)) for split in SPLITS] == [2, 2, 2]
    assert data.folder == tmp_path / "small-1"
    assert data.missing() == ()
    assert world.calls == 1


def test_errors_survive_the_way_out_of_a_worker(tmp_path):
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    with pytest.raises(InputError) as here:
        source(tmp_path).read("train")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as workers:
        answer = workers.submit(source(tmp_path).read, "train")
        with pytest.raises(InputError) as there:
            answer.result()
    assert (type(there.value), str(there.value)) == (type(here.value), str(here.value))


def test_no_torch_in_the_data_that_is_read():
    import subprocess
    import sys

    code = (
        "import sys, gmbench.prepare, gmbench.data.summary\n"
        "assert not {'torch', 'transformers', 'lightning'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))


@pytest.mark.parametrize("name", ["twitter2015", "twitter2017"])
def test_sets_of_words_alone_need_no_folder_and_know_both_versions_of_their_labels(tmp_path, name):
    """MISC in one version, OTHER in the other: the same types, another fingerprint."""
    made = {}
    for label in ("MISC", "OTHER"):
        root = tmp_path / label
        root.mkdir()
        for file in ("train", "valid", "test"):
            text = f"IMGID:{file}_1\nAda\tB-PER\nlikes\tO\nLast\tB-{label}\nFM\tI-{label}\n\n"
            (root / f"{file}.txt").write_text(text)
        made[label] = build_source(parse(compose([f"data={name}", f"data.root={root}"])))
    misc, other = made["MISC"], made["OTHER"]
    for split in SPLITS:
        (example,) = misc.read(split).examples
        assert example.entities == (Entity(0, 0, "PER"), Entity(2, 3, "OTHER"))
        assert other.read(split).examples[0].entities == example.entities
    assert misc.fingerprint() != other.fingerprint() == other.fingerprint()
    assert not misc.missing()
    (misc.root / "valid.txt").unlink()
    assert "lacks dev.txt; train.txt, valid.txt and test.txt" in misc.missing()[0]
    assert "jefferyYu/UMT" in misc.missing()[0]
    (misc.root / "train.txt").write_text("IMGID:1\nAda\tB-MISCC\n")
    with pytest.raises(InputError, match="did you mean B-MISC"):
        misc.read("train")
