"""The model of a finished run, or of an export folder."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from omegaconf import OmegaConf
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from gmbench import __version__
from gmbench.build import Encoders, build_encoders
from gmbench.config import shadowed_models
from gmbench.config.wording import hint
from gmbench.construct import construct
from gmbench.nn.carriers import digest, load
from gmbench.nn.text import TextEncoder
from gmbench.reporting.results import RunResult, read_result
from gmbench.serving.encoders import (
    TEXT_FILE,
    VISION_FILE,
    build_text,
    build_vision,
    describe_text,
    describe_vision,
)
from gmbench.serving.parts import (
    TOWER,
    WEIGHTS,
    FolderError,
    Parts,
    assemble,
    configuration,
    described,
    pixels_of,
)
from gmbench.serving.record import RECORD, Exported, Label, Reading, read_record
from gmbench.serving.tokenizer import read_tokenizer


def read_parts(folder: Path, trust: Collection[str] = ()) -> Parts:
    """The model of a finished run or of an export folder.

    Args:
        folder: either kind.
        trust: prefixes of further packages whose classes may be built.

    Raises:
        FolderError: the folder is neither, or a file of it is missing or altered.
        UntrustedTarget: its configuration names code that nobody vouched for.
        ConfigError: the configuration cannot be built.
        RecordError: a record is damaged.
        WeightsError: the weights do not fit.
    """
    shadow = shadowed_models()
    if shadow is not None:
        raise FolderError(shadow)
    with torch.random.fork_rng(devices=[]):  # building draws random weights, all replaced below
        if (folder / RECORD).is_file():
            return _of_export(folder, trust)
        if (folder / "result.json").is_file():
            return _of_run(folder, trust)
    raise FolderError(f"{folder}: {_what_is_wrong(folder)}")


def _of_run(folder: Path, trust: Collection[str]) -> Parts:
    result = read_result(folder / "result.json")
    checkpoint = _checkpoint(folder, result)
    plain = configuration(folder, trust, ("encoders",))
    cfg = OmegaConf.create(plain)
    encoders = build_encoders(cfg)
    text, text_config = describe_text(encoders.text_encoder)
    vision, vision_config = describe_vision(encoders.vision_encoder, plain["encoders"]["vision"])
    types = {str(tag): str(name) for tag, name in plain["data"]["types"].items()}
    parts = assemble(
        cfg,
        encoders,
        Exported(
            gmbench=__version__,
            model=str(plain["model"]["name"]),
            config_sha=result.config.sha,
            labels=tuple(Label(tag=tag, name=name) for tag, name in types.items()),
            pixels=described(encoders.pixels),
            reading=_reading(plain, encoders),
            text=text,
            vision=vision,
            files={},
        ),
        plain,
    )
    load(parts.model, _trained(checkpoint), str(checkpoint))
    return replace(parts, descriptions={TEXT_FILE: text_config, VISION_FILE: vision_config})


def _trained(checkpoint: Path) -> dict[str, Tensor]:
    """The model's tensors in a checkpoint, without unpickling anything."""
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    except (UnpicklingError, RuntimeError, KeyError, EOFError) as error:
        line = str(error).split("\n")[0]
        raise FolderError(f"{checkpoint}: no checkpoint of tensors alone ({line})") from None
    prefix = "model."
    return {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}


def _of_export(folder: Path, trust: Collection[str]) -> Parts:
    record = read_record(folder)
    for name, sha in record.files.items():
        if not (folder / name).is_file():
            raise FolderError(f"{folder / name}: missing; export the run again or copy it whole")
        if digest(folder / name) != sha:
            raise FolderError(
                f"{folder / name}: not the file that was exported (sha256 differs); copy it again"
            )
    configured = record.vision.kind == "configured"
    built = ("encoders.vision",) if configured else ()
    plain = configuration(folder, trust, built)
    cfg = OmegaConf.create(plain)
    encoders = Encoders(
        text_encoder=build_text(record.text, folder),
        tokenizer=read_tokenizer(folder),
        vision_encoder=construct(cfg.encoders.vision)
        if configured
        else build_vision(record.vision, folder, record.pixels),
        pixels=pixels_of(record),
    )
    parts = assemble(cfg, encoders, record, plain)
    try:
        state = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise FolderError(f"{folder / WEIGHTS}: not safetensors ({error})") from None
    tower = {n.removeprefix(TOWER): t for n, t in state.items() if n.startswith(TOWER)}
    if tower:
        load(parts.vision_encoder, tower, str(folder / WEIGHTS))
    own = {n: t for n, t in state.items() if not n.startswith(TOWER)}
    load(parts.model, own, str(folder / WEIGHTS))
    return parts


def _checkpoint(folder: Path, result: RunResult) -> Path:
    stored = result.checkpoint
    if stored is None or not (folder / stored.path).is_file():
        name = "no checkpoint" if stored is None else f"no {stored.path}"
        raise FolderError(f"{folder}: {name}; export the run that trained it (mode=train)")
    path = folder / stored.path
    if digest(path) != stored.sha256:
        raise FolderError(f"{path}: not the checkpoint that result.json was made from")
    return path


def _reading(plain: Mapping[str, Any], encoders: Encoders) -> Reading:
    regions = plain.get("regions") or {}
    return Reading(
        inputs=tuple(plain["model"]["inputs"]),
        num_regions=int(regions.get("eval_num") or regions.get("num") or 0),
        stored_vectors=False,  # known once the model is built
        max_tokens=_max_tokens(encoders.text_encoder, encoders.tokenizer),
        precision=str(plain["trainer"]["precision"]),
        accelerator=str(plain["trainer"]["accelerator"]),
    )


def _max_tokens(encoder: TextEncoder, tokenizer: PreTrainedTokenizerFast) -> int:
    """Sub-words for which the encoder has positions; RoBERTa's begin behind its padding index."""
    model: Any = encoder.model
    positions = int(getattr(model.config, "max_position_embeddings", 0) or 1_000_000)
    offset = getattr(getattr(model, "embeddings", None), "padding_idx", None)
    positions -= 0 if offset is None else int(offset) + 1
    return min(positions, int(tokenizer.model_max_length))


def _what_is_wrong(folder: Path) -> str:
    if not folder.exists():
        beside = [item.name for item in folder.parent.iterdir()] if folder.parent.is_dir() else []
        return f"no such folder{hint(folder.name, beside, f'{folder.parent}/')}"
    if not folder.is_dir():
        return "a file; name an exported folder or a run folder"
    if (folder / "failure.json").is_file():
        return "a run that failed (failure.json says why); run it again"
    runs = sorted(str(file.parent) for file in folder.glob("*/**/result.json"))
    if runs:
        return f"no run itself, but there are runs below it, such as {runs[0]}"
    return "neither an export (export.json) nor a finished run (result.json)"
