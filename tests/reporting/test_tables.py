"""Tables name the protocol, the counts, and what is not reported; they fit the terminal."""

import io
import json
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from gmbench.core.errors import InputError
from gmbench.core.safe_text import CONTROL
from gmbench.report import main
from gmbench.reporting.formats import board_report
from gmbench.reporting.index import read_index
from gmbench.reporting.leaderboard import leaderboard
from gmbench.reporting.record import write_result
from gmbench.reporting.tables import Table, parameter_table, run_table, type_table
from gmbench.scoring.files import read_tweet_table, write_tweet_table
from gmbench.scoring.intervals import tweet_table
from tests.reporting.sample import GOLD, sample


def text(table: object, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
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
    assert "66.67 100.0 80.00" in row(table, "mqspn")
    assert "2/3/2" in table
    assert "Protocol strict 1.0, IoU >= 0.5" in table
    assert "50.00" in row(table, "gold text, no box")
    assert row(table, "gold text, no box").count("given") == 1
    assert row(table, "gold text, whole image").count("100.0 100.0 100.0") == 2
    assert row(table, "mqspn").count("not reported") == (0 if saw_pixels else 2)
    assert ("saw no pixels" in table) is not saw_pixels


def test_by_type() -> None:
    table = text(type_table(sample()))
    assert "100.0 100.0 100.0" in row(table, "PER")
    assert "50.00 100.0 66.67" in row(table, "LOC")
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
@pytest.mark.parametrize("width", [60, 80, 200])
def test_everything_fits_and_what_does_not_is_named(saw_pixels, width, tmp_path) -> None:
    result = sample(saw_pixels=saw_pixels)
    write_result(tmp_path / "result.json", result)
    board = leaderboard(read_index(tmp_path))
    tables = (run_table(result), type_table(result), parameter_table(result.parameters))
    for table in (*tables, *(section.table for section in board_report(board).sections)):
        shown = text(table, width)
        assert max(map(cell_len, shown.splitlines())) <= width
        assert "…" not in shown
        said = " ".join(shown.split())
        fits = len(table.within(width).heads) == len(table.heads)
        assert ("Too narrow for:" in said) is not fits
        for head in table.heads:
            assert not str(head) or " ".join(str(head).split("\n")[0].split()) in said
        if width == 200 or (width == 80 and table in tables):
            assert fits


def test_columns_leave_in_the_stated_order() -> None:
    heads = ("row", "a", "b", "c", "d")
    table = Table(heads=heads, sections=[[("x" * 30, *["12345678"] * 4)]], first_out=("c", "a"))
    kept = [table.within(width).heads for width in (64, 63, 52, 41, 10)]
    assert ["".join(map(str, heads))[3:] for heads in kept] == ["abcd", "abd", "bd", "b", "b"]
    assert table.within(200) is table
    assert table.within(41).caption.startswith("Too narrow for: a, c, d.")
    assert table.markdown()[0] == "| row | a | b | c | d |"


HOSTILE = "=cmd|' /C calc'!A0\x1b]0;taken\x07\x9b31m"


@pytest.mark.parametrize("form", ["table", "md", "csv", "latex"])
def test_no_text_of_a_run_steers_a_terminal_or_a_spreadsheet(form, tmp_path, capsys):
    result = sample()
    config = replace(result.config, model=HOSTILE, overrides=(f"+{HOSTILE}=1",))
    write_result(tmp_path / "result.json", replace(result, config=config))
    assert main([str(tmp_path), "--format", form]) == 0
    shown = capsys.readouterr().out
    assert "calc" in shown
    if form == "csv":
        assert f"'{HOSTILE}" in shown.replace('""', '"')
    else:
        assert not CONTROL.search(shown)


def test_a_message_steers_no_terminal(capsys):
    assert str(InputError(["a\x1b[31m", "b"])) == "a\\x1b[31m\nb"
    assert main(["/no\x1b[31m"]) == 2
    assert not CONTROL.search(capsys.readouterr().err)


def test_ids_that_are_formulas_are_text_in_the_counts(tmp_path):
    ids = ("'a", "'=a", "+1", "-2", "=cmd|' /C calc'!A0", "@x", "plain")
    gold = dict.fromkeys(ids, GOLD[0].entities)
    table = tweet_table(gold, dict.fromkeys(ids, ()))
    write_tweet_table(tmp_path / "t.csv", table)
    cells = [line.split(",")[0] for line in (tmp_path / "t.csv").read_text().splitlines()]
    assert not [cell for cell in cells if cell.strip('"').startswith(("=", "+", "-", "@"))]
    assert read_tweet_table(tmp_path / "t.csv").ids == table.ids
