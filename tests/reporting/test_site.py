"""The comparison site as files: what stands in it, what it escapes, where its links lead."""

import json
import os
import re
import shutil
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gmbench.core.entities import Entity, Prediction
from gmbench.core.errors import InputError
from gmbench.report import main
from gmbench.reporting.charts import Line, LineChart, curve_charts, read_curves, ticks
from gmbench.reporting.index import read_index
from gmbench.reporting.leaderboard import leaderboard
from gmbench.reporting.pairs import every_pair
from gmbench.reporting.record import read_result, write_result
from gmbench.reporting.site.examples import split_by
from gmbench.reporting.site.pages import write_site
from gmbench.reporting.site.svg import drawn
from gmbench.reporting.site.writer import MARK
from gmbench.reporting.verdicts import judged
from gmbench.scoring.counting import score_corpus
from gmbench.scoring.files import read_predictions
from gmbench.scoring.labels import suspects
from tests.reporting.sample import sample
from tests.reporting.two_models import MARKUP, two_models


class Links(HTMLParser):
    """Every file that a page asks for, and every tag."""

    def __init__(self, text):
        super().__init__()
        self.links, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for key, value in attributes if key in ("href", "src")]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    board, gold = two_models(folder, 60)
    first = write_site(board, folder / "site", gold_of=lambda member: gold, images=True)
    assert first == folder / "site" / "index.html"
    return folder, gold


def read_data(path):
    text = path.read_text()
    assert text.startswith("window.gmbench = ")
    return json.loads(text.removeprefix("window.gmbench = ").rstrip().removesuffix(";"))


def test_every_link_leads_to_a_file_of_the_site(made):
    site = made[0] / "site"
    pages = list(site.rglob("*.html"))
    assert len(pages) == 1 + 2 + 1 + 1 + 1  # first page, runs, pair, examples, labels
    for page in pages:
        for link in Links(page.read_text()).links:
            target = link.partition("#")[0]
            assert link.startswith(("data:", "#")) or (page.parent / target).is_file(), link


def test_the_first_page_ranks_the_rows(made):
    text = (made[0] / "site" / "index.html").read_text()
    assert "mqspn" in text
    assert "Holm" in text
    assert "±" not in text.partition("<tbody>")[2].partition("</tbody>")[0]  # one seed each


def test_a_tweet_of_markup_stays_text(made):
    site = made[0] / "site"
    data = site / "examples" / "league-1.js"
    assert "<" not in data.read_text()
    assert read_data(data)["examples"][0]["words"] == list(MARKUP)
    for page in site.rglob("*.html"):
        assert "<script>d" not in page.read_text()
        assert "<b>" not in page.read_text()


def test_labels_stand_with_votes_boxes_and_a_link_to_their_example(made):
    folder, gold = made
    text = (folder / "site" / "labels" / "league-1.html").read_text()
    answers = [
        read_predictions(folder / "runs" / name / "predictions.test.jsonl", gold)
        for name in ("mqspn", "qgn")
    ]
    first = next(one for one in suspects(gold, answers) if one.kind == "region")
    assert first.against == 2
    section = text[text.index('id="region"') :]
    assert section.index(f"#id={first.id}") < 2500
    assert "2 of 2 runs" in section
    assert 'class="a"' in section
    assert "../examples/images-1/" in section


def test_verdicts_and_splits_add_up_to_the_score(made):
    folder, gold = made
    tables = []
    for name in ("mqspn", "qgn"):
        answers = read_predictions(folder / "runs" / name / "predictions.test.jsonl", gold)
        found = [judged(e.entities, answers[e.id], saw_pixels=True) for e in gold]
        micro = score_corpus((e.entities, answers[e.id]) for e in gold).micro
        right = sum(a.verdict == "correct" for one in found for a in one.answers)
        assert right == sum(f == "correct" for one in found for f in one.fates) == micro.gmner.tp
        tables.append(found)
    every, *parts = split_by(*tables, gold)
    assert every.both + every.first + every.second + every.neither == sum(
        len(e.entities) for e in gold
    )
    for field in ("both", "first", "second", "neither"):
        by_place = [p for p in parts if "image" in p.name]
        assert sum(getattr(p, field) for p in by_place) == getattr(every, field)


def test_equal_names_in_a_tweet_have_verdicts_of_their_own():
    twice = [Entity(0, 0, "PER"), Entity(0, 0, "PER")]
    found = judged(twice, [Prediction(0, 0, "PER")], saw_pixels=True)
    assert sorted(found.fates) == ["correct", "missed"]


