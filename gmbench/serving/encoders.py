"""Encoders without their pretrained weights: described when exported, rebuilt when loaded.

An exported model carries its encoders' weights, so loading needs no hub, no carrier package and no
shipped file; and nothing that a description says can run code.
"""

import json
import re
from pathlib import Path
from typing import Any

import timm
import torch
from hydra.utils import get_object
from transformers import AutoConfig, AutoModel, CLIPVisionConfig, CLIPVisionModel

from gmbench.core.errors import InputError
from gmbench.nn.text import TextEncoder
from gmbench.nn.vision import (
    FOCUS_BLOCKS,
    ClipEmbedding,
    VisionEncoder,
    dinov2_small,
    from_clip,
    from_timm,
    named_vision,
    small_vision,
    tiny_vision,
)
from gmbench.serving.manifest import Architecture, Pixels

TEXT_FILE, VISION_FILE = "text_encoder.json", "vision_encoder.json"
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
ATTENTION = ("sdpa", "eager")
_ASKS_FOR_CODE = re.compile(
    r"auto_map|custom_pipelines|trust_remote_code|quantization_config|use_kernels|"
    r".*(attn|experts)_implementation.*"
)
"""Keys of a configuration by which transformers fetches or chooses further code."""


def describe_text(encoder: TextEncoder) -> tuple[Architecture, bytes]:
    """A text encoder and its transformers configuration.

    Raises:
        InputError: its attention is an implementation that is fetched from elsewhere.
    """
    config: Any = encoder.model.config
    attention = str(config._attn_implementation)
    if attention not in ATTENTION:
        raise InputError(f"attention {attention!r} cannot be exported; use sdpa or eager")
    record = Architecture(
        kind="transformers",
        file=TEXT_FILE,
        attention=attention,
        dtype=_dtype(encoder),
        identity=encoder.identity,
    )
    return record, _config_bytes(config)


def build_text(record: Architecture, folder: Path) -> TextEncoder:
    """The described text encoder with random weights.

    Raises:
        InputError: the description is not one of ours.
    """
    if record.kind != "transformers" or record.attention not in ATTENTION:
        raise InputError(f"{folder}: no text encoder of kind {record.kind!r} can be built")
    plain = _read_config(folder / str(record.file))
    kind = plain.pop("model_type", "")
    try:
        config = AutoConfig.for_model(kind, **plain)
        model: Any = AutoModel.from_config(  # type: ignore[no-untyped-call]
            config, attn_implementation=record.attention, trust_remote_code=False
        )
    except Exception as error:  # whatever transformers makes of a stranger's values
        line = " ".join(str(error).split())[:200]
        raise InputError(f"{folder / str(record.file)}: not a text encoder's ({line})") from None
    return TextEncoder(model=model.to(_as_dtype(record)), identity=record.identity)


def describe_vision(encoder: VisionEncoder, node: dict[str, Any]) -> tuple[Architecture, bytes]:
    """A vision encoder as it came, before a model took parts of it away.

    Args:
        encoder: built.
        node: of the configuration; who builds it decides what there is to describe.
    """
    builder = get_object(node["_target_"])
    name: str | None = None
    content = b""
    if builder is tiny_vision:
        kind = "tiny"
    elif builder is small_vision:
        kind = "small"
    elif builder is named_vision and isinstance(encoder.embedding, ClipEmbedding):
        kind, content = "clip", _config_bytes(encoder.embedding.embeddings.config)
    elif builder is named_vision:
        kind, name = "timm", str(node["name"])
    else:
        kind = "configured"
    record = Architecture(
        kind=kind,
        name=name,
        file=VISION_FILE if content else None,
        dtype=_dtype(encoder),
        identity=encoder.identity,
    )
    return record, content


def build_vision(record: Architecture, folder: Path, pixels: Pixels) -> VisionEncoder:
    """The described vision encoder with random weights.

    Raises:
        InputError: the description is not one of ours.
    """
    (m1, m2, m3), (s1, s2, s3) = pixels.mean, pixels.std
    look: Any = {"mean": (m1, m2, m3), "std": (s1, s2, s3), "identity": record.identity}
    if record.kind == "tiny":
        encoder = tiny_vision(pretrained=False)
        encoder.identity = record.identity
    elif record.kind == "small":
        encoder = from_timm(dinov2_small(depth=FOCUS_BLOCKS), **look)
        encoder.norm = torch.nn.LayerNorm(encoder.width, eps=1e-6)
    elif record.kind == "clip":
        plain = _read_config(folder / str(record.file))
        plain.pop("model_type", None)
        config = CLIPVisionConfig(**plain)
        encoder = from_clip(CLIPVisionModel(config), identity=record.identity)
    elif record.kind == "timm" and record.name is not None and timm.is_model(record.name):
        vit: Any = timm.create_model(record.name, num_classes=0, dynamic_img_size=True)
        encoder = from_timm(vit, **look)
    else:
        raise InputError(f"{folder}: no vision encoder of kind {record.kind!r} can be built")
    return encoder.to(_as_dtype(record))


def _dtype(module: torch.nn.Module) -> str:
    return str(next(module.parameters()).dtype).removeprefix("torch.")


def _as_dtype(record: Architecture) -> torch.dtype:
    if record.dtype not in DTYPES:
        raise InputError(f"dtype {record.dtype!r} is none of {', '.join(DTYPES)}")
    return DTYPES[record.dtype]


def _config_bytes(config: Any) -> bytes:
    plain = config.to_dict()
    plain.pop("_name_or_path", None)  # a folder of the exporting machine
    return (json.dumps(plain, indent=1, sort_keys=True) + "\n").encode()


def _read_config(file: Path) -> dict[str, Any]:
    """Plain values, without any key by which further code could be asked for."""
    try:
        plain = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read ({error})") from None
    if not isinstance(plain, dict):
        raise InputError(f"{file}: not an object")
    return {key: value for key, value in plain.items() if not _ASKS_FOR_CODE.fullmatch(key)}
