"""A trained model in parts: read from a run folder, or from an export folder."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from gmbench.build import Encoders, build_model, learns
from gmbench.config import BUILD_ARGUMENTS
from gmbench.config.signatures import target_problems
from gmbench.construct import construct
from gmbench.data.pixels import PixelSettings
from gmbench.engine.decode import Decodes
from gmbench.nn.vision import VisionEncoder
from gmbench.serving.record import Exported, Pixels
from gmbench.serving.targets import at, refuse_foreign

CONFIG, WEIGHTS = "config.yaml", "model.safetensors"
TOWER = "__vision_encoder__."
"""Names of a frozen vision encoder that the model itself does not hold."""


class FolderError(ValueError):
    """A folder is neither a finished run nor a sound export; one line says what it lacks."""


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


def assemble(cfg: DictConfig, encoders: Encoders, record: Exported, plain: Any) -> Parts:
    """Model and decoder around built encoders, their weights still to be loaded."""
    model = build_model(cfg, encoders, record.types)
    stored = "regions" in record.reading.inputs and not learns(encoders.vision_encoder)
    reading = replace(record.reading, stored_vectors=stored)
    return Parts(
        model=model.eval(),
        tokenizer=encoders.tokenizer,
        vision_encoder=encoders.vision_encoder,
        decoder=construct(cfg.model.decode, types=tuple(record.types)),
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
        FolderError: it is missing, no configuration, or its model cannot be built.
        UntrustedTarget: it names code that nobody vouched for.
    """
    path = folder / CONFIG
    try:
        plain = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise FolderError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise FolderError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    groups = ("model", "data", "encoders", "trainer")
    absent = [
        n for n in groups if not isinstance(plain, dict) or not isinstance(plain.get(n), dict)
    ]
    if absent:
        raise FolderError(f"{path}: no {', '.join(absent)}; it is no configuration of a run")
    nodes = ("model.network", "model.decode", *encoders)
    refuse_foreign(plain, trust, str(path), nodes)
    found = [
        line
        for node in nodes[:2]
        for line in target_problems(at(plain, node), BUILD_ARGUMENTS, node)
    ]
    if found:
        raise FolderError(f"{path}: {found[0]}")
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
