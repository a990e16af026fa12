"""``python -m tests.speed`` measures real tasks in turns and writes what it found."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from transformers import BertConfig, BertModel

from gmbench import bench
from gmbench.benching import device, document, scale, sizes
from gmbench.config import conf_dir
from gmbench.nn.text import TextEncoder, tiny_tokenizer
from gmbench.nn.vision import from_timm
from tests.speed.counting import autograd_nodes, operations
from tests.speed.data import padding, waste
from tests.speed.device import Settings
from tests.speed.goals import GOALS, Goal, goals_table
from tests.speed.markdown import joined, page
from tests.speed.measure import Findings, Laps, Row, Spread, take_turns
from tests.speed.sizes import PAPER, TINY, build, configuration

MODELS = sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))
REPOSITORY = Path(__file__).resolve().parent.parent


def test_tasks_take_turns_and_the_warm_up_does_not_count():
    order = []
    laps = take_turns(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repeats=3, warmup=1
    )
    assert order == ["a", "b"] * 4
    assert len(laps["a"].cpu) == len(laps["b"].wall) == 3


def test_cpu_time_leaves_waiting_out():
    import time

    laps = take_turns({"sleep": lambda: time.sleep(0.05)}, repeats=1, warmup=0)["sleep"]
    assert laps.wall[0] >= 0.05
    assert laps.cpu[0] < 0.04


def test_a_ratio_is_taken_repeat_by_repeat():
    ratio = Laps((2.0, 8.0, 3.0), (0.0,) * 3).over(Laps((1.0, 2.0, 3.0), (0.0,) * 3))
    assert ratio == Spread(2.0, 1.0, 4.0)


def test_flop_operations_and_nodes_are_exact():
    layer, x = nn.Linear(8, 4, bias=False), torch.randn(3, 8)
    gflop, ops = operations(lambda: layer(x).relu().reshape(-1))
    assert gflop == 2 * 3 * 8 * 4 / 1e9
    assert ops == 2  # mm and relu; transposing and reshaping only look at them
    assert autograd_nodes(layer(x).sum()) == 4  # sum, mm, transpose, the weight's accumulator


def narrow(monkeypatch):
    """Encoders of the papers' depth, but so narrow that a step takes a moment."""
    words = len(tiny_tokenizer())
    bert = BertConfig(
        vocab_size=words, hidden_size=24, num_attention_heads=12, intermediate_size=24
    )
    vit = {"patch_size": 32, "embed_dim": 24, "num_heads": 12, "mlp_ratio": 1, "num_classes": 0}

    def text(size):
        return TextEncoder(model=BertModel(bert, add_pooling_layer=False), identity="narrow")

    def vision(size):
        tower = VisionTransformer(img_size=96, fc_norm=False, dynamic_img_size=True, **vit)
        return from_timm(tower, mean=(0.5,) * 3, std=(0.5,) * 3, identity="narrow")

    monkeypatch.setattr(sizes, "text_encoder", text)
    monkeypatch.setattr(sizes, "vision_encoder", vision)


@pytest.mark.parametrize(("name", "most"), [("mqspn", 2500), ("qgn", 4200)])
def test_operations_of_a_step_at_the_papers_depth(name, most, monkeypatch):
    narrow(monkeypatch)
    counts = set()
    for rows in (2, 8):
        size = replace(PAPER, rows=rows, pixels=96)
        ready = build(configuration(name, size), size)
        ready.step()  # makes the optimiser's moments
        counts.add(operations(ready.step)[1])
    assert len(counts) == 1  # whatever the batch size
    assert counts.pop() <= most


@pytest.mark.parametrize("name", MODELS)
def test_the_measured_step_is_a_training_step(name):
    ready = build(configuration(name, TINY), TINY)
    before = [p.detach().clone() for p in ready.model.parameters() if p.requires_grad]
    assert ready.step().isfinite()
    ready.step()  # the first opens gates that start at zero
    after = [p for p in ready.model.parameters() if p.requires_grad]
    moved = [not torch.equal(a, b) for a, b in zip(after, before, strict=True)]
    assert sum(moved) > 0.95 * len(moved)  # a bias behind a softmax may rest


def test_padding_counts_places_and_grouping_saves():
    assert waste(np.array([1, 3, 4, 4]), [[0, 1], [2, 3]]) == pytest.approx(2 / 14)
    shares = padding(16)
    assert shares["grouped"] <= 0.03 < 0.3 < shares["random"]


def test_a_run_writes_json_and_compares_with_itself(tmp_path, capsys):
    path = tmp_path / "bench.json"
    command = ["--size", "tiny", "--repeats", "1", "--model", "mqspn", "--json", str(path)]
    suites = [w for s in ("step", "data", "score", "matching") for w in ("--suite", s)]
    assert bench.main([*command, *suites]) == 0
    content = json.loads(path.read_text())
    ratios = content["ratios"]
    for name in ("mqspn_step_over_text_encoder", "mqspn_matching_share", "padding_waste"):
        assert ratios[name] > 0
    assert ratios["mqspn_step_over_text_encoder"] > 1
    assert 0 < ratios["mqspn_matching_share"] < 1
    steps = next(r for r in content["rows"] if r["name"] == "mqspn training step")
    assert steps["facts"].keys() >= {"gflop", "ops", "nodes"}
    assert steps["cpu_ms"]["median"] > 0
    assert content["machine"]["threads"] == 1
    assert "mqspn_step_over_text_encoder" in capsys.readouterr().out
    assert document.regressions(content, json.loads(path.read_text())) == []


