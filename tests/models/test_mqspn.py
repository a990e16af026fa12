"""MQSPN as a whole: every switch builds, trains a step and leaves no parameter behind."""

from types import SimpleNamespace

import pytest
import torch

from gmbench.build import build_run
from gmbench.config import compose
from gmbench.nn.text import tiny_text, tiny_tokenizer
from models.mqspn.queries import MultiGrainedQueries

TYPES = ("Person", "Location", "Organization", "Others")
HUMAN = {name: f"what is the name of the {name.lower()}" for name in TYPES}

SWITCHES = {
    "paper": [],
    "w/o PTQ": ["model.network.type_queries=false", "model.network.entity_classifier=softmax"],
    "w/o LEQ": ["model.network.entity_queries=human"],
    "w/o QCT": ["model.network.qct=false"],
    "w/o QPI": ["model.network.prefix_source=none"],
    "w/o SAG": ["model.network.aggregator=none"],
    "w/o BML": [
        "model.matcher.solver=order",
        "model.activation=softmax",
        "model.loss_kind=softmax_nll",
    ],
    "token prefix": ["model.network.prefix_source=token"],
    "existence": ["model.network.entity_classifier=existence"],
    "own boundary heads": ["model.network.share_boundary_proj=false"],
    "softmax": ["model.activation=softmax", "model.loss_kind=softmax_nll"],
    "query self-attention": ["model.network.query_self_attention=true"],
    "no positions": ["model.network.query_pos=none", "model.network.word_pos=none"],
    "blocks, wide queries": ["model.network.repeat=block", "model.network.query_init_std=1.0"],
    "plain dot product": ["model.network.sag_scale=none"],
    "no deep supervision": ["model.loss.aux_weight=0"],
    "trained vision": ["model.network.train_vision=true", "trainer.batch_size=4"],
    "few queries, few regions": ["model.network.num_queries=8", "regions.num=3"],
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return tmp_path_factory.mktemp("world")


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_trains_a_step(name, world):
    cfg = compose(
        [
            "data=synthetic_tiny",
            f"data.root={world}",
            f"cache={world}/cache",
            "model.network.layers=2",
            *SWITCHES[name],
        ]
    )
    run = build_run(cfg)
    module = run.module.train()
    batch = next(iter(run.data.train_dataloader()))
    optimizer = torch.optim.SGD([p for p in module.model.parameters() if p.requires_grad], 1e-4)
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        values = module.loss(module.model(batch), batch)
        values.total.backward()
        losses.append(values.total.item())
        silent = [
            n for n, p in module.model.named_parameters() if p.requires_grad and p.grad is None
        ]
        assert silent == [], f"{name}: no gradient"
        optimizer.step()
    assert all(map(torch.isfinite, map(torch.tensor, losses)))


def queries(**settings) -> MultiGrainedQueries:
    torch.manual_seed(0)
    return MultiGrainedQueries(
        text_encoder=tiny_text(),
        tokenizer=tiny_tokenizer(),
        type_names=TYPES,
        **{"num_queries": 10, **settings},
    )


def test_types_are_spread_over_queries():
    assert queries().type_of_query.tolist() == [1, 2, 3, 4, 1, 2, 3, 4, 1, 2]
    assert queries(repeat="block").type_of_query.tolist() == [1, 1, 1, 2, 2, 3, 3, 3, 4, 4]


def test_type_grained_part_is_fixed_and_differs_by_type():
    found = queries(query_init_std=0.0)(1)[0]
    torch.testing.assert_close(found[0], found[4])
    assert (found[0] - found[1]).abs().max() > 0.1
    assert "type_states" in dict(queries().named_buffers())


def test_without_type_queries_only_the_learned_part_speaks():
    part = queries(type_queries=False, query_init_std=0.0)
    torch.testing.assert_close(part(1)[0, 0], part(1)[0, 1])


def test_human_queries_are_fixed_texts():
    part = queries(entity_queries="human", human_queries=HUMAN)
    assert [n for n, _ in part.named_parameters()] == ["norm.weight", "norm.bias"]
    with pytest.raises(ValueError, match="no text for Others"):
        queries(entity_queries="human", human_queries={n: HUMAN[n] for n in TYPES[:3]})


def test_fewer_queries_than_types_are_refused():
    with pytest.raises(ValueError, match="every type needs a query"):
        queries(num_queries=3)


def test_deep_supervision_is_for_training_only(world):
    run = build_run(compose(["data=synthetic_tiny", f"data.root={world}", f"cache={world}/cache"]))
    batch = next(iter(run.data.val_dataloader()))
    assert len(run.module.model.train()(batch).aux) == 2
    assert run.module.model.eval()(batch).aux == ()


def test_overfits_four_tweets(world):
    """A model that cannot learn four tweets by heart has a bug."""
    run = build_run(
        compose(
            [
                "data=synthetic_tiny",
                f"data.root={world}",
                f"cache={world}/cache",
                "model.network.num_queries=16",
            ]
        )
    )
    module, data = run.module, run.data.dataset("train")
    collate = run.data.train_dataloader().collate_fn
    batch = collate([data[i] for i in range(4)])
    module._trainer = SimpleNamespace(current_epoch=0)
    module.on_train_epoch_start()
    learning = [p for p in module.model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, 1e-3)
    for _ in range(150):
        optimizer.zero_grad()
        module.loss(module.model(batch), batch).total.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
    module.eval()
    with torch.no_grad():
        answers = module.decoder(module.model(batch), batch)
    for b, found in enumerate(answers):
        gold = {(e.start, e.end, e.type) for e in data[b].example.entities}
        assert {(p.start, p.end, p.type) for p in found} == gold
        assert batch.targets is not None
        for g, entity in enumerate(data[b].example.entities):
            shown = batch.targets.regions[b, g]
            (match,) = [p for p in found if (p.start, p.end) == (entity.start, entity.end)]
            assert not shown.any() or shown[match.region]
