"""Two runs, and every two rows of a leaderboard: who may be compared, and what is written."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from gmbench.core.errors import InputError
from gmbench.report import main
from gmbench.reporting.formats import FORMATS, pairs_report
from gmbench.reporting.index import TWEETS, read_scored_run
from gmbench.reporting.leaderboard import versus
from gmbench.reporting.pairs import check_comparable, compare_runs, every_pair, run_names
from gmbench.reporting.record import write_result
from gmbench.reporting.tables import comparison_table, rule_of
from gmbench.scoring.files import write_tweet_table
from gmbench.scoring.intervals import Interval, tweet_table
from gmbench.scoring.methods import MethodDifference
from tests.reporting.sample import GOLD, PREDICTIONS, sample
from tests.reporting.two_models import two_models


@pytest.fixture
def folder(tmp_path):
    write_result(tmp_path / "result.json", sample())
    gold = {example.id: example.entities for example in GOLD}
    write_tweet_table(tmp_path / TWEETS, tweet_table(gold, PREDICTIONS))
    return tmp_path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    board, _ = two_models(folder, 40)
    return folder, board


def test_a_run_against_itself_and_against_one_without_pixels(folder):
    run = read_scored_run(folder)
    comparison = compare_runs(run, run, resamples=99)
    assert [row.difference.delta.value for row in comparison.tasks] == [0.0, 0.0, 0.0]
    assert [row.p_holm for row in comparison.tasks] == [1.0, 1.0, 1.0]
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(comparison_table(comparison, run.name, run.name, rule_of(run.result)))
    text = console.export_text()
    for part in ("mqspn seed 1 against mqspn seed 1", "Protocol strict", "80.00"):
        assert part in text
    assert "+0.00  [+0.00, +0.00]" in text
    blind = replace(run, result=sample(saw_pixels=False))
    assert [row.task for row in compare_runs(run, blind, resamples=9).tasks] == ["mner"]


@pytest.mark.parametrize(("part", "change", "message"), [
    ("data", {"fingerprint": "e" * 64}, "data fingerprint ffffffffffff against eeeeeeeeeeee"),
    ("data", {"split": "dev", "limit": 5}, "split test against dev; limit None against 5"),
    ("protocol", {"name": "mqspn"}, "protocol strict 1.0 IoU 0.5 against mqspn 1.0 IoU 0.5"),
])  # fmt: skip
def test_what_cannot_be_compared_is_named(part, change, message):
    other = replace(sample(), **{part: replace(getattr(sample(), part), **change)})
    with pytest.raises(InputError, match=message):
        check_comparable(sample(), other)


def test_counts_must_be_those_of_the_result(folder):
    text = (folder / TWEETS).read_text()
    (folder / TWEETS).write_text(text.replace("a,1,1,1,", "a,1,1,0,"))
    with pytest.raises(InputError, match="gmner adds up to tp/pred/gold 1/3/2, "):
        read_scored_run(folder)
    (folder / TWEETS).write_text(text.rsplit("\n", 2)[0] + "\n")
    with pytest.raises(InputError, match="1 examples, result"):
        read_scored_run(folder)
    (folder / TWEETS).unlink()
    with pytest.raises(InputError, match="made before counts were stored"):
        read_scored_run(folder)
    (folder / "result.json").unlink()
    with pytest.raises(InputError, match="not finished"):
        read_scored_run(folder)


def test_one_seed_each_compares_runs_not_methods(made):
    """The difference is told; interval, p and star are not."""
    folder, board = made
    pairs = every_pair(board.leagues[0], 12)
    better, worse = (row.label for row in board.leagues[0].rows)
    assert [(pair.first, pair.second) for pair in pairs] == 3 * [(better, worse)]
    runs = [read_scored_run(row.entries[0].folder) for row in board.leagues[0].rows]
    known = {row.task: row for row in compare_runs(*runs).tasks}
    for pair in pairs:
        assert (pair.p, pair.p_holm, pair.delta.low, pair.differs) == (None, None, None, False)
        assert pair.delta.value == pytest.approx(known[pair.task].difference.delta.value)
        assert (pair.ahead, pair.of) == (pair.delta.value > 0, 1)
    assert "| 1 of 1 | - | - |" in pairs_report(board, 12).text("md")
    assert "One seed compares runs, not methods" in pairs_report(board, 12).text("md")
    assert main([str(folder / "runs"), "--pairs"]) == 0


def test_rows_beyond_those_asked_for_and_tasks_without_scores_are_left_out(made, tmp_path):
    _, board = made
    assert every_pair(board.leagues[0], 1) == ()
    blind, _ = two_models(tmp_path, 12, pixels=False)
    assert [pair.task for pair in every_pair(blind.leagues[0], 12)] == ["mner"]


def test_a_star_is_given_after_holm_alone():
    def found(*p_values):
        differences = [MethodDifference(Interval(0.1, None, None), p) for p in p_values]
        return [(test.p_holm, test.differs) for test in versus(differences)]

    assert found(0.02, None, 0.03) == [(0.04, True), (None, False), (0.04, True)]
    assert found(0.03, 0.04) == [(0.06, False), (0.06, False)]
    assert found(0.05) == [(0.05, True)]


def test_files_hold_what_was_tested(made, tmp_path):
    folder, board = made
    pairs, report = every_pair(board.leagues[0], 12), pairs_report(board, 12)
    rows = list(csv.DictReader(io.StringIO(report.text("csv"))))
    assert [float(row["delta"]) for row in rows] == [pair.delta.value for pair in pairs]
    assert [row["p_holm"] for row in rows] == [
        "" if p.p_holm is None else str(p.p_holm) for p in pairs
    ]
    assert report.text("md").count("| GMNER |") == 1
    out = tmp_path / "pairs"
    for form in FORMATS:
        assert main([str(folder / "runs"), "--pairs", "--format", form, "--out", str(out)]) == 0
        assert out.read_text() == report.text(form)


@pytest.mark.parametrize(
    ("second", "names"),
    [
        ({"model": "qgn"}, ("mqspn seed 1", "qgn seed 1")),
        (
            {"overrides": ("model=mqspn", "optim.clip=2")},
            ("mqspn seed 1 (no override)", "mqspn seed 1 (optim.clip=2)"),
        ),
        ({}, ("mqspn seed 1 (a)", "mqspn seed 1 (b)")),
    ],
)
def test_two_runs_have_two_names(folder, second, names):
    one = replace(read_scored_run(folder), folder=Path("a"))
    config = replace(one.result.config, **second)
    other = replace(one, folder=Path("b"), result=replace(one.result, config=config))
    assert run_names(one, other) == names
