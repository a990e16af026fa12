import json

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig, CLIPVisionModel

from gmbench.core.carried import digest
from gmbench.core.errors import InputError
from gmbench.nn import vision, weights
from gmbench.nn.vision import from_clip, from_timm

TOWER = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
HALF = (0.5, 0.5, 0.5)


def clip():
    torch.manual_seed(0)
    tower = CLIPVisionModel(CLIPVisionConfig(**TOWER)).eval()
    for norm in (tower.pre_layrnorm, tower.post_layernorm):
        nn.init.normal_(norm.weight)
    return tower


def vit(**changes):
    torch.manual_seed(0)
    settings = {
        "img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2,
        "num_classes": 0, "dynamic_img_size": True,
    }  # fmt: skip
    return VisionTransformer(**settings | changes).eval()


def encoder_of(kind):
    if kind == "clip":
        return from_clip(clip(), "c")
    return from_timm(vit(), mean=HALF, std=HALF, identity="t").eval()


@pytest.mark.parametrize("size", [(32, 32), (16, 24), (48, 64)])
def test_clip_equals_transformers(size):
    tower = clip()
    pixels = torch.randn(2, 3, *size)
    wanted = tower(pixels, interpolate_pos_encoding=True, output_hidden_states=True)
    encoder = from_clip(tower, "c")
    tokens = encoder.embed(pixels)
    torch.testing.assert_close(tokens, wanted.hidden_states[0], atol=1e-6, rtol=0)
    for block, after in zip(encoder.blocks, wanted.hidden_states[1:], strict=True):
        tokens = block(tokens)
        torch.testing.assert_close(tokens, after, atol=1e-6, rtol=0)
    torch.testing.assert_close(tokens, wanted.last_hidden_state, atol=1e-6, rtol=0)
    torch.testing.assert_close(encoder.vector(pixels), wanted.pooler_output, atol=1e-6, rtol=0)
    assert encoder(pixels).shape == wanted.last_hidden_state.shape


@pytest.mark.parametrize("size", [(32, 32), (16, 24), (48, 64)])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"class_token": False, "global_pool": "avg", "fc_norm": False},
        {"reg_tokens": 2, "init_values": 0.1, "pre_norm": True},
    ],
)
def test_timm_equals_its_own_features(size, changes):
    model = vit(**changes)
    pixels = torch.randn(2, 3, *size)
    wanted = model.forward_features(pixels)
    pooled = wanted[:, 0] if not changes or "reg_tokens" in changes else wanted.mean(dim=1)
    encoder = from_timm(model, mean=HALF, std=HALF, identity="t").eval()
    torch.testing.assert_close(encoder(pixels), wanted, atol=1e-6, rtol=0)
    torch.testing.assert_close(encoder.vector(pixels), pooled, atol=1e-6, rtol=0)


def test_a_vit_that_norms_behind_its_pooling():
    model = vit(global_pool="avg")
    nn.init.normal_(model.fc_norm.weight)
    norm = model.fc_norm
    encoder = from_timm(model, mean=HALF, std=HALF, identity="t")
    assert encoder.norm is norm
    encoder.vector(torch.randn(1, 3, 32, 32)).sum().backward()
    assert not [name for name, p in encoder.named_parameters() if p.grad is None]


@pytest.mark.parametrize("kind", ["clip", "timm"])
def test_what_a_model_may_ask(kind):
    encoder = encoder_of(kind)
    assert (encoder.width, encoder.depth) == (16, 3)
    assert (encoder.patch_size, encoder.image_size, encoder.prefix_tokens) == (8, 32, 1)
    pixels = torch.randn(2, 3, 16, 24)
    assert encoder.embed(pixels).shape == (2, 1 + 2 * 3, 16)
    tokens, places = encoder(pixels), encoder.feature_map(pixels)
    assert places.shape == (2, 16, 2, 3)
    for row in range(2):
        for column in range(3):
            assert places[:, :, row, column].eq(tokens[:, 1 + 3 * row + column]).all()
    with pytest.raises(ValueError, match=r"20 x 16 pixels .* patches of 8"):
        encoder.embed(torch.randn(1, 3, 16, 20))


