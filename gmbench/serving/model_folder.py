"""The model of a finished run, or of an export folder."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from gmbench import __version__
from gmbench.config import BUILD_ARGUMENTS, shadowed_models
from gmbench.config.check import target_problems
from gmbench.config.compose import settings_of
from gmbench.config.instantiate import construct
from gmbench.config.renames import current
from gmbench.core.errors import InputError, did_you_mean
from gmbench.data.pixels import PixelSettings
from gmbench.lifecycle.build import Encoders, build_encoders, build_model, learns
from gmbench.nn.text import TextEncoder
from gmbench.nn.vision import VisionEncoder
from gmbench.nn.weights import digest, load
from gmbench.objective.decode import Decodes
from gmbench.reporting.record import RunResult, read_result
from gmbench.serving.encoders import (
    TEXT_FILE,
    VISION_FILE,
    build_text,
    build_vision,
    describe_text,
    describe_vision,
)
from gmbench.serving.manifest import (
    RECORD,
    Exported,
    Label,
    Pixels,
    Reading,
    read_record,
    read_tokenizer,
)
from gmbench.serving.trust import at, refuse_foreign

# A trained model in parts: read from a run folder, or from an export folder.
CONFIG, WEIGHTS = "config.yaml", "model.safetensors"
TOWER = "__vision_encoder__."
"""Names of a frozen vision encoder that the model itself does not hold."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A trained model, ready to answer, and what describes it.

    Attributes:
        model: in evaluation mode, on the CPU.
        vision_encoder: the model's own, for region vectors.
        decoder: outputs to predictions.
        record: everything else that answers depend on.
        config: the run's resolved configuration.
        descriptions: further files of an export, by name.
    """

    model: nn.Module
    tokenizer: PreTrainedTokenizerFast
    vision_encoder: VisionEncoder
    decoder: Decodes
    record: Exported
    config: Mapping[str, Any]
    descriptions: Mapping[str, bytes]

    def state(self) -> dict[str, Tensor]:
        """Every tensor of the model, and of a vision encoder that is not part of it."""
        state = dict(self.model.state_dict())
        held = {id(module) for module in self.model.modules()}
        if self.record.reading.stored_vectors and id(self.vision_encoder) not in held:
            state |= {TOWER + n: t for n, t in self.vision_encoder.state_dict().items()}
        return state


def assemble(plain: Mapping[str, Any], encoders: Encoders, record: Exported) -> Parts:
    """Model and decoder around built encoders, their weights still to be loaded."""
    model = build_model(plain["model"]["network"], encoders, record.types)
    stored = "regions" in record.reading.inputs and not learns(encoders.vision_encoder)
    reading = replace(record.reading, stored_vectors=stored)
    return Parts(
        model=model.eval(),
        tokenizer=encoders.tokenizer,
        vision_encoder=encoders.vision_encoder,
        decoder=construct(plain["model"]["decode"], types=tuple(record.types)),
        record=replace(record, reading=reading),
        config=plain,
        descriptions={},
    )


def configuration(
    folder: Path, trust: Collection[str], encoders: tuple[str, ...]
) -> dict[str, Any]:
    """The configuration, once everything that will be built from it may be.

    Args:
        folder: of a run or an export.
        trust: prefixes of further packages whose classes may be built.
        encoders: keys of the encoders that will be built from the configuration.

    Raises:
        InputError: it is missing, no configuration, or its model cannot be built.
        UntrustedTarget: it names code that nobody vouched for.
    """
    path = folder / CONFIG
    try:
        plain = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    plain = current(plain)
    groups = ("model", "data", "encoders", "trainer")
    absent = [
        n for n in groups if not isinstance(plain, dict) or not isinstance(plain.get(n), dict)
    ]
    if absent:
        raise InputError(f"{path}: no {', '.join(absent)}; it is no configuration of a run")
    nodes = ("model.network", "model.decode", *encoders)
    refuse_foreign(plain, trust, str(path), nodes)
    found = [
        line
        for node in nodes[:2]
        for line in target_problems(at(plain, node), BUILD_ARGUMENTS, node)
    ]
    if found:
        raise InputError(f"{path}: {found[0]}")
    return dict(plain)


def pixels_of(record: Exported) -> PixelSettings:
    """The settings of the data layer that a record holds."""
    p = record.pixels
    (m1, m2, m3), (s1, s2, s3) = p.mean, p.std
    kinds: Any = {"region_encoder": p.region_encoder, "crop": p.crop}
    return PixelSettings(
        image_size=p.image_size,
        crop_size=p.crop_size,
        mean=(m1, m2, m3),
        std=(s1, s2, s3),
        **kinds,
    )


def described(pixels: PixelSettings) -> Pixels:
    """The record of the data layer's settings."""
    return Pixels(
        image_size=pixels.image_size,
        crop_size=pixels.crop_size,
        mean=pixels.mean,
        std=pixels.std,
        region_encoder=pixels.region_encoder,
        crop=pixels.crop,
    )


