"""What a spreadsheet would run is marked as text, figures are not, and both are read back."""

import json

import pytest

from gmbench.core.command_line import console
from gmbench.core.safe_text import CONTROL, of_cell, to_cell, to_json


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /c x'!A1", "'=cmd|' /c x'!A1"),
        ("-2+3", "'-2+3"),
        ("@a", "'@a"),
        ("'quoted", "''quoted"),
        ("-2.76", "-2.76"),
        ("+1e-05", "+1e-05"),
        ("-2.76 58.42", "-2.76 58.42"),
        ("plain", "plain"),
    ],
)
def test_formulas_alone_are_marked(text: str, cell: str) -> None:
    assert to_cell(text, figures=True) == cell
    assert of_cell(cell) == text
    if text.startswith(("-", "+")):
        assert to_cell(text) == f"'{text}"  # an id


def test_json_keeps_control_characters_as_escapes() -> None:
    every = "".join(map(chr, range(0xA1))) + "é\u2028"
    text = to_json({"text": every}, indent=1)
    assert json.loads(text) == {"text": every}
    assert not CONTROL.search(text)
    assert "é" in text
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(float("nan"))


def test_a_console_of_either_stream_prints_no_control_character(capsys) -> None:
    console().print("a\x9b31m")
    console(stderr=True).print("b\x1b[2J\x9b31m", markup=False)
    assert capsys.readouterr() == ("a\\x9b31m\n", "b\\x1b[2J\\x9b31m\n")
