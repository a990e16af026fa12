"""How often the test of two methods is right, simulated: ``python -m tests.scoring.coverage``.

Prints the share of ties whose 95 % interval holds zero; all others would get a star.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from gmbench.scoring.intervals import Ints
from gmbench.scoring.methods import compare_methods

SLOPE = 0.135
"""F1 gained by one unit of a seed's logit, about, in :func:`tied_methods`."""
SEEDS = ((2, 2), (3, 3), (4, 4), (5, 5), (2, 5))
EXAMPLES = (400, 1500)
DEVIATIONS = (0, 1, 2, 3)


def tied_methods(
    rng: np.random.Generator,
    *,
    seeds: Sequence[int],
    examples: int,
    deviation: float,
    gain: float = 0.0,
) -> list[list[Ints]]:
    """Counts ``[examples, 3]`` for each seed of methods whose F1 is equal in the long run.

    Args:
        rng: of the draws.
        seeds: of each method.
        examples: tweets, which differ in difficulty, also from method to method.
        deviation: of F1 over seeds in points, beside what the examples make of it.
        gain: logits by which the first method is better than that.
    """
    gold = rng.choice(5, p=[0.25, 0.35, 0.25, 0.1, 0.05], size=examples)
    difficulty = rng.normal(0.9, 1.8, size=examples)
    methods = []
    for n in seeds:
        taste = rng.normal(0, 0.8, size=examples)  # what all seeds of a method share
        skill = rng.normal(0, deviation / 100 / SLOPE, size=(n, 1))
        luck = rng.normal(0, 0.8, size=(n, examples))
        ahead = gain if not methods else 0.0
        right = 1 / (1 + np.exp(-(difficulty + taste + skill + luck + ahead)))  # [n, examples]
        tp = rng.binomial(gold, right)
        pred = tp + rng.binomial(gold - tp, 0.6) + rng.binomial(1, 0.25 * (1 - right))
        methods.append(list(np.stack([tp, pred, np.broadcast_to(gold, tp.shape)], axis=2)))
    return methods


def coverage(*, seeds: Sequence[int], examples: int, deviation: float, draws: int) -> float:
    """Share of simulated ties whose interval holds zero."""
    rng = np.random.default_rng([*seeds, examples, int(deviation)])
    held = 0
    for _ in range(draws):
        tied = tied_methods(rng, seeds=seeds, examples=examples, deviation=deviation)
        found = compare_methods(*tied)
        inside = found.delta.low <= 0 <= found.delta.high
        assert inside == (found.p > 0.05), "interval and p-value disagree"
        held += inside
    return held / draws


def main() -> None:
    """The whole range as a table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.scoring.coverage",
        description="Coverage of the 95 % interval of two methods, and false stars, by simulation.",
    )
    parser.add_argument("--draws", type=int, default=4_000, help="ties for each cell")
    draws = parser.parse_args().draws
    print("| tweets | seeds | " + " | ".join(f"{d} points" for d in DEVIATIONS) + " |")
    print("|---:|---|" + "---:|" * len(DEVIATIONS))
    for examples in EXAMPLES:
        for seeds in SEEDS:
            shares = [
                coverage(seeds=seeds, examples=examples, deviation=d, draws=draws)
                for d in DEVIATIONS
            ]
            label = " and ".join(map(str, seeds))
            cells = " | ".join(f"{100 * share:.1f}" for share in shares)
            print(f"| {examples:,} | {label} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
