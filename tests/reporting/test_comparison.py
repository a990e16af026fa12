"""Runs that may be compared, runs that may not, and what the table says."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from gmbench.core.errors import InputError
from gmbench.reporting.index import TWEETS, read_scored_run
from gmbench.reporting.pairs import check_comparable, compare_runs
from gmbench.reporting.record import write_result
from gmbench.reporting.tables import comparison_table, rule_of
from gmbench.scoring.files import write_tweet_table
from gmbench.scoring.intervals import tweet_table
from tests.reporting.sample import GOLD, PREDICTIONS, sample


@pytest.fixture
def folder(tmp_path):
    write_result(tmp_path / "result.json", sample())
    gold = {example.id: example.entities for example in GOLD}
    write_tweet_table(tmp_path / TWEETS, tweet_table(gold, PREDICTIONS))
    return tmp_path


def test_a_run_against_itself(folder):
    run = read_scored_run(folder)
    found = compare_runs(run, run, resamples=99)
    assert [row.difference.delta.value for row in found.tasks] == [0.0, 0.0, 0.0]
    assert [row.p_holm for row in found.tasks] == [1.0, 1.0, 1.0]
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(comparison_table(found, run.name, run.name, rule_of(run.result)))
    text = console.export_text()
    assert "mqspn seed 1 against mqspn seed 1" in text
    assert "Protocol strict" in text
    assert "80.00" in text
    assert "+0.00  [+0.00, +0.00]" in text


def test_without_pixels_only_text_is_compared(folder):
    run = read_scored_run(folder)
    blind = replace(run, result=sample(saw_pixels=False))
    assert [row.task for row in compare_runs(run, blind, resamples=9).tasks] == ["mner"]


@pytest.mark.parametrize(("part", "change", "message"), [
    ("data", {"fingerprint": "e" * 64}, "data fingerprint ffffffffffff against eeeeeeeeeeee"),
    ("data", {"split": "dev"}, "split test against dev"),
    ("data", {"limit": 2}, "limit None against 2"),
    ("protocol", {"name": "mqspn"}, "protocol strict 1.0 IoU 0.5 against mqspn 1.0 IoU 0.5"),
])  # fmt: skip
def test_what_cannot_be_compared_is_named(part, change, message):
    other = replace(sample(), **{part: replace(getattr(sample(), part), **change)})
    with pytest.raises(InputError, match=message):
        check_comparable(sample(), other)


def test_all_differences_at_once():
    data = replace(sample().data, split="dev", limit=5)
    with pytest.raises(InputError, match="split test against dev; limit None against 5"):
        check_comparable(sample(), replace(sample(), data=data))


def test_counts_must_be_those_of_the_result(folder):
    text = (folder / TWEETS).read_text()
    (folder / TWEETS).write_text(text.replace("a,1,1,1,", "a,1,1,0,"))
    with pytest.raises(InputError, match="gmner adds up to tp/pred/gold 1/3/2, "):
        read_scored_run(folder)
    (folder / TWEETS).write_text(text.rsplit("\n", 2)[0] + "\n")
    with pytest.raises(InputError, match="1 tweets, result"):
        read_scored_run(folder)
    (folder / TWEETS).unlink()
    with pytest.raises(InputError, match="made before counts were stored"):
        read_scored_run(folder)
    (folder / "result.json").unlink()
    with pytest.raises(InputError, match="not finished"):
        read_scored_run(folder)
