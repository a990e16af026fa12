"""result.json: round trip, and every kind of wrong file named with its key."""

import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gmbench.core.errors import InputError
from gmbench.reporting.record import read_result, write_result
from tests.reporting.sample import sample, with_overrides


@pytest.mark.parametrize("saw_pixels", [True, False])
def test_round_trip(tmp_path: Path, saw_pixels: bool) -> None:
    path, result = tmp_path / "result.json", sample(saw_pixels=saw_pixels)
    write_result(path, result)
    assert read_result(path) == result
    first = path.read_bytes()
    write_result(path, read_result(path))
    assert path.read_bytes() == first
    assert list(tmp_path.iterdir()) == [path]


def test_without_pixels_grounding_is_not_reported() -> None:
    metrics = sample(saw_pixels=False).metrics
    assert metrics.gmner is metrics.eeg is metrics.gmner_macro_f1 is None
    assert metrics.mner.tp == 2
    assert {row.gmner for row in metrics.per_type.values()} == {None}
    with pytest.raises(ValueError, match="exactly when the run saw pixels"):
        replace(sample(), metrics=metrics)


def test_figures_of_the_sample() -> None:
    metrics = sample().metrics
    assert metrics.gmner is not None
    assert (metrics.gmner.tp, metrics.gmner.pred, metrics.gmner.gold) == (2, 3, 2)
    assert metrics.gmner.f1 == 0.8
    assert metrics.mner_macro_f1 == pytest.approx((1.0 + 2 / 3) / 2)
    names = {floor.name: floor for floor in sample().floors}
    assert names["gold text, no box"].mner is None
    assert names["gold text, whole image"].gmner.tp == 2
    assert names["training names, no box"].mner.tp == 1


Edit = Callable[[dict[str, Any]], object]
EDITS: dict[str, tuple[Edit, str]] = {
    "missing": (lambda r: r["data"].pop("split"), r"key 'data\.split' is missing"),
    "renamed": (
        lambda r: r.update(protocoll=r.pop("protocol")),
        r"unknown key 'protocoll'; did you mean protocol\?",
    ),
    "unknown": (lambda r: r.update(zzz=1), r"unknown key 'zzz'; known: protocol, data"),
    "text as number": (
        lambda r: r["data"].update(n="2"),
        r"data\.n should be a valid integer, not \"2\"",
    ),
    "truth as number": (
        lambda r: r["config"].update(seed=True),
        r"config\.seed should be a valid integer, not true",
    ),
    "null": (lambda r: r.update(config=None), r"config should be an object, not null"),
    "object as list": (lambda r: r.update(floors={}), r"floors should be a valid array, not \{\}"),
    "list as object": (lambda r: r.update(versions=[]), r"versions should be an object, not \[\]"),
    "in a list": (
        lambda r: r["parameters"][1].update(total=1.5),
        r"parameters\[1\]\.total should be a valid integer, not 1\.5",
    ),
    "in a mapping": (
        lambda r: r["versions"].update(numpy=2),
        r"versions\.numpy should be a valid string, not 2",
    ),
    "an edited digit": (
        lambda r: r["metrics"]["gmner"].update(f1=0.81),
        r"metrics\.gmner: f1 is 0\.81, but the counts give 0\.8: edited\?",
    ),
    "an edited count": (
        lambda r: r["metrics"]["per_type"]["PER"]["mner"].update(tp=7),
        r"metrics\.per_type\.PER\.mner: tp=7 of pred=1 and gold=1 cannot be",
    ),
    "no grounding though pixels": (
        lambda r: r["metrics"].update(gmner=None),
        r"reported exactly when the run saw pixels",
    ),
    "nan": (
        lambda r: r["cost"].update(seconds=math.nan),
        r"cost\.seconds should be a finite number, not NaN",
    ),
    "huge parameters": (
        lambda r: r["parameters"][0].update(total=10**400),
        r"number out of range|impossible numbers of parameters",
    ),
    "huge cost": (lambda r: r["cost"].update(seconds=1e308), r"cost: seconds is out of range"),
    "a way out": (
        lambda r: r["checkpoint"].update(path="../../private"),
        r"checkpoint: path leads out of the run folder",
    ),
    "schema": (lambda r: r.update(schema=99), r"schema 99, but this version reads 1"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_wrong_file_is_named_with_its_key(edit: str, tmp_path: Path) -> None:
    change, message = EDITS[edit]
    path = tmp_path / "result.json"
    write_result(path, sample())
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))
    with pytest.raises(InputError, match=message) as caught:
        read_result(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_a_torn_file_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"result\.json(: not JSON| should be an object)"):
        read_result(path)


def test_a_number_that_is_not_finite_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    result = sample()
    with pytest.raises(ValueError, match="not finite"):
        write_result(path, replace(result, cost=replace(result.cost, seconds=math.inf)))
    assert list(tmp_path.iterdir()) == []


def test_credentials_never_reach_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "canary-in-the-environment")
    path = tmp_path / "result.json"
    overrides = (
        "logger.api_key=canary-one",
        "data.root=https://me:canary-two@example.org/x",
        "name=canary-in-the-environment",
        "model.max_tokens=7",
        "data.root=/plain/path",
    )
    write_result(path, with_overrides(*overrides))
    assert "canary" not in path.read_text()
    assert read_result(path).config.overrides == (
        "logger.api_key=***",
        "data.root=https://***@example.org/x",
        "name=***",
        "model.max_tokens=7",
        "data.root=/plain/path",
    )


def test_a_named_pipe_is_refused_before_it_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "result.json")
    with pytest.raises(InputError, match="device or named pipe"):
        read_result(tmp_path / "result.json")
