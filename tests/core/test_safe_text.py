"""What a spreadsheet would run is marked as text, figures are not, and both are read back."""

import pytest

from gmbench.core.safe_text import of_cell, to_cell


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
