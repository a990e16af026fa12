"""A stored result is checked figure by figure: an edited digit and a changed data set are named."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gmbench.config import compose, parse
from gmbench.config.compose import stored_settings
from gmbench.core.errors import InputError
from gmbench.lifecycle.build_data import build_regions, build_source
from gmbench.lifecycle.verify import verify
from gmbench.report import scored_examples
from gmbench.reporting.index import TWEETS, Entry
from gmbench.reporting.record import (
    ANALYSIS,
    BaselineFigures,
    Metrics,
    StoredFile,
    read_result,
    write_analysis,
    write_result,
)
from gmbench.reporting.site.runs import Member
from gmbench.score import main
from gmbench.scoring.analysis import analyse
from gmbench.scoring.baselines import (
    NameLookup,
    Predictions,
    baselines,
    lookup_with_random_candidate,
)
from gmbench.scoring.counting import CorpusScores, score_corpus
from gmbench.scoring.files import write_predictions, write_tweet_table
from gmbench.scoring.intervals import tweet_table
from tests.reporting.sample import sample


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, world: Path) -> Path:
    """A run folder in a tiny world, as a run leaves it, with a floor in place of a model."""
    run = tmp_path_factory.mktemp("run")
    settings = parse(compose(["data=synthetic_tiny", f"data.root={world}"]))
    source = build_source(settings)
    regions = build_regions(settings, source)
    splits = {name: source.read(name, regions) for name in ("train", "test")}
    train, test = (splits[name].examples for name in ("train", "test"))
    found = lookup_with_random_candidate(NameLookup(train), test, seed=7).predictions

    def scored(predictions: Predictions) -> CorpusScores:
        return score_corpus((e.entities, predictions[e.id]) for e in test)

    path = run / "predictions.test.jsonl"
    write_predictions(path, found)
    (run / "config.yaml").write_text(json.dumps(settings.tree))
    result = sample()
    result = replace(
        result,
        data=replace(
            result.data,
            name=source.name,
            fingerprint=source.fingerprint(),
            n=len(test),
            limit=None,
        ),
        predictions=StoredFile(path=path.name, sha256=sha256(path.read_bytes()).hexdigest()),
        metrics=Metrics.of(scored(found), saw_pixels=True),
        floors=tuple(BaselineFigures.of(f, scored(f.predictions)) for f in baselines(train, test)),
    )
    write_result(run / "result.json", result)
    table = tweet_table({e.id: e.entities for e in test}, found)
    write_tweet_table(run / TWEETS, table)
    analysis = analyse(
        test,
        found,
        table,
        proposals=settings.regions.eval_num,
        resamples=99,
        additions={"qfnet": 0.5},  # measured in the model: no prediction tells it
    )
    write_analysis(run / ANALYSIS, analysis)
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "seed=1"))


def edit(run: Path, change: Callable[[Any], None]) -> None:
    plain = json.loads((run / "result.json").read_text())
    change(plain)
    (run / "result.json").write_text(json.dumps(plain))


def test_a_true_result_stands(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(run) == []
    assert main(["--verify", str(run)]) == 0
    assert "every stored figure stands" in capsys.readouterr().out


def test_an_edited_digit_is_named(run: Path, capsys: pytest.CaptureFixture[str], promise) -> None:
    """Alone it contradicts its counts, which the reader of the file sees."""

    def better(plain: Any) -> None:
        plain["metrics"]["gmner"]["f1"] += 0.01

    edit(run, better)
    assert main(["--verify", str(run)]) == 2
    error = capsys.readouterr().err
    assert "result.json: metrics.gmner: f1 is" in error
    assert error.count("\n") == 1
    promise("R16", "edited results and files named", 1)


def test_digits_edited_to_fit_each_other_are_named(run: Path, promise) -> None:
    def better(plain: Any) -> None:
        row = plain["metrics"]["gmner"]
        row["tp"] += 1
        row["precision"], row["recall"] = row["tp"] / row["pred"], row["tp"] / row["gold"]
        row["f1"] = 2 * row["tp"] / (row["pred"] + row["gold"])

    edit(run, better)
    wrong = verify(run)
    assert [line.split(": ")[1] for line in wrong] == [
        "metrics.gmner.tp",
        "metrics.gmner.precision",
        "metrics.gmner.recall",
        "metrics.gmner.f1",
    ]
    assert all(line.startswith(str(run / "result.json")) for line in wrong)
    promise("R16", "edited results and files named", 1)


@pytest.mark.parametrize(
    ("key", "named"),
    [
        (("metrics", "per_type", "PER", "eeg_tp"), "metrics.per_type.PER.eeg_tp"),
        (("metrics", "mner_macro_f1"), "metrics.mner_macro_f1"),
        (("data", "n"), "data.n"),
        (("data", "blanked"), "data.blanked"),
        (("protocol", "iou_threshold"), "protocol.iou_threshold"),
    ],
)
def test_any_edited_figure_is_named(run: Path, key: tuple[str, ...], named: str, promise) -> None:
    def change(plain: Any) -> None:
        for part in key[:-1]:
            plain = plain[part]
        plain[key[-1]] += 1

    edit(run, change)
    (wrong,) = verify(run)
    assert f"{named}: stored" in wrong
    promise("R16", "edited results and files named", 1)


def test_an_edited_floor_is_named(run: Path) -> None:
    def change(plain: Any) -> None:
        plain["floors"][0]["name"] = "better"

    edit(run, change)
    assert any("floors.better: stored" in line for line in verify(run))


def test_edited_predictions_are_named(run: Path, promise) -> None:
    path = run / "predictions.test.jsonl"
    lines = path.read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    next(row for row in rows if row["entities"])["entities"] = []
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    wrong = verify(run)
    assert "predictions.test.jsonl was changed: stored sha256" in wrong[0]
    assert any("metrics.mner.pred: stored" in line for line in wrong)
    promise("R16", "edited results and files named", 1)


def test_edited_counts_by_tweet_are_named(run: Path) -> None:
    path = run / TWEETS
    lines = path.read_text().splitlines()
    number = next(n for n, line in enumerate(lines) if line.endswith(",1"))
    lines[number] = lines[number].removesuffix("1") + "0"
    path.write_text("\n".join(lines) + "\n")
    (wrong,) = verify(run)
    assert f"{path}: id '{lines[number].split(',')[0]}': stored eeg tp/pred/gold 0/" in wrong


def test_an_edited_analysis_is_named(run: Path) -> None:
    plain = json.loads((run / ANALYSIS).read_text())
    plain["intervals"]["gmner"]["f1"]["high"] += 0.01
    plain["errors"]["correct"] += 1
    (run / ANALYSIS).write_text(json.dumps(plain))
    keys = [line.split(": ")[1] for line in verify(run)]
    assert keys == ["intervals.gmner.f1.high", "errors.correct"]


def test_a_changed_data_set_is_named(run: Path, tmp_path: Path, promise) -> None:
    source = build_source(stored_settings(run / "config.yaml"))
    moved = tmp_path / "moved"
    shutil.copytree(source.folder, moved / source.folder.name)
    assert verify(run, moved) == []
    annotation = next(iter(sorted((moved / source.folder.name / "xml").glob("test*.xml"))), None)
    assert annotation is not None
    text = annotation.read_text()
    first = text.index("<xmin>") + len("<xmin>")
    number = text[first : text.index("<", first)]
    annotation.write_text(text.replace(f"<xmin>{number}<", f"<xmin>{int(number) + 1}<", 1))
    wrong = verify(run, moved)
    assert f"the data set in {moved / source.folder.name} is not the one" in wrong[0]
    assert "data.fingerprint: stored" in wrong[1]
    promise("R16", "edited results and files named", 1)


def test_a_folder_that_is_no_finished_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "config.yaml").write_text("- a\n- [")
    assert main(["--verify", str(run)]) == 2
    assert "config.yaml: not a configuration" in capsys.readouterr().err
    (run / "config.yaml").write_text("data: 1\n")
    assert main(["--verify", str(run)]) == 2
    assert "data: needs a _target_, not 1" in capsys.readouterr().err
    (run / "config.yaml").unlink()
    assert main(["--verify", str(run)]) == 2
    assert "config.yaml: no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"data": {"root": {"_target_": "os.system", "command": "touch MARK"}}}, "os.system"),
        ({"data": {"_target_": "gmbench.reporting.wandb.WandbMirror"}}, "neither gmbench's"),
        ({"data": {"root": "${oc.env:HOME}"}}, "interpolation"),
        ({"regions": {"source": {"_target_": "os.system", "command": "touch MARK"}}}, "os.system"),
        ("a: &a [x]\nb: [*a, *a]\n", "an alias"),
        ("[" * 2000, "not a configuration"),
        ("a:" + " {a:" * 200 + "}" * 200, "nested too deeply"),
    ],
)
def test_a_strangers_configuration_is_data(
    run: Path,
    config: Any,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(run)
    text = config
    if not isinstance(config, str):
        tree = json.loads((run / "config.yaml").read_text())
        for key, change in config.items():
            tree[key] |= change
        text = json.dumps(tree)
    (run / "config.yaml").write_text(text)
    assert main(["--verify", str(run)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    entry = Entry(folder=run, result=read_result(run / "result.json"))
    with pytest.raises(InputError, match=re.escape(message)):
        scored_examples(Member(entry=entry, name="a", page="a.html"))
    assert not (run / "MARK").exists()


def test_a_stored_configuration_draws_no_world(run: Path, tmp_path: Path) -> None:
    tree = json.loads((run / "config.yaml").read_text())
    tree["data"]["root"] = str(tmp_path / "elsewhere")
    (run / "config.yaml").write_text(json.dumps(tree))
    with pytest.raises(InputError, match="its built-in world is not in"):
        verify(run)
    assert not (tmp_path / "elsewhere").exists()
    assert verify(run, tmp_path / "named") == []  # by the user
