"""One interface over vision transformers, so that a model may act between their blocks."""

from collections.abc import Iterable
from typing import Any

from timm.data import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from transformers import CLIPVisionModel


class VisionEncoder(nn.Module):
    """A vision transformer in parts, so that a model may act between its blocks.

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
        normalised: Tensor = self.norm(tokens)
        return normalised

    def vector(self, pixels: Tensor) -> Tensor:
        """One vector an image, ``[N, 3, H, W]`` -> ``[N, D]``; see ``class_token``."""
        tokens = self(pixels)
        chosen: Tensor = (
            tokens[:, 0] if self.class_token else tokens[:, self.prefix_tokens :].mean(dim=1)
        )
        return chosen

    def feature_map(self, pixels: Tensor) -> Tensor:
        """Patch states in their places, ``[N, 3, H, W]`` -> ``[N, D, H / patch, W / patch]``."""
        patches: Tensor = self(pixels)[:, self.prefix_tokens :]
        size = (-1, pixels.shape[-2] // self.patch_size, pixels.shape[-1] // self.patch_size)
        return patches.transpose(1, 2).reshape(len(pixels), *size)

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
