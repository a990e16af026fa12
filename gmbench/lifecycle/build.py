"""Settings -> built parts of a run: data, encoders, model, loss, training module."""

import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from hydra.utils import get_object
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from gmbench.config import schema
from gmbench.config.check import check_queries
from gmbench.config.instantiate import construct
from gmbench.core.errors import fault
from gmbench.data.datamodule import GroundedData, LoaderSettings
from gmbench.data.dataset import Input
from gmbench.data.examples import Split
from gmbench.data.features import Encode, RegionFeatures, region_features
from gmbench.data.fingerprint import Fingerprint, fingerprint
from gmbench.data.pixels import PixelSettings
from gmbench.data.source import SPLITS, DataSource
from gmbench.data.summary import unused_types
from gmbench.lifecycle.build_data import build_regions, build_source
from gmbench.nn.layers import roi_vectors
from gmbench.nn.text import TextEncoder
from gmbench.nn.vision import VisionEncoder
from gmbench.scoring.metric import GroundedF1
from gmbench.training.module import GroundedModule

log = logging.getLogger("gmbench")


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
        fingerprint: of the data and its candidates.
        data: loaders over the read splits.
        module: model, loss, decoder and metrics.
        saw_pixels: whether any example of any split has a picture.
    """

    source: DataSource
    fingerprint: Fingerprint
    data: GroundedData
    module: GroundedModule
    saw_pixels: bool


def build_encoders(encoders: schema.Encoders, regions: schema.Regions) -> Encoders:
    """Tokenizer and both encoders, weights loaded."""
    vision = construct(encoders.vision, "encoders.vision")
    pixels = PixelSettings(
        image_size=encoders.image_size,
        crop_size=encoders.crop_size,
        mean=tuple(vision.mean),
        std=tuple(vision.std),
        region_encoder=regions.encoder,
        crop=regions.crop,
    )
    return Encoders(
        text_encoder=construct(encoders.text, "encoders.text"),
        tokenizer=construct(encoders.tokenizer, "encoders.tokenizer"),
        vision_encoder=vision,
        pixels=pixels,
    )


def build_model(node: schema.Node, encoders: Encoders, types: Mapping[str, str]) -> nn.Module:
    """The network of ``model.network``, given whichever built parts its constructor names."""
    offered = {
        "text_encoder": encoders.text_encoder,
        "tokenizer": encoders.tokenizer,
        "vision_encoder": encoders.vision_encoder,
        "type_names": tuple(types.values()),
    }
    wanted = inspect.signature(get_object(node["_target_"])).parameters
    parts = {name: part for name, part in offered.items() if name in wanted}
    model = construct(node, "model.network", **parts)
    assert isinstance(model, nn.Module)
    return model


def pixels_of_regions(model: nn.Module, encoders: Encoders) -> PixelSettings:
    """How a model wants its pixels: none of candidates if it says ``region_vectors = False``."""
    reads = getattr(model, "region_vectors", True)
    return encoders.pixels if reads else replace(encoders.pixels, region_encoder="none")


def build_run(settings: schema.Settings) -> Run:
    """Read the data and build everything that trains.

    Raises:
        InputError: the data or the weights cannot be read, the model has fewer queries than some
            example has entities, or a text is too long for the encoder.
    """
    torch.manual_seed(settings.seed)
    source = build_source(settings)
    inputs: frozenset[Input] = frozenset(settings.model.inputs)
    regions = build_regions(settings, source)
    splits = {name: source.read(name, regions) for name in SPLITS}
    if source.limit is None and (unused := unused_types(splits.values(), source.types)):
        log.warning(unused)
    check_queries(settings, max(len(e.entities) for s in splits.values() for e in s.examples))
    found = fingerprint(source, splits, with_candidates=regions is not None)
    encoders = build_encoders(settings.encoders, settings.regions)
    model = build_model(settings.model.network, encoders, source.types)
    encoders = replace(encoders, pixels=pixels_of_regions(model, encoders))
    loader = LoaderSettings(
        batch_size=settings.trainer.batch_size,
        eval_batch_size=settings.trainer.eval_batch_size,
        num_workers=settings.trainer.num_workers,
        seed=settings.seed,
        num_regions=settings.regions.num,
        eval_num_regions=settings.regions.eval_num,
        iou_threshold=settings.regions.iou_threshold,
        timeout=settings.trainer.peer_timeout,
    )
    types = tuple(source.types)
    data = GroundedData(
        splits=splits,
        types=types,
        tokenizer=encoders.tokenizer,
        inputs=inputs,
        pixels=encoders.pixels,
        loader=loader,
        pictures={name: source.pictures(split) for name, split in splits.items()},
    )
    check_lengths(source, data, encoders.text_encoder.max_tokens(encoders.tokenizer))
    if "regions" in inputs and stored_vectors(encoders):
        data.features = _cached_features(
            splits, encoders, loader, source, found.data, Path(settings.cache)
        )
    # Without boxes nothing of grounding can be scored, whatever the model saw.
    saw_pixels = source.xml_dir is not None and any(
        e.image is not None for split in splits.values() for e in split.examples
    )
    module = GroundedModule(
        model=model,
        loss=construct(
            settings.model.loss,
            "model.loss",
            matcher=construct(settings.model.matcher, "model.matcher"),
        ),
        decoder=construct(settings.model.decode, "model.decode", types=types),
        optim=settings.optim,
        metrics={name: GroundedF1(gold=data.gold(name), types=types) for name in ("dev", "test")},
        select="gmner" if saw_pixels else "mner",
    )
    return Run(source=source, fingerprint=found, data=data, module=module, saw_pixels=saw_pixels)


def check_lengths(source: DataSource, data: GroundedData, limit: int) -> None:
    """Refuse texts of more than ``limit`` sub-words.

    Raises:
        InputError: naming the first of them.
    """
    too_long = [
        (split, example.id, len(row.ids))
        for split, rows in data.tokens.items()
        for example, row in zip(data.splits[split].examples, rows, strict=True)
        if len(row.ids) > limit
    ]
    if too_long:
        split, id_, size = too_long[0]
        rest = f" (and {len(too_long) - 1} more)" if too_long[1:] else ""
        raise fault(
            source.texts / f"{split}.txt",
            f"example {id_!r} has {size} sub-words, but the text encoder reads at most "
            f"{limit}{rest}",
            "shorten it, or set encoders=...",
        )


def stored_vectors(encoders: Encoders) -> bool:
    """Whether vectors of candidates are computed once and kept: those of a frozen encoder are."""
    return encoders.pixels.region_encoder != "none" and not learns(encoders.vision_encoder)


def learns(module: nn.Module) -> bool:
    """Whether any parameter does."""
    return any(p.requires_grad for p in module.parameters())


def _cached_features(
    splits: Mapping[str, Split],
    encoders: Encoders,
    loader: LoaderSettings,
    source: DataSource,
    fingerprint: str,
    folder: Path,
) -> dict[str, RegionFeatures]:
    """Vectors of the frozen encoder for every candidate, computed once and kept on disk."""
    encoder = encoders.vision_encoder
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encode = frozen_encoder(encoder, device)
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
    # Moved outside inference mode: what is moved inside it can never take part in training again.
    encoder.eval().to(device)

    @torch.inference_mode()
    def encode(pixels: Tensor, boxes: Tensor | None) -> Tensor:
        if boxes is None:
            return encoder.vector(pixels.to(device)).float().cpu()
        feature_map = encoder.feature_map(pixels.to(device))
        return roi_vectors(feature_map, boxes[None].to(device))[0].float().cpu()

    return encode