def test_without_pixels_only_the_text_is_judged(tmp_path):
    board, gold = two_models(tmp_path, 12, pixels=False)
    write_site(board, tmp_path / "site", gold_of=lambda member: gold, images=False)
    data = read_data(tmp_path / "site" / "examples" / "league-1.js")
    assert data["pixels"] is False
    verdicts = {a["verdict"] for t in data["examples"] for run in t["runs"] for a in run["answers"]}
    assert "region" not in verdicts
    assert not list((tmp_path / "site").rglob("*.jpg"))
    (pair,) = (tmp_path / "site" / "pairs").iterdir()
    assert "who has them right (span and type)" in pair.read_text()


@pytest.mark.parametrize(("pixels", "task", "lines"), [(True, "GMNER", 4), (False, "MNER", 2)])
def test_baselines_are_of_the_task_that_runs_are_ranked_by(tmp_path, pixels, task, lines):
    two_models(tmp_path, 12, pixels=pixels)
    for path in (tmp_path / "runs").glob("*/result.json"):
        write_result(path, replace(read_result(path), floors=sample().floors))
    board = leaderboard(read_index(tmp_path / "runs"))
    write_site(board, tmp_path / "site", gold_of=lambda member: None, images=False)
    for page in (tmp_path / "site" / "runs").glob("*.html"):
        heads = re.findall(r'class="baseline"><th scope="row">baseline, (\w+):', page.read_text())
        assert heads == [task] * lines


def test_curves_are_those_of_the_task_smoothed_with_the_chosen_epoch(tmp_path):
    log = tmp_path / "metrics.csv"
    losses = "".join(f"{n // 20},{n},{n % 2},,\n" for n in range(40))
    log.write_text(
        f"epoch,step,train/loss,dev/mner_f1,dev/gmner_f1\n{losses}"
        "0,19,,0.5,0.1\n1,39,,0.6,0.2\n2,40,,0.5,0.1\n"  # the last: the chosen one again
    )
    loss, dev = curve_charts(log, saw_pixels=True, chosen=0)
    assert {line.label: line.points for line in dev.lines} == {
        "GMNER": [(19, 10), (39, 20)],
        "MNER": [(19, 50), (39, 60)],
    }
    assert (loss.chosen, dev.chosen) == (19, 19)
    logged, smooth = loss.lines
    assert logged.points == [(n, n % 2) for n in range(40)]
    assert smooth.points[0] == (0, 0)
    assert smooth.points[20] == (20, pytest.approx(0.4))  # 0 1 0 1 0
    (_, blind) = curve_charts(log, saw_pixels=False, chosen=None)
    assert [line.label for line in blind.lines] == ["MNER"]
    assert blind.chosen is None


def test_a_run_page_draws_the_figures_it_has(made):
    """Marks stand for the values of the log, at the place of the value."""
    folder = made[0]
    page = (folder / "site" / "runs" / "run-mqspnmqspnmq.html").read_text()
    assert "Dev F1" in page
    assert "GMNER: 40 at 19" in page
    chart = LineChart(
        title="t",
        x="x",
        y="y",
        x_range=(0, 10),
        y_range=(0, 100),
        chosen=5,
        lines=[Line(label="l", points=[(0, 0), (10, 100)], look="blue")],
    )
    found = drawn(chart)
    ((_, ends),) = found.lines
    assert [place for _, place in ends] == [(found.left, found.bottom), (found.right, found.top)]
    assert found.chosen == (found.left + found.right) / 2
    assert [text for _, text in found.x_ticks] == ["0", "2", "4", "6", "8", "10"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 102, [0, 20, 40, 60, 80, 100]), (0.5, 0.95, [0.5, 0.6, 0.7, 0.8, 0.9]), (3, 3, [3])],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_run_pages_lead_to_their_answers(made):
    site = made[0] / "site"
    names = read_data(site / "examples" / "league-1.js")["runs"]
    for page in (site / "runs").glob("*.html"):
        text = page.read_text()
        (place,) = re.findall(r'href="\.\./examples/league-1\.html#a=(\d+)', text)
        assert f"<h1>{names[int(place)]}</h1>" in text


