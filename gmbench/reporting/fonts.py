"""Fonts of pictures with words of examples: emoji and scripts that matplotlib's own font lacks.

The machine's fonts are searched. What none of them has is spelled out, ``[fire]`` for an emoji and
``[U+65E5]`` for a letter, so that no empty box is drawn.
"""

import re
import unicodedata
from functools import cache

OWN = "DejaVu Sans"
JOINERS = frozenset({0x200D, 0xFE0E, 0xFE0F, *range(0xE0000, 0xE0080)})
"""Code points that only change or join the emoji beside them."""


def fitting(text: str) -> tuple[str, list[str]]:
    """The text as it can be drawn, and the font families for it, first choice first.

    matplotlib takes each letter from the first family that has it.
    """
    from matplotlib.font_manager import findfont, fontManager

    families = [OWN]
    text = "".join(letter for letter in text if ord(letter) not in JOINERS)
    missing = {ord(letter) for letter in text} - _letters(findfont(OWN))
    for font in sorted(fontManager.ttflist, key=lambda font: (font.name, font.fname)):
        if not missing:
            break
        # Matplotlib draws outlines alone: a font of coloured bitmaps would fail.
        usual = (font.style, font.weight) == ("normal", 400)
        if not usual or font.name.startswith("Last Resort") or "Color" in font.name:
            continue
        if found := missing & _letters(font.fname):
            families.append(font.name)
            missing -= found
    if missing:
        unknown = f"[{''.join(re.escape(chr(point)) for point in sorted(missing))}]+"
        text = re.sub(unknown, _named, text)
    return text, families


def _named(found: re.Match[str]) -> str:
    """Symbols by name; letters, whose names say no more, by number."""
    symbols = all(unicodedata.category(letter) in ("So", "Sk") for letter in found[0])
    if symbols:
        return "".join(f"[{unicodedata.name(letter).lower()}]" for letter in found[0])
    return f"[{' '.join(f'U+{ord(letter):04X}' for letter in found[0])}]"


@cache
def _letters(file: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(file).get_charmap())
