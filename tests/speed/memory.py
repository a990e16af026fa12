"""Suite ``memory``: the peak of a training process of each model, each in a process of its own."""

from collections.abc import Sequence

from tests.speed.measure import Findings, Row, Spread
from tests.speed.processes import in_a_process
from tests.speed.sizes import Size

RECORDS = 10_000


def run(models: Sequence[str], size: Size, overrides: Sequence[str]) -> Findings:
    """Peak resident memory of two training steps, and of start-up with 10,000 region records."""
    _, start = in_a_process(_imports_alone)
    rows = [Row("memory", "libraries alone", facts={"peak_mb": start})]
    ratios = {}
    for name in models:
        _, peak = in_a_process(_steps, name, size, tuple(overrides))
        rows.append(Row("memory", f"{name} training", facts={"peak_mb": peak}))
        ratios[f"{name}_peak_over_libraries"] = Spread(peak / start, peak / start, peak / start)
    records = in_a_process(_records)[1] - start
    rows.append(Row("memory", f"{RECORDS:,} region records", facts={"peak_mb": records}))
    return Findings(tuple(rows), ratios)


def _steps(name: str, size: Size, overrides: tuple[str, ...]) -> None:
    import torch

    from tests.speed.sizes import build, configuration

    torch.set_num_threads(1)
    bench = build(configuration(name, size, overrides), size)
    for _ in range(2):  # the moments of AdamW exist from the second on
        bench.step()


def _imports_alone() -> None:
    import tests.speed.sizes  # noqa: F401


def _records() -> None:
    """Candidates as a split holds them: 100 boxes with scores each."""
    import numpy as np

    import tests.speed.sizes  # noqa: F401
    from gmbench.core.entities import Candidates

    kept = [Candidates(np.ones((100, 4)), np.ones(100)) for _ in range(RECORDS)]
    assert len(kept) == RECORDS
