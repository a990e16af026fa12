"""What the tests of several pictures share."""

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are written, with what is plotted in them."""
    figures = []
    write = Figure.savefig

    def keeping(figure, *arguments, **named):
        figures.append(figure)
        write(figure, *arguments, **named)

    monkeypatch.setattr(Figure, "savefig", keeping)
    return figures
