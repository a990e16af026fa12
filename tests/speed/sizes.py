"""Encoders with random weights and random batches, at the papers' sizes or tiny: no download."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from omegaconf import DictConfig
from timm.data import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from gmbench.config import compose
from gmbench.config.instantiate import construct
from gmbench.core.tensors import Batch, Outputs, Targets
from gmbench.data.pixels import PixelSettings
from gmbench.lifecycle.build import Encoders, build_model
from gmbench.nn.text import TextEncoder, tiny_text_architecture, tiny_tokenizer
from gmbench.nn.vision import VisionEncoder, from_timm, tiny_vision_architecture
from gmbench.objective.losses import SetLoss
from gmbench.training.optimizer import OptimSettings, build_optimizer

TYPES = {"PER": "Person", "LOC": "Location", "ORG": "Organization", "OTHER": "Others"}


@dataclass(frozen=True, kw_only=True)
class Size:
    """Shapes of a measured step.

    Attributes:
        rows: B.
        pieces: T, sub-words with both special tokens; every row is full, so that the floor and
            the step read the same.
        words: W.
        queries: Q.
        regions: k candidates (slots are one more).
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
    """bert-base-cased's architecture, or the tiny one; random weights."""
    config = BertConfig(vocab_size=28_996) if size.paper else None
    config = config or tiny_text_architecture(len(tiny_tokenizer()))
    return TextEncoder(model=BertModel(config, add_pooling_layer=False), identity="random")


def vision_encoder(size: Size) -> VisionEncoder:
    """ViT-B/32 at 224 pixels, or the tiny one; random weights."""
    vit = tiny_vision_architecture()
    if size.paper:
        vit = VisionTransformer(
            img_size=224, patch_size=32, num_classes=0, fc_norm=False, dynamic_img_size=True
        )
    return from_timm(vit, mean=OPENAI_CLIP_MEAN, std=OPENAI_CLIP_STD, identity="random")


def batch_of(size: Size, *, features: int | None, pixels: bool, seed: int = 0) -> Batch:
    """A random batch with 1 to 6 gold entities a sample.

    Args:
        size: the shapes.
        features: width of the cached region vectors; None = no candidates.
        pixels: whether the whole picture is read.
        seed: of everything random.
    """
    g = torch.Generator().manual_seed(seed)
    rows, slots = size.rows, size.regions + 1
    counts = torch.randint(1, 7, (rows,), generator=g)
    word_index = torch.arange(size.pieces).sub(1).clamp(max=size.words - 1)
    word_index[0] = word_index[-1] = -1
    boxes = torch.rand(rows, slots, 4, generator=g) * 100
    boxes[..., 2:] += boxes[..., :2] + 1
    boxes[:, 0] = 0
    batch = Batch(
        ids=tuple(f"tweet{b}" for b in range(rows)),
        input_ids=torch.randint(5, 500, (rows, size.pieces), generator=g),
        token_mask=torch.ones(rows, size.pieces, dtype=torch.bool),
        word_index=word_index.repeat(rows, 1),
        word_mask=torch.ones(rows, size.words, dtype=torch.bool),
        image_sizes=torch.tensor([[400.0, 300.0]] * rows),
        image_mask=torch.ones(rows, dtype=torch.bool),
        targets=targets_of(counts, words=size.words, slots=slots if features else None, seed=seed),
    )
    if pixels:
        picture = torch.randn(rows, 3, size.pixels, size.pixels, generator=g)
        batch = replace(batch, pixels=picture)
    if features is not None:
        batch = replace(
            batch,
            region_mask=torch.ones(rows, slots, dtype=torch.bool),
            region_boxes=boxes,
            region_features=torch.randn(rows, slots, features, generator=g),
        )
    return batch


def targets_of(counts: Tensor, *, words: int, slots: int | None, seed: int = 0) -> Targets:
    """Random gold: ``counts[b]`` entities in sample b, every other one groundable."""
    g = torch.Generator().manual_seed(seed)
    rows, golds = len(counts), int(counts.max())
    mask = torch.arange(golds)[None] < counts[:, None]
    starts = torch.randint(0, words, (rows, golds), generator=g)
    lengths = torch.randint(0, 3, (rows, golds), generator=g)
    shown = mask & (torch.arange(golds)[None] % 2 == 0)
    regions = None
    if slots is not None:
        pick = torch.randint(1, slots, (rows, golds), generator=g)
        regions = nn.functional.one_hot(pick, slots).bool() & shown[..., None]
        regions[..., 0] = mask & ~shown
    return Targets(
        mask=mask,
        types=torch.randint(1, len(TYPES) + 1, (rows, golds), generator=g) * mask,
        starts=starts * mask,
        ends=(starts + lengths).clamp(max=words - 1) * mask,
        boxes=torch.rand(rows, golds, 1, 4, generator=g) * 0.3 + 0.2,
        box_mask=shown[..., None],
        regions=regions,
    )


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A model ready to take training steps.

    Attributes:
        pixels: whether it reads whole pictures.
    """

    model: nn.Module
    loss: SetLoss
    optimizer: torch.optim.Optimizer
    clip: float | None
    batch: Batch
    pixels: bool

    def step(self) -> Tensor:
        """One training step, as the trainer takes it; the loss."""
        return self.finish(self.model(self.batch))

    def finish(self, outputs: Outputs) -> Tensor:
        """What of a training step follows the forward pass; the loss."""
        total = self.loss(outputs, self.batch).total
        total.backward()  # type: ignore[no-untyped-call]
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return total.detach()


def configuration(model: str, size: Size, overrides: Sequence[str] = ()) -> DictConfig:
    """The configuration of ``model=NAME`` with this size's queries and further overrides.

    A model that asks one question a type has no number of queries to set.
    """
    sized = [f"model.network.num_queries={size.queries}"]
    if "num_queries" not in compose([f"model={model}"]).model.network:
        sized = []
    return compose([f"model={model}", *sized, *overrides])


def build(cfg: DictConfig, size: Size) -> Bench:
    """Model, loss and optimiser of a configuration, through the same code as a run's."""
    torch.manual_seed(0)
    vision = vision_encoder(size)
    encoders = Encoders(
        text_encoder=text_encoder(size),
        tokenizer=tiny_tokenizer(),
        vision_encoder=vision,
        pixels=PixelSettings(
            image_size=size.pixels, crop_size=size.pixels, mean=vision.mean, std=vision.std
        ),
    )
    model = build_model(cfg, encoders, TYPES).train()
    learns = frozenset(name for name, p in model.named_parameters() if p.requires_grad)
    optim = OptimSettings(**construct(cfg.optim))
    pixels = "pixels" in cfg.model.inputs
    return Bench(
        model=model,
        loss=construct(cfg.model.loss, matcher=construct(cfg.model.matcher)),
        optimizer=build_optimizer(model, optim, learns),
        clip=optim.clip,
        batch=batch_of(
            size,
            features=vision.width if "regions" in cfg.model.inputs else None,
            pixels=pixels,
        ),
        pixels=pixels,
    )
