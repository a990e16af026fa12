"""A fast tokenizer as two JSON files: its pipeline, and what its special tokens are called."""

import json
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

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
