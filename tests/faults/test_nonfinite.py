"""A number that is not finite never reaches a weight, and the error says where it arose (R3)."""

import json
from dataclasses import replace

import pytest
import torch

from gmbench.core.errors import NonFinite
from gmbench.training.failures import cause_of, message_of
from tests.faults.conftest import Steps, scored, trainer
from tests.faults.runs import SMALL, paths

pytestmark = pytest.mark.fault


@pytest.mark.parametrize(
    ("place", "where"),
    [("loss", "gradients of "), ("grad", "gradients of "), ("match", "(term type)")],
)
def test_training_stops_within_the_step_and_weights_stay(
    build, plan, tmp_path, place, where, promise
):
    run, steps = build(), Steps()
    plan(f"{place}:3:nan")
    with pytest.raises(NonFinite) as stopped:
        trainer(tmp_path, watching=[steps]).fit(run.module, run.data)
    assert cause_of(stopped.value) == "nan"
    assert steps.count == 2
    after = run.module.model.state_dict()
    assert all(torch.equal(after[name], kept) for name, kept in steps.weights.items())
    assert not list(tmp_path.rglob("*.ckpt"))
    message, note = message_of(stopped.value).splitlines()
    assert where in message
    assert note.startswith("training step 2, epoch 0; examples ")
    assert len(note.partition("examples ")[2].split(", ")) == 4
    promise("R3", "stopped within the step, weights bitwise as before", 1)


def test_a_box_that_is_not_a_number_is_named(build, tmp_path, promise):
    run, steps = build("model=qgn"), Steps()
    whole = type(run.data)._collate(run.data)

    def broken(items):
        batch = whole(items)
        boxes = batch.targets.boxes.clone()
        boxes[:, :, :, 2:] = float("nan")
        return replace(batch, targets=replace(batch.targets, boxes=boxes))

    run.data._collate = lambda: broken
    with pytest.raises(NonFinite, match="term box") as stopped:
        trainer(tmp_path, watching=[steps]).fit(run.module, run.data)
    message, note = message_of(stopped.value).splitlines()
    assert message.split(":")[0] in note.partition("examples ")[2].split(", ")
    assert steps.count == 0
    promise("R3", "stopped within the step, weights bitwise as before", 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_not_a_number_is_never_the_best(build, tmp_path, value, promise):
    run = build()
    scored(run.module, value)
    with pytest.raises(NonFinite, match="dev/select"):
        trainer(tmp_path).fit(run.module, run.data)
    assert not list(tmp_path.rglob("*.ckpt"))
    promise("R3", "scores that are no number kept from being the best", 1)


def test_a_real_run_that_blows_up_says_so(world, tmp_path, promise, door):
    arguments = [*SMALL, *paths(world), "optim.lr_head=1e30", "optim.warmup=0"]
    done = door.run("gmbench.run", *arguments, folder=tmp_path)
    assert done.code == 3, done.err
    (failure,) = tmp_path.rglob("failure.json")
    record = json.loads(failure.read_text())
    assert (record["status"], record["cause"]) == ("failed:nan", "nan")
    assert "; examples " in record["message"]
    assert not list(tmp_path.rglob("result.json"))
    promise("R3", "stopped within the step, weights bitwise as before", 1)
