"""The two halves of a pre-norm transformer block, for models that act between them."""

from typing import Any

from torch import Tensor, nn

from gmbench.nn.vision_encoder import ClipBlock


def attend(block: nn.Module, tokens: Tensor) -> Tensor:
    """The attention half with its residual: ``[N, S, D]`` -> ``[N, S, D]``.

    Args:
        block: of a VisionEncoder: CLIP's, or timm's with ``norm1``, ``attn``, ``norm2``, ``mlp``.
        tokens: as the block reads them.
    """
    part: Any = block.layer if isinstance(block, ClipBlock) else block
    result: Tensor
    if isinstance(block, ClipBlock):
        mixed, _ = part.self_attn(hidden_states=part.layer_norm1(tokens), attention_mask=None)
        result = tokens + mixed
    else:
        result = tokens + part.drop_path1(part.ls1(part.attn(part.norm1(tokens))))
    return result


def feed(block: nn.Module, tokens: Tensor) -> Tensor:
    """The feed-forward half with its residual; ``feed(b, attend(b, x))`` is ``b(x)``."""
    part: Any = block.layer if isinstance(block, ClipBlock) else block
    result: Tensor
    if isinstance(block, ClipBlock):
        result = tokens + part.mlp(part.layer_norm2(tokens))
    else:
        result = tokens + part.drop_path2(part.ls2(part.mlp(part.norm2(tokens))))
    return result
