"""MNER-QG as a whole: other types, missing images, more entities than spans."""

from dataclasses import replace

import pytest
import torch

from gmbench.config import compose
from gmbench.nn.text import tiny_text, tiny_tokenizer
from gmbench.nn.vision import tiny_vision
from models.mner_qg import MNERQG
from tests.models.bench import Bench, bench_of

PARENTS = ("Person", "Location", "Building", "Organization", "Product", "Art", "Event", "Other")


@pytest.fixture(scope="module")
def bench(world) -> Bench:
    return bench_of("mner_qg", world)


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
