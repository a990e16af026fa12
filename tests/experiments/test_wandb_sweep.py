"""The sweep that W&B hands out starts the same verb, with keys that this verb has."""

import itertools
from pathlib import Path

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

import experiments
from gmbench.config import compose

FILE = Path(experiments.__file__).with_name("wandb_sweep.yaml")


def test_every_command_it_comes_to_composes():
    sweep = yaml.safe_load(FILE.read_text())
    assert sweep["method"] == "grid"
    names = list(sweep["parameters"])
    for values in itertools.product(*(sweep["parameters"][n]["values"] for n in names)):
        given = {name: {"value": value} for name, value in zip(names, values, strict=True)}
        arguments = create_sweep_command_args({"args": given})["args_no_hyphens"]
        command = create_sweep_command(sweep["command"])
        assert "${args_no_hyphens}" in command
        fixed = [word for word in command if "=" in word]
        cfg = compose([*fixed, *arguments])
        assert cfg.seed in (1, 2, 3)


def test_the_schema_of_sweeps_has_nothing_against_it():
    reason = "needs the package sweeps, W&B's own schema"
    config = pytest.importorskip("sweeps.config", reason=reason)
    sweep = yaml.safe_load(FILE.read_text())
    assert config.schema_violations_from_proposed_config(sweep) == []
    assert config.schema_violations_from_proposed_config({**sweep, "method": "guess"})
