"""Pretrains the small BERT: masked words, and the parent type of every word (head thrown away)."""

from random import Random
from typing import Any

import torch
import torch.nn.functional as F
from rich.progress import Progress
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import BertModel

from experiments.pretrain_tiny.recipe import Recipe
from experiments.pretrain_tiny.schedule import make_optimizer
from gmbench.data.synthetic.cast import PARENTS
from gmbench.data.synthetic.tweets import plan_sentence
from gmbench.data.synthetic.world import World
from gmbench.nn.text import TextEncoder, tiny_text_architecture

IGNORED = -100


def build_text(vocabulary: int) -> TextEncoder:
    """The architecture of the preset ``tiny``, freshly initialised."""
    model = BertModel(tiny_text_architecture(vocabulary), add_pooling_layer=False)
    return TextEncoder(model=model, identity="tiny text, in pretraining")


def text_data(recipe: Recipe, tokenizer: Tokenizer) -> list[tuple[list[int], list[int], list[int]]]:
    """Token ids, word indices (-1 = special) and BIO labels over the parents, a sentence each."""
    settings = recipe.text
    world = World(pool="pretrain", seed=recipe.seed, cast=settings.cast)
    lotteries = world.lotteries
    parents = tuple(PARENTS)
    rows = []
    for index in range(settings.sentences):
        rng = Random(f"{recipe.seed}/sentence/{index}")
        sentence = plan_sentence(dials=world, lotteries=lotteries, unseen=0.5, rng=rng)
        tags = [0] * len(sentence.words)
        for mention in sentence.mentions:
            first = 1 + 2 * parents.index(mention.subject.parent)
            for word in range(mention.start, mention.end + 1):
                tags[word] = first + (word > mention.start)
        encoding = tokenizer.encode(list(sentence.words), is_pretokenized=True)
        words = [-1 if word is None else word for word in encoding.word_ids]
        labels = [IGNORED if word < 0 else tags[word] for word in words]
        rows.append((encoding.ids, words, labels))
    return rows


def pretrain_text(recipe: Recipe, tokenizer: Tokenizer) -> tuple[TextEncoder, dict[str, float]]:
    """Train; the model and the mean losses of the last tenth of the steps."""
    settings = recipe.text
    torch.manual_seed(recipe.seed)
    rows = text_data(recipe, tokenizer)
    size, mask_id = tokenizer.get_vocab_size(), tokenizer.get_vocab()["[MASK]"]
    encoder = build_text(size)
    encoder.eval()  # no dropout: so short a training never overfits
    bert: Any = encoder.model
    width = encoder.width
    tagger = nn.Linear(width, 2 * len(PARENTS) + 1)
    transform = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
    parts = nn.ModuleList([encoder, tagger, transform])
    optimizer, schedule = make_optimizer(parts, settings.rate, settings.steps)
    generator = torch.Generator().manual_seed(recipe.seed)
    totals = {"masked_words": 0.0, "types": 0.0, "type_accuracy": 0.0}
    last = max(1, settings.steps // 10)
    with Progress(transient=True) as progress:
        task = progress.add_task("Text encoder", total=settings.steps)
        for step in range(settings.steps):
            chosen = torch.randint(len(rows), (settings.batch,), generator=generator).tolist()
            ids, words, labels = (
                _pad([rows[i][k] for i in chosen], fill)
                for k, fill in ((0, 0), (1, -1), (2, IGNORED))
            )
            hidden_ids, hidden = _mask(ids, words, mask_id, settings.masked, generator)
            states = bert(
                input_ids=hidden_ids,
                attention_mask=ids != 0,
                position_ids=_positions(ids, bert.config.max_position_embeddings, generator),
            ).last_hidden_state
            guess = transform(states[hidden]) @ bert.embeddings.word_embeddings.weight.T
            masked = F.cross_entropy(guess, ids[hidden])
            tags = tagger(states)
            types = F.cross_entropy(tags.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
            optimizer.zero_grad()
            (masked + types).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            progress.advance(task)
            if step >= settings.steps - last:
                named = labels > 0
                right = (tags.argmax(-1) == labels)[named].float().mean()
                for key, value in zip(totals, (masked, types, right), strict=True):
                    totals[key] += value.item() / last
    return encoder.eval(), totals


def _pad(rows: list[list[int]], fill: int) -> Tensor:
    """Rows of unequal length -> ``[B, T]``."""
    longest = max(map(len, rows))
    return torch.tensor([row + [fill] * (longest - len(row)) for row in rows])


def _positions(ids: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """``[1, T]``: from 0, but in one batch of four later, so that every position is learnt."""
    length = ids.shape[1]
    start = 0
    if torch.rand((), generator=generator) < 0.25:
        start = int(torch.randint(most - length + 1, (), generator=generator))
    return torch.arange(start, start + length)[None]


def _mask(
    ids: Tensor, words: Tensor, mask_id: int, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mask whole words: the new ids and where they were hidden, both ``[B, T]``."""
    lots = torch.rand(ids.shape[0], int(words.max()) + 1, generator=generator) < share
    hidden = torch.gather(lots, 1, words.clamp(min=0)) & (words >= 0)
    if not hidden.any():
        hidden[0, 1] = True
    kept = torch.rand(ids.shape, generator=generator) < 0.2
    return torch.where(hidden & ~kept, mask_id, ids), hidden
