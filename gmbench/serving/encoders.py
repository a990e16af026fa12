"""Encoders and tokenizer as an export holds them: described without code, rebuilt from that alone.

An export carries its encoders' weights, so loading needs no hub, no carrier package and no shipped
file; and nothing that a description says can run code.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from hydra.utils import get_object
from transformers import (
    AutoConfig,
    AutoModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    PreTrainedTokenizerFast,
)

from gmbench.core.errors import InputError
from gmbench.data.pixels import PixelSettings
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

TEXT_FILE, VISION_FILE = "text_encoder.json", "vision_encoder.json"
PIPELINE, SPECIAL = "tokenizer/tokenizer.json", "tokenizer/special_tokens.json"
TOKENS = tuple(f"{kind}_token" for kind in ("unk", "sep", "pad", "cls", "mask", "bos", "eos"))
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
ATTENTION = ("sdpa", "eager")
_ASKS_FOR_CODE = re.compile(
    r"auto_map|custom_pipelines|trust_remote_code|quantization_config|use_kernels|"
    r".*(attn|experts)_implementation.*"
)
"""Keys of a configuration by which transformers fetches or chooses further code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """An encoder without its weights.

    Attributes:
        kind: ``transformers``, ``clip`` (with their configuration in ``file``), ``tiny``,
            ``small``, ``timm`` (by ``name``), or ``configured``: as the run's own node builds it.
        name: of a timm model.
        file: of the export folder.
        attention: implementation, of transformers.
        dtype: of its parameters.
        identity: the weights that training started from.
    """

    kind: str
    name: str | None = None
    file: str | None = None
    attention: str | None = None
    dtype: str
    identity: str


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
        dtype=_dtype_name(encoder),
        identity=encoder.identity,
    )
    return record, _config_bytes(config)


def build_text(record: Architecture, folder: Path) -> TextEncoder:
    """The described text encoder with random weights.

    Raises:
        InputError: the description is not one that an export writes.
    """
    if record.kind != "transformers" or record.attention not in ATTENTION:
        raise InputError(f"{folder}: no text encoder of kind {record.kind!r} can be built")
    file = folder / str(record.file)
    plain = _read_config(file)
    kind = plain.pop("model_type", "")
    try:
        model: Any = AutoModel.from_config(  # type: ignore[no-untyped-call]
            AutoConfig.for_model(kind, **plain),
            attn_implementation=record.attention,
            trust_remote_code=False,
        )
    except Exception as error:  # whatever transformers makes of untrusted values
        line = " ".join(str(error).split())[:200]
        raise InputError(f"{file}: not a text encoder's ({line})") from None
    return TextEncoder(model=model.to(_dtype(record)), identity=record.identity)


def describe_vision(encoder: VisionEncoder, node: Mapping[str, Any]) -> tuple[Architecture, bytes]:
    """A vision encoder as it was built, before a model removed parts of it.

    Args:
        encoder: built.
        node: of the configuration; its ``_target_`` decides what there is to describe.

    Returns:
        The record, and its configuration file; empty if it needs none.
    """
    builder = get_object(node["_target_"])
    name, content = None, b""
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
        dtype=_dtype_name(encoder),
        identity=encoder.identity,
    )
    return record, content


def build_vision(record: Architecture, folder: Path, pixels: PixelSettings) -> VisionEncoder:
    """The described vision encoder with random weights.

    Raises:
        InputError: the description is not one that an export writes.
    """
    look: Any = {"mean": pixels.mean, "std": pixels.std, "identity": record.identity}
    if record.kind == "tiny":
        encoder = tiny_vision(pretrained=False)
        encoder.identity = record.identity
    elif record.kind == "small":
        encoder = from_timm(dinov2_small(depth=FOCUS_BLOCKS), **look)
        encoder.norm = torch.nn.LayerNorm(encoder.width, eps=1e-6)
    elif record.kind == "clip":
        plain = _read_config(folder / str(record.file))
        plain.pop("model_type", None)
        encoder = from_clip(CLIPVisionModel(CLIPVisionConfig(**plain)), identity=record.identity)
    elif record.kind == "timm" and record.name is not None and timm.is_model(record.name):
        vit: Any = timm.create_model(record.name, num_classes=0, dynamic_img_size=True)
        encoder = from_timm(vit, **look)
    else:
        raise InputError(f"{folder}: no vision encoder of kind {record.kind!r} can be built")
    return encoder.to(_dtype(record))


def tokenizer_files(tokenizer: PreTrainedTokenizerFast) -> dict[str, bytes]:
    """A fast tokenizer as two JSON files: its pipeline, and the names of its special tokens."""
    pipeline = json.loads(tokenizer.backend_tokenizer.to_str())
    pipeline |= {"truncation": None, "padding": None}  # left behind by the last call
    special: dict[str, Any] = {
        name: str(getattr(tokenizer, name))
        for name in TOKENS
        if getattr(tokenizer, name, None) is not None
    }
    special["model_max_length"] = min(int(tokenizer.model_max_length), 1_000_000)
    return {
        PIPELINE: (json.dumps(pipeline, ensure_ascii=False) + "\n").encode(),
        SPECIAL: (json.dumps(special, ensure_ascii=False, indent=1) + "\n").encode(),
    }


def build_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of an export folder.

    Raises:
        ValueError: a file is not what ``tokenizer_files`` gave.
    """
    special = json.loads((folder / SPECIAL).read_bytes())
    if unknown := set(special) - {*TOKENS, "model_max_length"}:
        raise InputError(f"{folder / SPECIAL}: unknown key {min(unknown)!r}")
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(folder / PIPELINE), **special
    )


def _dtype_name(module: torch.nn.Module) -> str:
    return str(next(module.parameters()).dtype).removeprefix("torch.")


def _dtype(record: Architecture) -> torch.dtype:
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
