"""The tests of committed results, derived again: ``python -m experiments.rederive``.

The committed runs left no counts per tweet, so ``gmbench.scoring.methods`` cannot test them. Left
are the F1 of each seed and the interval of a hierarchical bootstrap over seeds and tweets
(``results/bootstrap_intervals.csv``, with the seeds it was drawn from). Without the seeds' share,
its width gives the variance over tweets; how much of that the seeds of one method differ by on the
same tweet is unknown: the widest interval and the greatest p over all possible shares are taken.

Written: ``results/method_tests.csv``, and every Δ, p and star in the tables and sites. ``--check``
writes nothing; exit code 1 where a file differs. Runs made anew need none of this.
"""

import argparse
import csv
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np

from experiments.engine.collect import Block, OurCell
from experiments.engine.files import INTERVALS, delta_cell
from experiments.engine.picture import picture
from experiments.engine.plan import Experiment, Setting
from gmbench.core.files import write_atomically
from gmbench.reporting.formats import BOARD_MEANING, PAIRS_MEANING, p_value
from gmbench.reporting.leaderboard import Versus, versus
from gmbench.reporting.tables import Table, difference
from gmbench.scoring.intervals import Interval
from gmbench.scoring.methods import MethodDifference, difference_of, summarise

RESULTS = Path(__file__).parent / "results"
NORMAL = 1.959964
"""Half a 95 % interval in standard deviations."""
DERIVED = (
    "Derived from the F1 of each seed and a bootstrap once drawn from the tweets, on the safe side "
    "(`python -m experiments.rederive`)."
)
LATER = {"mqspn_table3_world": ("main_comparison_world", "mqspn")}
"""Tables whose reference has more seeds by now: where the same configuration stands."""


@dataclass(frozen=True, kw_only=True)
class Tested:
    """One line of ``bootstrap_intervals.csv`` and what comes of it; F1 in 0..1."""

    table: str
    measure: str
    first: str
    second: str
    found: MethodDifference


def derive(
    first: Sequence[float],
    second: Sequence[float],
    bootstrap: float,
    tweets: int,
    now: Sequence[float] | None = None,
) -> MethodDifference:
    """The test from F1 by seed and the variance of a hierarchical bootstrap.

    Args:
        first: F1 of the seeds of one method that the bootstrap drew from.
        second: the same of the other.
        bootstrap: its variance.
        tweets: of the test split.
        now: F1 of all seeds of the second method, where there are more by now.
    """
    latest = (first, now or second)
    # Drawn with replacement, n seeds show (n - 1) / n of the variance of their mean.
    shown = [(len(f1) - 1) / len(f1) for f1 in (first, second)]
    seen = [float(np.var(f1, ddof=1)) / len(f1) for f1 in (first, second)]
    beyond = max(0.0, bootstrap - float(np.dot(shown, seen)))
    widest: list[MethodDifference] = []
    for share in np.linspace(0, 1, 101):
        own = share * beyond / sum(1 + part for part in shown)  # of each method
        over_examples = (1 - share) * beyond
        parts = [
            own * len(then) / len(f1) for then, f1 in zip((first, second), latest, strict=True)
        ]
        widest.append(
            difference_of(
                *latest,
                of_means=over_examples + sum(parts),
                own=(parts[0], parts[1]),
                examples=tweets,
            )
        )
    delta = max((w.delta for w in widest), key=lambda d: (d.high or 0.0) - (d.low or 0.0))
    return MethodDifference(delta, max(w.p or 0.0 for w in widest))


def every_test() -> Iterator[Tested]:
    """Every committed comparison of two methods."""
    with (RESULTS / "bootstrap_intervals.csv").open() as file:
        for line in csv.DictReader(file):
            first, second = _shares(line["first_values"]), _shares(line["second_values"])
            width = (float(line["high"]) - float(line["low"])) / 100
            now = None
            if line["table"] in LATER:
                name, row = LATER[line["table"]]
                now = _shares(_cell(_read(name), row, line["measure"])["values"])
            found = derive(first, second, (width / 2 / NORMAL) ** 2, int(line["tweets"]), now)
            names = {key: line[key] for key in ("table", "measure", "first", "second")}
            yield Tested(**names, found=found)


def files() -> dict[Path, str]:
    """Every file that holds such a test, as it has to be."""
    families: dict[str, list[Tested]] = defaultdict(list)
    for test in every_test():
        families[test.table].append(test)
    written: dict[Path, str] = {}
    records = []
    for name, family in families.items():
        adjusted = dict(zip(family, versus([test.found for test in family]), strict=True))
        records += [
            (t.table, t.measure, t.first, t.second, *_points(v.delta), v.p, v.p_holm, v.differs)
            for t, v in adjusted.items()
        ]
        make = _pairs if "_pairs_" in name else _table
        written |= make(name, adjusted)
    heads = ("table", "measure", "first", "second", "delta", "low", "high", "p", "p_holm", "star")
    lines = [
        [*names, *(f"{x:.4f}" for x in numbers), star]
        for *names, a, b, c, p, q, star in records
        for numbers in [(a, b, c, p, q)]
    ]
    written[RESULTS / "method_tests.csv"] = Table(heads=heads, sections=[lines]).csv()
    return written


