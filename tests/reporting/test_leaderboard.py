"""The leaderboard: who may stand beside whom, means over seeds, tests, formats, speed."""

import csv
import io
import json
from dataclasses import replace

import pytest

from gmbench.report import main
from gmbench.reporting.index import TWEETS, read_index
from gmbench.reporting.leaderboard import leaderboard
from gmbench.reporting.record import TaskFigures, write_result
from gmbench.scoring.counting import Counts
from gmbench.scoring.files import write_tweet_table
from gmbench.scoring.intervals import tweet_table
from tests.reporting.sample import GOLD, PREDICTIONS, sample
from tests.stopwatch import cpu_seconds


def changed(*, tp=1, seed=1, sha=None, overrides=("model=mqspn",), model="mqspn", **data):
    result = sample(saw_pixels=data.get("saw_pixels", True))
    gmner = TaskFigures.of(Counts(tp, 3, 2)) if data.get("saw_pixels", True) else None
    return replace(
        result,
        config=replace(
            result.config, seed=seed, sha=sha or f"{model}{seed}", overrides=overrides, model=model
        ),
        data=replace(result.data, **data),
        metrics=replace(result.metrics, gmner=gmner),
    )


def store(folder, result, name):
    (folder / name).mkdir(parents=True)
    write_result(folder / name / "result.json", result)


def test_seeds_are_one_row_and_the_best_stands_first(tmp_path):
    for seed, tp in ((1, 0), (2, 1)):
        store(tmp_path, changed(seed=seed, tp=tp), f"a{seed}")
        other = ("model=qgn", f"seed={seed}", "runs=x", "logger.tags=[x]", "trainer.epochs=3")
        store(tmp_path, changed(seed=seed, tp=2, overrides=other, model="qgn"), f"b{seed}")
    (league,) = leaderboard(read_index(tmp_path)).leagues
    assert [row.label for row in league.rows] == ["qgn trainer.epochs=3", "mqspn"]
    assert league.shared == ()
    summary = league.rows[1].figures["gmner"]
    assert summary.values == (0.0, 0.4)
    assert summary.mean == pytest.approx(0.2)
    assert summary.sd == pytest.approx(0.4 / 2**0.5)
    assert league.rows[1].seeds == (1, 2)
    assert league.rows[0].versus is None


def test_what_all_rows_share_is_told_once(tmp_path):
    for clip in (1, 2):
        overrides = ("model=mqspn", "trainer.epochs=3", f"optim.clip={clip}")
        store(tmp_path, changed(sha=str(clip), overrides=overrides), f"{clip}")
    (league,) = leaderboard(read_index(tmp_path)).leagues
    assert league.shared == ("trainer.epochs=3",)
    assert {row.label for row in league.rows} == {"mqspn optim.clip=1", "mqspn optim.clip=2"}


def test_of_a_key_given_twice_the_last_counts(tmp_path):
    once, twice = ("model=mqspn", "optim.clip=2"), ("optim.clip=1", "model=mqspn", "optim.clip=2")
    for seed, overrides in enumerate((once, twice)):
        store(tmp_path, changed(seed=seed, overrides=overrides), f"{seed}")
    (league,) = leaderboard(read_index(tmp_path)).leagues
    assert [row.seeds for row in league.rows] == [(0, 1)]
    assert league.shared == ("optim.clip=2",)


