"""The sweep that W&B hands out starts the same verb, with keys that this verb has."""

import itertools
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from wandb import wandb_agent

import experiments
from gmbench.config import compose, parse
from gmbench.config.messages import unknown_flags

SWEEP = yaml.safe_load(Path(experiments.__file__).with_name("wandb_sweep.yaml").read_text())


@pytest.fixture
def started(monkeypatch, tmp_path):
    """The command with which ``wandb agent`` starts one run, by its own code."""
    # The agent sets variables of its own (a run's id, a sweep's file); none outlives the test.
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))  # it writes the parameters there
    commands = []

    def process(*, command, **_):
        commands.append(command)
        return SimpleNamespace()

    monkeypatch.setattr(wandb_agent, "AgentProcess", process)

    def start(command, parameters):
        agent = object.__new__(wandb_agent.Agent)  # its constructor asks the server for the sweep
        vars(agent).update(_sweep_command=list(command), _function=None, _in_jupyter=False)
        vars(agent).update(_run_processes={}, _forward_signals=False)
        args = {name: {"value": value} for name, value in parameters.items()}
        agent._command_run({"run_id": "r", "program": SWEEP["program"], "args": args})
        return commands.pop()

    return start


def test_every_command_it_starts_is_a_run(started):
    assert SWEEP["method"] == "grid"
    names = list(SWEEP["parameters"])
    for values in itertools.product(*(SWEEP["parameters"][n]["values"] for n in names)):
        chosen = dict(zip(names, values, strict=True))
        words = started(SWEEP["command"], chosen)
        assert words[:4] == ["/usr/bin/env", "python", "-m", "gmbench.run"]
        assert not list(unknown_flags(words[4:]))
        settings = parse(compose(words[4:]))
        assert (settings.model.name, settings.seed) == (chosen["model"], chosen["seed"])
        assert (settings.logger.name, settings.logger.mode) == ("wandb", "online")


def test_what_an_agent_passes_by_default_is_answered_with_what_it_has_to_pass(started):
    command = ["${env}", "python", "-m", "${program}", "${args}"]
    words = started(command, {"trainer.epochs": 3, "seed": 1})
    first, second, hint = unknown_flags(words[4:])
    assert first == "--trainer.epochs=3: no such option; did you mean trainer.epochs=3?"
    assert second == "--seed=1: no such option; did you mean seed=1?"
    assert "key=value, without dashes" in hint
    assert "${args_no_hyphens}" in hint


def test_the_schema_of_sweeps_has_nothing_against_it():
    reason = "needs the package sweeps, W&B's own schema"
    config = pytest.importorskip("sweeps.config", reason=reason)
    assert config.schema_violations_from_proposed_config(SWEEP) == []
    assert config.schema_violations_from_proposed_config({**SWEEP, "method": "guess"})