def _table(name: str, family: Mapping[Tested, Versus]) -> dict[Path, str]:
    """The table of an experiment: csv and Markdown."""
    rows = _read(name)
    known = {(test.first, test.measure): test.found.delta for test in family}
    if name in LATER:
        other, key = LATER[name]
        (reference,) = {test.second for test in family}
        for measure in {test.measure for test in family}:
            latest, mine = _cell(_read(other), key, measure), _cell(rows, reference, measure)
            mine |= {
                field: latest[field] for field in ("wanted", "n", "seeds", "values", "mean", "sd")
            }
    for row in rows:
        delta = known.get((row["row"], row["measure"]))
        if delta is not None:
            row |= dict(
                zip(("delta", "low", "high"), (f"{x:.4f}" for x in _points(delta)), strict=True)
            )
    lines, heads = [], [""]
    labels = {row["label"]: row["row"] for row in rows}
    for line in (RESULTS / f"{name}.md").read_text().splitlines():
        cells = line.split(" | ") if line.startswith("| ") else []
        if line.startswith("|  |"):
            heads = line.split(" | ")
        elif cells and (key := labels.get(re.sub(r"^\| ", "", cells[0]))):
            for place, head in enumerate(heads):
                measure = heads[place - 1].removesuffix(", ours")
                if place and (delta := known.get((key, measure))) and head.startswith("Δ to"):
                    cells[place] = delta_cell(delta)
                elif head.endswith(", ours"):
                    cell = _cell(rows, key, head.removesuffix(", ours"))
                    shown = re.match(r"\S+ ± \S+ \(\d+\)", cells[place])
                    if shown and name in LATER:
                        fresh = f"{float(cell['mean']):.2f} ± {float(cell['sd']):.2f} ({cell['n']})"
                        cells[place] = cells[place].replace(shown[0], fresh)
            line = " | ".join(cells).removesuffix(" |") + " |"
        elif line.startswith("- Intervals"):
            line = f"- {INTERVALS} {DERIVED}"
        lines.append(line)
    fields = [[row[field] for field in rows[0]] for row in rows]
    return {
        RESULTS / f"{name}.md": "\n".join(lines) + "\n",
        RESULTS / f"{name}.csv": Table(heads=tuple(rows[0]), sections=[fields]).csv(),
    }


def _picture(name: str) -> bytes:
    """The picture of a table from its csv."""
    rows = _read(name)
    experiment: Experiment = import_module(f"experiments.papers.{rows[0]['experiment']}").EXPERIMENT
    setting = Setting(key="world", label="built-in world", overrides=())
    measure = experiment.measures[0]
    cells = []
    for row in experiment.rows:
        values = [float(v) for v in _cell(rows, row.key, measure.title)["values"].split()]
        cell = OurCell(
            setting=setting,
            row=row,
            measure=measure,
            wanted=len(values),
            runs=(),
            summary=summarise(values),
            difference=None,
            paper=None,
            value=None,
            delta=None,
        )
        cells.append((cell,))
    block = Block(setting=setting, cells=tuple(cells), set_aside=(), planned=())
    return picture(experiment, (block,))


def _pairs(name: str, family: Mapping[Tested, Versus]) -> dict[Path, str]:
    """Every two rows, the leaderboard, and the pages of the site that show either."""
    rows = _read(name)
    known = {(t.measure.partition(" ")[0], t.first, t.second): v for t, v in family.items()}
    for row in rows:
        test = known[row["task"].upper(), row["first"], row["second"]]
        low, high = test.delta.low, test.delta.high
        row |= {"p": str(test.p), "p_holm": str(test.p_holm)}
        row |= {"delta_low": str(low), "delta_high": str(high)}
    fields = [list(row.values()) for row in rows]
    written = {RESULTS / f"{name}.csv": Table(heads=tuple(rows[0]), sections=[fields]).csv()}
    lines = []
    for line in (RESULTS / f"{name}.md").read_text().splitlines():
        cells = line.strip("| ").split(" | ")
        if line.startswith("Δ: "):
            line = f"{PAIRS_MEANING} {DERIVED}"
        elif len(cells) > 3 and (test_ := known.get((cells[0], cells[1], cells[2]))) is not None:
            shown = (difference(test_.delta, digits=1), cells[4], f"{test_.p:.4f}")
            line = "| " + " | ".join((*cells[:3], *shown, p_value(test_, digits=4))) + " |"
        lines.append(line)
    written[RESULTS / f"{name}.md"] = "\n".join(lines) + "\n"
    suffix = name.removeprefix("main_pairs_")
    board = RESULTS / f"main_leaderboard_{suffix}.md"
    if board.is_file():
        written |= _boards(board, RESULTS / f"site_{suffix}", known)
    return written