def test_without_the_tweets_everything_else_is_there(tmp_path):
    board, _ = two_models(tmp_path, 5)
    write_site(board, tmp_path / "site", gold_of=lambda member: None, images=True)
    assert "not at hand" in (tmp_path / "site" / "index.html").read_text()
    assert len(list((tmp_path / "site" / "pairs").iterdir())) == 1
    assert not (tmp_path / "site" / "examples").exists()


def test_without_sentences_the_counts_are_there_and_no_word_of_a_tweet(tmp_path):
    board, gold = two_models(tmp_path, 12)
    full, bare = tmp_path / "full", tmp_path / "bare"
    write_site(board, full, gold_of=lambda member: gold, images=False)
    write_site(board, bare, gold_of=lambda member: gold, images=True, sentences=False)
    files = [{p.relative_to(site) for p in site.rglob("*") if p.is_file()} for site in (full, bare)]
    browser = {path for path in files[0] if path.parts[0] in ("examples", "labels")}
    assert browser
    assert files[1] == files[0] - browser
    assert "written without the examples" in (bare / "index.html").read_text()
    (pair,) = (bare / "pairs").iterdir()
    counts = [
        re.sub(r"</?a[^>]*>", "", (site / "pairs" / pair.name).read_text()).split("</h2>")[2]
        for site in (full, bare)
    ]
    assert counts[0].replace(" Numbers lead to the examples.", "") == counts[1]


def files_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_site_removes_only_what_its_manifest_lists(tmp_path):
    board, gold = two_models(tmp_path, 3)
    site = tmp_path / "site"
    write_site(board, site, gold_of=lambda member: gold, images=True)
    first = files_of(site)
    listed = (site / MARK).read_text().splitlines()[1:]
    assert {site / path for path in listed} | {site / MARK} == set(first)
    run = site / "runs" / "default" / "result.json"  # a training in the folder of the site
    run.parent.mkdir()
    run.write_text("of the user")
    (tmp_path / "outside").write_text("of the user")
    for path in ("../outside", str(tmp_path / "outside"), "runs/default/res"):  # the last: torn
        (site / MARK).write_text("\n".join([(site / MARK).read_text().rstrip(), path, ""])[:-1])
        write_site(board, site, gold_of=lambda member: gold, images=True)
    assert files_of(site) == first | {run: b"of the user"}
    assert (tmp_path / "outside").exists()
    write_site(board, site, gold_of=lambda member: None, images=False)
    assert not (site / "examples").exists()
    (site / MARK).unlink()
    with pytest.raises(InputError, match="no site of ours"):
        write_site(board, site, gold_of=lambda member: gold, images=True)


def test_a_file_of_the_users_is_not_overwritten(tmp_path):
    board, _ = two_models(tmp_path, 3)
    site = tmp_path / "site"
    (site / "runs").mkdir(parents=True)
    (site / MARK).write_text("")  # killed when nothing was listed yet
    (site / "index.html").write_text("of the user")
    with pytest.raises(InputError, match=r"index\.html is no file of this site"):
        write_site(board, site, gold_of=lambda member: None, images=False)
    assert (site / "index.html").read_text() == "of the user"


@pytest.mark.parametrize("rename", [0, 1, 7])
def test_killed_at_a_rename_the_same_command_writes_the_site(tmp_path, monkeypatch, rename):
    board, gold = two_models(tmp_path, 3)
    write_site(board, tmp_path / "whole", gold_of=lambda member: gold, images=True)
    left = iter(range(100))

    def killed(self, target):
        if next(left) == rename:
            os._exit(9)  # as SIGKILL: nothing is cleaned up
        return os.replace(self, target)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(Path, "replace", killed)
        write_site(board, tmp_path / "site", gold_of=lambda member: gold, images=True)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert list((tmp_path / "site").rglob(".*.tmp"))
    write_site(board, tmp_path / "site", gold_of=lambda member: gold, images=True)
    whole, again = (
        {path.relative_to(site): data for path, data in files_of(site).items()}
        for site in (tmp_path / "whole", tmp_path / "site")
    )
    assert again == whole


def test_a_picture_that_is_a_link_or_no_picture_is_left_out(tmp_path):
    board, _ = two_models(tmp_path, 3)
    Image.new("RGB", (9, 9), "red").save(tmp_path / "private.png")
    (tmp_path / "secret").write_bytes(b"private")
    for model, target in (("mqspn", "private.png"), ("qgn", "secret")):
        pictures = tmp_path / "runs" / model / "pictures"
        pictures.mkdir()
        if target == "secret":
            (pictures / "examples.png").write_bytes((tmp_path / target).read_bytes())
        else:
            (pictures / "examples.png").symlink_to(tmp_path / target)
    write_site(board, tmp_path / "site", gold_of=lambda member: None, images=True)
    assert not list((tmp_path / "site").rglob("*.png"))


