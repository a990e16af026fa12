"""Models with random weights and random batches, at the papers' sizes or tiny: no download."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from timm.data import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from gmbench.config import compose, parse
from gmbench.config.instantiate import construct
from gmbench.config.schema import Settings
from gmbench.core.tensors import Batch
from gmbench.data.pixels import PixelSettings
from gmbench.lifecycle.build import Encoders, build_model
from gmbench.nn.text import TextEncoder, tiny_text_architecture, tiny_tokenizer
from gmbench.nn.vision import VisionEncoder, from_timm, tiny_vision_architecture
from gmbench.objective.losses import SetLoss
from gmbench.training.optimizer import build_optimizer
from tests.tensor_builders import make_batch, make_targets

TYPES = {"PER": "Person", "LOC": "Location", "ORG": "Organization", "OTHER": "Others"}


@dataclass(frozen=True, kw_only=True)
class Size:
    """Shapes of a measured step.

    Attributes:
        rows: B.
        pieces: T, sub-words with both special tokens; every row is full, so that baseline and
            step read the same.
        words: W.
        queries: Q.
        regions: K candidates (one slot more).
        pixels: side of the whole picture.
        paper: bert-base and ViT-B/32 in place of the shipped tiny architectures.
    """

    rows: int = 16
    pieces: int = 40
    words: int = 27
    queries: int = 60
    regions: int = 15
    pixels: int = 224
    paper: bool = True


PAPER = Size()
TINY = Size(rows=4, pieces=12, words=8, queries=8, regions=4, pixels=96, paper=False)
SIZES = {"paper": PAPER, "tiny": TINY}


def text_encoder(size: Size) -> TextEncoder:
    """The architecture of bert-base-cased, or the tiny one."""
    config = tiny_text_architecture(len(tiny_tokenizer()))
    if size.paper:
        config = BertConfig(vocab_size=28_996)
    return TextEncoder(model=BertModel(config, add_pooling_layer=False), identity="random")


def vision_encoder(size: Size) -> VisionEncoder:
    """ViT-B/32 at 224 pixels, or the tiny one."""
    vit = tiny_vision_architecture()
    if size.paper:
        vit = VisionTransformer(
            img_size=224, patch_size=32, num_classes=0, fc_norm=False, dynamic_img_size=True
        )
    return from_timm(vit, mean=OPENAI_CLIP_MEAN, std=OPENAI_CLIP_STD, identity="random")


def batch_of(size: Size, *, features: int | None, pixels: bool) -> Batch:
    """A random batch with 1 to 6 gold entities per example.

    Args:
        size: the shapes.
        features: width of the cached region vectors; None = no candidates.
        pixels: whether the whole picture is read.
    """
    g = torch.Generator().manual_seed(0)
    rows, slots = size.rows, size.regions + 1
    counts = torch.randint(1, 7, (rows,), generator=g).tolist()
    targets = make_targets(counts, words=size.words, types=len(TYPES), slots=slots)
    if features is None:
        targets = replace(targets, regions=None)
    word_index = torch.arange(size.pieces).sub(1).clamp(max=size.words - 1)
    word_index[-1] = -1
    batch = replace(
        make_batch(targets, rows=rows, words=size.words, slots=slots),
        input_ids=torch.randint(5, 500, (rows, size.pieces), generator=g),
        token_mask=torch.ones(rows, size.pieces, dtype=torch.bool),
        word_index=word_index.repeat(rows, 1),
    )
    if pixels:
        picture = torch.randn(rows, 3, size.pixels, size.pixels, generator=g)
        batch = replace(batch, pixels=picture)
    if features is None:
        return replace(batch, region_mask=None, region_boxes=None)
    return replace(batch, region_features=torch.randn(rows, slots, features, generator=g))


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A model ready to take training steps."""

    model: nn.Module
    loss: SetLoss
    optimizer: torch.optim.Optimizer
    clip: float | None
    batch: Batch

    def step(self, precision: str = "fp32") -> Tensor:
        """Take one training step, as the trainer does; return the loss."""
        device = self.batch.input_ids.device.type
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            outputs = self.model(self.batch)
        total = self.loss(outputs, self.batch).total
        total.backward()
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return total.detach()


def configuration(model: str, size: Size, overrides: Sequence[str] = ()) -> Settings:
    """The settings of a model with this size's queries, where it has a number of them."""
    network = compose([f"model={model}"]).model.network
    sized = [f"model.network.num_queries={size.queries}"] if "num_queries" in network else []
    return parse(compose([f"model={model}", *sized, *overrides]))


def build(settings: Settings, size: Size) -> Bench:
    """Model, loss and optimiser of a configuration, built by the code that builds a run's."""
    torch.manual_seed(0)
    vision = vision_encoder(size)
    pixels = PixelSettings(
        image_size=size.pixels, crop_size=size.pixels, mean=vision.mean, std=vision.std
    )
    encoders = Encoders(
        text_encoder=text_encoder(size),
        tokenizer=tiny_tokenizer(),
        vision_encoder=vision,
        pixels=pixels,
    )
    model = build_model(settings.model.network, encoders, TYPES).train()
    learns = frozenset(name for name, p in model.named_parameters() if p.requires_grad)
    reads = settings.model.inputs
    return Bench(
        model=model,
        loss=construct(settings.model.loss, matcher=construct(settings.model.matcher)),
        optimizer=build_optimizer(model, settings.optim, learns),
        clip=settings.optim.clip,
        batch=batch_of(
            size,
            features=vision.width if "regions" in reads else None,
            pixels="pixels" in reads,
        ),
    )
