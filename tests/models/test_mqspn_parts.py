"""QFNet's parts against slow references written from the paper's equations, in float64."""

import math

import pytest
import torch

from models.mqspn.aggregator import SAGSettings, SimilarityAwareAggregator
from models.mqspn.fusion import (
    QFNetLayer,
    QFNetSettings,
    QueryRegionPrefix,
    QueryTextCrossAttention,
)
from tests.models.references import B, H, K, N, U, attention, matvec, some_mask, states


@pytest.mark.parametrize("scale", ["none", "sqrt_h"])
def test_aggregator_follows_its_equation(scale):
    settings = SAGSettings(lambda_visual=0.3, scale=scale)
    part = SimilarityAwareAggregator(width=H, dropout=0.0, settings=settings).double().eval()
    queries, words, regions = states(B, U, H), states(B, N, H, seed=1), states(B, K, H, seed=2)
    word_mask, region_mask = some_mask(B, N), some_mask(B, K)
    found = part(queries, words, word_mask, regions, region_mask)
    factor = 1.0 if scale == "none" else 1 / math.sqrt(H)
    for b in range(B):
        for u in range(U):
            q, mixed = queries[b, u], torch.zeros(H, dtype=torch.float64)
            for weight, keys, mask in ((0.7, words, word_mask), (0.3, regions, region_mask)):
                real = [j for j in range(keys.shape[1]) if mask[b, j]]
                power = [math.exp(float(keys[b, j] @ q) * factor) for j in real]
                torch.testing.assert_close(
                    part.weights(queries, keys, mask)[b, u, real],
                    torch.tensor(power, dtype=torch.float64) / sum(power),
                    atol=1e-9,
                    rtol=0,
                )
                for j, p in zip(real, power, strict=True):
                    mixed = mixed + weight * p / sum(power) * keys[b, j]
            fused = matvec(part.second, torch.tanh(matvec(part.first, q) + mixed))
            wanted = torch.nn.functional.layer_norm(q + fused, (H,))
            torch.testing.assert_close(found[b, u], wanted, atol=1e-9, rtol=0)


def test_the_aggregators_lambda_may_learn_and_stays_a_share():
    settings = SAGSettings(lambda_visual=0.3, lambda_learnable=True)
    part = SimilarityAwareAggregator(width=H, dropout=0.0, settings=settings).double()
    assert part.lambda_visual().item() == pytest.approx(0.3, abs=1e-6)
    with torch.no_grad():
        part.lambda_logit.add_(100.0)
    assert 0 <= part.lambda_visual().item() <= 1
    with pytest.raises(ValueError, match="does not lie above 0 and below 1"):
        SAGSettings(lambda_visual=1.0, lambda_learnable=True)


@pytest.mark.parametrize("position", ["avg", "add"])
def test_cross_attention_adds_or_averages_positions(position):
    settings = QFNetSettings(query_pos=position)
    part = QueryTextCrossAttention(width=H, heads=2, dropout=0.0, settings=settings)
    part = part.double().eval()
    queries, words, mask = states(B, U, H), states(B, N, H, seed=1), some_mask(B, N)
    places = states(U, H, seed=2)
    found = part(queries, words, mask, places)
    for b in range(B):
        keys = [words[b, j] for j in range(N) if mask[b, j]]
        for u in range(U):
            asking = (queries[b, u] + places[u]) / (2 if position == "avg" else 1)
            middle = part.cross_norm(queries[b, u] + attention(part.cross, asking, keys, 2))
            wanted = part.feed_norm(middle + part.feed_forward(middle))
            torch.testing.assert_close(found[b, u], wanted, atol=1e-9, rtol=0)


@pytest.mark.parametrize("prefix", [True, False])
def test_prefix_integration_attends_to_prefix_and_regions(prefix):
    part = QueryRegionPrefix(width=H, heads=2, dropout=0.0, prefix=prefix).double().eval()
    regions, queries = states(B, K, H), states(B, U, H, seed=1)
    mask, all_queries = some_mask(B, K), torch.ones(B, U, dtype=torch.bool)
    found = part(regions, mask, queries, all_queries)
    for b in range(B):
        keys = [regions[b, j] for j in range(K) if mask[b, j]]
        if part.prefix is not None:
            keys = [matvec(part.prefix, queries[b, u]) for u in range(U)] + keys
        for k in range(K):
            heard = attention(part.attention, regions[b, k], keys, 2)
            middle = part.attention_norm(regions[b, k] + heard)
            wanted = part.feed_norm(middle + part.feed_forward(middle))
            torch.testing.assert_close(found[b, k], wanted, atol=1e-9, rtol=0)


def layer(**switches) -> QFNetLayer:
    torch.manual_seed(0)
    settings = QFNetSettings(**switches)
    return QFNetLayer(width=H, heads=2, dropout=0.0, settings=settings, sag=SAGSettings()).double()


def gradients(part: QFNetLayer) -> tuple[set[str], set[str]]:
    """The inputs that queries and regions after the layer depend on."""
    inputs = {
        "queries": states(B, U, H).requires_grad_(),
        "words": states(B, N, H, seed=1).requires_grad_(),
        "regions": states(B, K, H, seed=2).requires_grad_(),
    }
    queries, regions = part(
        inputs["queries"],
        inputs["words"],
        some_mask(B, N),
        inputs["regions"],
        some_mask(B, K),
        None,
    )

    def reach(output):
        # a plain sum after a LayerNorm is constant: weigh the entries
        weights = states(*output.shape, seed=9)
        found = torch.autograd.grad(
            (output * weights).sum(), list(inputs.values()), retain_graph=True, allow_unused=True
        )
        pairs = zip(inputs, found, strict=True)
        return {name for name, g in pairs if g is not None and g.abs().max() > 0}

    return reach(queries), reach(regions)


@pytest.mark.parametrize(
    ("switches", "queries", "regions"),
    [
        ({}, "queries words regions", "queries words regions"),
        ({"qct": False, "aggregator": "none"}, "queries", "queries regions"),
        ({"prefix_source": "none"}, "queries words regions", "regions"),
        ({"prefix_source": "token"}, "queries words regions", "words regions"),
        ({"aggregator": "none"}, "queries words", "queries words regions"),
    ],
)
def test_what_queries_and_regions_hear_under_each_switch(switches, queries, regions):
    assert gradients(layer(**switches)) == (set(queries.split()), set(regions.split()))


@pytest.mark.parametrize("self_attention", [False, True])
def test_queries_meet_each_other_only_by_switch(self_attention):
    part = layer(query_self_attention=self_attention, prefix_source="none")
    inputs = [states(B, U, H), states(B, N, H, seed=1), some_mask(B, N), states(B, K, H, seed=2)]
    before, _ = part(*inputs, some_mask(B, K), None)
    inputs[0] = inputs[0].clone()
    inputs[0][:, 3] += 1.0
    after, _ = part(*inputs, some_mask(B, K), None)
    changed = (before != after).any(dim=-1).any(dim=0)
    assert changed[3]
    assert bool(changed[torch.arange(U) != 3].any()) == self_attention
