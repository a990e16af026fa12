"""The fault plan itself."""

import errno

import pytest

from gmbench.faults import VARIABLE, FaultPlan, PlannedFault, strike


def test_a_plan_strikes_at_the_named_pass_only():
    plan = FaultPlan("step:2:raise;save:1:enospc;loss:3:nan")
    assert plan.strike("step") is False
    with pytest.raises(PlannedFault, match="step 2"):
        plan.strike("step")
    assert plan.strike("step") is False
    with pytest.raises(OSError, match="space") as full:
        plan.strike("save")
    assert full.value.errno == errno.ENOSPC
    assert [plan.strike("loss") for _ in range(4)] == [False, False, True, False]


@pytest.mark.parametrize("text", ["step", "step:x:kill", "step:1:explode", "step:1"])
def test_a_bad_plan_is_refused(text):
    with pytest.raises(ValueError, match=VARIABLE):
        FaultPlan(text)


def test_without_a_plan_nothing_happens(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert not any(strike(place) for place in ("step", "loss", "save", "match") * 3)
