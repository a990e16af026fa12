"""Where an entity is in the image: a learnt score for each candidate, or the detector's class."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from gmbench.core.errors import InputError
from gmbench.core.tensors import MASKED, Batch
from gmbench.nn.layers import CrossBlock, PairScores
from gmbench.nn.regions import region_vectors
from gmbench.nn.vision import VisionEncoder
from models.pipeline.tags import Spans

Choice = Literal["best", "largest"]


class LearnedGrounding(nn.Module):
    """Scores each candidate, and the blank image, for the state of each span.

    Args:
        vision_encoder: gives one vector a candidate; frozen unless ``train_vision``.
        width: of the words.
        types: C.
        heads: of the attention.
        layers: blocks in which candidates hear each other and the words.
        dropout: on region vectors.
        train_vision: let the vision encoder learn.
    """

    def __init__(
        self,
        *,
        vision_encoder: VisionEncoder,
        width: int,
        types: int,
        heads: int,
        layers: int,
        dropout: float,
        train_vision: bool,
    ) -> None:
        super().__init__()
        self.vision_encoder = vision_encoder.requires_grad_(train_vision)
        self.train_vision = train_vision
        self.vector = nn.Linear(vision_encoder.width, width)
        self.place = nn.Linear(4, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(CrossBlock(width=width, heads=heads) for _ in range(layers))
        self.kind = nn.Embedding(types + 1, width)
        self.span = nn.Linear(3 * width, width)
        self.score = PairScores(width=width)

    def forward(self, words: Tensor, spans: Spans, batch: Batch) -> Tensor:
        """Logits ``[B, N, K + 1]``.

        Args:
            words: ``[B, W, D]``.
            spans: N a sentence.
            batch: with candidate slots.
        """
        assert batch.region_mask is not None
        regions = self._regions(batch)  # [B, K + 1, D]
        seen = torch.cat([batch.region_mask, batch.word_mask], dim=1)  # [B, K + 1 + W]
        for block in self.blocks:
            regions = block(regions, torch.cat([regions, words], dim=1), seen)
        state = self.span(span_states(words, spans)) + self.kind(spans.types)  # [B, N, D]
        scores: Tensor = self.score(state, regions, batch.region_mask)  # [B, N, K + 1, 1]
        return scores[..., 0]

    def _regions(self, batch: Batch) -> Tensor:
        """Vectors of the candidates with their places, ``[B, K + 1, D]``."""
        with torch.set_grad_enabled(self.train_vision and torch.is_grad_enabled()):
            vectors = region_vectors(self.vision_encoder, batch)  # [B, K + 1, Dv]
        place = self.place(shares(batch).to(vectors.dtype))
        regions: Tensor = self.dropout(self.norm(self.vector(vectors) + place))
        return regions


class DetectorTable:
    """Chooses among the candidates of an entity's classes; nothing is learnt, no pixel is read.

    Args:
        type_names: names of the types, in class order.
        classes: a detector's names of classes by the type's name; upper or lower case is the same.
        choice: the candidate of the best score, or the largest.
    """

    def __init__(
        self,
        *,
        type_names: Sequence[str],
        classes: Mapping[str, Sequence[str]],
        choice: Choice,
    ) -> None:
        lower = {name: {c.casefold() for c in known} for name, known in classes.items()}
        self.classes = (set[str](), *(lower.get(name, set()) for name in type_names))
        self.choice = choice

    def __call__(self, spans: Spans, batch: Batch) -> Tensor:
        """Logits ``[B, N, K + 1]``: slot 0 is the likeliest where no candidate fits.

        Raises:
            InputError: the candidates have no classes.
        """
        assert batch.region_mask is not None
        assert batch.region_boxes is not None
        names, real = batch.region_classes, batch.region_mask
        if names is None and real[:, 1:].any():
            raise InputError(
                "model.network.grounding=zero_shot needs the detector's class of each candidate, "
                "which these regions lack; set regions=ssd or regions=detector, or take VinVL's "
                "files with 'objects'"
            )
        fits = real.new_zeros(len(batch), len(self.classes), real.shape[1])  # [B, C + 1, K + 1]
        for row, found in enumerate(names or ()):
            for slot, name in enumerate(found, start=1):
                for type_, known in enumerate(self.classes):
                    fits[row, type_, slot] = name.casefold() in known
        if self.choice == "best":  # candidates come in that order
            value = -torch.arange(real.shape[1], device=real.device).float()[None]
        else:
            value = shares(batch)[..., 2:].prod(dim=-1)  # [B, K + 1]
        fits = fits.gather(1, spans.types[..., None].expand(-1, -1, real.shape[1]))  # [B, N, K + 1]
        logits = value[:, None].expand(fits.shape).masked_fill(~fits, MASKED)
        logits[..., 0] = MASKED / 2
        return logits


def span_states(words: Tensor, spans: Spans) -> Tensor:
    """First word, last word and mean of each span: ``[B, W, D]`` -> ``[B, N, 3 D]``."""
    start, end = spans.starts[..., None], spans.ends[..., None]  # [B, N, 1]
    place = torch.arange(words.shape[1], device=words.device)
    share = ((start <= place) & (place <= end)).to(words.dtype)  # [B, N, W]
    mean = share @ words / (end - start + 1)
    first, last = (words.gather(1, w.expand(-1, -1, words.shape[2])) for w in (start, end))
    return torch.cat([first, last, mean], dim=-1)


def shares(batch: Batch) -> Tensor:
    """Centre, width and height of the candidates in 0..1 of their pictures, ``[B, K + 1, 4]``."""
    assert batch.region_boxes is not None
    low, high = (batch.region_boxes / batch.image_sizes.repeat(1, 2)[:, None]).chunk(2, dim=-1)
    return torch.cat([(low + high) / 2, high - low], dim=-1)
