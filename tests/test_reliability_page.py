"""docs/reliability.md names only what there is: every promise has tests, every test exists."""

import re

import pytest

from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "reliability.md").read_text()
ROWS = [
    tuple(cell.strip() for cell in line.strip("| ").split(" | "))
    for line in PAGE.splitlines()
    if re.match(r"\| R\d+ \|", line)
]


def test_every_promise_is_listed():
    gone = {8}  # extracting archives
    assert {row[0] for row in ROWS} >= {f"R{n}" for n in range(1, 18) if n not in gone}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[1][:40]}")
def test_each_promise_has_tests_that_exist_and_a_figure(row):
    _, promise, proof, measured = row
    assert promise
    assert re.search(r"\d", measured) or "refused" in measured, "no figure"
    named = re.findall(r"`([^`]+)`", proof)
    files = [name for name in named if name.endswith(".py")]
    assert files, "no file of tests"
    tests = set()
    for file in files:
        text = (REPOSITORY / file).read_text()
        found = set(re.findall(r"^def (test_\w+)", text, re.MULTILINE))
        assert found, f"{file} holds no test"
        tests |= found
    for name in set(named) - set(files):
        whole = name.removesuffix("...")
        fits = [t for t in tests if t.startswith(whole) and (name.endswith("...") or t == whole)]
        assert fits, f"no test {name} in {', '.join(files)}"
