"""What commit e2a5423 stored, before modules and arguments moved: a run folder and an export.

``stored/run`` is ``python -m gmbench.run data=synthetic_tiny trainer=debug`` without checkpoints
and pictures; ``stored/export.tar.xz`` its exported model, each tensor filled with one number.
"""

import tarfile
from dataclasses import replace
from pathlib import Path

import yaml

import gmbench
from gmbench.config import check, compose, parse
from gmbench.config.compose import stored_settings
from gmbench.config.identity import run_sha
from gmbench.config.renames import GROUPS, TARGETS, current, current_override, original
from gmbench.config.schema import Counts
from gmbench.lifecycle.attempts import finished
from gmbench.lifecycle.verify import verify
from gmbench.reporting.index import read_index
from gmbench.reporting.leaderboard import leaderboard, method_overrides
from gmbench.reporting.record import read_result, write_result

RUN = Path(__file__).parent / "stored" / "run"
COMMAND = ["data=synthetic_tiny", "trainer=debug"]
OF_ITS_CHECKPOINTS = "b622aa6770298c3f85a1f24d98c63a848f493676b8f3073c238bb96051b6a40c"


def test_an_unchanged_command_finds_its_run_and_its_checkpoints():
    settings = parse(compose(COMMAND))
    assert finished(RUN, run_sha(settings.tree)) is not None
    assert finished(RUN, run_sha(compose([*COMMAND, "seed=2"]))) is None
    assert run_sha(settings.tree, Counts.RESUME) == OF_ITS_CHECKPOINTS
    later = compose([*COMMAND, "model.network.qfnet.direct=true"])  # an argument that came after it
    assert finished(RUN, run_sha(later)) is None


def test_a_stored_configuration_is_read_under_todays_names():
    plain = yaml.safe_load((RUN / "config.yaml").read_text())
    settings = stored_settings(RUN / "config.yaml")
    today = check(compose(COMMAND))
    assert settings.model == today.model
    assert original(settings.tree) == plain
    assert current(settings.tree) == settings.tree
    assert run_sha(settings.tree) == run_sha(plain) == run_sha(today.tree)


def test_no_two_old_names_are_one_today():
    assert len(set(TARGETS.values())) == len(TARGETS)
    assert not set(TARGETS) & set(TARGETS.values())
    for group in GROUPS:
        assert len(set(group.arguments.values())) == len(group.arguments)


def test_every_figure_stands(tmp_path):
    wrong = verify(RUN, root=tmp_path)
    # Bytes of drawn pictures, and so the fingerprint, may differ with the version of Pillow.
    assert [line for line in wrong if "fingerprint" not in line and "data set in" not in line] == []


def test_it_shares_a_row_with_a_new_run_of_the_same_command(tmp_path):
    old = read_result(RUN / "result.json")
    then, now = "model.network.aggregator=none", "model.network.qfnet.aggregator=none"
    for seed, further in enumerate(([then], [now, "trainer.accelerator=cpu"]), 1):
        overrides = (*COMMAND, *further, f"seed={seed}")
        config = replace(old.config, seed=seed, sha=str(seed) * 64, overrides=overrides)
        (tmp_path / str(seed)).mkdir()
        write_result(tmp_path / str(seed) / "result.json", replace(old, config=config))
    (league,) = leaderboard(read_index(tmp_path)).leagues
    (row,) = league.rows
    assert row.seeds == (1, 2)
    assert method_overrides(row.entries[0].result) == (now, "trainer=debug")
    assert current_override(f"+{then}", "qgn") == f"+{then}"  # another model's own key


def test_its_export_loads_and_answers(tmp_path):
    with tarfile.open(RUN.parent / "export.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    model = gmbench.load(tmp_path / "export", device="cpu")
    assert isinstance(model.predict(None, "Lionel Messi at home in Rosario"), list)