def test_cpu_time_is_a_mean_where_every_run_counted_it(tmp_path, capsys):
    for seed, cpu in ((1, 60.0), (2, 180.0)):
        result = changed(seed=seed)
        store(tmp_path, replace(result, cost=replace(result.cost, cpu_seconds=cpu)), f"{seed}")
    (row,) = leaderboard(read_index(tmp_path)).leagues[0].rows
    assert (row.cpu_minutes, row.minutes) == (2.0, 12.5 / 60)
    assert main([str(tmp_path), "--format", "md"]) == 0
    assert "| 0.2 (2.0) |" in capsys.readouterr().out
    store(tmp_path, changed(seed=3), "3")  # of a version that did not count
    (row,) = leaderboard(read_index(tmp_path)).leagues[0].rows
    assert row.cpu_minutes is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"exact_resume": False}, "seed 2 went on with other digits (exact_resume: false)"),
        ({"degraded": ("disk", "nan")}, "seed 2 lost a checkpoint to a full disk and left out a"),
    ],
)
@pytest.mark.parametrize("form", ["md", "latex", "json"])
def test_a_run_that_was_not_an_unbroken_one_is_marked(tmp_path, capsys, form, change, said):
    store(tmp_path, changed(), "a")
    store(tmp_path, replace(changed(seed=2), **change), "b")
    store(tmp_path, changed(model="qgn", overrides=("model=qgn",)), "c")
    assert main([str(tmp_path), "--format", form]) == 0
    shown = capsys.readouterr().out
    assert said in shown
    if form == "md":
        assert "| mqspn † | 2 |" in shown
        assert "| qgn |" in shown
    if form == "json":
        rows = json.loads(shown)["leagues"][0]["rows"]
        assert {row["row"]: bool(row["marks"]) for row in rows} == {"mqspn": True, "qgn": False}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"fingerprint": "0" * 64}, "fingerprint"),
        ({"name": "other"}, "data set other"),
        ({"split": "dev"}, "dev split"),
        ({"limit": 2}, "limited to 2"),
        ({"saw_pixels": False, "blanked": 2}, "saw no pixels"),
        ({"overrides": ("model=mner_qg", "model.decode.given_text=true")}, "given the gold text"),
        ({"overrides": ("model=hindex", "model.network.prefix=gold")}, "given the gold text"),
    ],
)
def test_what_cannot_be_compared_stands_apart_with_the_reason(data, reason, tmp_path):
    store(tmp_path, changed(), "a")
    store(tmp_path, replace(changed(seed=2, tp=2), **{}), "b")
    store(tmp_path, changed(**({"fingerprint": "f" * 64} | data)), "c")
    leagues = leaderboard(read_index(tmp_path)).leagues
    assert sorted(len(row.entries) for league in leagues for row in league.rows) == [1, 2]
    assert leagues[0].apart == ()
    told = " ".join(leagues[1].apart)
    opposite = {"dev split": "test split", "saw no pixels": "saw pixels", "limited to 2": "all"}
    opposite["data set other"] = "data set two_tweets"
    assert reason in told or opposite.get(reason, reason) in told


@pytest.mark.parametrize(
    ("candidates", "rows"),
    [
        (("a" * 64, "a" * 64, None), {"mqspn": [1, 2, 3]}),
        (
            ("a" * 64, "b" * 64, None),
            {
                "mqspn candidates=aaaaaaaa": [1],
                "mqspn candidates=bbbbbbbb": [2],
                "mqspn candidates=not recorded": [3],
            },
        ),
    ],
    ids=["as recorded before", "two detectors"],
)
def test_seeds_on_other_candidates_are_another_row_of_the_same_table(candidates, rows, tmp_path):
    for seed, digest in enumerate(candidates, start=1):
        store(tmp_path, changed(seed=seed, candidates=digest), f"{seed}")
    (league,) = leaderboard(read_index(tmp_path)).leagues
    found = {row.label: [e.result.config.seed for e in row.entries] for row in league.rows}
    assert found == rows


def test_another_protocol_stands_apart(tmp_path):
    store(tmp_path, changed(), "a")
    other = changed(seed=2)
    store(tmp_path, replace(other, protocol=replace(other.protocol, version="2.0")), "b")
    leagues = leaderboard(read_index(tmp_path)).leagues
    assert len(leagues) == 2
    assert "strict 2.0" in " ".join(leagues[1].apart)


def test_a_seed_is_never_counted_twice(tmp_path):
    store(tmp_path, changed(), "a")
    store(tmp_path, changed(), "b")
    store(tmp_path, changed(sha="other"), "c")
    board = leaderboard(read_index(tmp_path))
    assert [len(row.entries) for row in board.leagues[0].rows] == [1]
    assert any("the same run" in line for line in board.set_aside)
    assert any("defaults have changed" in line for line in board.set_aside)


