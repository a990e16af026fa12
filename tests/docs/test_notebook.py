"""examples/quickstart.ipynb, cell by cell, as Jupyter runs it but without one.

``!`` lines are commands; the value of a cell's last line is what Jupyter would show. No kernel:
it would add twenty packages and sockets to the tests, and the notebook uses nothing of it.
"""

import ast
import json
import re
import shlex
import shutil
import sys

import pytest
from PIL import Image

from tests.conftest import REPOSITORY

NOTEBOOK = REPOSITORY / "examples" / "quickstart.ipynb"


@pytest.fixture(scope="module")
def cells():
    book = json.loads(NOTEBOOK.read_text())
    assert book["nbformat"] == 4
    return book["cells"]


def run(source, names, door, folder):
    """Run a cell; the value that its last line has, if it is an expression."""
    lines = []
    for line in source.splitlines():
        if line.startswith("!"):
            words = shlex.split(line[1:])
            assert words[:2] == ["python", "-m"], line
            done = door.run(*words[2:], folder=folder)
            assert done.code == 0, done.output
        else:
            lines.append(line)
    tree = ast.parse("\n".join(lines))
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, NOTEBOOK.name, "exec"), names)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names)


def test_every_cell_runs_and_shows_what_it_says(cells, door, tmp_path, monkeypatch, capsys):
    shutil.copytree(REPOSITORY / "examples" / "own_data", tmp_path / "own_data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    names: dict[str, object] = {}
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    shown = [run(source, names, door, tmp_path) for source in sources]
    assert sum(isinstance(value, Image.Image) for value in shown) == 2
    told = capsys.readouterr().out
    assert "GMNER  F1" in told
    assert any(line.split()[2] in ("PER", "LOC", "ORG", "OTHER") for line in told.splitlines()[3:])
    assert (tmp_path / "overlay.png").stat().st_size > 5_000


def test_it_is_committed_clean(cells):
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
    assert len({cell["id"] for cell in cells}) == len(cells)
    text = NOTEBOOK.read_text()
    assert '"/' not in text


def test_its_links_lead_somewhere(cells):
    for cell in cells:
        for target in re.findall(r"\]\(([^)#]+)\)", "".join(cell["source"])):
            assert (NOTEBOOK.parent / target).exists(), target
