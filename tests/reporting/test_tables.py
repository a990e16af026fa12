"""Tables name the protocol, the counts, and what is not reported; they fit 100 columns."""

import io
import json

import pytest
from rich.console import Console
from rich.text import Text

from gmbench.reporting.tables import Table, parameter_table, run_table, type_table
from tests.reporting.sample import sample


def text(table: Table) -> str:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(table)
    return console.file.getvalue()


def row(table: str, name: str) -> str:
    return next(line for line in table.splitlines() if name in line)


def test_one_table_in_every_form() -> None:
    rows = [("a[b]_c|d", Text("1", style="bold")), ("±", None)]
    table = Table(heads=("row", "F1 %"), sections=([rows[0]], [rows[1]]), title="[t]")
    assert text(table).startswith("[t]")
    assert "│ a[b]_c|d │    1 │" in text(table)
    assert table.markdown()[:3] == ["| row | F1 % |", "|---|---:|", "| a[b]_c\\|d | 1 |"]
    assert r"a[b]\_c|d & 1 \\" in table.latex()
    assert table.csv() == "row,F1 %\na[b]_c|d,1\n±,\n"
    assert json.dumps(table.records()[1], ensure_ascii=False) == '{"row": "±", "F1 %": null}'


@pytest.mark.parametrize("saw_pixels", [True, False])
def test_model_and_baselines(saw_pixels: bool) -> None:
    table = text(run_table(sample(saw_pixels=saw_pixels)))
    assert "66.67 100.00  80.00" in row(table, "mqspn")
    assert "2/3/2" in table
    assert "Protocol strict 1.0, IoU >= 0.5" in table
    assert "50.00" in row(table, "gold text, no box")
    assert row(table, "gold text, no box").count("given") == 1
    assert row(table, "gold text, whole image").count("100.00 100.00 100.00") == 2
    assert row(table, "mqspn").count("not reported") == (0 if saw_pixels else 2)
    assert ("saw no pixels" in table) is not saw_pixels


def test_by_type() -> None:
    table = text(type_table(sample()))
    assert "100.00 100.00 100.00" in row(table, "PER")
    assert "50.00 100.00  66.67" in row(table, "LOC")
    assert "83.33" in row(table, "macro F1")
    blind = text(type_table(sample(saw_pixels=False)))
    assert row(blind, "PER").count("not reported") == 2


def test_parameters() -> None:
    table = text(parameter_table(sample().parameters))
    assert "1,500,000" in row(table, "text")
    assert "frozen" in row(table, "text")
    assert "1,520,000" in row(table, "all")
    assert row(table, "all").count("20,000") == 2


@pytest.mark.parametrize("saw_pixels", [True, False])
def test_everything_fits(saw_pixels: bool) -> None:
    result = sample(saw_pixels=saw_pixels)
    for table in (run_table(result), type_table(result), parameter_table(result.parameters)):
        lines = text(table).splitlines()
        assert max(map(len, lines)) <= 100
        assert not any("…" in line for line in lines)