def test_damaged_and_failed_runs_are_told(tmp_path, capsys):
    store(tmp_path, changed(), "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "result.json").write_text("{")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "failure.json").write_text("{}")
    assert main([str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "not JSON" in " ".join(said.split())
    assert f"failed: {tmp_path / 'c'}"[:40] in said.replace("\n", "")


def test_by_a_setting_a_row_is_one_method_and_a_seed_counts_once(tmp_path):
    full, ablation = ("model=mqspn",), ("model=mqspn", "optim.clip=2")
    for seed, overrides in ((1, full), (2, full), (3, ablation)):
        store(tmp_path, changed(seed=seed, overrides=overrides), f"r{seed}")
    store(tmp_path, changed(seed=2, overrides=full), "r2-again")  # one run in two folders
    store(tmp_path, changed(seed=2, overrides=full, sha="old"), "r2-old")
    for by in (("model",), ("model", "trainer.epochs"), ("device",)):
        board = leaderboard(read_index(tmp_path), by=by)
        ends = {row.label.endswith("optim.clip=2"): row.seeds for row in board.leagues[0].rows}
        assert ends == {False: (1, 2), True: (3,)}
        assert sum("the same run" in line for line in board.set_aside) == 1
        assert sum("seed 2 again" in line for line in board.set_aside) == 1
    (row, other) = leaderboard(read_index(tmp_path), by=("optim.clip",)).leagues[0].rows
    assert {row.label, other.label} == {"optim.clip=default", "optim.clip=2"}
    store(tmp_path, changed(model="qgn", overrides=("model=qgn",)), "other model")
    labels = {
        row.label for row in leaderboard(read_index(tmp_path), by=("device",)).leagues[0].rows
    }
    assert labels == {"device=cpu mqspn", "device=cpu mqspn optim.clip=2", "device=cpu qgn"}


def test_rows_with_counts_of_tweets_are_tested_against_the_best(tmp_path):
    gold = {e.id: e.entities for e in GOLD}
    worse = {"a": (), "b": PREDICTIONS["b"]}
    for name, answers in (("good", PREDICTIONS), ("poor", worse)):
        table = tweet_table(gold, answers)
        result = sample()
        micro = {t: Counts(*map(int, getattr(table, t).sum(axis=0))) for t in ("gmner", "mner")}
        eeg = Counts(*map(int, table.eeg.sum(axis=0)))
        metrics = replace(
            result.metrics,
            gmner=TaskFigures.of(micro["gmner"]),
            mner=TaskFigures.of(micro["mner"]),
            eeg=TaskFigures.of(eeg),
        )
        config = replace(result.config, model=name, sha=name)
        store(tmp_path, replace(result, metrics=metrics, config=config), name)
        write_tweet_table(tmp_path / name / TWEETS, table)
    (league,) = leaderboard(read_index(tmp_path)).leagues
    best, other = league.rows
    assert best.label.startswith("good")
    assert best.interval is not None
    assert other.versus.delta.value == pytest.approx(
        other.figures["gmner"].mean - best.figures["gmner"].mean
    )
    assert (other.versus.p, other.versus.p_holm) == (None, None)  # one seed each


def test_every_format_holds_every_row_and_repeats_itself(tmp_path, capsys):
    for seed in (1, 2):
        store(tmp_path, changed(seed=seed), f"a{seed}")
    store(tmp_path, changed(overrides=("model=qgn", "a_b=c&d"), model="qgn"), "b")
    found = {}
    for form in ("table", "md", "csv", "latex", "json"):
        outputs = []
        for _ in range(2):
            assert main([str(tmp_path), "--format", form]) == 0
            outputs.append(capsys.readouterr().out)
        assert outputs[0] == outputs[1]
        found[form] = outputs[0]
        assert "qgn" in outputs[0]
    rows = list(csv.DictReader(io.StringIO(found["csv"])))
    assert [row["n"] for row in rows] == ["2", "1"] or [row["n"] for row in rows] == ["1", "2"]
    plain = json.loads(found["json"])
    assert len(plain["leagues"][0]["rows"]) == 2
    assert r"a\_b=c\&d" in found["latex"]
    assert main([str(tmp_path), "--out", str(tmp_path / "board.md")]) == 0
    assert (tmp_path / "board.md").read_text() == found["md"]


def test_nothing_there_is_exit_code_2(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert main([str(tmp_path / "none")]) == 2
    assert "no finished run" in capsys.readouterr().err


def test_two_thousand_runs_are_read_in_seconds(tmp_path):
    store(tmp_path, changed(sha="SHA", overrides=("model=mqspn", "optim.clip=CLIP")), "first")
    text = (tmp_path / "first" / "result.json").read_text()
    for number in range(1, 2000):
        folder = tmp_path / str(number)
        folder.mkdir()
        own = text.replace('"SHA"', f'"{number}"').replace("CLIP", str(number // 4))
        own = own.replace('"seed": 1', f'"seed": {number % 4}')
        (folder / "result.json").write_text(own)
    board = leaderboard(read_index(tmp_path))
    assert len(board.leagues[0].rows) == 501
    assert sum(len(row.entries) for row in board.leagues[0].rows) == 2000
    setup = "from gmbench.report import main"
    shown = f"assert main([{str(tmp_path)!r}, '--format', 'csv']) == 0"
    assert cpu_seconds(setup, shown, below=3) < 3
