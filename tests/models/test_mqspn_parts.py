"""Each part of MQSPN against a slow reference written from the paper's equations, in float64."""

import math

import pytest
import torch

from gmbench.nn.pairs import CHUNK, PairScores
from gmbench.tensors import MASKED
from models.mqspn.aggregator import SimilarityAwareAggregator
from models.mqspn.fusion import QFNetLayer, QueryRegionPrefix, QueryTextCrossAttention
from models.mqspn.heads import EntityClassifier, SetPrediction

B, U, N, K, H = 2, 13, 5, 4, 8


def states(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_mask(rows: int, columns: int) -> torch.Tensor:
    mask = torch.ones(rows, columns, dtype=torch.bool)
    mask[1, columns - 2 :] = False
    return mask


def matvec(linear: torch.nn.Linear, vector: torch.Tensor) -> torch.Tensor:
    out = linear.weight @ vector
    return out if linear.bias is None else out + linear.bias


def test_pair_scores_follow_the_boundary_equation():
    assert U > CHUNK  # more than one chunk
    head = PairScores(width=H, scores=2).double().eval()
    queries, keys, mask = states(B, U, H), states(B, N, H, seed=1), some_mask(B, N)
    found = head(queries, keys, mask)
    for b in range(B):
        for u in range(U):
            for n in range(N):
                joint = (matvec(head.query, queries[b, u]) + matvec(head.key, keys[b, n])).relu()
                wanted = matvec(head.score, joint) if mask[b, n] else torch.full((2,), MASKED)
                torch.testing.assert_close(found[b, u, n], wanted.double(), atol=1e-10, rtol=0)


@pytest.mark.parametrize("scale", ["none", "sqrt_h"])
def test_aggregator_follows_its_equation(scale):
    part = SimilarityAwareAggregator(width=H, dropout=0.0, lambda_visual=0.3, scale=scale)
    part = part.double().eval()
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
    part = SimilarityAwareAggregator(
        width=H, dropout=0.0, lambda_visual=0.3, lambda_learnable=True
    ).double()
    assert part.lambda_visual().item() == pytest.approx(0.3, abs=1e-6)
    with torch.no_grad():
        part.lambda_logit.add_(100.0)
    assert 0 <= part.lambda_visual().item() <= 1
    with pytest.raises(ValueError, match="does not lie above 0 and below 1"):
        SimilarityAwareAggregator(width=H, dropout=0.0, lambda_visual=1.0, lambda_learnable=True)


@pytest.mark.parametrize("average", [True, False])
def test_cross_attention_adds_or_averages_positions(average):
    part = QueryTextCrossAttention(width=H, heads=2, dropout=0.0, average=average).double().eval()
    queries, words, mask = states(B, U, H), states(B, N, H, seed=1), some_mask(B, N)
    position, size = states(U, H, seed=2), H // 2
    found = part(queries, words, mask, position)
    for b in range(B):
        keys = [words[b, j] for j in range(N) if mask[b, j]]
        for u in range(U):
            asking = matvec(part.cross.query, (queries[b, u] + position[u]) / (1 + average))
            heads = []
            for rows in (slice(0, size), slice(size, H)):
                scores = [asking[rows] @ matvec(part.cross.key, k)[rows] for k in keys]
                power = [math.exp(s.item() / math.sqrt(size)) for s in scores]
                values = [matvec(part.cross.value, k)[rows] for k in keys]
                heads.append(sum(p / sum(power) * v for p, v in zip(power, values, strict=True)))
            middle = part.cross_norm(queries[b, u] + matvec(part.cross.out, torch.cat(heads)))
            wanted = part.feed_norm(middle + part.feed_forward(middle))
            torch.testing.assert_close(found[b, u], wanted, atol=1e-9, rtol=0)


@pytest.mark.parametrize("prefix", [True, False])
def test_prefix_integration_attends_to_prefix_and_regions(prefix):
    part = QueryRegionPrefix(width=H, heads=2, dropout=0.0, prefix=prefix).double().eval()
    regions, queries = states(B, K, H), states(B, U, H, seed=1)
    mask, all_queries = some_mask(B, K), torch.ones(B, U, dtype=torch.bool)
    found = part(regions, mask, queries, all_queries)
    attention, size = part.attention, H // 2
    for b in range(B):
        keys = [regions[b, j] for j in range(K) if mask[b, j]]
        if part.prefix is not None:
            keys = [matvec(part.prefix, queries[b, u]) for u in range(U)] + keys
        for k in range(K):
            heads = []
            for h in range(2):
                rows = slice(h * size, (h + 1) * size)
                q = matvec(attention.query, regions[b, k])[rows]
                power = [
                    math.exp((q @ matvec(attention.key, key)[rows]).item() / math.sqrt(size))
                    for key in keys
                ]
                values = [matvec(attention.value, key)[rows] for key in keys]
                mixed = sum(p / sum(power) * v for p, v in zip(power, values, strict=True))
                heads.append(mixed)
            out = matvec(attention.out, torch.cat(heads))
            middle = part.attention_norm(regions[b, k] + out)
            wanted = part.feed_norm(middle + part.feed_forward(middle))
            torch.testing.assert_close(found[b, k], wanted, atol=1e-9, rtol=0)


@pytest.mark.parametrize("with_regions", [True, False])
def test_entity_classification_follows_its_equation(with_regions):
    part = EntityClassifier(width=H, num_types=3, dropout=0.0, regions=with_regions)
    part = part.double().eval()
    queries, words, regions = states(B, U, H), states(B, N, H, seed=1), states(B, K, H, seed=2)
    start, end = states(B, U, N, seed=3).sigmoid(), states(B, U, N, seed=4).sigmoid()
    region = states(B, U, K, seed=5).sigmoid()
    found = part(
        queries,
        words,
        regions,
        start=start,
        end=end,
        region=region,
        type_of_query=torch.ones(U, dtype=torch.long),
    )
    for b in range(B):
        for u in range(U):
            evidence = [matvec(part.query, queries[b, u])]
            for weights, keys in ((start, words), (end, words), (region, regions))[
                : 2 + with_regions
            ]:
                evidence.append(sum(weights[b, u, j] * keys[b, j] for j in range(keys.shape[1])))
            wanted = matvec(part.score, torch.cat(evidence).relu())
            torch.testing.assert_close(found[b, u], wanted, atol=1e-10, rtol=0)


def test_existence_answers_for_the_own_type_only():
    part = EntityClassifier(width=H, num_types=3, kind="existence", dropout=0.0).double().eval()
    own = torch.arange(U) % 3 + 1
    zeros = torch.zeros(B, U, N, dtype=torch.float64)
    logits = part(
        states(B, U, H),
        states(B, N, H),
        states(B, N, H),
        start=zeros,
        end=zeros,
        region=zeros,
        type_of_query=own,
    )
    probability = logits.softmax(dim=-1)
    for u in range(U):
        others = [t for t in (1, 2, 3) if t != own[u]]
        assert (probability[:, u, others] == 0).all()
    existence = torch.where(
        torch.nn.functional.one_hot(own, 4).bool(), logits, torch.zeros_like(logits)
    ).sum(dim=-1)
    torch.testing.assert_close(probability[..., 0], (-existence).sigmoid(), atol=1e-12, rtol=0)


@pytest.mark.parametrize("share", [True, False])
def test_all_heads_together_follow_the_papers_equations(share):
    """P^s, P^e, P^r from S^b and S^r, and P^c from all three."""
    head = SetPrediction(width=H, num_types=3, dropout=0.0, share_boundary_proj=share)
    head = head.double().eval()
    queries, words, regions = states(B, 3, H), states(B, N, H, seed=1), states(B, K, H, seed=2)
    word_mask, region_mask = some_mask(B, N), some_mask(B, K)
    found = head(
        queries,
        words,
        regions,
        word_mask=word_mask,
        region_mask=region_mask,
        type_of_query=torch.ones(3, dtype=torch.long),
    )

    def joint(part, query, key, which):
        both = (matvec(part.query, query) + matvec(part.key, key)).relu()
        return part.score.weight[which] @ both + part.score.bias[which]

    first, second = head.boundary[0], head.boundary[-1]
    for b in range(B):
        real = [j for j in range(N) if word_mask[b, j]]
        slots = [j for j in range(K) if region_mask[b, j]]
        for u in range(3):
            query = queries[b, u]
            start = [joint(first, query, words[b, j], 0) for j in real]
            end = [joint(second, query, words[b, j], 1 if share else 0) for j in real]
            region = [joint(head.region, query, regions[b, j], 0) for j in slots]
            evidence = [matvec(head.entity_type.query, query)]
            for logits, keys, places in (
                (start, words, real),
                (end, words, real),
                (region, regions, slots),
            ):
                pairs = zip(logits, places, strict=True)
                evidence.append(sum(x.sigmoid() * keys[b, j] for x, j in pairs))
            types = matvec(head.entity_type.score, torch.cat(evidence).relu())
            for got, wanted, places in (
                (found[0], types, range(4)),
                (found[1], torch.stack(start), real),
                (found[2], torch.stack(end), real),
                (found[3], torch.stack(region), slots),
            ):
                torch.testing.assert_close(got[b, u, list(places)], wanted, atol=1e-9, rtol=0)


def test_padded_words_and_regions_get_no_probability():
    head = SetPrediction(width=H, num_types=3, dropout=0.0).double().eval()
    word_mask, region_mask = some_mask(B, N), some_mask(B, K)
    _, start, _, region = head(
        states(B, U, H),
        states(B, N, H),
        states(B, K, H),
        word_mask=word_mask,
        region_mask=region_mask,
        type_of_query=torch.ones(U, dtype=torch.long),
    )
    assert (start.sigmoid()[~word_mask[:, None].expand_as(start)] == 0).all()
    assert (region.softmax(dim=-1)[~region_mask[:, None].expand_as(region)] == 0).all()


def layer(**switches) -> QFNetLayer:
    torch.manual_seed(0)
    return QFNetLayer(width=H, heads=2, dropout=0.0, **switches).double()


def gradients(part: QFNetLayer) -> tuple[dict[str, bool], dict[str, bool]]:
    """Whether queries and regions after the layer depend on each input."""
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
        return {
            name: g is not None and bool(g.abs().max() > 0)
            for name, g in zip(inputs, found, strict=True)
        }

    return reach(queries), reach(regions)


def test_the_full_layer_connects_everything():
    queries, regions = gradients(layer())
    assert all(queries.values())
    assert all(regions.values())


def test_without_qct_and_sag_queries_see_no_word():
    queries, _ = gradients(layer(qct=False, aggregator="none"))
    assert queries == {"queries": True, "words": False, "regions": False}


def test_without_prefix_regions_see_no_query():
    _, regions = gradients(layer(prefix_source="none"))
    assert regions == {"queries": False, "words": False, "regions": True}


def test_a_token_prefix_shows_words_to_regions():
    _, regions = gradients(layer(prefix_source="token"))
    assert regions == {"queries": False, "words": True, "regions": True}


def test_without_aggregator_queries_see_no_region():
    queries, _ = gradients(layer(aggregator="none"))
    assert queries == {"queries": True, "words": True, "regions": False}


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
