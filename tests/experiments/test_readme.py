"""Result tables of the pages are those of the committed result files, to the digit."""

import json
import shutil
from dataclasses import replace

import pytest

from experiments import readme
from experiments.readme import MARKED, PAGES, RESULTS, add, filled, main
from gmbench import report, score
from gmbench.core.errors import InputError
from gmbench.reporting.index import TWEETS
from gmbench.reporting.record import TaskFigures, write_result
from gmbench.scoring.counting import Counts
from gmbench.scoring.files import write_tweet_table
from gmbench.scoring.intervals import tweet_table
from tests.reporting.sample import GOLD, PREDICTIONS, sample


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_says_what_its_result_files_say(page):
    text = page.read_text()
    assert filled(text) == text, "python -m experiments.readme writes it anew"


def test_there_are_tables_and_every_kept_run_stands_in_one():
    found = [
        (kind, name) for page in PAGES for _, kind, name, _, _ in MARKED.findall(page.read_text())
    ]
    kept = {path.parents[2].name for path in (RESULTS / "runs").glob("*/*/*/result.json")}
    assert kept
    assert {("runs", name) for name in kept} <= set(found)


def test_no_kept_result_knows_its_machine():
    for path in (RESULTS / "runs").rglob("*.json"):
        assert not [w for w in json.loads(path.read_text())["config"]["overrides"] if "/" in w]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Results and pages of its own."""
    monkeypatch.setattr(readme, "RESULTS", tmp_path / "results")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- results: runs here -->\n<!-- end -->\nafter\n")
    monkeypatch.setattr(readme, "PAGES", (page,))
    run = tmp_path / "run"
    run.mkdir()
    write_result(run / "result.json", sample())
    write_tweet_table(run / TWEETS, tweet_table({e.id: e.entities for e in GOLD}, PREDICTIONS))
    return tmp_path, page, run


def test_a_run_is_added_and_the_page_written_then_a_changed_digit_is_found(elsewhere, capsys):
    folder, page, run = elsewhere
    assert main(["--add", "here/mine", str(run)]) == 0
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("<!-- end -->\nafter\n")
    assert f"mine, seed {sample().config.seed}" in text
    assert main(["--check"]) == 0
    f1 = f"**{100 * sample().metrics.mner.f1:.1f}**"
    assert f1 in text
    page.write_text(text.replace(f1, "**99.9**", 1))
    assert main(["--check"]) == 1
    assert "differs" in capsys.readouterr().out
    assert main([]) == 0
    assert page.read_text() == text
    shutil.rmtree(folder / "results")
    assert main([]) == 2
    assert "no seed=N/result.json" in capsys.readouterr().err


def test_a_kept_run_is_reported_and_its_counts_added_up_again(elsewhere, capsys):
    folder, _, run = elsewhere
    for seed in (1, 2):
        result = sample()
        write_result(run / "result.json", replace(result, config=replace(result.config, seed=seed)))
        add("here/mine", [run])
    kept = folder / "results" / "runs" / "here"
    assert report.main([str(kept), "--format", "csv"]) == 0
    assert "mqspn,2," in capsys.readouterr().out
    one = kept / "mine" / "seed=2"
    assert score.main(["--verify", str(one)]) == 0
    assert "totals of all tasks are those of its tweets.test.csv (2 tweets)" in (
        capsys.readouterr().out
    )
    counts = (one / TWEETS).read_text()
    (one / TWEETS).write_text(counts.replace("a,1,", "a,2,", 1))
    assert score.main(["--verify", str(one)]) == 2
    assert "edited?" in capsys.readouterr().err


def test_a_result_whose_commit_is_unknown_says_so(elsewhere):
    _, page, run = elsewhere
    for seed, commit in ((1, "a" * 40), (2, None)):
        result = sample()
        config, code = replace(result.config, seed=seed), replace(result.code, commit=commit)
        write_result(run / "result.json", replace(result, config=config, code=code))
        add("here/mine", [run])
    assert main([]) == 0
    assert "commit aaaaaaaaaa and no commit recorded for 1 of 2 runs" in page.read_text()


def test_of_many_seeds_the_mean_and_the_range_are_told(elsewhere):
    _, page, run = elsewhere
    for seed in (1, 2, 3, 4):
        result = sample()
        write_result(run / "result.json", replace(result, config=replace(result.config, seed=seed)))
        add("here/mine", [run])
    assert main([]) == 0
    text = page.read_text()
    f1 = f"{100 * sample().metrics.mner.f1:.1f}"
    assert "mine, seed 1" not in text
    assert "(4 seeds) | " in text
    assert f"**{f1}** ± 0.0 ({f1} to {f1})" in text


def test_an_edited_result_is_refused(elsewhere):
    _, _, run = elsewhere
    path = run / "result.json"
    path.write_text(path.read_text().replace('"f1": 0.', '"f1": 0.9', 1))
    with pytest.raises(InputError):
        add("here/mine", [run])


def test_an_overview_has_a_row_a_task_and_the_best_baseline_without_gold(elsewhere):
    _, page, run = elsewhere
    for seed, name in enumerate(("one/a", "one/b"), 1):
        result = sample()
        write_result(run / "result.json", replace(result, config=replace(result.config, seed=seed)))
        add(name, [run])
    page.write_text("<!-- results: overview one/gmner,one/mner -->\n<!-- end -->\n")
    assert main([]) == 0
    rows = [line.split("|")[1:-1] for line in page.read_text().splitlines() if "F1 |" in line]
    metrics, floors = sample().metrics, sample().floors
    for row, task in zip(rows, ("gmner", "mner"), strict=True):
        mean = f"{100 * getattr(metrics, task).f1:.1f} (1)"  # no bold for one seed
        assert [cell.strip() for cell in row[1:3]] == [mean, mean]
        best = max(getattr(floor, task).f1 for floor in floors if floor.mner is not None)
        assert row[3].strip().startswith(f"{100 * best:.1f} (")


def test_the_best_baseline_is_that_of_any_method(elsewhere):
    _, page, run = elsewhere
    systems = [floor for floor in sample().floors if floor.mner is not None]
    better = replace(systems[0], name="takes a candidate", mner=TaskFigures.of(Counts(2, 2, 2)))
    for method, floors in (("a", systems), ("b", [*systems, better])):
        write_result(run / "result.json", replace(sample(), floors=tuple(floors)))
        add(f"one/{method}", [run])
    page.write_text("<!-- results: overview one/mner -->\n<!-- end -->\n")
    assert main([]) == 0
    assert "| 100.0 (takes a candidate) |" in page.read_text()


def test_an_overview_says_where_methods_were_trained_for_different_epochs(elsewhere):
    _, page, run = elsewhere
    for method, epochs in (("a", "1"), ("b", "4")):
        result = sample()
        config = replace(result.config, overrides=(f"trainer.epochs={epochs}",))
        write_result(run / "result.json", replace(result, config=config))
        add(f"one/{method}", [run])
    page.write_text("<!-- results: overview one/gmner -->\n<!-- end -->\n")
    assert main([]) == 0
    assert ", 1/4 epochs: GMNER F1 |" in page.read_text()


def test_a_model_without_candidates_shares_the_table_of_one_that_has_them(elsewhere):
    _, page, run = elsewhere
    for method, candidates in (("chooses", "c" * 64), ("draws", None)):
        result = sample()
        data = replace(result.data, candidates=candidates)
        write_result(run / "result.json", replace(result, data=data))
        add(f"one/{method}", [run])
    page.write_text("<!-- results: runs one -->\n<!-- end -->\n")
    assert main([]) == 0
    assert "chooses, seed" in page.read_text()
    assert "draws, seed" in page.read_text()
