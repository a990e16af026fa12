"""The multi-grained query set, and queries led through the text encoder."""

import pytest
import torch

from gmbench.core.tensors import Outputs
from gmbench.nn.text import tiny_text, tiny_tokenizer
from models.mqspn.joint import check_joint, joint_states
from models.mqspn.queries import (
    PROMPT,
    MQSSettings,
    MultiGrainedQueries,
    answered_types,
    mean_states,
    one_a_type_bound,
)

TYPES = ("Person", "Location", "Organization", "Others")
HUMAN = {name: f"what is the name of the {name.lower()}" for name in TYPES}


def queries(num_queries: int = 10, **settings) -> MultiGrainedQueries:
    torch.manual_seed(0)
    return MultiGrainedQueries(
        text_encoder=tiny_text(),
        tokenizer=tiny_tokenizer(),
        type_names=TYPES,
        num_queries=num_queries,
        settings=MQSSettings(**settings),
    )


def test_types_are_spread_over_queries():
    assert queries().type_of_query.tolist() == [1, 2, 3, 4, 1, 2, 3, 4, 1, 2]
    assert queries(repeat="block").type_of_query.tolist() == [1, 1, 1, 2, 2, 3, 3, 3, 4, 4]


def test_the_type_grained_part_is_the_state_at_the_mask():
    part, encoder, tokenizer = queries(), tiny_text().eval(), tiny_tokenizer()
    for kind, name in enumerate(TYPES):
        text = PROMPT.format(name).replace("[MASK]", tokenizer.mask_token)
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            states = encoder(ids, torch.ones_like(ids, dtype=torch.bool))
        (wanted,) = states[ids == tokenizer.mask_token_id]
        torch.testing.assert_close(part.type_states[kind], wanted, atol=1e-5, rtol=0)
    assert "type_states" in dict(part.named_buffers())


def test_queries_are_the_sum_of_both_parts_normalised():
    part = queries()
    for q in range(10):
        both = part.entity[q] + part.type_states[q % 4]
        wanted = torch.nn.functional.layer_norm(both, both.shape)
        torch.testing.assert_close(part(1)[0, q], wanted, atol=1e-5, rtol=0)


def test_the_type_grained_part_may_learn():
    assert "type_states" in dict(queries(ptq_trainable=True).named_parameters())
    part = queries(ptq_trainable=True, type_queries=False)
    assert "type_states" in dict(part.named_buffers())


def test_without_type_queries_only_the_learned_part_speaks():
    part = queries(type_queries=False, init_std=0.0)
    torch.testing.assert_close(part(1)[0, 0], part(1)[0, 1])


def test_human_queries_are_fixed_texts():
    part = queries(entity_queries="human", human_queries={**HUMAN, "Event": "unused"})
    assert [n for n, _ in part.named_parameters()] == ["norm.weight", "norm.bias"]
    torch.testing.assert_close(part(1)[0, 1], part(1)[0, 5])
    assert (part(1)[0, 0] - part(1)[0, 1]).abs().max() > 0.1
    with pytest.raises(ValueError, match="no text for Others"):
        queries(entity_queries="human", human_queries={n: HUMAN[n] for n in TYPES[:3]})


def test_mean_states_ignore_padding():
    encoder, tokenizer = tiny_text(), tiny_tokenizer()
    texts = ["a name", "the name of a much longer place than that"]
    together = mean_states(encoder, tokenizer, texts)
    alone = torch.cat([mean_states(encoder, tokenizer, [text]) for text in texts])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_fewer_queries_than_types_are_refused():
    with pytest.raises(ValueError, match="every type needs a query"):
        queries(num_queries=3)


def test_recall_bound_of_one_entity_a_type():
    types = torch.tensor([[1, 1, 2], [3, 0, 0], [0, 0, 0]])
    assert one_a_type_bound(types, types > 0) == 3 / 4
    assert one_a_type_bound(types[2:], types[2:] > 0) == 0.0


def test_which_query_answers_which_type():
    logits = torch.zeros(3, 2, 4)
    logits[0, 0, 2] = logits[1, 0, 2] = logits[2, 0, 0] = logits[:, 1, 3] = 1.0
    nothing = torch.zeros(3, 2, 5)
    outputs = Outputs(type_logits=logits, start_logits=nothing, end_logits=nothing)
    assert answered_types(outputs).tolist() == [[1, 0, 2, 0], [0, 0, 0, 3]]


def joint(**settings):
    encoder = tiny_text().double().eval()
    torch.manual_seed(0)
    ids = torch.randint(5, 50, (2, 6))
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    asked = torch.randn(2, 3, encoder.width, dtype=torch.float64, requires_grad=True)
    return encoder, ids, mask, asked, joint_states(encoder, ids, mask, asked, **settings)


def test_the_words_never_see_a_query():
    encoder, ids, mask, _, (words, _) = joint()
    torch.testing.assert_close(words[mask], encoder(ids, mask)[mask], atol=1e-9, rtol=0)


@pytest.mark.parametrize(("text", "among"), [(True, False), (True, True), (False, False)])
def test_what_a_query_sees_inside_the_text_encoder(text, among):
    encoder, ids, mask, asked, (_, found) = joint(text=text, among=among)
    (reach,) = torch.autograd.grad(found[0, 0].square().sum(), asked)
    assert (reach[0, 1:].abs().max() > 0) == (among or not text)
    assert reach[1].abs().max() == 0
    other = torch.where(torch.arange(6) == 2, 60, ids)
    _, moved = joint_states(encoder, other, mask, asked, text=text, among=among)
    assert bool((moved - found).abs().max() > 1e-6) == text


def test_an_encoder_of_another_build_is_refused():
    encoder = tiny_text()
    encoder.model = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match="built as BERT"):
        check_joint(encoder)
