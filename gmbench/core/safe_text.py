"""Text of strangers, made safe for a terminal and for a spreadsheet."""

import json
import re
from typing import Any

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What steers a terminal; tab and line feed are not among it."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
"""How a cell begins that a spreadsheet runs as a formula, and the mark that says it is text."""
FIGURE = re.compile(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?( [0-9.]+)*")
"""A number with its sign, or a difference and the value it belongs to."""


def printable(text: str) -> str:
    r"""The text with each control character as its escape: ``\x1b`` for ESC."""
    return CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def to_json(value: Any, *, indent: int | None = None) -> str:
    r"""JSON in plain text; each control character is an escape that keeps it: ``\u009b``.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def to_cell(value: object, *, figures: bool = False) -> object:
    """A value for a csv file: text that a spreadsheet would run gets a leading apostrophe.

    Args:
        value: only text is changed.
        figures: whether signed numbers are figures, which stay; among ids they are names.
    """
    if not isinstance(value, str) or not value.startswith(FORMULA):
        return value
    return value if figures and FIGURE.fullmatch(value) else f"'{value}"


def of_cell(text: str) -> str:
    """The text that ``to_cell`` wrote."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text
