"""A number that is not finite never reaches a weight, and its step can be made again (R3)."""

import json
import logging
import sys
from dataclasses import replace

import pytest
import torch

from gmbench import replay as verb
from gmbench.core.distributed import NonFinite
from gmbench.training.nonfinite import cause_of
from gmbench.training.replay import replay
from gmbench.training.step import FOLDER, read_dump
from tests.faults.conftest import SMALL, Steps, trainer
from tests.test_run import gmbench

pytestmark = pytest.mark.fault


def test_training_stops_within_the_step_and_weights_stay(build, plan, tmp_path, promise):
    for place in ("loss", "grad", "match"):
        run, steps = build(), Steps()
        plan(f"{place}:3:nan")
        with pytest.raises(NonFinite) as stopped:
            trainer(tmp_path / place, steps).fit(run.module, run.data)
        assert cause_of(stopped.value) == "nan"
        assert len(steps.losses) == 2
        after = run.module.model.state_dict()
        assert all(torch.equal(after[name], kept) for name, kept in steps.weights.items())
        dump = read_dump(tmp_path / place / FOLDER)
        assert (dump.record.step, dump.record.epoch, len(dump.record.ids)) == (2, 0, 4)
        assert not list((tmp_path / place).rglob("*.ckpt"))
        promise("R3", "stopped within the step, weights bitwise as before", 1)
    assert dump.record.message.split(":")[0] in dump.record.ids  # the matcher names the example


def test_a_box_that_is_not_a_number_is_named_and_replayed(build, tmp_path, plan, promise):
    run, steps = build("model=qgn"), Steps()
    whole, calls = type(run.data)._collate(run.data), []

    def broken(items):
        batch = whole(items)
        calls.append(batch.ids)
        boxes = batch.targets.boxes.clone()
        boxes[:, :, :, 2:] = float("nan")
        return replace(batch, targets=replace(batch.targets, boxes=boxes))

    run.data._collate = lambda: broken
    with pytest.raises(NonFinite, match="term box") as stopped:
        trainer(tmp_path, steps).fit(run.module, run.data)
    assert not steps.losses
    promise("R3", "stopped within the step, weights bitwise as before", 1)
    promise("R3", "failures made again from their dump", 1)
    dump = read_dump(tmp_path / FOLDER)
    again = replay(run.module, run.data.batch("train", dump.record.ids), dump)
    assert again.message == str(stopped.value)


def weights_after(history, first: int, last: int) -> bool:
    """Whether the weights after two steps are bitwise the same."""
    return all(torch.equal(history[first][n], history[last][n]) for n in history[first])


def test_steps_may_be_left_out_up_to_a_limit(build, plan, tmp_path, caplog, promise):
    run, steps = build("+trainer.may_skip_steps=3"), Steps()
    plan("loss:2:nan;grad:3:nan;match:4:nan")
    made = trainer(tmp_path, steps)
    with caplog.at_level(logging.WARNING, "gmbench"):
        made.fit(run.module, run.data)
    assert run.module.skips.taken == 3
    assert caplog.text.count("left out") == 3
    assert weights_after(steps.history, 1, 4)
    assert not weights_after(steps.history, 0, 1)
    assert not weights_after(steps.history, 4, 5)
    moments = made.optimizers[0].state.values()
    assert {int(one["step"]) for one in moments} == {3}, "a moment moved in a step left out"
    assert all(one["exp_avg"].isfinite().all() for one in moments)
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["skipped_steps"] == 3
    dump = read_dump(tmp_path / FOLDER)  # of the last one, made by the matcher
    assert (dump.record.step, dump.record.loss) == (3, None)
    assert dump.record.message.split(":")[0] in dump.record.ids
    promise("R3", "steps left out, weights and moments bitwise as before", 3)


def test_one_more_than_may_be_left_out_ends_training(build, plan, tmp_path, promise):
    run, steps = build("+trainer.may_skip_steps=1"), Steps()
    plan("match:2:nan;loss:2:nan")  # a step that ends in its matcher passes no loss
    with pytest.raises(NonFinite, match="loss nan"):
        trainer(tmp_path, steps).fit(run.module, run.data)
    after = run.module.model.state_dict()
    assert all(torch.equal(after[name], kept) for name, kept in steps.history[1].items())
    promise("R3", "stopped within the step, weights bitwise as before", 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_not_a_number_is_never_the_best(build, tmp_path, value, promise):
    run = build()
    logged = run.module.log

    def log(name, figure, **settings):
        logged(name, value if name == "dev/select" else figure, **settings)

    run.module.log = log
    with pytest.raises(NonFinite, match="dev/select"):
        trainer(tmp_path).fit(run.module, run.data)
    assert not list(tmp_path.rglob("*.ckpt"))
    promise("R3", "scores that are no number kept from being the best", 1)


def test_a_real_run_that_blows_up_says_so_and_is_replayed(
    world, tmp_path, monkeypatch, capsys, promise
):
    arguments = [*SMALL, f"data.root={world}", f"cache={world}/cache"]
    done = gmbench("run", *arguments, "optim.lr_head=1e30", "optim.warmup=0", folder=tmp_path)
    assert done.returncode == 3, done.stderr
    (failure,) = tmp_path.rglob("failure.json")
    said = json.loads(failure.read_text())
    assert (said["status"], said["cause"]) == ("failed:nan", "nan")
    assert not list(tmp_path.rglob("result.json"))
    monkeypatch.setattr(sys, "argv", ["replay", str(failure.parent)])
    assert verb.main() == 0
    assert said["message"] in capsys.readouterr().out
    promise("R3", "failures made again from their dump", 1)


def test_replay_says_when_there_is_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["replay", str(tmp_path)])
    assert verb.main() == 2
    assert "config.yaml: not there" in capsys.readouterr().err
