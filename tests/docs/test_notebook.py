"""examples/quickstart.ipynb: its cells run, and it is committed with what they show.

``!`` lines are commands; the value of a cell's last line is what Jupyter would show. No kernel:
it would add twenty packages and sockets to the tests, and the notebook uses nothing of it.
"""

import ast
import base64
import io
import json
import re
import shlex
import shutil
import sys

import pytest
from PIL import Image

from tests.conftest import REPOSITORY
from tests.docs.test_commands import SMALL

NOTEBOOK = REPOSITORY / "examples" / "quickstart.ipynb"
LEARNS_AT_ONCE = "model.loss.terms.type.nil_weight=0"
"""So little training would find nothing, if it also had to learn *no entity*."""


@pytest.fixture(scope="module")
def cells():
    book = json.loads(NOTEBOOK.read_text())
    assert book["nbformat"] == 4
    return book["cells"]


@pytest.fixture(scope="module")
def shown(cells):
    """What each code cell is stored with: text, and pictures."""
    found = []
    for cell in (cell for cell in cells if cell["cell_type"] == "code"):
        text, pictures = "", []
        for output in cell["outputs"]:
            data = output.get("data", {"text/plain": output.get("text", ())})
            text += "".join(data.get("text/plain", ()))
            if "image/png" in data:
                pictures.append(Image.open(io.BytesIO(base64.b64decode(data["image/png"]))))
        found.append((text, pictures))
    return found


def run(source, names, door, folder):
    """Run a cell, small; the value that its last line has, if it is an expression."""
    lines = []
    for line in source.splitlines():
        if line.startswith("!"):
            words = shlex.split(line[1:])
            assert words[:2] == ["python", "-m"], line
            kept = [word for word in words[2:] if not re.match(r"data\.|trainer\.", word)]
            done = door.run(*kept, *SMALL, LEARNS_AT_ONCE, folder=folder)
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
    pytest.importorskip("cv2", reason="needs the extra regions")
    shutil.copytree(REPOSITORY / "examples" / "own_data", tmp_path / "own_data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    names: dict[str, object] = {}
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    values = [run(source, names, door, tmp_path) for source in sources]
    assert sum(isinstance(value, Image.Image) for value in values) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("GMNER  F1")
    assert any(re.search(r"\((PER|LOC|ORG|OTHER), ", line) for line in lines[3:])
    assert (tmp_path / "overlay.png").stat().st_size > 5_000


def test_it_is_committed_with_what_its_cells_show(cells, shown):
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {
        "stream",
        "execute_result",
    }  # no error
    assert not any(shown[0])  # what only Colab needs
    assert all(text or pictures for text, pictures in shown[1:])
    pictures = [picture for _, pictures in shown for picture in pictures]
    assert len(pictures) == 2
    assert all(min(picture.size) > 500 for picture in pictures)
    assert "Epoch 3/3: dev F1 GMNER" in shown[1][0]
    assert len({cell["id"] for cell in cells}) == len(cells)


def test_what_it_is_stored_with_says_nothing_of_a_machine(shown):
    text = "\n".join(text for text, _ in shown)
    assert "runs/quickstart" in text
    assert not re.search(r"(?<![\w.])/\w+/|https?://|\r", text)
    assert NOTEBOOK.stat().st_size < 1_000_000


def test_its_links_lead_somewhere(cells):
    address = "colab.research.google.com/github/gmbench/gmbench/blob/main/examples/quickstart.ipynb"
    assert address in "".join(cells[0]["source"])
    for page in ("README.md", "docs/first_run.md"):
        assert address in (REPOSITORY / page).read_text()
    for cell in cells:
        for target in re.findall(r"\]\(([^)#:]+)\)", "".join(cell["source"])):
            assert (NOTEBOOK.parent / target).exists(), target
