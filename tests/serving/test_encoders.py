"""Encoders described, rebuilt without their weights, and given them back."""

import json

import pytest
import timm
import torch
from transformers import (
    BertConfig,
    BertModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    RobertaConfig,
    RobertaModel,
)

from gmbench.core.errors import InputError
from gmbench.data.pixels import PixelSettings
from gmbench.nn.text import TextEncoder
from gmbench.nn.vision import from_clip, from_timm, tiny_vision
from gmbench.serving.encoders import (
    Architecture,
    build_text,
    build_vision,
    describe_text,
    describe_vision,
)

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
PIXELS = PixelSettings(image_size=32, crop_size=32, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))


def given_back(before, after):
    assert after.identity == before.identity
    after.load_state_dict(before.state_dict())
    return before.eval(), after.eval()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(
    ("config", "kind"), [(BertConfig, BertModel), (RobertaConfig, RobertaModel)]
)
def test_a_text_encoder_comes_back(config, kind, attention, tmp_path):
    model = kind(config(**SMALL, intermediate_size=32, vocab_size=50))
    model.set_attn_implementation(attention)
    encoder = TextEncoder(model=model, identity="mine")
    record, content = describe_text(encoder)
    (tmp_path / str(record.file)).write_bytes(content)
    first, second = given_back(encoder, build_text(record, tmp_path))
    ids = torch.randint(5, 50, (2, 7))
    mask = torch.ones(2, 7, dtype=torch.bool)
    assert torch.equal(first(ids, mask), second(ids, mask))


def clip():
    config = CLIPVisionConfig(**SMALL, intermediate_size=32, image_size=32, patch_size=8)
    return from_clip(CLIPVisionModel(config), identity="my clip")


def a_timm():
    model = timm.create_model("test_vit", num_classes=0, dynamic_img_size=True)
    return from_timm(model, mean=PIXELS.mean, std=PIXELS.std, identity="my timm")


@pytest.mark.parametrize(
    ("make", "node"),
    [
        (clip, {"_target_": "gmbench.nn.vision.named_vision", "name": "somewhere/clip"}),
        (a_timm, {"_target_": "gmbench.nn.vision.named_vision", "name": "test_vit"}),
        (lambda: tiny_vision(False), {"_target_": "gmbench.nn.vision.tiny_vision"}),
    ],
)
def test_a_vision_encoder_comes_back(make, node, tmp_path):
    encoder = make()
    record, content = describe_vision(encoder, node)
    if record.file:
        (tmp_path / record.file).write_bytes(content)
        assert "somewhere" not in content.decode()
    first, second = given_back(encoder, build_vision(record, tmp_path, PIXELS))
    side = 8 * encoder.patch_size
    pixels = torch.randn(2, 3, side, side)
    assert torch.equal(first(pixels), second(pixels))


def test_keys_that_ask_for_further_code_are_not_read(tmp_path):
    model = BertModel(BertConfig(**SMALL, intermediate_size=32, vocab_size=50))
    record, content = describe_text(TextEncoder(model=model, identity="mine"))
    hostile = json.loads(content) | {
        "auto_map": {"AutoModel": "evil--evil.Model"},
        "attn_implementation": "evil/kernels",
        "_attn_implementation": "evil/kernels",
        "quantization_config": {"quant_method": "evil"},
        "trust_remote_code": True,
    }
    (tmp_path / str(record.file)).write_text(json.dumps(hostile))
    built = build_text(record, tmp_path)
    assert type(built.model) is BertModel
    assert built.model.config._attn_implementation == record.attention


@pytest.mark.parametrize(
    "plain", [{"model_type": "no_such"}, {"model_type": "bert", "hidden_size": "many"}, []]
)
def test_what_is_no_configuration_is_told(plain, tmp_path):
    (tmp_path / "text_encoder.json").write_text(json.dumps(plain))
    record = Architecture(
        kind="transformers", file="text_encoder.json", attention="sdpa", dtype="float32",
        identity="x",
    )  # fmt: skip
    with pytest.raises(InputError, match=r"text_encoder\.json"):
        build_text(record, tmp_path)


@pytest.mark.parametrize("kind", ["configured", "timm", "onnx"])
def test_kinds_that_are_not_ours_are_refused(kind, tmp_path):
    record = Architecture(kind=kind, name="hf-hub:evil/vit", dtype="float32", identity="x")
    with pytest.raises(InputError, match=kind):
        build_vision(record, tmp_path, PIXELS)
