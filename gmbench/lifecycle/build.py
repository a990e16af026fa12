"""Configuration -> built parts of a run: data, encoders, model, loss, training module."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_object
from omegaconf import DictConfig
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from gmbench.config.instantiate import construct
from gmbench.data.datamodule import GroundedData, LoaderSettings
from gmbench.data.dataset import Input
from gmbench.data.features import Encode, RegionFeatures, region_features
from gmbench.data.pixels import PixelSettings
from gmbench.data.source import SPLITS, DataSource, Split
from gmbench.lifecycle.build_data import build_regions, build_source
from gmbench.nn.layers import roi_vectors
from gmbench.nn.text import TextEncoder
from gmbench.nn.vision import VisionEncoder
from gmbench.scoring.metric import GroundedF1
from gmbench.training.module import GroundedModule
from gmbench.training.optimizer import OptimSettings


@dataclass(frozen=True, kw_only=True)
class Encoders:
    """The pretrained parts that a model may ask for by name.

    Attributes:
        text_encoder, tokenizer, vision_encoder: built.
        pixels: how the vision encoder wants its pixels.
    """

    text_encoder: TextEncoder
    tokenizer: PreTrainedTokenizerFast
    vision_encoder: VisionEncoder
    pixels: PixelSettings


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything one run is made of.

    Attributes:
        source: where the data comes from.
        data: loaders over the read splits.
        module: model, loss, decoder and metrics.
        saw_pixels: whether any example of any split has a picture.
    """

    source: DataSource
    data: GroundedData
    module: GroundedModule
    saw_pixels: bool


def build_encoders(cfg: DictConfig) -> Encoders:
    """Tokenizer and both encoders of ``cfg.encoders``, weights loaded."""
    vision = construct(cfg.encoders.vision)
    pixels = PixelSettings(
        image_size=cfg.encoders.image_size,
        crop_size=cfg.encoders.crop_size,
        mean=tuple(vision.mean),
        std=tuple(vision.std),
        **_region_settings(cfg),
    )
    return Encoders(
        text_encoder=construct(cfg.encoders.text),
        tokenizer=construct(cfg.encoders.tokenizer),
        vision_encoder=vision,
        pixels=pixels,
    )


def build_model(cfg: DictConfig, encoders: Encoders, types: Mapping[str, str]) -> nn.Module:
    """The network of ``cfg.model.network``, given whichever built parts its constructor names."""
    offered = {
        "text_encoder": encoders.text_encoder,
        "tokenizer": encoders.tokenizer,
        "vision_encoder": encoders.vision_encoder,
        "type_names": tuple(types.values()),
    }
    wanted = inspect.signature(get_object(cfg.model.network._target_)).parameters
    parts = {name: part for name, part in offered.items() if name in wanted}
    model = construct(cfg.model.network, **parts)
    assert isinstance(model, nn.Module)
    return model


def build_run(cfg: DictConfig) -> Run:
    """Read the data and build everything that trains.

    Args:
        cfg: the checked configuration.
    """
    torch.manual_seed(cfg.seed)
    source = build_source(cfg)
    inputs: frozenset[Input] = frozenset(cfg.model.inputs)
    regions = build_regions(cfg, source) if "regions" in inputs else None
    splits = {name: source.read(name, regions) for name in SPLITS}
    encoders = build_encoders(cfg)
    model = build_model(cfg, encoders, source.types)
    loader = LoaderSettings(
        batch_size=cfg.trainer.batch_size,
        eval_batch_size=cfg.trainer.eval_batch_size,
        num_workers=cfg.trainer.num_workers,
        seed=cfg.seed,
        num_regions=cfg.regions.num,
        eval_num_regions=cfg.regions.eval_num,
        iou_threshold=cfg.regions.iou_threshold,
    )
    features = None
    if "regions" in inputs and not learns(encoders.vision_encoder):
        features = _cached_features(splits, encoders, loader, source, Path(cfg.cache))
    types = tuple(source.types)
    data = GroundedData(
        splits=splits,
        types=types,
        tokenizer=encoders.tokenizer,
        inputs=inputs,
        pixels=encoders.pixels,
        loader=loader,
        features=features,
        pictures={name: source.pictures(split) for name, split in splits.items()},
    )
    saw_pixels = any(e.image is not None for split in splits.values() for e in split.examples)
    module = GroundedModule(
        model=model,
        loss=construct(cfg.model.loss, matcher=construct(cfg.model.matcher)),
        decoder=construct(cfg.model.decode, types=types),
        optim=OptimSettings(**construct(cfg.optim)),
        metrics={name: GroundedF1(gold=data.gold(name), types=types) for name in ("dev", "test")},
        select="gmner" if saw_pixels else "mner",
    )
    return Run(source=source, data=data, module=module, saw_pixels=saw_pixels)


def _region_settings(cfg: DictConfig) -> dict[str, Any]:
    """How ``cfg.regions`` wants candidates encoded; a tree without candidates says nothing."""
    if cfg.regions is None:
        return {}
    settings = {"region_encoder": cfg.regions.get("encoder"), "crop": cfg.regions.get("crop")}
    return {name: value for name, value in settings.items() if value is not None}


def learns(module: nn.Module) -> bool:
    """Whether any parameter does."""
    return any(p.requires_grad for p in module.parameters())


def _cached_features(
    splits: Mapping[str, Split],
    encoders: Encoders,
    loader: LoaderSettings,
    source: DataSource,
    folder: Path,
) -> dict[str, RegionFeatures]:
    """Vectors of the frozen encoder for every candidate, computed once and kept on disk."""
    encoder = encoders.vision_encoder
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encode = frozen_encoder(encoder, device)
    fingerprint = source.fingerprint()
    return {
        name: region_features(
            split.examples,
            encode=encode,
            pixels=encoders.pixels,
            num_regions=max(loader.num_regions, loader.eval_num_regions),
            folder=folder,
            identity=f"{fingerprint}|{encoder.identity}",
            label=name,
            picture_of=source.pictures(split),
        )
        for name, split in splits.items()
    }


def frozen_encoder(encoder: VisionEncoder, device: torch.device) -> Encode:
    """Region vectors of a vision encoder that does not learn, computed on ``device``."""
    encoder.eval()

    @torch.inference_mode()
    def encode(pixels: Tensor, boxes: Tensor | None) -> Tensor:
        encoder.to(device)
        if boxes is None:
            return encoder.vector(pixels.to(device)).float().cpu()
        feature_map = encoder.feature_map(pixels.to(device))
        return roi_vectors(feature_map, boxes[None].to(device))[0].float().cpu()

    return encode
