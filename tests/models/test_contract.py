"""What every model in conf/model must keep, on the tiny encoders and a built-in world."""

from dataclasses import replace

import pytest
import torch
import torch.distributed as dist

from gmbench.config import compose, conf_dir, parse
from gmbench.core.tensors import Batch, Outputs
from gmbench.lifecycle.build import Run, build_run
from tests.faults.processes import joined
from tests.models.bench import SMALLER

MODELS = sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))


@pytest.fixture(scope="session", params=MODELS)
def run(request, world):
    """Five tweets at a time, of different lengths and with different numbers of entities."""
    data = ["data=synthetic_tiny", f"data.root={world}", f"cache={world}/cache"]
    small = ["trainer=debug", "trainer.eval_batch_size=5", *SMALLER.get(request.param, ())]
    return build_run(parse(compose([f"model={request.param}", *data, *small])))


def first_batch(run: Run) -> Batch:
    return next(iter(run.data.val_dataloader()))


def doubled(run: Run) -> torch.nn.Module:
    return run.module.model.double().eval()


def as_double(batch: Batch) -> Batch:
    return batch.map(lambda t: t.double() if t.is_floating_point() else t)


def padded(batch: Batch, words: int, pieces: int, slots: int) -> Batch:
    """The same batch with more padding everywhere."""

    def grow(t, n, value=0):
        if t is None:
            return None
        shape = list(t.shape)
        shape[1] = n
        return torch.cat([t, t.new_full(shape, value)], dim=1)

    return replace(
        batch,
        input_ids=grow(batch.input_ids, pieces, 1),
        token_mask=grow(batch.token_mask, pieces, False),
        word_index=grow(batch.word_index, pieces, -1),
        word_mask=grow(batch.word_mask, words, False),
        region_mask=grow(batch.region_mask, slots, False),
        region_boxes=grow(batch.region_boxes, slots, 7),
        region_features=grow(batch.region_features, slots, 9),
        region_pixels=grow(batch.region_pixels, slots, 9),
        targets=None,
    )


def close(a: Outputs, b: Outputs, words: int, slots: int | None, rows: slice = slice(None)):
    for name in ("type_logits", "boxes", "no_target_logits"):
        if getattr(a, name) is not None:
            torch.testing.assert_close(getattr(a, name)[rows], getattr(b, name), atol=1e-5, rtol=0)
    for name in ("start_logits", "end_logits"):
        one, two = getattr(a, name)[rows][..., :words], getattr(b, name)[..., :words]
        torch.testing.assert_close(one, two, atol=1e-5, rtol=0)
    if a.region_logits is not None:
        one, two = a.region_logits[rows][..., :slots], b.region_logits[..., :slots]
        torch.testing.assert_close(one, two, atol=1e-5, rtol=0)


def test_padding_changes_nothing(run):
    model, batch = doubled(run), as_double(first_batch(run))
    words = batch.word_mask.shape[1]
    slots = None if batch.region_mask is None else batch.region_mask.shape[1]
    with torch.no_grad():
        close(model(batch), model(padded(batch, 5, 7, 3)), words, slots)
    run.module.model.float()


def test_company_and_order_change_nothing(run):
    model, batch = doubled(run), as_double(first_batch(run))
    alone = replace(batch.map(lambda t: t[2:3]), ids=batch.ids[2:3])
    turned = replace(batch.map(lambda t: t.flip(0)), ids=batch.ids[::-1])
    with torch.no_grad():
        whole, single, back = model(batch), model(alone), model(turned)
    words = batch.word_mask.shape[1]
    close(whole, single, words, None, slice(2, 3))
    close(whole, back.map(lambda t: t.flip(0)), words, None)
    run.module.model.float()


def test_pixels_of_a_missing_image_change_nothing(run):
    batch = as_double(first_batch(run))
    if batch.pixels is None:
        pytest.skip("this model reads no pixels")
    blind = replace(batch, image_mask=torch.zeros_like(batch.image_mask))
    noise = replace(blind, pixels=torch.randn_like(blind.pixels))
    with torch.no_grad():
        close(doubled(run)(blind), doubled(run)(noise), batch.word_mask.shape[1], None)
    run.module.model.float()


