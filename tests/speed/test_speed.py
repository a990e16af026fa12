"""``python -m tests.speed`` measures real tasks in turns and writes what it measured."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from transformers import BertConfig, BertModel

from gmbench.config import conf_dir
from gmbench.core.errors import InputError
from gmbench.nn.text import TextEncoder, tiny_tokenizer
from gmbench.nn.vision import from_timm
from tests.speed import report, sizes
from tests.speed.__main__ import main
from tests.speed.data import padding, waste
from tests.speed.measure import Findings, Laps, Row, Spread, operations, take_turns
from tests.speed.sizes import PAPER, TINY, build, configuration

MODELS = sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))


def test_tasks_take_turns_and_the_warm_up_does_not_count():
    order = []
    laps = take_turns({name: lambda name=name: order.append(name) for name in "ab"}, repeats=3)
    assert order == ["a", "b"] * 4
    assert len(laps["a"].seconds) == 3


def test_a_ratio_is_taken_repeat_by_repeat():
    assert Laps((2.0, 8.0, 3.0)).over(Laps((1.0, 2.0, 3.0))) == Spread(2.0, 1.0, 4.0)


def test_flop_and_operations_are_exact():
    layer, x = nn.Linear(8, 4, bias=False), torch.randn(3, 8)
    gflop, ops = operations(lambda: layer(x).relu().reshape(-1))
    assert gflop == 2 * 3 * 8 * 4 / 1e9
    assert ops == 2  # mm and relu; transposing and reshaping are views


@pytest.mark.parametrize(("name", "limit"), [("mqspn", 2500), ("qgn", 4200)])
def test_operations_of_a_step_at_the_papers_depth(name, limit, monkeypatch):
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
    counts = set()
    for rows in (2, 8):
        size = replace(PAPER, rows=rows, pixels=96)
        ready = build(configuration(name, size), size)
        ready.step()  # creates the optimiser's moments
        counts.add(operations(ready.step)[1])
    assert len(counts) == 1  # whatever the batch size
    assert counts.pop() <= limit


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


def test_the_command_writes_json_and_tables_and_compares_with_itself(tmp_path, capsys):
    path = tmp_path / "speed.json"
    suites = [w for s in ("step", "data", "score", "matching") for w in ("--suite", s)]
    precisions = ["--precision", "fp32", "--precision", "bf16"]
    command = ["--size", "tiny", "--repeats", "1", "--model", "mqspn", *precisions, *suites]
    assert main([*command, "--json", str(path)]) == 0
    content = json.loads(path.read_text())
    medians = {name: spread["median"] for name, spread in content["figures"].items()}
    assert medians["mqspn_step_over_text_encoder"] > 1
    assert 0 < medians["mqspn_matching_share"] < 1
    assert medians["padding_waste"] > 0
    assert medians["mqspn_bf16_over_fp32"] > 0
    step = next(row for row in content["rows"] if row["name"] == "mqspn batch 4 fp32")
    assert step["facts"].keys() >= {"gflop", "ops", "samples_s"}
    assert step["ms"]["median"] > 0
    assert "`mqspn_step_over_text_encoder`" in capsys.readouterr().out
    assert report.regressions(content, content) == []


def described(median: float, low: float, high: float) -> dict[str, object]:
    findings = Findings((Row("s", "n"),), {"padding_waste": Spread(median, low, high)})
    return report.document([findings], command="the command", settings={"size": "tiny"})


@pytest.mark.parametrize(
    ("now", "worse"),
    [
        ((1.0, 0.9, 1.1), False),
        ((1.5, 1.05, 1.9), False),  # within the spread before
        ((1.09, 1.08, 1.1), False),  # noise
        ((1.5, 1.4, 1.6), True),
        ((0.5, 0.4, 0.6), False),  # better
    ],
)
def test_only_what_is_beyond_the_spread_is_a_regression(now, worse):
    assert bool(report.regressions(described(*now), described(1.0, 0.9, 1.07))) is worse


def test_other_settings_do_not_compare():
    other = {**described(1, 1, 1), "settings": {"size": "paper"}}
    with pytest.raises(InputError, match="other settings"):
        report.regressions(other, described(1, 1, 1))


@pytest.mark.parametrize(("value", "verdict"), [(0.02, "met"), (0.04, "**missed**")])
def test_a_figure_stands_beside_its_target(value, verdict):
    text = report.page(described(value, value, value))
    assert f"| `padding_waste` | {value} |  | <= 0.03 | {verdict} |" in text


@pytest.mark.parametrize("content", [None, "{", '{"schema": 0}'])
def test_a_bad_file_to_compare_with_is_reported_before_any_work(content, tmp_path, capsys):
    path = tmp_path / "old.json"
    if content is not None:
        path.write_text(content)
    assert main(["--size", "tiny", "--against", str(path)]) == 2
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["optim.lr_hed=1", "--device=cuda"])
def test_a_bad_request_is_one_line(wrong, capsys):
    if wrong == "--device=cuda" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    assert main(["--size", "tiny", "--suite", "step", "--model", "mqspn", wrong]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2  # the suite, then what is wrong
