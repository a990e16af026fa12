"""The engine under tables and figures: rows of the papers, plans, cells, files."""

import csv
import importlib
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

import experiments
from experiments.engine import Experiment, Variant, main
from experiments.engine.collect import collect, find
from experiments.engine.files import markdown, portable, table_csv
from experiments.engine.measures import BOTH_RIGHT, SWAPPED, Measure
from experiments.engine.picture import lines, picture
from experiments.engine.plan import plan, settings_of
from experiments.engine.type_columns import recall
from experiments.papers.papers import papers
from gmbench.config import compose, parse
from gmbench.core.entities import Entity, Example, Prediction
from gmbench.data.fingerprint import current_fingerprint
from gmbench.lifecycle.build_data import build_regions, build_source
from gmbench.reporting.index import read_index
from gmbench.reporting.record import Metrics, read_result, write_result
from gmbench.scoring.counting import score_corpus
from gmbench.scoring.files import write_predictions
from tests.reporting.sample import sample

MODULES = sorted(
    f"experiments.{path.parent.name}.{path.stem}"
    for path in Path(experiments.__file__).parent.glob("*/*.py")
    if "EXPERIMENT = " in path.read_text()
)


def experiment_of(module) -> Experiment:
    return importlib.import_module(module).EXPERIMENT


def test_the_experiments_are_there():
    assert len(MODULES) >= 17


@pytest.mark.parametrize("module", MODULES)
def test_name_and_rows(module):
    experiment = experiment_of(module)
    name = experiment.name
    assert experiment.module == module
    if not experiment.paper:
        return
    table = papers().table(name)
    rows = {row.key for row in experiment.rows if not row.extra}
    if any(measure.row for measure in experiment.measures):
        assert rows == set(table.columns)
        assert {m.row for m in experiment.measures if m.row} == set(table.rows)
    else:
        assert rows == set(table.rows)


@pytest.mark.parametrize(
    "preset",
    ["world", *(pytest.param(preset, marks=pytest.mark.slow) for preset in ("paper", "photos"))],
)
@pytest.mark.parametrize("module", MODULES)
def test_every_row_composes_and_rows_differ(module, preset):
    """No two rows are the same run."""
    experiment = experiment_of(module)
    planned = plan(experiment, preset=preset, seeds=(1,))
    assert len({run.sha for run in planned}) == len(planned)
    fitting = [
        row for s in settings_of(experiment, preset) for row in experiment.rows if row.fits(s)
    ]
    assert len(planned) == len(fitting)


def test_photographs_have_rows_schedule_and_candidates_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photos = experiment_of("experiments.studies.photos")
    assert main(photos, ["--preset", "world", "--build"]) == 0  # says so, and writes nothing
    assert not plan(photos, preset="world")
    planned = plan(photos, preset="photos", extra=("data.coco=/somewhere",))
    assert len(planned) == 15
    assert {run.config["encoders"]["name"] for run in planned} == {"small"}
    assert {run.config["trainer"]["epochs"] for run in planned} == {12}
    names = [run.config["regions"]["name"] for run in planned[::3]]
    assert names == ["ssd", "selective_search", "vinvl", "ssd", "ssd"]
    curve = experiment_of("experiments.studies.proposal_recall")
    shas = {run.sha for run in plan(curve, preset="photos", extra=("data.coco=/somewhere",))}
    assert len(shas & {run.sha for run in planned}) == 4 * 3  # what both want runs once


