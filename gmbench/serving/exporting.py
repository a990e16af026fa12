"""Write an export folder: all of it or nothing."""

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save

from gmbench.config.identity import what_computes
from gmbench.serving.card import model_card
from gmbench.serving.folders import read_parts
from gmbench.serving.parts import CONFIG, WEIGHTS, FolderError, Parts
from gmbench.serving.record import RECORD, dumps
from gmbench.serving.tokenizer import tokenizer_files

CARD = "README.md"


def export_run(run: Path, folder: Path, trust: tuple[str, ...] = ()) -> Parts:
    """Write the model of a finished run into a new folder, read it back, and compare.

    Args:
        run: folder of a finished run.
        folder: made; nothing may be there yet.
        trust: prefixes of further packages whose classes may be built.

    Returns:
        The parts as read back.

    Raises:
        FolderError: the run is not finished, the folder exists, or what was written is not what
            was trained.
        OSError: a file cannot be written.
        ValueError: as :func:`gmbench.serving.parts.read_parts`.
    """
    if (run / RECORD).is_file():
        raise FolderError(f"{run}: exported already; name a run folder")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderError(f"{folder}: is there already; name a new folder, or remove it")
    parts = read_parts(run, trust)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.tmp")
    draft.mkdir(parents=True)
    try:
        _write(parts, run, draft)
        written = read_parts(draft, trust)
        _compare(parts, written, folder)
        if folder.is_dir():
            folder.rmdir()
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return written


def _write(parts: Parts, run: Path, folder: Path) -> None:
    state = {name: tensor.contiguous().clone() for name, tensor in parts.state().items()}
    files = {
        WEIGHTS: save(state, metadata={"format": "pt"}),
        CONFIG: _config_bytes(parts.config, parts.record.model),
        **tokenizer_files(parts.tokenizer),
        **{name: content for name, content in parts.descriptions.items() if content},
    }
    record = replace(
        parts.record, files={n: sha256(content).hexdigest() for n, content in files.items()}
    )
    files[RECORD] = dumps(record)
    files[CARD] = model_card(run, parts.config, record).encode()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        with path.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())


def _compare(trained: Parts, written: Parts, folder: Path) -> None:
    """Every tensor, bit for bit."""
    before, after = trained.state(), written.state()
    wrong = sorted(before.keys() ^ after.keys())
    wrong += [name for name in before.keys() & after.keys() if not _same(before[name], after[name])]
    if wrong:
        raise FolderError(f"{folder}: not written, {wrong[0]} came back changed")


def _same(first: torch.Tensor, second: torch.Tensor) -> bool:
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    bits = [t.contiguous().reshape(-1).view(torch.uint8) for t in (first, second)]
    return bool(torch.equal(*bits))


def _config_bytes(config: Mapping[str, Any], model: str) -> bytes:
    """The configuration without folders of the exporting machine."""
    plain = what_computes(dict(config))
    names = plain.get("encoders", {})
    for key in ("text_name", "vision_name"):
        if isinstance(names.get(key), str) and Path(names[key]).is_absolute():
            names[key] = Path(names[key]).name
    head = f"# The configuration of the exported {model}, resolved; folders are left out.\n"
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    return (head + text).encode()
