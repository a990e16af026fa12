"""The pipeline: tags against brute force, regions by class, what each stage teaches."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from gmbench.config import compose, parse
from gmbench.core.errors import InputError
from gmbench.core.tensors import MASKED, Batch, Targets
from gmbench.data.bio import spans as slow_spans
from gmbench.lifecycle.build import build_run
from models.pipeline.grounding import DetectorTable
from models.pipeline.model import first_pieces
from models.pipeline.outputs import end_logits
from models.pipeline.tags import (
    Spans,
    Transitions,
    best_sequence,
    gold_sequence,
    gold_spans,
    log_partition,
    sequence_score,
    spans_of,
    well_formed,
)
from tests.models.bench import Bench, bench_of, fresh


def names(types: int) -> list[str]:
    return ["O", *(f"{part}-{t}" for t in range(1, types + 1) for part in "BI")]


def is_well_formed(tags: tuple[int, ...]) -> bool:
    """By the words of BIO: I of a type stands behind B or I of that type alone."""
    for before, tag in zip((0, *tags), tags, strict=False):
        if tag > 0 and tag % 2 == 0 and before not in (tag - 1, tag):
            return False
    return True


def sentences(types=2, words=4, batch=3, seed=0):
    """Scores and masks of random sentences, the last of one word."""
    torch.manual_seed(seed)
    tags = 2 * types + 1
    lengths = torch.tensor([words, words - 1, 1])
    mask = torch.arange(words)[None] < lengths[:, None]
    transitions = torch.randn(tags + 1, tags, dtype=torch.double)
    transitions = transitions.masked_fill(~well_formed(types), MASKED).expand(batch, -1, -1)
    return torch.randn(batch, words, tags, dtype=torch.double), transitions, mask


@pytest.mark.parametrize("types", [1, 2])
def test_partition_and_best_sequence_are_those_of_all_sequences(types):
    tags, transitions, mask = sentences(types)
    total, best = log_partition(tags, transitions, mask), best_sequence(tags, transitions, mask)
    for b, length in enumerate(mask.sum(dim=1).tolist()):
        scores = {}
        for sequence in product(range(2 * types + 1), repeat=length):
            before = (-1, *sequence[:-1])
            scores[sequence] = sum(
                float(tags[b, w, tag] + transitions[b, last + 1, tag])
                for w, (last, tag) in enumerate(zip(before, sequence, strict=True))
            )
        every = torch.tensor(list(scores.values()), dtype=torch.double)
        torch.testing.assert_close(total[b], every.logsumexp(dim=0))
        winner = max(scores, key=scores.get)
        assert tuple(best[b, :length].tolist()) == winner
        assert is_well_formed(winner)
        assert not best[b, length:].any()
        mine = sequence_score(tags, transitions, mask, best)[b]
        torch.testing.assert_close(mine, torch.tensor(scores[winner], dtype=torch.double))


def test_transitions_allow_what_bio_allows():
    for sequence in product(range(5), repeat=3):
        legal = well_formed(2)
        moves = zip((-1, *sequence[:-1]), sequence, strict=True)
        assert all(legal[a + 1, b] for a, b in moves) == is_well_formed(sequence)
    learned, fixed = Transitions(types=2, learned=True), Transitions(types=2, learned=False)
    assert torch.equal(learned(torch.zeros(1)), fixed(torch.zeros(1)))
    assert not list(fixed.parameters())


def test_entities_of_tags_are_those_of_the_slow_reader():
    generator = torch.Generator().manual_seed(1)
    tags = torch.randn(300, 7, 7, generator=generator)
    mask = torch.arange(7)[None] < torch.randint(1, 8, (300, 1), generator=generator)
    moves = Transitions(types=3, learned=False)(tags).expand(300, -1, -1)
    sequence = best_sequence(tags, moves, mask)
    found = spans_of(sequence, 5)
    for b, row in enumerate(sequence.tolist()):
        gold, stray = slow_spans([names(3)[tag] for tag in row])
        assert not stray
        count = min(5, len(gold))
        assert found.mask[b].tolist() == [True] * count + [False] * (5 - count)
        mine = zip(
            *(getattr(found, f)[b].tolist() for f in ("starts", "ends", "types")), strict=True
        )
        assert list(mine)[:count] == [(e.start, e.end, int(e.type)) for e in gold[:5]]


def test_gold_entities_become_tags_and_come_back_in_reading_order():
    gold = Targets(
        mask=torch.tensor([[True, True, False]]),
        types=torch.tensor([[2, 1, 0]]),
        starts=torch.tensor([[3, 0, 0]]),
        ends=torch.tensor([[5, 0, 0]]),
        boxes=torch.zeros(1, 3, 1, 4),
        box_mask=torch.zeros(1, 3, 1, dtype=torch.bool),
    )
    sequence = gold_sequence(gold, 7)
    assert [names(2)[tag] for tag in sequence[0]] == ["B-1", "O", "O", "B-2", "I-2", "I-2", "O"]
    taught, read = gold_spans(gold, 4), spans_of(sequence, 4)
    for field in ("mask", "types", "starts", "ends"):
        assert torch.equal(getattr(taught, field), getattr(read, field)), field


def test_a_word_has_the_state_of_its_first_piece():
    hidden = torch.randn(2, 6, 3)
    index = torch.tensor([[-1, 0, 0, 1, 2, -1], [-1, 0, 1, 1, -1, -1]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    found = first_pieces(hidden, index, mask)
    assert torch.equal(found[0], hidden[0, [1, 3, 4]])
    assert torch.equal(found[1, :2], hidden[1, [1, 2]])
    assert not found[1, 2].any()


def test_ends_have_the_probability_of_begin_inside_and_stop():
    tags = torch.randn(1, 5, 5)
    mask = torch.tensor([[True, True, True, True, False]])
    spans = Spans(*(torch.tensor([row]) for row in ([True, True], [2, 1], [0, 3], [1, 3])))
    start, end = end_logits(spans, tags, mask)
    share = tags[0].softmax(dim=-1)
    torch.testing.assert_close(start[0, 0, 0].sigmoid(), share[0, 3])
    torch.testing.assert_close(end[0, 0, 1].sigmoid(), share[1, 4] * (1 - share[2, 4]))
    torch.testing.assert_close(start[0, 1, 3].sigmoid(), share[3, 1])
    torch.testing.assert_close(end[0, 1, 3].sigmoid(), torch.tensor(1 - 1e-6))  # the last word
    assert (start > MASKED).sum() == (end > MASKED).sum() == 2


def shown(classes, boxes) -> Batch:
    """One sentence of one word under a picture of 100 x 100 with these candidates."""
    return Batch(
        ids=("a",),
        input_ids=torch.zeros(1, 1, dtype=torch.long),
        token_mask=torch.ones(1, 1, dtype=torch.bool),
        word_index=torch.zeros(1, 1, dtype=torch.long),
        word_mask=torch.ones(1, 1, dtype=torch.bool),
        image_sizes=torch.full((1, 2), 100.0),
        image_mask=torch.ones(1, dtype=torch.bool),
        region_mask=torch.ones(1, len(boxes) + 1, dtype=torch.bool),
        region_boxes=torch.tensor([[[0.0] * 4, *boxes]]),
        region_classes=classes and (classes,),
    )


@pytest.mark.parametrize(("choice", "person"), [("best", 2), ("largest", 4)])
def test_a_table_chooses_the_candidate_of_the_class(choice, person):
    batch = shown(
        ("dog", "Person", "car", "man"),
        [(0.0, 0.0, 99.0, 99.0), (0.0, 0.0, 9.0, 9.0), (0.0, 0.0, 5.0, 5.0), (0.0, 0.0, 9.0, 50.0)],
    )
    table = DetectorTable(
        type_names=("Location", "Person", "Product", "Event"),
        classes={"Person": ["person", "man"], "Product": ["CAR"], "Location": ["city"]},
        choice=choice,
    )
    types = torch.tensor([[2, 3, 1, 4, 0]])  # Event has no row, city is not seen, 0 is padding
    zero = torch.zeros_like(types)
    logits = table(Spans(types > 0, types, zero, zero), batch)
    assert logits.argmax(dim=-1).tolist() == [[person, 3, 0, 0, 0]]


def test_a_table_needs_classes_where_there_are_candidates():
    table = DetectorTable(type_names=("Person",), classes={"Person": ["man"]}, choice="best")
    one = torch.ones(1, 1, dtype=torch.long)
    spans = Spans(one > 0, one, one * 0, one * 0)
    with pytest.raises(InputError, match="set regions=ssd"):
        table(spans, shown(None, [(0.0, 0.0, 9.0, 9.0)]))
    assert table(spans, shown(None, [])).argmax(dim=-1).tolist() == [[0]]


@pytest.fixture(scope="module")
def bench(world) -> Bench:
    return bench_of("pipeline", world)


@pytest.mark.parametrize("joint", [True, False])
def test_what_each_stage_teaches(bench, joint):
    _, model = fresh(bench, f"model.network.joint={str(joint).lower()}")
    loss, batch = bench.run.module.loss, bench.batch
    taught = {}
    for name, term in loss.terms.items():
        model.train().zero_grad(set_to_none=True)
        term(model(batch), batch.targets, None).backward()
        taught[name] = {
            part
            for part, module in model.named_children()
            if any(p.grad is not None and p.grad.any() for p in module.parameters())
        }
    assert taught["tags"] == {"text_encoder", "tags", "transitions"}
    encoder = "text_encoder" if joint else "second_encoder"
    assert taught["grounding"] == {encoder, "grounding"}


def test_training_grounds_gold_spans_and_evaluation_its_own(bench):
    model, batch = bench.run.module.model, bench.batch
    gold = int(batch.targets.mask.sum())
    with torch.no_grad():
        train, test = model.train()(batch), model.eval()(batch)
    starts = [row.argmax() for row in train.start_logits[0] if row.max() > MASKED]
    assert sorted(starts) == sorted(batch.targets.starts[0][batch.targets.mask[0]])
    assert int((train.type_logits.argmax(dim=-1) > 0).sum()) == gold
    sequence = best_sequence(test.tag_logits, test.transitions, batch.word_mask)
    assert int((test.type_logits.argmax(dim=-1) > 0).sum()) == int((sequence % 2 == 1).sum())


def test_zero_shot_reads_classes_and_no_pixel(bench, tmp_path, monkeypatch):
    """From files of candidates with classes to answers; nothing of the image is ever decoded."""
    source = bench.run.source
    for npz in (source.folder / "vinvl").glob("*.npz"):
        with np.load(npz) as arrays:
            kept = dict(arrays)
        kept["objects"] = np.array(["person"] * len(kept["bounding_boxes"]))
        np.savez(tmp_path / npz.name, **kept)
    for name in ("crops", "whole"):
        monkeypatch.setattr(f"gmbench.data.dataset.{name}", None)
    asked = [
        *("model.network.grounding=zero_shot", f"regions.source.folder={tmp_path}"),
        *(f"data.root={source.folder}", "data.world=null"),
    ]
    run = build_run(parse(compose([*bench.overrides, *asked])))
    batch = next(iter(run.data.val_dataloader()))
    assert batch.region_features is batch.region_pixels is batch.pixels is None
    assert {name for row in batch.region_classes for name in row} == {"person"}
    assert "vision_encoder" not in dict(run.module.model.named_modules())
    run.module.loss(run.module.model.train()(batch), batch).total.backward()
    people = Spans(*(torch.ones(len(batch), 1, dtype=torch.long) for _ in range(4)))
    found = run.module.model.grounding(people, batch).argmax(dim=-1)[:, 0]
    assert found.tolist() == batch.region_mask[:, 1:].any(dim=1).long().tolist()


def test_more_entities_than_words_stay_finite_and_answer_once(bench):
    """One word with many gold entities on it."""
    module, batch = bench.run.module.train(), bench.batch
    one = torch.zeros_like(batch.word_mask)
    one[:, 0] = True
    zeros = torch.zeros_like(batch.targets.starts)
    crowd = replace(batch, word_mask=one, targets=replace(batch.targets, starts=zeros, ends=zeros))
    total = module.loss(module.model(crowd), crowd).total
    total.backward()
    assert total.isfinite()
    module.zero_grad()
    with torch.no_grad():
        answers = module.decoder(module.model.eval()(crowd), crowd)
    assert all(len(found) <= 1 for found in answers)