TINY = Experiment(
    name="mqspn_table3",
    title="A table",
    base=("model=mqspn",),
    reference="full",
    rows=(
        Variant(key="full", label="full"),
        Variant(key="wo_sag", label="less", overrides=("model.network.qfnet.aggregator=none",)),
        Variant(key="wo_bml", label="never run", overrides=("model.matcher.solver=order",)),
    ),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return tmp_path_factory.mktemp("data") / "synthetic"


@pytest.fixture
def planned(world, tmp_path):
    cache = f"cache={world.parent / 'cache'}"
    extra = (f"data.root={world}", cache, "data.world.train=2", "data.world.dev=2")
    return plan(TINY, preset="smoke", extra=extra, seeds=(1, 2), runs=tmp_path / "runs")


def answer(run, *, missing):
    """A finished run that found all but the first so many entities, as its files tell it."""
    settings = parse(compose(run.overrides))
    source = build_source(settings)
    gold = source.read("test").examples
    data = current_fingerprint(source, build_regions(settings, source), Path(settings.cache))
    entities = [(e.id, entity) for e in gold for entity in e.entities]
    found = {example.id: [] for example in gold}
    for id_, entity in entities[missing:]:
        box = entity.boxes[0] if entity.boxes else None
        found[id_].append(Prediction(entity.start, entity.end, entity.type, box, 1.0))
    scores = score_corpus((e.entities, found[e.id]) for e in gold)
    result = sample()
    result = replace(
        result,
        config=replace(result.config, sha=run.sha, seed=run.seed),
        data=replace(result.data, n=len(gold), fingerprint=data.data, candidates=data.candidates),
        metrics=Metrics.of(scores, saw_pixels=True),
    )
    run.folder.mkdir(parents=True)
    write_predictions(run.folder / "predictions.test.jsonl", found)
    write_result(run.folder / "result.json", result)
    return result.metrics.gmner.f1


def cells_of(planned, tmp_path):
    found = find(planned, read_index(tmp_path / "runs"))
    (block,) = collect(TINY, planned, found)
    return found, block


def test_cells_are_what_the_runs_say_and_nothing_else(planned, tmp_path, drawn):
    full = [run for run in planned if run.row.key == "full"]
    (less, _) = [run for run in planned if run.row.key == "wo_sag"]
    values = [100 * answer(run, missing=n) for n, run in enumerate(full)]
    lower = 100 * answer(less, missing=12)
    found, block = cells_of(planned, tmp_path)
    assert len(found) == 3
    assert not any(run.setting.real for run in planned)  # never the paper's data
    whole, part, nothing = (row[0] for row in block.cells)
    assert whole.summary.values == pytest.approx(values)
    assert part.difference.delta.value == pytest.approx((lower - whole.summary.mean) / 100)
    assert part.difference.p is part.difference.delta.high is None  # one seed
    assert nothing.summary is None
    assert nothing.difference is None
    text = markdown(TINY, (block,), preset="smoke", command="c")
    assert text == markdown(TINY, (block,), preset="smoke", command="c")
    assert f"{lower:.2f} (1 of 2)" in text
    assert "| never run | *not run* |" in text
    assert "58.76" in text  # the paper's, and never subtracted from a built-in world's
    assert "ours - paper" not in text
    rows = list(csv.DictReader(io.StringIO(table_csv(TINY, (block,), preset="smoke"))))
    assert [row["n"] for row in rows] == ["2", "1", "0"]
    assert rows[2]["mean"] == rows[2]["ours_minus_paper"] == ""
    assert picture(TINY, (block,)).startswith(b"\x89PNG")
    (axis,) = drawn[-1].axes
    bars = [(bar.get_y() + bar.get_height() / 2, bar.get_width()) for bar in axis.patches]
    assert bars == [(0, pytest.approx(whole.summary.mean)), (1, pytest.approx(lower))]
    seeds = [line.get_xdata() for line in axis.lines]
    assert [list(points) for points in seeds] == [pytest.approx(values), pytest.approx([lower])]


def test_a_run_is_found_wherever_it_lies_but_not_another_configuration(planned, tmp_path):
    first, second = (run for run in planned if run.row.key == "full")
    answer(first, missing=0)
    first.folder.rename(tmp_path / "runs" / "elsewhere")
    answer(replace(second, sha="another"), missing=0)
    found, _ = cells_of(planned, tmp_path)
    assert set(found) == {first}


def test_a_run_from_before_a_new_key_is_taken_with_a_note(planned, tmp_path):
    run = planned[0]
    answer(replace(run, sha="older"), missing=0)
    older = json.loads(json.dumps(run.config))
    del older["optim"]["clip"]
    (run.folder / "config.yaml").write_text(json.dumps(older))
    found, block = cells_of(planned, tmp_path)
    assert "optim.clip" in found[run].note
    assert "optim.clip" in markdown(TINY, (block,), preset="smoke", command="c")
    older["optim"]["warmup"] = 0.5
    (run.folder / "config.yaml").write_text(json.dumps(older))
    assert not cells_of(planned, tmp_path)[0]


def test_a_run_on_other_data_is_not_taken_and_set_aside_where_the_data_is_gone(
    planned, tmp_path, world, caplog
):
    first, second = (run for run in planned if run.row.key == "full")
    answer(first, missing=0)
    answer(second, missing=0)
    path = second.folder / "result.json"
    written = read_result(path)
    write_result(path, replace(written, data=replace(written.data, fingerprint="e" * 64)))
    found, block = cells_of(planned, tmp_path)
    assert set(found) == {first}
    assert not block.set_aside
    assert f"{second.folder}: not taken, it has other data (" in caplog.text
    world.rename(tmp_path / "gone")
    try:
        found, block = cells_of(planned, tmp_path)
    finally:
        (tmp_path / "gone").rename(world)
    assert set(found) == {first, second}
    (line,) = block.set_aside
    assert "other data" in line


def test_predictions_that_do_not_give_the_stored_counts_are_not_compared(planned, tmp_path):
    full = next(run for run in planned if run.row.key == "full")
    less = next(run for run in planned if run.row.key == "wo_sag")
    for run in (full, less):
        answer(run, missing=0)
    path = less.folder / "predictions.test.jsonl"
    answers = [json.loads(line) for line in path.read_text().splitlines()]
    next(a for a in answers if a["entities"])["entities"] = []
    path.write_text("".join(f"{json.dumps(a)}\n" for a in answers))
    _, block = cells_of(planned, tmp_path)
    assert block.cells[1][0].summary is not None
    assert block.cells[1][0].difference is None


def test_a_ratio_of_tweets_is_compared_like_f1(planned, tmp_path):
    """Entities whose type is named at all, of all entities."""

    def named(example, answers):
        types = {answer.type for answer in answers}
        return sum(e.type in types for e in example.entities), len(example.entities)

    full, less = (next(r for r in planned if r.row.key == key) for key in ("full", "wo_sag"))
    answer(full, missing=0)
    answer(less, missing=12)
    found = find(planned, read_index(tmp_path / "runs"))
    measures = (Measure(title="named", of_tweets=named), Measure(title="GMNER F1", task="gmner"))
    (block,) = collect(replace(TINY, measures=measures), planned, found)
    whole, part = (row[0] for row in block.cells[:2])
    assert whole.summary.values == (100.0,)
    assert 0 < part.summary.mean < 100
    assert 100 * part.difference.delta.value == pytest.approx(part.summary.mean - 100)


BOX, OTHER = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 90.0, 90.0)
PAIR = Example(
    "p",
    ("Vell", "wears", "Vell", "Runner"),
    (Entity(0, 0, "PER", (BOX,)), Entity(2, 3, "OTHER", (OTHER,))),
    size=(100, 100),
)


