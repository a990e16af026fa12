"""Whether the planned power is what tests reach: ``python -m tests.scoring.power_rates``.

Pairs of methods whose F1 differs by a known amount in the long run are simulated and tested; the
plan is made from a pilot of other seeds on other examples.
"""

import argparse

import numpy as np

from gmbench.scoring.intervals import Ints, f1
from gmbench.scoring.methods import compare_methods
from gmbench.scoring.power import power, spread_of
from tests.scoring.coverage import SLOPE, tied_methods

DESIGNS = ((2.0, 5, 1500, 1.0), (1.0, 5, 1500, 1.0), (5.0, 3, 400, 2.0), (0.0, 5, 1500, 1.0))
"""Difference in points, seeds, examples, deviation over seeds in points."""


def apart(
    rng: np.random.Generator, points: float, seeds: int, examples: int, deviation: float
) -> list[list[Ints]]:
    """Two methods whose F1 differs by so many points in the long run."""
    gain = points / 100 / SLOPE
    return tied_methods(
        rng, seeds=(seeds, seeds), examples=examples, deviation=deviation, gain=gain
    )


def true_difference(points: float) -> float:
    """What the gain is worth, measured on very many examples."""
    one, two = apart(np.random.default_rng(1), points, 2, 200_000, 0.0)
    return float(np.mean([f1(t.sum(0)) for t in one]) - np.mean([f1(t.sum(0)) for t in two]))


def rates(
    points: float, seeds: int, examples: int, deviation: float, *, pairs: int, pilots: int = 20
) -> tuple[float, float, float, float]:
    """The true difference, planned power (mean over pilots), power reached, and coverage."""
    truth = true_difference(points)
    rng = np.random.default_rng([int(points), seeds, examples])
    planned = []
    for _ in range(pilots):
        spread = spread_of(apart(rng, points, 5, examples, deviation))
        planned.append(power(spread, truth, seeds=seeds, examples=examples, draws=300))
    told = covered = 0
    for _ in range(pairs):
        found = compare_methods(*apart(rng, points, seeds, examples, deviation))
        told += found.p <= 0.05
        covered += found.delta.low <= truth <= found.delta.high
    return truth, float(np.mean(planned)), told / pairs, covered / pairs


def main() -> None:
    """Every design as a table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.scoring.power_rates",
        description="Planned power, power reached and coverage over simulated pairs.",
    )
    parser.add_argument("--pairs", type=int, default=1_000, help="simulated pairs for each row")
    pairs = parser.parse_args().pairs
    print("| true difference | seeds | examples | deviation | planned % | reached % | coverage % |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for design in DESIGNS:
        truth, planned, told, covered = rates(*design, pairs=pairs)
        figures = f"{100 * planned:.1f} | {100 * told:.1f} | {100 * covered:.1f}"
        print(f"| {100 * truth:.2f} | {' | '.join(map(str, design[1:]))} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