def test_a_damaged_file_costs_its_own_part(tmp_path):
    board, gold = two_models(tmp_path, 3)
    run = tmp_path / "runs" / "qgn"
    deep = b"[" * 100_000
    (run / "analysis.json").write_bytes(deep)
    (run / "predictions.test.jsonl").write_bytes(b'{"id": "t0", "entities": ' + deep + b"}\n")
    (run / "metrics.csv").write_text(f'step,train/loss\n1,"{"x" * 200_000}"\n')
    (run / "pictures").mkdir()
    (run / "pictures" / "examples.png").symlink_to("examples.png")
    write_site(board, tmp_path / "site", gold_of=lambda member: gold, images=True)
    data = read_data(tmp_path / "site" / "examples" / "league-1.js")
    assert len(data["runs"]) == 1


def test_from_the_command_line_without_the_data(tmp_path, capsys):
    two_models(tmp_path, 3)
    assert main([str(tmp_path / "runs"), "--html", str(tmp_path / "site")]) == 0
    told = capsys.readouterr()
    assert told.out.strip() == str(tmp_path / "site" / "index.html")
    assert "config.yaml" in told.err  # where the tweets would come from
    assert main([str(tmp_path / "runs"), "--html", str(tmp_path / "runs")]) == 2
    assert "no site of ours" in capsys.readouterr().err
    assert (tmp_path / "runs" / "qgn" / "result.json").is_file()


def test_a_pair_of_rows_with_seeds_is_tested_over_all_of_them(tmp_path):
    two_models(tmp_path, 12)
    for model in ("mqspn", "qgn"):
        run = tmp_path / "runs" / model
        again = shutil.copytree(run, tmp_path / "runs" / f"{model}-2")
        result = read_result(run / "result.json")
        config = replace(result.config, seed=2, sha=f"{model}2" * 8)
        write_result(again / "result.json", replace(result, config=config))
    board = leaderboard(read_index(tmp_path / "runs"))
    write_site(board, tmp_path / "site", gold_of=lambda member: None, images=False)
    (page,) = (tmp_path / "site" / "pairs").iterdir()
    text = page.read_text().split("Over all seeds", 1)[1]
    assert "of these two runs" not in text  # the seeds say more
    for pair in every_pair(board.leagues[0], 12):
        assert f"{100 * pair.delta.value:+.2f}" in text
        assert f">{pair.ahead} of 4</td>" in text
        assert f">{pair.p:.4f}</td>" in text


def test_fifty_runs_take_seconds_of_cpu(tmp_path):
    """A run costs its page alone: no picture is drawn or packed again, no template read again."""
    two_models(tmp_path, 300)
    run = tmp_path / "runs" / "qgn"
    result = read_result(run / "result.json")
    log = "".join(f"{n},{n},{1 / n},{n / 999}\n" for n in range(1, 120))
    (run / "metrics.csv").write_text(f"epoch,step,train/loss,dev/gmner_f1\n{log}")
    (run / "pictures").mkdir()
    noise = np.random.default_rng(0).integers(256, size=(1000, 1000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(run / "pictures" / "examples.png", compress_level=1)
    for number in range(50):
        again = shutil.copytree(run, tmp_path / "many" / f"{number}")
        overrides = (f"model.width={number // 5}",)
        config = replace(
            result.config, overrides=overrides, sha=f"{number:04}" * 16, seed=number % 5
        )
        write_result(again / "result.json", replace(result, config=config))
    board = leaderboard(read_index(tmp_path / "many"), tests=1)
    began = time.process_time()
    write_site(board, tmp_path / "site", gold_of=lambda member: None, images=True)
    spent = time.process_time() - began
    assert len(list((tmp_path / "site" / "runs").glob("*.html"))) == 50
    assert spent < 5


def test_curves_are_what_was_logged(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,train/loss,dev/mner_f1\n0,9,3.5,\n0,19,2.5,\n0,19,,0.25\n")
    assert read_curves(path) == {
        "epoch": [(9.0, 0.0), (19.0, 0.0), (19.0, 0.0)],
        "train/loss": [(9.0, 3.5), (19.0, 2.5)],
        "dev/mner_f1": [(19.0, 0.25)],
    }