def _boards(
    board: Path, site: Path, known: Mapping[tuple[str, str, str], Versus]
) -> dict[Path, str]:
    """A leaderboard, and the pages of a site."""
    text = board.read_text()
    heads = next(line for line in text.splitlines() if line.startswith("| row")).split(" | ")
    task, place = heads[2].partition(" ")[0], heads.index("Δ to the first [95 %]")
    against = {
        second: MethodDifference(_turned(test.delta), test.p)
        for (of, first, second), test in known.items()
        if of == task and first == _first(text)
    }
    adjusted = dict(zip(against, versus(list(against.values())), strict=True))
    lines = []
    for line in text.splitlines():
        cells = line.split(" | ")
        if line.startswith("F1 in %"):
            line = f"{BOARD_MEANING} {DERIVED}"
        elif (test := adjusted.get(cells[0].removeprefix("| "))) is not None:
            cells[place : place + 2] = [difference(test.delta, digits=1), p_value(test, digits=3)]
            line = " | ".join(cells)
        lines.append(line)
    written = {board: "\n".join(lines) + "\n"}

    index = (site / "index.html").read_text()
    for label, test in adjusted.items():
        shown = f"<td>{difference(test.delta, digits=1)}</td><td>{_html(p_value(test, 3))}</td>"
        index = re.sub(
            rf"(>{label}</a></th>\n.*?)<td>[-+][\d.]+ \[[^]]*\]</td><td>[^<]*</td>",
            lambda found, shown=shown: found[1] + shown,
            index,
        )
    meaning = '<p class="small">{}</p>'
    index = re.sub(
        meaning.format("F1 in %, mean ±.*?"),
        meaning.format(_html(f"{BOARD_MEANING} {DERIVED}")),
        index,
    )
    written[site / "index.html"] = index
    for page in sorted((site / "pairs").glob("*.html")):
        html = page.read_text()
        names = re.findall(r'html">([^<]+), seed \d+</a>', html)[:2]
        head, over, rest = html.partition("<h2>Over all seeds</h2>")
        seeds, paired, rest = rest.partition("<h2>Paired test")
        for (of, first, second), test in known.items():
            if [first, second] == names:
                low, high = _points(test.delta)[1:]
                p = f"<td>{test.p:.4f}</td><td>{_html(p_value(test, 4))}</td>"
                seeds = re.sub(
                    rf"(>{of}</th><td>[^<]*</td>\n)<td>[^<]*</td>(\n<td>[^<]*</td>)<td>[^<]*</td>"
                    r"<td>[^<]*</td>",
                    lambda m, low=low, high=high, p=p: (
                        f"{m[1]}<td>{low:+.2f} to {high:+.2f}</td>{m[2]}{p}"
                    ),
                    seeds,
                )
        seeds = re.sub(
            meaning.format("Δ: mean F1.*?"),
            meaning.format(_html(f"{PAIRS_MEANING} {DERIVED}")),
            seeds,
        )
        written[page] = head + over + seeds + paired + rest
    return written


def _first(board: str) -> str:
    """Label of the first row of a leaderboard."""
    rows = [line for line in board.splitlines() if line.startswith("| ")]
    return rows[1].split(" | ")[0].removeprefix("| ")


def _turned(delta: Interval) -> Interval:
    assert delta.low is not None
    assert delta.high is not None
    return Interval(-delta.value, -delta.high, -delta.low)


def _points(delta: Interval) -> tuple[float, float, float]:
    assert delta.low is not None
    assert delta.high is not None
    return 100 * delta.value, 100 * delta.low, 100 * delta.high


def _html(text: str) -> str:
    return text.replace("<", "&lt;").replace(">", "&gt;")


def _shares(values: str) -> list[float]:
    return [float(value) / 100 for value in values.split()]


def _read(name: str) -> list[dict[str, str]]:
    with (RESULTS / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _cell(rows: Sequence[dict[str, str]], row: str, measure: str) -> dict[str, str]:
    return next(line for line in rows if (line["row"], line["measure"]) == (row, measure))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 = done, 1 = a file differs (``--check``)."""
    parser = argparse.ArgumentParser(prog="python -m experiments.rederive", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, say what differs")
    check = parser.parse_args(arguments).check
    code = 0
    for path, text in files().items():
        if not path.is_file() or path.read_bytes() != text.encode():
            print(f"{path.relative_to(RESULTS)}: {'differs' if check else 'written'}")
            code = 1 if check else 0
            if not check:
                write_atomically(path, text.encode())
    if not check:
        for name in LATER:
            write_atomically(RESULTS / f"{name}.png", _picture(name))
    return code


if __name__ == "__main__":
    sys.exit(main())
