"""Rendering: no footnote may be lost, and ours stand apart with their protocol."""

import io
import subprocess
import sys
from dataclasses import replace

import pytest
from rich.console import Console

from experiments.papers.footnotes import Footnotes
from experiments.papers.our_rows import OurRow, our_rows
from experiments.papers.paper_tables import main, paper_table
from experiments.papers.papers import papers
from gmbench.reporting.index import read_index
from gmbench.reporting.leaderboard import leaderboard
from gmbench.reporting.record import write_result
from tests.reporting.sample import sample


def text_of(table, ours=()):
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(paper_table(table, ours))
    return console.export_text()


@pytest.mark.parametrize("key", papers().tables)
def test_every_number_and_every_reason_is_shown(key):
    table = papers().table(key)
    text = text_of(table)
    for row in table.rows.values():
        line = next(line for line in text.splitlines() if f"│ {row.title}" in line)
        for cell in row.cells.values():
            for value in cell.printed.split():
                assert f"{float(value):.2f}" in line
            if cell.reason is not None:
                assert cell.reason in text
        assert row.reason is None or row.reason in text
    assert all(note in text for note in table.notes)


def test_footnotes_are_marked_where_they_belong():
    text = text_of(papers().table("qgn_table3"))
    lines = text.splitlines()
    assert "59.54 (-0.64)ᵃ" in next(line for line in lines if "MQA + MQD" in line)
    assert "ᵃ" not in next(line for line in lines if "│ HVLA + MQD" in line)
    notes = Footnotes()
    assert [notes.mark(r) for r in ("x", None, "y", "x")] == ["a", "", "b", "a"]
    assert [notes.mark(str(n)) for n in range(26)][-2:] == ["aa", "bb"]


def test_ours_stand_below_with_their_protocol():
    ours = [OurRow("MQSPN, 3 seeds", {"gmner": "12.30 ± 0.40", "eeg": "20.00"})]
    lines = text_of(papers().table("mqspn_table1"), ours).splitlines()
    (place,) = (n for n, line in enumerate(lines) if "3 seeds" in line)
    assert "strict" in lines[place]
    assert "12.30 ± 0.40" in lines[place]
    assert lines[place - 1].startswith("├")


def stored(folder, seed, **data):
    result = sample()
    config = replace(result.config, seed=seed, sha=f"{seed:064}")
    known = {"name": "twitter_gmner", "synthetic": False, "limit": None, **data}
    result = replace(result, config=config, data=replace(result.data, **known))
    folder.mkdir(parents=True)
    write_result(folder / "result.json", result)


def test_finished_runs_on_the_same_data_stand_below(tmp_path):
    for seed in (1, 2):
        stored(tmp_path / f"seed={seed}", seed)
    stored(tmp_path / "limited", 3, limit=10)
    stored(tmp_path / "world", 4, name="synthetic", synthetic=True)
    stored(tmp_path / "fine", 5, name="twitter_fmnerg")
    board = leaderboard(read_index(tmp_path))
    (ours,) = our_rows(papers().table("qgn_table1"), board)
    assert ours.title.startswith("mqspn")
    assert ours.title.endswith("(2 seeds)")
    assert ours.cells["gmner"].split() == ["66.67", "100.00", "80.00", "±", "0.00"]
    assert ours.protocol == "strict"
    text = text_of(papers().table("qgn_table1"), [ours])
    assert "66.67 100.00  80.00 ± 0.00" in text
    assert our_rows(papers().table("qgn_table3"), board) == []


def test_blind_runs_report_no_grounding(tmp_path):
    result = sample(saw_pixels=False)
    data = replace(result.data, name="twitter_gmner", synthetic=False)
    write_result(tmp_path / "result.json", replace(result, data=data))
    (ours,) = our_rows(papers().table("mqspn_table1"), leaderboard(read_index(tmp_path)))
    assert "not reported" in ours.cells["gmner"]
    assert "80.00" in ours.cells["mner"]


def test_command_without_torch():
    code = (
        "import sys; sys.argv[1:] = ['qgn_table3']; "
        "from experiments.papers.paper_tables import main; main(); "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "61.18" in done.stdout


def test_unknown_table(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["paper_tables", "table9"])
    assert main() == 2
    assert "no 'table9'; there are mqspn_table1" in capsys.readouterr().err
