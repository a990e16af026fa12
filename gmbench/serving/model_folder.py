"""The model of a finished run or of an export folder, with everything that answers depend on."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from gmbench.config import BUILD_ARGUMENTS, shadowed_models
from gmbench.config.check import target_problems
from gmbench.config.compose import read_stored, settings_of
from gmbench.config.instantiate import construct
from gmbench.config.trust import refuse_foreign, value_at
from gmbench.core.carried import digest
from gmbench.core.errors import InputError
from gmbench.core.provenance import library_versions
from gmbench.core.records import parse_record, to_plain
from gmbench.data.dataset import Input
from gmbench.data.pixels import PixelSettings
from gmbench.lifecycle.build import (
    Encoders,
    build_encoders,
    build_model,
    pixels_of_regions,
    stored_vectors,
)
from gmbench.nn.vision import VisionEncoder
from gmbench.nn.weights import load
from gmbench.objective.decode import Decodes
from gmbench.reporting.record import RunResult, read_result
from gmbench.serving.encoders import (
    TEXT_FILE,
    VISION_FILE,
    Architecture,
    build_text,
    build_tokenizer,
    build_vision,
    describe_text,
    describe_vision,
)
from gmbench.serving.folders import RECORD, RESULT, is_export
from gmbench.training.trainer import Precision

FORMAT = 1
CONFIG, WEIGHTS = "config.yaml", "model.safetensors"
TOWER = "__vision_encoder__."
"""Prefix of a frozen vision encoder's tensors where the model itself does not hold them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A class: its tag in predictions and its name in prompts. Labels are in class order."""

    tag: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """What is done to a post before the model sees it.

    Attributes:
        inputs: what the model reads of a picture.
        num_regions: number of first candidates kept.
        stored_vectors: regions are read as vectors of the frozen vision encoder in half precision,
            as the run's cache held them.
        max_tokens: sub-words that the text encoder has positions for.
        precision: the run's, ``auto`` where it was left to the device.
        accelerator: the run's.
    """

    inputs: tuple[Input, ...]
    num_regions: int
    stored_vectors: bool
    max_tokens: int
    precision: Precision
    accelerator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRecord:
    """``export.json``: all that a model's answers depend on beside weights and configuration.

    Attributes:
        gmbench: version that wrote it.
        model: its name.
        config_sha: the run's.
        files: sha256 of every other file that is read.
        drawn: whether it has learnt from invented names and drawn pictures alone.
        saw_pixels: whether it has seen any picture in training.
    """

    gmbench: str
    model: str
    config_sha: str
    labels: tuple[Label, ...]
    pixels: PixelSettings
    reading: Preprocessing
    text: Architecture
    vision: Architecture
    files: Mapping[str, str]
    drawn: bool = False
    saw_pixels: bool = True
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

    @property
    def limits(self) -> tuple[str, ...]:
        """What every answer has to be read with, for people."""
        lines = {
            "trained on drawn pictures and invented names: nothing is known of real posts": (
                self.drawn
            ),
            "trained without pictures: boxes mean nothing, and none is given unless asked for": (
                not self.saw_pixels
            ),
        }
        return tuple(line for line, holds in lines.items() if holds)

    def to_json(self) -> bytes:
        """The bytes of ``export.json``."""
        return (json.dumps(to_plain(self), indent=1, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A trained model, ready to answer, and what describes it.

    Attributes:
        model: in evaluation mode, on the CPU.
        vision_encoder: the model's own, for region vectors.
        decoder: outputs to predictions.
        record: everything else that answers depend on.
        config: the run's resolved configuration, under today's names.
        descriptions: further files of an export, by name; an empty one is not written.
    """

    model: nn.Module
    tokenizer: PreTrainedTokenizerFast
    vision_encoder: VisionEncoder
    decoder: Decodes
    record: ExportRecord
    config: Mapping[str, Any]
    descriptions: Mapping[str, bytes]

    def state(self) -> dict[str, Tensor]:
        """Every tensor of the model, and of a vision encoder that is not part of it."""
        state = dict(self.model.state_dict())
        held = {id(module) for module in self.model.modules()}
        if self.record.reading.stored_vectors and id(self.vision_encoder) not in held:
            state |= {TOWER + n: t for n, t in self.vision_encoder.state_dict().items()}
        return state


def read_model(folder: Path, trust: Collection[str] = ()) -> TrainedModel:
    """The model of a finished run or of an export folder.

    Args:
        folder: either kind.
        trust: prefixes of further packages whose classes may be built.

    Raises:
        UntrustedTarget: its configuration names code outside gmbench, models and ``trust``.
        InputError: the folder is neither, a file of it is missing, damaged or altered, or the
            configuration or the weights do not fit.
    """
    if (shadow := shadowed_models()) is not None:
        raise InputError(shadow)
    exported = is_export(folder)
    with torch.random.fork_rng(devices=[]):  # building draws random weights, all replaced below
        return _of_export(folder, trust) if exported else _of_run(folder, trust)


def _of_run(folder: Path, trust: Collection[str]) -> TrainedModel:
    result = read_result(folder / RESULT)
    checkpoint = _checkpoint(folder, result)
    config = _read_config(folder / CONFIG, trust, "encoders")
    settings = settings_of(config, folder / CONFIG)
    encoders = build_encoders(settings.encoders, settings.regions)
    text, text_config = describe_text(encoders.text_encoder)
    vision, vision_config = describe_vision(encoders.vision_encoder, settings.encoders.vision)
    record = ExportRecord(
        gmbench=library_versions(["gmbench"]).get("gmbench", "unknown"),
        model=settings.model.name,
        config_sha=result.config.sha,
        labels=tuple(Label(tag=tag, name=name) for tag, name in config["data"]["types"].items()),
        pixels=encoders.pixels,
        reading=Preprocessing(
            inputs=tuple(settings.model.inputs),
            num_regions=settings.regions.eval_num,
            stored_vectors=False,  # known once the model is built
            max_tokens=encoders.text_encoder.max_tokens(encoders.tokenizer),
            precision=settings.trainer.precision,
            accelerator=settings.trainer.accelerator,
        ),
        text=text,
        vision=vision,
        files={},
        drawn=result.data.synthetic,
        saw_pixels=result.data.saw_pixels,
    )
    descriptions = {TEXT_FILE: text_config} | (
        {VISION_FILE: vision_config} if vision_config else {}
    )
    trained = _assemble(config, encoders, record, descriptions)
    load(trained.model, _checkpoint_tensors(checkpoint), str(checkpoint))
    return trained


def _of_export(folder: Path, trust: Collection[str]) -> TrainedModel:
    record = parse_record(ExportRecord, (folder / RECORD).read_bytes(), str(folder / RECORD))
    for name, sha in record.files.items():
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: missing; export the run again or copy it whole")
        if digest(folder / name) != sha:
            raise InputError(
                f"{folder / name}: not the file that was exported (sha256 differs); copy it again"
            )
    configured = record.vision.kind == "configured"
    config = _read_config(folder / CONFIG, trust, *(["encoders.vision"] if configured else []))
    encoders = Encoders(
        text_encoder=build_text(record.text, folder),
        tokenizer=build_tokenizer(folder),
        vision_encoder=construct(config["encoders"]["vision"])
        if configured
        else build_vision(record.vision, folder, record.pixels),
        pixels=record.pixels,
    )
    # An export of before does not say it, but its configuration does.
    record = replace(record, drawn=record.drawn or config["data"].get("world") is not None)
    trained = _assemble(config, encoders, record, {})
    weights = folder / WEIGHTS
    try:
        state = load_file(weights)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{weights}: not safetensors ({error})") from None
    tower = {n.removeprefix(TOWER): t for n, t in state.items() if n.startswith(TOWER)}
    if tower:
        load(trained.vision_encoder, tower, str(weights))
    own = {n: t for n, t in state.items() if not n.startswith(TOWER)}
    load(trained.model, own, str(weights))
    return trained


def _assemble(
    config: Mapping[str, Any],
    encoders: Encoders,
    record: ExportRecord,
    descriptions: Mapping[str, bytes],
) -> TrainedModel:
    """Model and decoder around built encoders, their weights still to be loaded."""
    model = build_model(config["model"]["network"], encoders, record.types)
    encoders = replace(encoders, pixels=pixels_of_regions(model, encoders))
    stored = "regions" in record.reading.inputs and stored_vectors(encoders)
    return TrainedModel(
        model=model.eval(),
        tokenizer=encoders.tokenizer,
        vision_encoder=encoders.vision_encoder,
        decoder=construct(config["model"]["decode"], types=tuple(record.types)),
        record=replace(
            record,
            pixels=encoders.pixels,
            reading=replace(record.reading, stored_vectors=stored),
        ),
        config=config,
        descriptions=descriptions,
    )


def _read_config(path: Path, trust: Collection[str], *encoders: str) -> dict[str, Any]:
    """The configuration under today's names, once all that will be built from it is trusted.

    Args:
        path: ``config.yaml`` of a run or an export.
        trust: prefixes of further packages whose classes may be built.
        encoders: dotted keys of the encoders that will be built from the configuration.
    """
    try:
        groups = read_stored(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    wanted = ("model", "data", "encoders", "trainer")
    if absent := [name for name in wanted if not isinstance(groups.get(name), dict)]:
        raise InputError(f"{path}: no {', '.join(absent)}; it is no configuration of a run")
    built = ("model.network", "model.decode")
    refuse_foreign(groups, trust, str(path), (*built, *encoders))
    for node in built:
        for line in target_problems(value_at(groups, node), BUILD_ARGUMENTS, node):
            raise InputError(f"{path}: {line}")
    return groups


def _checkpoint(folder: Path, result: RunResult) -> Path:
    stored = result.checkpoint
    if stored is None or not (folder / stored.path).is_file():
        name = "no checkpoint" if stored is None else f"no {stored.path}"
        raise InputError(f"{folder}: {name}; export the run that trained it (mode=train)")
    path = folder / stored.path
    if digest(path) != stored.sha256:
        raise InputError(f"{path}: not the checkpoint that result.json was made from")
    return path


def _checkpoint_tensors(checkpoint: Path) -> dict[str, Tensor]:
    """The model's tensors in a checkpoint, without unpickling anything."""
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    except (UnpicklingError, RuntimeError, KeyError, EOFError) as error:
        line = str(error).split("\n")[0]
        raise InputError(f"{checkpoint}: no checkpoint of tensors alone ({line})") from None
    prefix = "model."
    return {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
