"""Fonts of pictures with words of examples: emoji and scripts that matplotlib's own font lacks.

Noto Emoji lies here (SIL Open Font License, ``OFL.txt``); for other scripts the machine's fonts are
searched. What none of them has is spelled out, ``[U+65E5]``, so that no empty box is drawn.
"""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

EMOJI = Path(__file__).parent / "NotoEmoji-Regular.ttf"
OWN, DRAWN = "DejaVu Sans", "Noto Emoji"
JOINERS = frozenset({0x200D, 0xFE0E, 0xFE0F, *range(0xE0000, 0xE0080)})
"""Code points that only change or join the emoji beside them."""


def fitting(text: str) -> tuple[str, list[str]]:
    """The text as it can be drawn, and the font families for it, first choice first.

    matplotlib takes each letter from the first family that has it.
    """
    from matplotlib.font_manager import fontManager

    families = [OWN, DRAWN]
    missing = {ord(letter) for letter in text} - _own_letters() - JOINERS
    for font in sorted(fontManager.ttflist, key=lambda font: (font.name, font.fname)):
        if not missing:
            break
        if (font.style, font.weight) != ("normal", 400) or font.name.startswith("Last Resort"):
            continue
        if found := missing & _letters(font.fname):
            families.append(font.name)
            missing -= found
    if missing:
        unknown = f"[{''.join(re.escape(chr(point)) for point in sorted(missing))}]+"
        text = re.sub(unknown, _spelled, text)
    return text, families


def _spelled(found: re.Match[str]) -> str:
    return "[" + " ".join(f"U+{ord(letter):04X}" for letter in found[0]) + "]"


@cache
def _own_letters() -> frozenset[int]:
    """Code points of the two fonts that are always there; registers the second."""
    from matplotlib.font_manager import findfont, fontManager

    fontManager.addfont(EMOJI)
    # It has one weight: without a bold entry every bold text with emoji would log a complaint.
    fontManager.ttflist.append(replace(fontManager.ttflist[-1], weight=700))
    return _letters(findfont(OWN)) | _letters(str(EMOJI))


@cache
def _letters(file: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(file).get_charmap())
