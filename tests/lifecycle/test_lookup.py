"""A finished run is found again only on the data that it was made on."""

import re
from dataclasses import replace

import pytest

from gmbench.config import compose
from gmbench.config.identity import plain_config, run_sha, what_computes
from gmbench.config.schema import Counts, Settings
from gmbench.core.errors import InputError
from gmbench.data.fingerprint import current_fingerprint
from gmbench.grid import Job, Status, run_jobs
from gmbench.grid.multirun import _apart
from gmbench.lifecycle.build_data import build_regions, build_source
from gmbench.lifecycle.lookup import Lookup
from gmbench.reporting.record import write_result
from gmbench.training.resume import Identity
from tests.data.files import dataset
from tests.data.test_fingerprint import lines
from tests.reporting.sample import sample


def tree(tmp_path, *overrides, root="data"):
    own = f"data.root={tmp_path / root}", f"cache={tmp_path / 'cache'}"
    return plain_config(compose(["data=twitter_gmner", "regions=jsonl", *own, *overrides]))


@pytest.fixture
def finished(tmp_path):
    """The folder of a finished run on a small data set."""
    lines(dataset(tmp_path / "data") / "regions.jsonl")
    store(tmp_path)
    return tmp_path / "run"


def store(tmp_path, **changes):
    mine = tree(tmp_path)
    settings = Settings.of(mine)
    source = build_source(settings)
    now = current_fingerprint(source, build_regions(settings, source), tmp_path / "cache")
    found = {"fingerprint": now.data, "candidates": now.candidates} | changes
    result = sample()
    result = replace(
        result,
        config=replace(result.config, sha=run_sha(mine)),
        data=replace(result.data, **found),
    )
    (tmp_path / "run").mkdir(exist_ok=True)
    write_result(tmp_path / "run" / "result.json", result)


def test_the_same_run_is_found_wherever_its_files_lie_now(finished, tmp_path):
    lines(dataset(tmp_path / "moved") / "regions.jsonl")
    for root in ("data", "moved"):
        assert Lookup()(finished, tree(tmp_path, root=root)) is not None
    for another in ("seed=2", "force=true", "mode=test", "regions.source.k=7"):
        assert Lookup()(finished, tree(tmp_path, another)) is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            lambda root: dataset(root, {"1": "RT Ada/B-LOC Byron/I-LOC sings", "2": "none"}),
            "other data \\(",
        ),
        (lambda root: lines(root / "regions.jsonl", ((0, 0, 9, 9),)), "other candidates \\("),
        (lambda root: root.rename(root.with_name("gone")), "no such folder"),
    ],
    ids=["labels mended in place", "other candidates", "no data"],
)
def test_a_run_on_other_data_is_refused_and_nothing_is_lost(finished, tmp_path, change, why):
    change(tmp_path / "data")
    before = (finished / "result.json").read_bytes()
    with pytest.raises(InputError, match=why) as refused:
        Lookup()(finished, tree(tmp_path))
    assert len(refused.value.problems) == 1
    job = Job(label="j", folder=finished, command=("false",), sha="", tree=tree(tmp_path))
    (outcome,) = run_jobs([job], report=lambda *event: None)
    assert (outcome.status, outcome.cause) == (Status.FAILED, str(refused.value))
    assert (finished / "result.json").read_bytes() == before


def test_a_result_older_than_the_fingerprint_of_candidates_is_found(finished, tmp_path):
    store(tmp_path, candidates=None)
    lines(tmp_path / "data" / "regions.jsonl", ((0, 0, 9, 9),))
    assert Lookup()(finished, tree(tmp_path)) is not None


def test_a_damaged_result_is_reported_and_counts_for_none(finished, tmp_path, caplog):
    (finished / "result.json").write_text("{}")
    assert Lookup()(finished, tree(tmp_path)) is None
    assert "computed again" in caplog.text


def test_a_world_is_not_generated_to_find_a_run_on_it(finished, tmp_path):
    mine = plain_config(compose(["data=synthetic_tiny", f"data.root={tmp_path / 'world'}"]))
    assert Lookup().other_data(sample(), mine) == ""
    assert not (tmp_path / "world").exists()


def test_jobs_on_other_data_in_one_folder_are_refused(tmp_path):
    def job(root, folder="a"):
        mine = tree(tmp_path, root=root)
        return Job(label=root, folder=tmp_path / folder, command=(), sha=run_sha(mine), tree=mine)

    _apart([job("A"), job("A"), job("B", "b")])
    with pytest.raises(InputError, match=r"A and B would share the folder .*/a: "):
        _apart([job("A"), job("B")])


COMMON = {"code": "c", "torch": "2", "device": "cpu", "processes": 1, "threads": 1}


def test_a_checkpoint_of_another_configuration_names_what_differs():
    def identity(*overrides, **changes):
        plain = plain_config(compose(overrides))
        settings = what_computes(plain, Counts.RESUME)
        sha = run_sha(plain, Counts.RESUME)
        return replace(Identity(config=sha, data="d", settings=settings, **COMMON), **changes)

    mine, longer = identity(), identity("trainer.epochs=99", "+foreign=patches", "runs=elsewhere")
    (line,) = mine.another_run(longer)
    assert re.fullmatch(r"another configuration \(.*trainer\.epochs: \d+ then, 99 now.*\)", line)
    assert "data.foreign.share: absent then, 0.5 now" in line
    assert "runs" not in line
    assert list(identity(settings=None).another_run(longer)) == ["another configuration"]  # older


def test_a_checkpoint_of_other_candidates_is_of_another_run():
    mine = Identity(config="a", data="d" * 64, candidates="1" * 64, **COMMON)
    assert not list(mine.another_run(mine))
    assert not list(Identity(config="a", data="d" * 64, **COMMON).another_run(mine))  # older
    (line,) = mine.another_run(Identity(config="a", data="d" * 64, candidates="2" * 64, **COMMON))
    assert line == "other candidates (111111111111 then, 222222222222 now)"