def read_parts(folder: Path, trust: Collection[str] = ()) -> Parts:
    """The model of a finished run or of an export folder.

    Args:
        folder: either kind.
        trust: prefixes of further packages whose classes may be built.

    Raises:
        InputError: the folder is neither, or a file of it is missing or altered.
        UntrustedTarget: its configuration names code that nobody vouched for.
        InputError: the configuration cannot be built.
        InputError: a record is damaged.
        InputError: the weights do not fit.
    """
    shadow = shadowed_models()
    if shadow is not None:
        raise InputError(shadow)
    with torch.random.fork_rng(devices=[]):  # building draws random weights, all replaced below
        if (folder / RECORD).is_file():
            return _of_export(folder, trust)
        if (folder / "result.json").is_file():
            return _of_run(folder, trust)
    raise InputError(f"{folder}: {_what_is_wrong(folder)}")


def _of_run(folder: Path, trust: Collection[str]) -> Parts:
    result = read_result(folder / "result.json")
    checkpoint = _checkpoint(folder, result)
    plain = configuration(folder, trust, ("encoders",))
    settings = settings_of(plain, folder / CONFIG)
    encoders = build_encoders(settings.encoders, settings.regions)
    text, text_config = describe_text(encoders.text_encoder)
    vision, vision_config = describe_vision(encoders.vision_encoder, plain["encoders"]["vision"])
    types = {str(tag): str(name) for tag, name in plain["data"]["types"].items()}
    parts = assemble(
        plain,
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
    )
    load(parts.model, _trained(checkpoint), str(checkpoint))
    return replace(parts, descriptions={TEXT_FILE: text_config, VISION_FILE: vision_config})


def _trained(checkpoint: Path) -> dict[str, Tensor]:
    """The model's tensors in a checkpoint, without unpickling anything."""
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    except (UnpicklingError, RuntimeError, KeyError, EOFError) as error:
        line = str(error).split("\n")[0]
        raise InputError(f"{checkpoint}: no checkpoint of tensors alone ({line})") from None
    prefix = "model."
    return {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}


def _of_export(folder: Path, trust: Collection[str]) -> Parts:
    record = read_record(folder)
    for name, sha in record.files.items():
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: missing; export the run again or copy it whole")
        if digest(folder / name) != sha:
            raise InputError(
                f"{folder / name}: not the file that was exported (sha256 differs); copy it again"
            )
    configured = record.vision.kind == "configured"
    built = ("encoders.vision",) if configured else ()
    plain = configuration(folder, trust, built)
    encoders = Encoders(
        text_encoder=build_text(record.text, folder),
        tokenizer=read_tokenizer(folder),
        vision_encoder=construct(plain["encoders"]["vision"])
        if configured
        else build_vision(record.vision, folder, record.pixels),
        pixels=pixels_of(record),
    )
    parts = assemble(plain, encoders, record)
    try:
        state = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{folder / WEIGHTS}: not safetensors ({error})") from None
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
        raise InputError(f"{folder}: {name}; export the run that trained it (mode=train)")
    path = folder / stored.path
    if digest(path) != stored.sha256:
        raise InputError(f"{path}: not the checkpoint that result.json was made from")
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
        return f"no such folder{did_you_mean(folder.name, beside, f'{folder.parent}/')}"
    if not folder.is_dir():
        return "a file; name an exported folder or a run folder"
    if (folder / "failure.json").is_file():
        return "a run that failed (failure.json says why); run it again"
    runs = sorted(str(file.parent) for file in folder.glob("*/**/result.json"))
    if runs:
        return f"no run itself, but there are runs below it, such as {runs[0]}"
    return "neither an export (export.json) nor a finished run (result.json)"
