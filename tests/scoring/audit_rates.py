"""How often the audit finds a planted error, simulated: ``python -m tests.scoring.audit_rates``.

Honest tables are counts of one list of predictions, printed with rounding; an error is planted in
one of them, and the audit sees the printed figures alone.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gmbench.scoring.audit import Key, Printed, Scores, Stated, audit

Lines = dict[str, list[str]]
"""P, R and F1 by task, as printed."""
GOLD = 2543


def counts(rng: np.random.Generator, gold: int) -> tuple[int, dict[str, int]]:
    """Predictions, and tp by task, of one list of predictions."""
    pred = int(gold * rng.uniform(0.5, 1.5))
    mner, eeg = (int(min(pred, gold) * rng.uniform(0.2, 0.98)) for _ in range(2))
    return pred, {"gmner": int(min(mner, eeg) * rng.uniform(0.6, 1)), "mner": mner, "eeg": eeg}


def shown(share: float, digits: int) -> str:
    """A figure in percent."""
    return f"{100 * share:.{digits}f}"


def honest(rng: np.random.Generator, gold: int = GOLD, digits: int = 2) -> Lines:
    """The lines of one system."""
    pred, found = counts(rng, gold)
    return {
        task: [shown(s, digits) for s in (tp / pred, tp / gold, 2 * tp / (pred + gold))]
        for task, tp in found.items()
    }


def rows(lines: Lines, gold: int | None = None) -> list[Scores]:
    """The lines for the audit."""
    return [
        Scores(
            key=Key(table="", system="ours", task=task),
            **dict(zip(("precision", "recall", "f1"), map(Printed.of, figures), strict=True)),
            n_gold=gold,
        )
        for task, figures in lines.items()
    ]


def typed(rng: np.random.Generator, digits: int = 2, *, macro: bool = False) -> list[Scores]:
    """F1 of two systems by type and in all; with ``macro``, the second prints a macro average."""
    golds = [int(g) for g in rng.integers(40, 1200, size=6)]
    lines = []
    for system in ("theirs", "ours"):
        key = Key(table="", system=system, task="gmner")
        tps, preds, scores = [], [], []
        for number, gold in enumerate(golds):
            pred = int(gold * rng.uniform(0.5, 1.5))
            tp = int(min(pred, gold) * rng.uniform(0.2, 0.98))
            tps, preds, scores = [*tps, tp], [*preds, pred], [*scores, 2 * tp / (pred + gold)]
            f1 = Printed.of(shown(scores[-1], digits))
            lines.append(Scores(key=replace(key, type=f"t{number}"), f1=f1, n_gold=gold))
        overall = 2 * sum(tps) / (sum(preds) + sum(golds))
        if macro and system == "ours":
            overall = sum(scores) / len(scores)
        lines.append(Scores(key=key, f1=Printed.of(shown(overall, digits))))
    return lines


def is_flagged(lines: Lines, gold: int | None = None) -> bool:
    """Whether the audit finds anything."""
    return bool(audit(rows(lines, gold)).flags)


def off(units: int) -> Callable[[np.random.Generator, Lines], Lines]:
    """One F1 printed so many units of the last decimal too high or too low."""

    def plant(rng: np.random.Generator, lines: Lines) -> Lines:
        task = str(rng.choice(list(lines)))
        p, r, f = lines[task]
        digits = len(f.partition(".")[2])
        moved = float(f) + int(rng.choice([-1, 1])) * units / 10**digits
        return {**lines, task: [p, r, f"{moved:.{digits}f}"]}

    return plant


def exchanged(one: int, other: int) -> Callable[[np.random.Generator, Lines], Lines]:
    """Two of P, R and F1 of one task in each other's place."""

    def plant(rng: np.random.Generator, lines: Lines) -> Lines:
        task = str(rng.choice(list(lines)))
        figures = list(lines[task])
        figures[one], figures[other] = figures[other], figures[one]
        return {**lines, task: figures}

    return plant


