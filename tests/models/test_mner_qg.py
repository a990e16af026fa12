"""MNER-QG as a whole: every row of docs/mner_qg.md trains a step; edges; learning by heart."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gmbench.config import compose, parse
from gmbench.config.instantiate import construct
from gmbench.core.entities import Example
from gmbench.lifecycle.build import build_encoders, build_model
from gmbench.nn.text import tiny_text, tiny_tokenizer
from gmbench.nn.vision import tiny_vision
from gmbench.scoring.counting import region_right
from models.mner_qg import MNERQG
from tests.models.bench import Bench, bench_of, step_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "mner_qg.md"
ROWS = re.findall(r"^\| (.+?) \|.*`(model[./][^`]+)` \|$", PAGE.read_text(), flags=re.M)

PARENTS = ("Person", "Location", "Building", "Organization", "Product", "Art", "Event", "Other")


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Bench:
    """Its tweets: the shortest of those with more than one entity."""

    def first(example: Example) -> int:
        return len(example.words) if len(example.entities) > 1 else 10_000

    return bench_of("mner_qg", tmp_path_factory.mktemp("world"), first)


def test_the_page_lists_switches_and_ablations():
    assert len(ROWS) >= 15
    assert sum("weight=0" in overrides for _, overrides in ROWS) >= 4


@pytest.mark.parametrize(("name", "overrides"), ROWS, ids=[f"{n} {o}" for n, o in ROWS])
def test_every_row_of_the_page_trains_a_step(name, overrides, bench):
    settings, model, batch = step_of(bench, overrides)
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, f"{parameter_name} gets no gradient"
        assert parameter.grad.isfinite().all()
    decoder = construct(settings.model.decode, types=("A", "B", "C", "D"))
    assert len(decoder(model.eval()(batch), batch)) == 2


def test_it_answers_for_the_eight_parent_types(bench):
    texts = bench.run.module.model.queries
    cfg = compose([*bench.overrides])
    model = MNERQG(
        text_encoder=tiny_text(),
        tokenizer=tiny_tokenizer(),
        vision_encoder=tiny_vision(),
        type_names=PARENTS,
        type_queries=cfg.model.network.type_queries,
    ).eval()
    with torch.no_grad():
        outputs = model(bench.batch)
    assert len(texts) == 4
    assert outputs.type_logits.shape == (4, 8, 9)
    assert outputs.match_logits.shape[:2] == outputs.boxes.shape[:2] == (4, 8)
    # Softmax over classes is the sigmoid of the query's own log-odds.
    own = outputs.type_logits.softmax(dim=-1).diagonal(offset=1, dim1=1, dim2=2)
    torch.testing.assert_close(own, outputs.exists_logits.sigmoid())


def test_spans_do_not_depend_on_padding_or_on_the_pixels_of_a_missing_image(bench):
    """What the contract test does for the fields that all models share."""
    model, batch = bench.run.module.model.double().eval(), bench.batch
    batch = batch.map(lambda t: t.double() if t.is_floating_point() else t)
    blind = replace(batch, image_mask=torch.zeros_like(batch.image_mask))
    longer = replace(
        batch,
        input_ids=torch.nn.functional.pad(batch.input_ids, (0, 4), value=3),
        token_mask=torch.nn.functional.pad(batch.token_mask, (0, 4)),
        word_index=torch.nn.functional.pad(batch.word_index, (0, 4), value=-1),
        word_mask=torch.nn.functional.pad(batch.word_mask, (0, 3)),
        targets=None,
    )
    words = batch.word_mask.shape[1]
    with torch.no_grad():
        short, long = model(batch).match_logits, model(longer).match_logits
        one, two = model(blind), model(replace(blind, pixels=torch.randn_like(batch.pixels)))
        none = model(replace(blind, pixels=None))
    model.float()
    torch.testing.assert_close(short, long[..., :words, :words], atol=1e-5, rtol=0)
    assert (long[..., words:] < -1e3).all()
    for name in ("match_logits", "exists_logits", "boxes", "no_target_logits"):
        torch.testing.assert_close(getattr(one, name), getattr(two, name), atol=1e-5, rtol=0)
    for name in ("match_logits", "exists_logits", "no_target_logits"):
        torch.testing.assert_close(getattr(one, name), getattr(none, name), atol=1e-5, rtol=0)


def test_more_entities_than_spans(bench):
    """One word and many gold entities on it: finite, and one answer at most."""
    module, batch = bench.run.module.train(), bench.batch
    one = torch.zeros_like(batch.word_mask)
    one[:, 0] = True
    zeros = torch.zeros_like(batch.targets.starts)
    crowd = replace(batch, word_mask=one, targets=replace(batch.targets, starts=zeros, ends=zeros))
    assert int(crowd.targets.mask.sum(dim=1).max()) > 1
    total = module.loss(module.model(crowd), crowd).total
    total.backward()
    assert total.isfinite()
    module.zero_grad()
    with torch.no_grad():
        answers = module.decoder(module.model.eval()(crowd), crowd)
    assert all(len(found) <= 1 for found in answers)


def test_attention_comes_on_demand_and_sums_to_one(bench):
    model, batch = bench.run.module.model.eval(), bench.batch
    with torch.no_grad():
        plain, shown = model(batch), model(batch, attention=True)
    assert plain.attention is None
    weights = shown.attention.query_to_patch
    assert weights.shape == (4, 4, 144)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones_like(weights[..., 0]))


def test_overfits_four_tweets(bench):
    """Every gold span, and of every type the region that one box a type can give."""
    torch.manual_seed(1)
    module, batch = bench.run.module, bench.batch
    settings = parse(compose(bench.overrides))
    model = build_model(
        settings.model.network,
        build_encoders(settings.encoders, settings.regions),
        bench.run.source.types,
    )
    module._trainer = SimpleNamespace(current_epoch=0)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    rows = {e.id: e.entities for e in bench.run.data.splits["train"].examples}
    gold = [(name, e) for name in batch.ids for e in rows[name]]
    for step in range(1, 121):
        model.train()
        optimizer.zero_grad()
        module.loss(model(batch), batch).total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 10:
            continue
        with torch.no_grad():
            answers = dict(zip(batch.ids, module.decoder(model.eval()(batch), batch), strict=True))
        named = {(name, p.start, p.end, p.type): p for name in batch.ids for p in answers[name]}
        wanted = {(name, e.start, e.end, e.type) for name, e in gold}
        # An entity whose type shows another entity's box is out of reach: look at the others.
        alone = [(name, e) for name, e in gold if sum(x.type == e.type for x in rows[name]) == 1]
        if set(named) == wanted and all(
            region_right(named[name, e.start, e.end, e.type].box, e.boxes) for name, e in alone
        ):
            assert alone
            return
    pytest.fail(f"{len(wanted & set(named))} of {len(wanted)} gold spans after {step} steps")
