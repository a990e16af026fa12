"""Every row of a model's page trains a step; each model learns four tweets by heart."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from hydra.errors import ConfigCompositionException

from gmbench.config import compose
from gmbench.config.instantiate import construct
from gmbench.core.entities import Entity, Example
from gmbench.scoring.counting import region_right
from tests.models.bench import Bench, bench_of, composed, fresh, step_of

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROWS = [
    (model, *row)
    for model in ("qgn", "mner_qg", "hindex", "pipeline")
    for row in re.findall(
        r"^\| (.+?) \|.*`(model[./][^`]+)` \|$", (DOCS / f"{model}.md").read_text(), flags=re.M
    )
]
LEARNING = {  # overrides, learning rate, most steps
    "mqspn": ("model.network.num_queries=16 model.network.feature_dropout=0", 1e-3, 150),
    "qgn": ("model.network.num_queries=16 model.network.feature_dropout=0", 1e-3, 200),
    "mner_qg": ("model.network.feature_dropout=0", 1e-3, 120),
    "hindex": ("model.network.feature_dropout=0", 1e-3, 80),
    "pipeline": ("", 1e-3, 80),
}


@pytest.fixture(scope="module")
def benches(world) -> Callable[[str], Bench]:
    return cache(lambda model: bench_of(model, world))


def test_overrides_of_a_composed_copy_are_those_of_hydra(benches):
    base = benches("qgn").overrides
    overrides = ["model.decode.span=argmax", "+model.new={a: 1}", "~model.loss.terms.point"]
    overrides += ["data.types={X: Y}", "model.activation=sigmoid", "model.name=${name}"]
    assert composed(base, overrides) == compose([*base, *overrides])
    with pytest.raises(ConfigCompositionException, match="tcq"):
        composed(base, ["model.network.mqa.tcq=false"])


def test_the_pages_list_every_table_and_ablation():
    names = [name for model, name, _ in ROWS if model == "qgn"]
    assert len(names) >= 60
    for table, rows in {"III:": 7, "IV:": 3, "V:": 8, "VI:": 8, "Figure 3": 1}.items():
        assert sum(name.startswith(table) for name in names) == rows
    others = [overrides for model, _, overrides in ROWS if model == "mner_qg"]
    assert len(others) >= 15
    assert sum("weight=0" in overrides for overrides in others) >= 4


@pytest.mark.parametrize(("model", "name", "overrides"), ROWS, ids=[f"{m} {o}" for m, _, o in ROWS])
def test_every_row_of_a_page_trains_a_step(model, name, overrides, benches):
    settings, network, batch = step_of(benches(model), overrides)
    for parameter_name, parameter in network.named_parameters():
        assert not parameter.requires_grad or parameter.grad is not None, parameter_name
        assert parameter.grad is None or parameter.grad.isfinite().all()
    decoder = construct(settings.model.decode, types=("A", "B", "C", "D"))
    assert len(decoder(network.eval()(batch), batch)) == 2


def within_reach(model: str, entity: Entity, example: Example, boxes: list) -> bool:
    """Whether the model can give the entity's region at all."""
    if model in ("mqspn", "hindex", "pipeline"):  # a candidate shows it
        return not entity.boxes or any(region_right(tuple(box), entity.boxes) for box in boxes)
    same = sum(other.type == entity.type for other in example.entities)
    return model != "mner_qg" or same == 1  # it draws one box a type


@pytest.mark.parametrize("name", LEARNING)
def test_overfits_four_tweets(name, benches):
    """Every gold span, and every region within reach; a model that cannot has a bug."""
    overrides, rate, steps = LEARNING[name]
    bench, batch = benches(name), benches(name).batch
    module, rows = bench.run.module, {e.id: e for e in bench.run.data.splits["train"].examples}
    torch.manual_seed(1)
    _, model = fresh(bench, overrides)
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, rate, betas=(0.9, 0.99), fused=True)
    gold, reached = {}, []
    for b, name_of in enumerate(batch.ids):
        boxes = [] if batch.region_boxes is None else batch.region_boxes[b].tolist()
        for e in rows[name_of].entities:
            gold[name_of, e.start, e.end, e.type] = e
            if within_reach(name, e, rows[name_of], boxes):
                reached.append((name_of, e.start, e.end, e.type))
    assert reached
    for step in range(1, steps + 1):
        model.train()
        optimizer.zero_grad()
        module.loss(model(batch), batch).total.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        if step % 10:
            continue
        with torch.no_grad():
            answers = zip(batch.ids, module.decoder(model.eval()(batch), batch), strict=True)
        named = {(i, p.start, p.end, p.type): p.box for i, found in answers for p in found}
        if set(named) == set(gold) and all(
            region_right(named[key], gold[key].boxes) for key in reached
        ):
            return
    pytest.fail(f"{len(set(gold) & set(named))} of {len(gold)} gold spans after {steps} steps")
