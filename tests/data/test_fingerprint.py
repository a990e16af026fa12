"""Candidates are part of the data; what has not changed on disk is not read again."""

import json
import os

import numpy as np
import pytest

from gmbench.data import fingerprint as module
from gmbench.data.fingerprint import Fingerprint, current_fingerprint, fingerprint
from gmbench.data.regions.grid import Pyramid
from gmbench.data.regions.jsonl import JsonLines
from gmbench.data.regions.vinvl import VinVL
from gmbench.data.source import SPLITS, DataSource
from tests.data.files import dataset, source

IDS = ("1", "2", "d1", "d2", "t1", "t2")


def vinvl(folder, boxes=((0, 0, 20, 20), (5, 5, 60, 60))):
    folder.mkdir(exist_ok=True)
    for id_ in IDS:
        np.savez(folder / f"{id_}.jpg.npz", bounding_boxes=np.array(boxes, dtype=float))
    return folder


def lines(path, boxes=((0, 0, 20, 20), (5, 5, 60, 60))):
    path.write_text("".join(json.dumps({"id": id_, "boxes": boxes}) + "\n" for id_ in IDS))
    return path


def of(data, regions):
    splits = {name: data.read(name, regions) for name in SPLITS}
    return fingerprint(data, splits, with_candidates=regions is not None)


def test_candidates_are_part_of_the_fingerprint_whichever_file_holds_them(tmp_path):
    data = source(dataset(tmp_path / "data"))
    first = of(data, VinVL(folder=vinvl(tmp_path / "a")))
    assert first.data == data.fingerprint()
    assert of(data, JsonLines(path=lines(tmp_path / "a.jsonl"))) == first
    moved = ((0, 0, 20, 20), (5, 5, 60, 61))
    others = [
        of(data, VinVL(folder=tmp_path / "a", k=1)),
        of(data, VinVL(folder=vinvl(tmp_path / "b", moved))),
        of(data, Pyramid()),
        of(data, Pyramid(levels=[(0.5, 2)])),
    ]
    assert len({first, *others}) == 5
    assert {other.data for other in others} == {first.data}
    (line,) = first.differences(others[0])
    assert line.startswith(f"other candidates ({first.candidates[:12]} then, ")
    assert of(data, None) == Fingerprint(first.data)
    assert not list(Fingerprint(first.data).differences(first))  # recorded before candidates were


@pytest.fixture
def reads(monkeypatch):
    """The splits that were read, in order; files count as settled at once."""
    monkeypatch.setattr(module, "SETTLED", 0)
    read, asked = DataSource.read, []

    def noted(self, split, *arguments):
        asked.append(split)
        return read(self, split, *arguments)

    monkeypatch.setattr(DataSource, "read", noted)
    return asked


def in_place(path, old, new):
    """Change a file, and set its size and time of change back to what they were."""
    times, text = path.stat(), path.read_bytes()
    assert len(old) == len(new)
    path.write_bytes(text.replace(old, new))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize(
    ("path", "old", "new", "what"),
    [
        ("txt/dev.txt", b"Byron\tI", b"Smith\tI", "data"),
        ("xml/1.xml", b"50", b"49", "data"),
        ("images/t2.jpg", b"JFIF", b"JFIX", "data"),
        ("regions.jsonl", b"60, 60", b"60, 61", "candidates"),
    ],
)
def test_data_is_read_again_only_if_a_file_has_changed(tmp_path, reads, path, old, new, what):
    root = dataset(tmp_path / "data")
    lines(root / "regions.jsonl")

    def now():
        return current_fingerprint(source(root), JsonLines(path=root / "regions.jsonl"), tmp_path)

    first = now()
    assert now() == first
    assert reads == list(SPLITS)
    in_place(root / path, old, new)
    (line,) = first.differences(now())
    assert line.startswith(f"other {what} ")
    assert reads == 2 * list(SPLITS)


def test_a_damaged_note_and_a_source_that_declares_no_files_are_read_again(tmp_path, reads, caplog):
    data = source(dataset(tmp_path / "data"))
    first = current_fingerprint(data, Pyramid(), tmp_path)
    (note,) = (tmp_path / "fingerprints").iterdir()
    note.write_text(note.read_text()[:-9])
    assert current_fingerprint(data, Pyramid(), tmp_path) == first
    assert "damaged" in caplog.text

    def own(*, id, image, size):
        return Pyramid()(id=id, image=image, size=size)

    assert {current_fingerprint(data, own, tmp_path) for _ in range(2)} == {first}
    assert len(reads) == 4 * len(SPLITS)


def test_files_of_a_moment_ago_are_not_trusted(tmp_path):
    current_fingerprint(source(dataset(tmp_path / "data")), None, tmp_path)
    assert not (tmp_path / "fingerprints").exists()