@pytest.mark.parametrize("kind", ["clip", "timm"])
def test_an_image_does_not_depend_on_its_batch(kind):
    encoder = encoder_of(kind).double()
    pixels = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(encoder(pixels)[1:2], encoder(pixels[1:2]))


@pytest.mark.parametrize("kind", ["clip", "timm"])
def test_what_nothing_reads_is_given_up(kind):
    encoder = encoder_of(kind)
    pixels = torch.randn(1, 3, 32, 32)
    tokens = encoder.embed(pixels)
    for block in encoder.blocks[:2]:
        tokens = block(tokens)
    encoder.drop_unread(2, norm=False)
    assert encoder.depth == 2
    torch.testing.assert_close(encoder(pixels), tokens)
    encoder(pixels).sum().backward()
    assert not [name for name, p in encoder.named_parameters() if p.grad is None]
    with pytest.raises(ValueError, match="3 blocks cannot be kept of 2"):
        encoder.drop_unread(3, norm=True)


def test_tiny_from_scratch_and_round_trip(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "SHIPPED", tmp_path)
    torch.manual_seed(0)
    first = vision.tiny_vision(pretrained=False).eval()
    with pytest.raises(InputError, match=r"vision\.safetensors is missing"):
        vision.tiny_vision()
    save_file(first.state_dict(), tmp_path / "vision.safetensors")
    second = vision.tiny_vision().eval()
    pixels = torch.randn(2, 3, 96, 96)
    assert second(pixels).shape == (2, 144, 128)
    torch.testing.assert_close(second(pixels), first(pixels), atol=0, rtol=0)
    assert digest(tmp_path / "vision.safetensors") in second.identity
    assert second.vector(torch.randn(2, 3, 48, 48)).shape == (2, 128)


def test_a_whole_clip_model_in_a_local_folder(tmp_path):
    torch.manual_seed(0)
    text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 9}
    whole = CLIPModel(CLIPConfig(text_config=text, vision_config=TOWER, projection_dim=4)).eval()
    whole.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "clip"
    encoder = vision.named_vision(str(tmp_path)).eval()
    pixels = torch.randn(2, 3, 32, 32)
    wanted = whole.vision_model(pixels).pooler_output
    torch.testing.assert_close(encoder.vector(pixels), wanted, atol=1e-6, rtol=0)
    assert encoder.mean == timm.data.OPENAI_CLIP_MEAN
    assert weights.fingerprint(encoder) in encoder.identity


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_a_folder_without_weights_is_named(tmp_path, offline):
    CLIPVisionConfig(**TOWER).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=f"folder '{tmp_path}' cannot be used; it needs config"):
        vision.named_vision(str(tmp_path))


def test_a_timm_name_from_the_cache(tmp_path, monkeypatch, offline):
    torch.manual_seed(0)
    model = timm.create_model("test_vit", pretrained=False).eval()
    file = tmp_path / "model.safetensors"
    save_file(model.state_dict(), file)
    monkeypatch.setattr(vision, "try_to_load_from_cache", lambda *_: str(file))
    encoder = vision.named_vision("test_vit").eval()
    pixels = torch.randn(1, 3, 160, 160)
    wanted = model.forward_head(model.forward_features(pixels), pre_logits=True)
    torch.testing.assert_close(encoder.vector(pixels), wanted, atol=1e-6, rtol=0)
    assert encoder.mean == model.pretrained_cfg["mean"]
    with pytest.raises(InputError, match="'resnet10t' is no plain vision transformer"):
        vision.named_vision("resnet10t")


def test_small(focus):
    encoder = vision.small_vision()
    assert (encoder.depth, encoder.width, encoder.patch_size) == (10, 384, 14)
    assert (encoder.image_size, encoder.prefix_tokens) == (224, 1)
    assert vision.FOCUS.sha256 in encoder.identity
    assert encoder.norm.weight.eq(1).all()
    encoder.vector(torch.randn(1, 3, 56, 56)).square().sum().backward()
    assert not [name for name, p in encoder.named_parameters() if p.grad is None]
