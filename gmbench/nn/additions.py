"""How much each part of a model adds, against what it adds to.

A part that adds next to nothing is *inactive*: a table that switches it off then compares noise.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import Tensor, nn


@dataclass
class Additions:
    """Squares of what was added (first) and of what it was added to, by module and word."""

    sums: dict[tuple[nn.Module, str], list[float]] = field(default_factory=dict)

    def shares(self, model: nn.Module) -> dict[str, float]:
        """Root mean square of what each part adds over that of what it adds to.

        Parts are named by their places in the model, without numbers: ``qfnet.sag`` is that of all
        layers together.
        """
        together: dict[str, list[float]] = {}
        names = {module: name for name, module in model.named_modules()}
        for (module, word), squares in self.sums.items():
            name = re.sub(r"\.\d+", "", ".".join(filter(None, (names[module], word))))
            total = together.setdefault(name, [0.0, 0.0])
            for place, square in enumerate(squares):
                total[place] += square
        return {name: (adds / max(to, 1e-30)) ** 0.5 for name, (adds, to) in together.items()}


_open: list[Additions] = []


def measuring() -> bool:
    """Whether somebody measures: a part may then compute what only the measure needs."""
    return bool(_open)


def added(part: nn.Module, base: Tensor, message: Tensor, word: str = "") -> Tensor:
    """``base + message``; how large both are is noted while somebody measures.

    Args:
        part: which module adds.
        base: to what.
        message: what it adds.
        word: tells several additions of one module apart.
    """
    for additions in _open:
        squares = additions.sums.setdefault((part, word), [0.0, 0.0])
        for place, states in enumerate((message, base)):
            squares[place] += float(states.detach().float().square().mean())
    return base + message


@contextmanager
def measured(additions: Additions) -> Iterator[None]:
    """Note in ``additions`` what every part adds."""
    _open.append(additions)
    try:
        yield
    finally:
        _open.remove(additions)
