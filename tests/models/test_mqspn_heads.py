"""The heads of MQSPN against slow references written from the paper's equations, in float64."""

import pytest
import torch

from gmbench.core.tensors import MASKED
from gmbench.nn.layers import CHUNK, PairScores
from models.mqspn.heads import EntityClassifier, MSPSettings, SetPrediction
from tests.models.references import B, H, K, N, U, matvec, some_mask, states


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


@pytest.mark.parametrize("with_regions", [True, False])
def test_entity_classification_follows_its_equation(with_regions):
    settings = MSPSettings(classifier_regions=with_regions)
    part = EntityClassifier(width=H, num_types=3, dropout=0.0, settings=settings).double().eval()
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
    settings = MSPSettings(entity_classifier="existence")
    part = EntityClassifier(width=H, num_types=3, dropout=0.0, settings=settings).double().eval()
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
    settings = MSPSettings(share_boundary_proj=share)
    head = SetPrediction(width=H, num_types=3, dropout=0.0, settings=settings).double().eval()
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
    head = SetPrediction(width=H, num_types=3, dropout=0.0, settings=MSPSettings())
    head = head.double().eval()
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
