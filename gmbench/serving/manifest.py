"""``export.json``: all that a model's answers depend on beside its weights and its settings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from gmbench.core.records import parse_record, to_plain

FORMAT = 1
RECORD = "export.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A class: its tag in predictions and its name in prompts. Their order is the classes'."""

    tag: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """How the vision encoder wants its pixels (gmbench.data.images)."""

    image_size: int
    crop_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    region_encoder: str
    crop: str


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
        identity: which weights it started from.
    """

    kind: str
    name: str | None = None
    file: str | None = None
    attention: str | None = None
    dtype: str
    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a post becomes before the model sees it.

    Attributes:
        inputs: what the model reads of a picture: ``regions``, ``pixels``.
        num_regions: first candidates kept.
        stored_vectors: regions are read as vectors of the frozen vision encoder in half precision,
            as the run's cache held them.
        max_tokens: sub-words that the text encoder has positions for.
        precision: of the run, ``auto`` where it was left to the device.
        accelerator: of the run.
    """

    inputs: tuple[str, ...]
    num_regions: int
    stored_vectors: bool
    max_tokens: int
    precision: str
    accelerator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The record of an export folder.

    Attributes:
        gmbench: version that wrote it.
        model: its name.
        config_sha: of the run.
        files: sha256 of every other file that is read.
    """

    gmbench: str
    model: str
    config_sha: str
    labels: tuple[Label, ...]
    pixels: Pixels
    reading: Reading
    text: Architecture
    vision: Architecture
    files: Mapping[str, str]
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"format {self.format}, but this version reads {FORMAT}")
        for name in self.files:
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise ValueError(f"files: {name!r} lies outside the folder")

    @property
    def types(self) -> dict[str, str]:
        """Tag -> name, in class order."""
        return {label.tag: label.name for label in self.labels}


def dumps(record: Exported) -> bytes:
    """The bytes of ``export.json``."""
    return (json.dumps(to_plain(record), indent=1, ensure_ascii=False) + "\n").encode()


def read_record(folder: Path) -> Exported:
    """Read ``export.json`` of an export folder.

    Raises:
        InputError: it is damaged, or of another format.
        OSError: it cannot be read.
    """
    path = folder / RECORD
    return parse_record(Exported, path.read_bytes(), str(path))


# A fast tokenizer as two JSON files: its pipeline, and what its special tokens are called.
PIPELINE, SPECIAL = "tokenizer/tokenizer.json", "tokenizer/special_tokens.json"
TOKENS = tuple(f"{kind}_token" for kind in ("unk", "sep", "pad", "cls", "mask", "bos", "eos"))


def tokenizer_files(tokenizer: PreTrainedTokenizerFast) -> dict[str, bytes]:
    """Both files by their names in an export folder."""
    pipeline = json.loads(tokenizer.backend_tokenizer.to_str())
    pipeline |= {"truncation": None, "padding": None}  # what the last call left behind
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


def read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of an export folder.

    Raises:
        ValueError: a file is not what ``tokenizer_files`` gave.
    """
    special = json.loads((folder / SPECIAL).read_bytes())
    unknown = set(special) - {*TOKENS, "model_max_length"}
    if unknown:
        raise ValueError(f"{folder / SPECIAL}: unknown key {min(unknown)!r}")
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(folder / PIPELINE),
        **special,
    )
