"""Suite ``memory``: peak memory of training, each model in a process of its own."""

from collections.abc import Sequence

import numpy as np
import torch

from gmbench.core.entities import Candidates
from tests.speed.measure import Findings, Row, Spread, in_a_process
from tests.speed.sizes import Size, build, configuration

RECORDS = 10_000


def run(models: Sequence[str], size: Size, overrides: Sequence[str]) -> Findings:
    """Peak resident memory of two training steps, and of 10,000 region records."""
    start = in_a_process(_imports_alone)
    peaks = {"libraries alone": start, "region records": in_a_process(_records) - start}
    figures = {"region_records_mb": Spread.of(peaks["region records"])}
    for name in models:
        peak = in_a_process(_steps, name, size, tuple(overrides))
        peaks[f"{name} training"] = peak
        figures[f"{name}_peak_gb"] = Spread.of(peak / 1024)
        figures[f"{name}_peak_over_libraries"] = Spread.of(peak / start)
    rows = tuple(Row("memory", name, facts={"peak_mb": peak}) for name, peak in peaks.items())
    return Findings(rows, figures)


def _steps(name: str, size: Size, overrides: tuple[str, ...]) -> None:
    torch.set_num_threads(1)
    bench = build(configuration(name, size, overrides), size)
    for _ in range(2):  # the moments of AdamW exist from the second on
        bench.step()


def _imports_alone() -> None:
    """The imports of this module, which every measured process has."""


def _records() -> None:
    """Candidates as a split holds them: 100 boxes with scores each."""
    kept = [Candidates(np.ones((100, 4)), np.ones(100)) for _ in range(RECORDS)]
    assert len(kept) == RECORDS
