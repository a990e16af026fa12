"""H-Index: only well-formed sequences, the best of them, and the loss of each token."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from gmbench.core.tensors import MASKED, Batch
from gmbench.objective.costs import TypeCost
from gmbench.objective.matcher import HungarianMatcher
from models.hindex import HIndex, SequenceLoss
from models.hindex.decoder import Memory, PointerDecoder
from models.hindex.model import written
from models.hindex.search import SearchSettings, after_gold, search
from tests.models.bench import Bench, bench_of, fresh

TYPES = 3


class Noise:
    """Scores every token at random, padding and masked slots included."""

    def states(self, memory: Memory, entities: Tensor) -> Tensor:
        return torch.zeros(*entities.shape, 1)

    def scores(self, memory: Memory, states: Tensor, field: int) -> Tensor:
        words, slots = memory.word_mask.shape[1], memory.region_mask.shape[1]
        return 4 * torch.randn(len(states), 1, (words + 1, words, TYPES, slots)[field])


def random_memory(rows: int, *, words: int, slots: int, width: int = 1, full: bool = False):
    """Random states of examples of different lengths."""
    counts = torch.randint(1, words + 1, (rows, 1)), torch.randint(1, slots + 1, (rows, 1))
    masks = [
        torch.arange(size) < (size if full else count)
        for size, count in zip((words, slots), counts, strict=True)
    ]
    return Memory(
        words=torch.randn(rows, words, width),
        word_mask=masks[0].expand(rows, -1),
        regions=torch.randn(rows, slots, width),
        region_mask=masks[1].expand(rows, -1),
    )


def small_decoder(seed: int, most: int = 2) -> PointerDecoder:
    torch.manual_seed(seed)
    decoder = PointerDecoder(
        width=8, num_types=2, layers=1, heads=2, dropout=0.0, max_entities=most
    )
    return decoder.double().eval()


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize(("span", "most"), [(12, 12), (2, 3)])
def test_no_ill_formed_entity_from_ten_thousand_random_logits(beam, span, most):
    """2,500 sequences under each of four settings."""
    torch.manual_seed(beam + span)
    memory = random_memory(2500, words=7, slots=4)
    settings = SearchSettings(beam=beam, max_span=span, max_entities=most)
    found = search(Noise(), memory, settings)
    words, slots = memory.word_mask.sum(1).tolist(), memory.region_mask.sum(1).tolist()
    lengths = set()
    for b, sequence in enumerate(found.entities.tolist()):
        assert len(sequence) == most
        entities = [entity for entity in sequence if entity[2]]
        assert all(not any(rest) for rest in sequence[len(entities) :])  # nothing behind the end
        for first, last, type_, slot in entities:
            assert 0 <= first <= last < words[b]
            assert last - first < span
            assert 1 <= type_ <= TYPES
            assert 0 <= slot < slots[b]
        spans = sorted((first, last) for first, last, *_ in entities)
        assert all(before[1] < after[0] for before, after in pairwise(spans))
        lengths.add(len(entities))
    assert {0, 1, 2, 3} <= lengths
    assert (found.total <= 0).all()


def probability(decoder: PointerDecoder, memory: Memory, before: tuple, tokens: tuple) -> float:
    """Log-probability of an entity's tokens (or of none: the end), slowly and one by one.

    Two words, two types and two slots.
    """
    total, taken = 0.0, {w for first, last, *_ in before for w in range(first, last + 1)}
    for field in range(4):
        entity = [*tokens[:field], *[0] * (4 - field)]
        states = decoder.states(memory, torch.tensor([[*map(list, before), entity]]))
        logits = decoder.scores(memory, states[:, -1:, field], field)[0, 0].tolist()
        if field == 0:
            options = [0, *(1 + w for w in range(2) if w not in taken)]
        elif field == 1:
            options = [w for w in range(tokens[0], 2) if not set(range(tokens[0], w + 1)) & taken]
        else:
            options = [0, 1]
        chosen = 0 if not tokens else (tokens[0] + 1, tokens[1], tokens[2] - 1, tokens[3])[field]
        some = torch.tensor([logits[o] for o in options], dtype=torch.float64)
        total += logits[chosen] - float(some.logsumexp(0))
        if not tokens:
            break
    return total


def every_sequence(
    decoder: PointerDecoder, memory: Memory, before: tuple = (), total: float = 0.0
) -> Iterator[tuple[tuple, float]]:
    """All well-formed sequences of at most two entities, each with its log-probability."""
    taken = {w for first, last, *_ in before for w in range(first, last + 1)}
    if len(before) == 2:
        yield before, total
        return
    yield before, total + probability(decoder, memory, before, ())
    for first in range(2):
        for last in range(first, 2):
            if set(range(first, last + 1)) & taken:
                continue
            for type_ in (1, 2):
                for slot in (0, 1):
                    entity = (first, last, type_, slot)
                    more = probability(decoder, memory, before, entity)
                    yield from every_sequence(decoder, memory, (*before, entity), total + more)


@torch.no_grad()
@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_the_best_of_all_sequences(seed):
    decoder = small_decoder(seed)
    memory = random_memory(1, words=2, slots=2, width=8, full=True).map(
        lambda t: t.double() if t.is_floating_point() else t
    )
    every = dict(every_sequence(decoder, memory))
    assert len(every) == 45
    assert torch.tensor(list(every.values())).exp().sum() == pytest.approx(1.0)
    best = max(every, key=every.__getitem__)
    found = search(decoder, memory, SearchSettings(beam=45, max_entities=2))
    assert tuple(tuple(e) for e in found.entities[0].tolist() if e[2]) == best
    assert float(found.total[0]) == pytest.approx(every[best])


@torch.no_grad()
def test_a_beam_of_one_is_greedy():
    decoder = small_decoder(5, most=4)
    memory = random_memory(20, words=6, slots=3, width=8).map(
        lambda t: t.double() if t.is_floating_point() else t
    )
    found = search(decoder, memory, SearchSettings(beam=1, max_span=3, max_entities=4))
    lengths = set()
    for b in range(20):
        alone = memory.map(lambda t, b=b: t[b : b + 1])
        words, slots = int(alone.word_mask.sum()), int(alone.region_mask.sum())
        entities: list[list[int]] = []
        while len(entities) < 4:
            taken = {w for first, last, *_ in entities for w in range(first, last + 1)}
            entity = [0, 0, 0, 0]
            for field in range(4):
                states = decoder.states(alone, torch.tensor([[*entities, entity]]))
                logits = decoder.scores(alone, states[:, -1:, field], field)[0, 0].tolist()
                if field == 0:
                    options = [-1, *(w for w in range(words) if w not in taken)]
                    logits = dict(zip(range(-1, len(logits) - 1), logits, strict=True))
                elif field == 1:
                    reach = range(entity[0], min(words, entity[0] + 3))
                    options = [w for w in reach if not set(range(entity[0], w + 1)) & taken]
                else:
                    options = range(2 if field == 2 else slots)
                entity[field] = max(options, key=lambda o: logits[o])
                if entity[0] < 0:
                    break
                entity[2] += field == 2
            if entity[0] < 0:
                break
            entities.append(entity)
        assert [e for e in found.entities[b].tolist() if e[2]] == entities
        lengths.add(len(entities))
    assert len(lengths) > 1


@pytest.fixture(scope="module")
def bench(world) -> Bench:
    return bench_of("hindex", world)


def quiet(bench: Bench, overrides: str = "") -> HIndex:
    """A new model in training, without any noise in it."""
    torch.manual_seed(0)
    _, model = fresh(bench, f"model.network.feature_dropout=0 {overrides}")
    model.train().text_encoder.eval()
    return model


def crowded(bench: Bench) -> Batch:
    """Four tweets: of those with most entities the shortest."""
    data = bench.run.data.dataset("train")
    size = [(-len(example.entities), len(example.words)) for example in data.examples]
    chosen = sorted(range(len(data)), key=size.__getitem__)[:4]
    return bench.run.data.train_dataloader().collate_fn([data[i] for i in chosen])


@torch.no_grad()
def test_the_loss_is_that_of_each_token_after_gold(bench):
    model, batch = quiet(bench), crowded(bench)
    targets, memory = batch.targets, model.read(batch)
    loss = SequenceLoss(type=0.7, span=1.3, region=2.0)(model(batch), targets, None)
    means: list[list[float]] = [[], [], [], []]
    for b in range(4):
        alone = memory.map(lambda t, b=b: t[b : b + 1])
        gold = sorted(torch.nonzero(targets.mask[b]).flatten(), key=lambda g: targets.starts[b, g])
        entities: list[list[int]] = []
        for g in (*gold, None):
            row = [0, 0, 0, 0]
            for field in range(4):
                states = model.decoder.states(alone, torch.tensor([[*entities, row]]))
                chance = model.decoder.scores(alone, states[:, -1:, field], field)[0, 0].softmax(-1)
                if field == 0 and g is None:
                    means[2].append(-float(chance[0].log()))
                    break
                if field == 0:
                    row[0] = int(targets.starts[b, g])
                    go = float((1 - chance[0]).log())
                    means[0].append(-float((chance[1 + row[0]] / chance[1:].sum()).log()))
                elif field == 1:
                    row[1] = int(targets.ends[b, g])
                    means[1].append(-float(chance[row[1]].log()))
                elif field == 2:
                    row[2] = int(targets.types[b, g])
                    means[2].append(-go - float(chance[row[2] - 1].log()))
                else:
                    shown = targets.regions[b, g]
                    row[3] = int(shown.nonzero()[0]) if shown.any() else -1
                    if shown.any():
                        means[3].append(-float(chance[shown].sum().log()))
            entities.append(row)
    assert len(means[0]) >= 8
    first, last, types, region = (sum(values) / len(values) for values in means)
    slow = 1.3 * (first + last) + 0.7 * types + 2.0 * region
    assert float(loss) == pytest.approx(slow, rel=1e-4)


def test_an_order_is_drawn_once_for_each_example_as_for_other_models(bench):
    batch = crowded(bench)
    rows = {}
    for seed in (3, 4):
        model = quiet(bench, f"model.order=drawn seed={seed}")
        with torch.no_grad():
            outputs = model(batch)
            assert torch.equal(model(batch).gold, outputs.gold)
        matcher = HungarianMatcher(
            terms={"type": TypeCost()}, solver="drawn_order", order_seed=seed
        )
        (matching,) = matcher([outputs], batch.targets, batch.ids)
        assert torch.equal(matching.gold, outputs.gold)  # MQSPN is taught the same
        rows[seed] = outputs.gold
    assert not torch.equal(rows[3], rows[4])
    with torch.no_grad():
        starts = batch.targets.starts.gather(1, quiet(bench)(batch).gold.clamp(min=0))
    real = rows[3] >= 0
    assert all(list(row[mine]) == sorted(row[mine]) for row, mine in zip(starts, real, strict=True))


def test_a_share_of_the_gold_entities_is_replaced_by_the_models_own(bench):
    batch, shares = crowded(bench), {}
    for share in (0.0, 0.5, 1.0):
        model = quiet(bench, f"model.scheduled_sampling={share}")
        gold = written(batch.targets, model._order(batch.targets, batch.ids))
        real = gold[..., 2] > 0
        with torch.no_grad():
            mixed = model._mixed(model.read(batch), gold)
        assert torch.equal(mixed[~real], gold[~real])
        assert (mixed[..., 1] >= mixed[..., 0]).all()
        assert ((mixed[..., 2] > 0) == real).all()
        shares[share] = float((mixed[real] != gold[real]).any(dim=-1).float().mean())
        outputs = model(batch)
        SequenceLoss()(outputs, batch.targets, None).backward()
        assert torch.equal(outputs.gold[:, 0] >= 0, real[:, 0])  # what is taught stays gold
    assert shares[0.0] == 0 < shares[0.5] < shares[1.0]


def test_after_gold_entities_the_next_one_is_written(bench):
    batch, own = crowded(bench), bench.run.module.model
    own = own.eval()
    gold = written(batch.targets, own._order(batch.targets, batch.ids))
    with torch.no_grad():
        memory = own.read(batch)
        found = after_gold(own.decoder, memory, own.search, gold)
        first = search(own.decoder, memory, own.search).entities[:, 0]
        second = search(own.decoder, memory, own.search, given=gold[:, :1]).entities
    assert torch.equal(found.entities[:, 0], first)
    assert torch.equal(second[:, 0], gold[:, 0])
    assert torch.equal(found.entities[:, 1], second[:, 1])
    for b, count in enumerate((gold[..., 2] > 0).sum(dim=1).tolist()):
        assert not found.entities[b, count + 1 :].any()  # no gold to go on from
    model = quiet(bench, "model.network.prefix=gold").eval()
    with torch.no_grad(), pytest.raises(ValueError, match="prefix=gold needs batches with gold"):
        model(replace(batch, targets=None))


def test_what_cannot_be_read_taught_or_searched_is_said(bench):
    module, batch = bench.run.module, bench.batch
    with torch.no_grad():
        taught = module.model.train()(batch)
        free = module.model.eval()(replace(batch, targets=None))
    with pytest.raises(ValueError, match="in evaluation alone"):
        module.decoder(taught, batch)
    with pytest.raises(ValueError, match="of a batch with gold"):
        SequenceLoss()(free, batch.targets, None)
    with pytest.raises(ValueError, match="this batch has none"):
        module.model.train()(replace(batch, targets=None))
    with pytest.raises(ValueError, match="beam must be at least 1"):
        SearchSettings(beam=0)
    ended = free.entities[..., 2] == 0
    behind = ended & (ended.cumsum(dim=1) > 1)
    assert (free.type_logits[behind][:, 1:] == MASKED).all()
