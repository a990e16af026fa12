"""Every two rows of a leaderboard against each other."""

import csv
import io
from dataclasses import replace

import pytest

from gmbench.report import main
from gmbench.reporting.formats import FORMATS, pairs_report
from gmbench.reporting.index import read_scored_run
from gmbench.reporting.pairs import Pair, compare_runs, every_pair
from gmbench.scoring.intervals import Interval
from tests.reporting.two_models import two_models


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    board, _ = two_models(folder, 40)
    return folder, board


def test_with_one_seed_each_the_tests_are_those_of_two_runs(made):
    folder, board = made
    found = every_pair(board.leagues[0], 12)
    better, worse = (row.label for row in board.leagues[0].rows)
    assert [(pair.first, pair.second) for pair in found] == 3 * [(better, worse)]
    runs = [read_scored_run(row.entries[0].folder) for row in board.leagues[0].rows]
    known = {row.task: row for row in compare_runs(*runs).tasks}
    for pair in found:
        assert pair.p == known[pair.task].difference.p
        assert pair.p_holm == known[pair.task].p_holm
        assert pair.delta.value == pytest.approx(known[pair.task].difference.delta.value)
        assert pair.of == 1
        assert pair.ahead == (pair.delta.value > 0)
    assert main([str(folder / "runs"), "--pairs"]) == 0


def test_rows_beyond_those_asked_for_and_tasks_without_scores_are_left_out(made, tmp_path):
    _, board = made
    assert every_pair(board.leagues[0], 1) == ()
    blind, _ = two_models(tmp_path, 12, pixels=False)
    assert [pair.task for pair in every_pair(blind.leagues[0], 12)] == ["mner"]


def test_a_difference_stands_only_against_tweets_and_seeds_both():
    sure = Pair(
        task="mner",
        first="a",
        second="b",
        delta=Interval(0.02, 0.01, 0.03),
        ahead=25,
        of=25,
        p=0.001,
        p_holm=0.01,
    )
    assert sure.differs
    assert replace(sure, delta=Interval(-0.02, -0.03, -0.01)).differs
    assert not replace(sure, p_holm=0.06).differs
    assert not replace(sure, delta=Interval(0.02, -0.01, 0.05)).differs
    assert not replace(sure, delta=Interval(0.02, None, None)).differs


def test_files_hold_what_was_tested(made, tmp_path):
    folder, board = made
    found = every_pair(board.leagues[0], 12)
    report = pairs_report(board, 12)
    rows = list(csv.DictReader(io.StringIO(report.text("csv"))))
    assert [float(row["delta"]) for row in rows] == [pair.delta.value for pair in found]
    assert [float(row["p_holm"]) for row in rows] == [pair.p_holm for pair in found]
    assert report.text("md").count("| GMNER |") == 1
    out = tmp_path / "pairs"
    for form in FORMATS:
        assert main([str(folder / "runs"), "--pairs", "--format", form, "--out", str(out)]) == 0
        assert out.read_text() == report.text(form)