def of_another_run(rng: np.random.Generator, lines: Lines) -> Lines:
    """MNER of another run of about the same quality: predictions differ by up to 5 %."""
    p, r = (float(figure) / 100 for figure in lines["mner"][:2])
    tp = round(r * GOLD)
    pred = max(tp, round(tp / p * rng.uniform(0.95, 1.05)))
    figures = (tp / pred, tp / GOLD, 2 * tp / (pred + GOLD))
    return {
        **lines,
        "mner": [shown(figure, len(lines["mner"][0].partition(".")[2])) for figure in figures],
    }


def turned_digits(rng: np.random.Generator, lines: Lines) -> Lines:
    """Two neighbouring, different digits of one figure in each other's place."""
    places = [
        (task, column, place)
        for task, figures in lines.items()
        for column, text in enumerate(figures)
        for place in range(len(text) - 1)
        if "." not in text[place : place + 2] and text[place] != text[place + 1]
    ]
    task, column, place = places[rng.integers(len(places))]
    figures, text = list(lines[task]), lines[task][column]
    figures[column] = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    return {**lines, task: figures}


ERRORS: dict[str, Callable[[np.random.Generator, Lines], Lines]] = {
    "none": lambda rng, lines: lines,
    "F1 off by 1 unit of the last decimal": off(1),
    "F1 off by 2 units": off(2),
    "F1 off by 10 units": off(10),
    "two digits of a figure turned": turned_digits,
    "F1 and P exchanged": exchanged(0, 2),
    "P and R exchanged in one task": exchanged(0, 1),
    "MNER of another run": of_another_run,
}


def rate(error: str, *, gold: int | None, digits: int, draws: int) -> float:
    """Share of tables with this error that get a flag."""
    rng = np.random.default_rng([len(error), digits])
    plant = ERRORS[error]
    return (
        sum(is_flagged(plant(rng, honest(rng, GOLD, digits)), gold) for _ in range(draws)) / draws
    )


def macro_rate(*, digits: int, draws: int, macro: bool = True) -> float:
    """Share of tables by type with one macro average that get a flag."""
    rng = np.random.default_rng(digits)
    return sum(bool(audit(typed(rng, digits, macro=macro)).flags) for _ in range(draws)) / draws


def difference_rate(units: int, *, digits: int, draws: int) -> float:
    """Share of differences, stated so many units too great, that get a flag."""
    rng = np.random.default_rng(units)
    found = 0
    for _ in range(draws):
        one, two = rng.uniform(0.3, 0.9, size=2)
        keys = [Key(table="", system=system, task="gmner") for system in ("ours", "theirs")]
        lines = [
            Scores(key=key, f1=Printed.of(shown(f1, digits)))
            for key, f1 in zip(keys, (one, two), strict=True)
        ]
        said = shown(one - two + units / 10 ** (digits + 2), digits)
        stated = Stated(key=keys[0], difference=Printed.of(said), than="theirs")
        found += bool(audit(lines, [stated]).flags)
    return found / draws


def main() -> None:
    """Every error as a table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.scoring.audit_rates",
        description="How often an error planted in an honest table is found.",
    )
    parser.add_argument("--draws", type=int, default=2_000, help="tables for each cell")
    draws = parser.parse_args().draws
    print("| planted | 2 decimals | 2 decimals, n_gold | 1 decimal | 1 decimal, n_gold |")
    print("|---|---:|---:|---:|---:|")
    for error in ERRORS:
        found = [rate(error, gold=g, digits=d, draws=draws) for d in (2, 1) for g in (None, GOLD)]
        print(f"| {error} | " + " | ".join(f"{100 * f:.1f}" for f in found) + " |", flush=True)
    for name, macro in (("by type, none", False), ("by type, one macro average", True)):
        found = [macro_rate(digits=d, draws=draws, macro=macro) for d in (2, 1)]
        print(f"| {name} | | {100 * found[0]:.1f} | | {100 * found[1]:.1f} |", flush=True)
    for units in (0, 1, 2, 3):
        found = [difference_rate(units, digits=d, draws=draws) for d in (2, 1)]
        name = f"difference off by {units} units"
        print(f"| {name} | {100 * found[0]:.1f} | | {100 * found[1]:.1f} | |", flush=True)


if __name__ == "__main__":
    main()