@pytest.mark.parametrize(
    ("guesses", "right", "swapped"),
    [
        (((0, 0, "PER", BOX), (2, 3, "OTHER", OTHER)), 100, 0),
        (((0, 0, "PER", BOX), (2, 3, "OTHER", BOX)), 0, 100),
        (((0, 0, "OTHER", BOX), (2, 3, "OTHER", OTHER)), 0, 100),
        (((0, 0, "PER", BOX), (2, 3, "OTHER", None)), 0, 0),
        ((), 0, 0),
    ],
)
def test_pairs(guesses, right, swapped):
    answers = {"p": [Prediction(*guess) for guess in guesses]}
    assert BOTH_RIGHT.of_answers([PAIR], answers) == right
    assert SWAPPED.of_answers([PAIR], answers) == swapped


def test_pairs_need_a_shared_word_and_two_types():
    alone = Example("a", ("Vell", "Kor"), (Entity(0, 0, "PER"), Entity(1, 1, "LOC")))
    assert BOTH_RIGHT.of_answers([alone], {"a": []}) is None


THREE = Example(
    "two", ("a", "b", "c"), (Entity(0, 0, "PER"), Entity(1, 1, "PER"), Entity(2, 2, "LOC"))
)
LONE = Example("one", ("a", "b"), (Entity(0, 0, "PER"),))


def test_recall_is_by_whether_another_entity_has_the_type():
    answers = {
        "two": (Prediction(0, 0, "PER"), Prediction(2, 2, "ORG")),
        "one": (Prediction(0, 0, "PER"),),
    }
    assert recall([THREE, LONE], answers, shared=True) == 50  # one PER of two
    assert (
        recall([THREE, LONE], answers, shared=False) == 50
    )  # LOC wrong, the PER of the other tweet right
    assert recall([LONE], answers, shared=True) is None


def test_lines_of_a_curve(planned, tmp_path, drawn):
    """One a series and measure, by place; a series without places runs across."""
    for run in planned:
        answer(run, missing={"full": 0, "wo_sag": 12, "wo_bml": 6}[run.row.key])
    block = cells_of(planned, tmp_path)[1]
    placed = (("chooses", 90.0), ("chooses", 50.0), ("draws", None))
    cells = tuple(
        tuple(replace(cell, row=replace(cell.row, series=series, x=x)) for cell in row)
        for row, (series, x) in zip(block.cells, placed, strict=True)
    )
    several = replace(TINY, rows=tuple(row[0].row for row in cells), curve="share in %")
    block = replace(block, cells=cells)
    chooses, draws = lines(several, block)
    assert [x for x, _ in chooses.points] == [50.0, 90.0]
    assert chooses.points[1][1].mean == 100 > chooses.points[0][1].mean
    assert [x for x, _ in draws.points] == [None]
    assert (chooses.label, draws.label) == ("chooses: GMNER F1", "draws: GMNER F1")
    assert chooses.colour != draws.colour
    measured = replace(several, along=lambda run: 12.34)  # where a row does not say
    assert [[x for x, _ in line.points] for line in lines(measured, block)] == [[50, 90], [12.3]]
    assert picture(several, (block,)).startswith(b"\x89PNG")
    along, across = drawn[-1].axes[0].lines
    means = [summary.mean for _, summary in chooses.points]
    assert (list(along.get_xdata()), list(along.get_ydata())) == ([50, 90], pytest.approx(means))
    assert set(across.get_ydata()) == {draws.points[0][1].mean}


def test_a_folder_is_hidden_however_it_was_overridden():
    asked = ("data.root=/a/b", "data.coco=/d", "++cache=/c", "trainer.epochs=2", "model=qgn")
    kept = [
        "data.root=FOLDER",
        "data.coco=FOLDER",
        "++cache=FOLDER",
        "trainer.epochs=2",
        "model=qgn",
    ]
    assert portable(asked) == kept