def described(median: float, low: float, high: float) -> dict[str, object]:
    found = Findings((Row("s", "n"),), {"ratio": Spread(median, low, high)})
    return document.document([found], {}, {"size": "tiny"})


@pytest.mark.parametrize(
    ("now", "worse"),
    [
        ((1.0, 0.9, 1.1), False),
        ((1.5, 1.05, 1.9), False),  # within the spread of before
        ((1.09, 1.08, 1.1), False),  # noise
        ((1.5, 1.4, 1.6), True),
        ((0.5, 0.4, 0.6), False),  # better
    ],
)
def test_only_what_is_beyond_the_spread_is_a_regression(now, worse):
    before = described(1.0, 0.9, 1.07)
    assert bool(document.regressions(described(*now), before)) is worse


def test_files_are_read_again_into_one_page(tmp_path, capsys):
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, value in zip(paths, (1.0, 2.0), strict=True):
        document.write(path, described(value, value, value))
    where = tmp_path / "page.md"
    assert bench.main(["--read", str(paths[0]), "--read", str(paths[1])]) == 0
    assert "| `ratio` | 2 |  |" in capsys.readouterr().out
    assert bench.main(["--read", str(paths[0]), "--markdown", str(where)]) == 0
    assert "| `ratio` | 1 |  |" in where.read_text()


def test_other_settings_do_not_compare():
    other = {**described(1, 1, 1), "settings": {"size": "paper"}}
    with pytest.raises(document.BadDocument, match="other settings"):
        document.regressions(other, described(1, 1, 1))


@pytest.mark.parametrize("content", [None, "{", '{"schema": 0}'])
def test_a_bad_file_to_compare_with_is_told_before_any_work(content, tmp_path, capsys):
    path = tmp_path / "old.json"
    if content is not None:
        path.write_text(content)
    assert bench.main(["--size", "tiny", "--against", str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_a_bad_override_is_one_line(capsys):
    command = ["--size", "tiny", "--suite", "step", "--model", "mqspn", "optim.lr_hed=1"]
    assert bench.main(command) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_help_starts_without_torch():
    code = (
        "import sys\nfrom gmbench import bench\n"
        "try:\n    bench.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--against" in done.stdout


def test_goals_are_met_or_missed_and_what_was_not_measured_is_left_out():
    content = described(1.0, 1.0, 1.0)
    assert goals_table(content) == []
    content["ratios"] = {"mqspn_step_over_text_encoder": 2.4}
    first, second = goals_table(content)
    assert first[1:] == ("<= 1.9", "2.4", "**missed**")
    assert second[1:] == (">= 6 times", "5 times", "**missed**")
    content["ratios"] = {"mqspn_step_over_text_encoder": 1.5}
    assert [line[3] for line in goals_table(content)] == ["met", "met"]


def test_every_goal_names_what_the_suites_measure():
    ratios = dict.fromkeys(("padding_waste", "mqspn_step_over_text_encoder"), 1.0)
    row = {"name": "qgn training", "facts": {"peak_mb": 2048.0}, "cpu_ms": None}
    content = {"ratios": ratios, "rows": [row]}
    values = [goal.value(content) for goal in GOALS]
    assert [v for v in values if v is not None] == [1.0, 12.0, 2.0, 100.0]
    assert all(isinstance(goal, Goal) for goal in GOALS)


def test_pages_join_runs():
    two = [described(1.0, 0.9, 1.1), described(2.0, 2.0, 2.0)]
    two[1]["ratios"] = {"other": 2.0}
    two[1]["spread"] = {"other": [2.0, 2.0]}
    two[0]["command"] = "the command"
    text = page(two)
    assert "| `ratio` | 1 | 0.9 to 1.1 |" in text
    assert "| `other` | 2 |  |" in text
    assert text.count("| s | n |") == 2
    assert "- `the command`: " in text
    assert joined(two)["ratios"] == {"ratio": 1.0, "other": 2.0}


def test_growth_is_measured_by_the_post():
    found = scale.run(TINY, ["make", "prepare"])
    assert [row.name for row in found.rows] == [
        *("make: 8 posts", "make: 16 posts", "make: growth"),
        *("prepare: 8 posts", "prepare: 16 posts", "prepare: growth"),
    ]
    assert found.ratios.keys() == {
        f"scale_{part}_{what}" for part in ("make", "prepare") for what in ("time", "peak")
    }
    assert all(row.facts["peak_mb"] > 0 for row in found.rows if "growth" not in row.name)


def test_a_device_is_measured_by_batch_and_precision():
    settings = Settings(device="cpu", batches=(2, 4), compiled=False)
    found = device.run(["mqspn"], TINY, 1, [], settings)
    assert [row.name for row in found.rows] == [
        f"mqspn batch {rows} {kind}" for rows in (2, 4) for kind in ("fp32", "bf16")
    ]
    assert all(row.facts["samples_s"] > 0 for row in found.rows)
    assert found.ratios.keys() == {"mqspn_bf16_over_fp32", "mqspn_bf16_over_fp32_batch4"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is one")
def test_a_device_that_is_not_here_is_one_line(capsys):
    assert bench.main(["--device", "cuda", "--size", "tiny"]) == 2
    assert capsys.readouterr().err == "--device cuda: no CUDA device here\n"