def test_every_trainable_parameter_gets_a_finite_gradient_and_no_other(run):
    module = run.module.train()
    module.zero_grad()
    batch = first_batch(run)
    module.loss(module.model(batch), batch).total.backward()
    for name, parameter in module.model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{name} gets no gradient"
            assert parameter.grad.isfinite().all(), f"{name} has a non-finite gradient"
        else:
            assert parameter.grad is None, f"{name} is frozen and gets a gradient"
    module.zero_grad()


def test_shares_of_a_batch_cost_what_the_whole_batch_costs(run, tmp_path, promise):
    """Two processes with unequal shares: the mean of losses and gradients is that of one."""
    module, batch = run.module.eval(), first_batch(run)

    def cost(rows: slice) -> torch.Tensor:
        part = replace(batch.map(lambda t: t[rows]), ids=batch.ids[rows])
        module.zero_grad()
        total = module.loss(module.model(part), part).total
        total.backward()
        learnt = [p.grad.flatten() for p in module.model.parameters() if p.grad is not None]
        return torch.cat([total.detach()[None], *learnt])

    whole = cost(slice(None))

    def work(rank: int, count: int) -> None:
        mine = cost(slice(0, 3) if rank == 0 else slice(3, None))
        dist.all_reduce(mine)
        torch.testing.assert_close(mine / count, whole, rtol=1e-4, atol=1e-5)

    codes = joined(work, 2, tmp_path)
    assert codes == [0, 0], [path.read_text() for path in tmp_path.glob("error*")]
    module.zero_grad()
    promise("R5", "losses and gradients of shares equal to those of the whole batch", 1)


@pytest.mark.parametrize("kind", ["no entity", "no gold at all", "one word"])
def test_unusual_batches_stay_finite(run, kind):
    module, batch = run.module.train(), first_batch(run)
    targets = batch.targets
    assert targets is not None
    if kind == "no entity":
        targets = replace(targets, mask=targets.mask & (torch.arange(len(batch)) > 0)[:, None])
    elif kind == "no gold at all":
        targets = replace(targets, mask=torch.zeros_like(targets.mask))
    else:
        one = torch.zeros_like(batch.word_mask)
        one[:, 0] = True
        batch = replace(batch, word_mask=one)
        targets = replace(
            targets,
            starts=torch.zeros_like(targets.starts),
            ends=torch.zeros_like(targets.ends),
        )
    batch = replace(batch, targets=targets)
    total = module.loss(module.model(batch), batch).total
    total.backward()
    assert total.isfinite()
    grads = [p.grad for p in module.model.parameters() if p.grad is not None]
    assert all(g.isfinite().all() for g in grads)
    module.zero_grad()


def test_decoded_predictions_fit_their_sentences(run):
    batch = first_batch(run)
    with torch.no_grad():
        answers = run.module.decoder(run.module.model.eval()(batch), batch)
    for b, found in enumerate(answers):
        words = int(batch.word_mask[b].sum())
        width, height = batch.image_sizes[b].tolist()
        for p in found:
            assert 0 <= p.start <= p.end < words
            if p.box is not None:
                x1, y1, x2, y2 = p.box
                assert -1e-3 <= x1 < x2 <= width + 1e-3
                assert -1e-3 <= y1 < y2 <= height + 1e-3


def test_attention_comes_on_demand_and_is_a_distribution_over_what_is_real(run):
    model, batch = run.module.model.eval(), first_batch(run)
    with torch.no_grad():
        plain, shown = model(batch), model(batch, attention=True)
    assert plain.attention is None
    torch.testing.assert_close(plain.type_logits, shown.type_logits)
    masks = {
        "query_to_word": batch.word_mask,
        "query_to_region": batch.region_mask,
        "query_to_patch": batch.image_mask[:, None],
    }
    given = {name: getattr(shown.attention, name) for name in masks}
    assert any(weights is not None for weights in given.values())
    for name, weights in given.items():
        if weights is not None:
            rows = masks[name].any(dim=1)  # without a picture there is nothing to look at
            torch.testing.assert_close(
                weights[rows].sum(dim=-1), torch.ones_like(weights[rows, :, 0])
            )
            hidden = ~masks[name][:, None].expand_as(weights)
            assert (weights[rows].masked_select(hidden[rows]) == 0).all()


def test_earlier_layers_answer_in_training_only(run):
    model, batch = run.module.model, first_batch(run)
    answer = model.train()(batch)
    assert all(layer.type_logits.shape == answer.type_logits.shape for layer in answer.aux)
    assert model.eval()(batch).aux == ()
