"""The power planner over finished runs: a plan for each league, its table and its picture."""

from pathlib import Path
from typing import TYPE_CHECKING

from gmbench.core.files import write_atomically
from gmbench.reporting.leaderboard import League, tables_of
from gmbench.reporting.plots import BLUE, GREEN, GREY, ORANGE, VERMILION, png
from gmbench.reporting.tables import Table
from gmbench.scoring.power import MOST_SEEDS, SEEDS, WANTED, Plan, plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plan_of(league: League, points: float) -> Plan | None:
    """The plan of a league's ranked task; None where no method has two seeds with counts."""
    methods = [tables_of(row.entries, league.task) for row in league.rows]
    methods = [tables for tables in methods if len(tables) > 1 and len(tables[0]) > 1]
    return plan(methods, points, comparisons=max(1, len(league.rows) - 1)) if methods else None


def power_table(league: League, planned: Plan) -> Table:
    """Power by seeds and examples, and the fewest seeds that suffice."""
    sizes = [examples for examples, _ in planned.needed]
    by_design = {(d.seeds, d.examples): f"{100 * d.power:.0f}" for d in planned.designs}
    rows = [[f"{s} seeds", *(by_design[s, n] for n in sizes)] for s in SEEDS]
    needed = [f"> {MOST_SEEDS}" if s is None else str(s) for _, s in planned.needed]
    spread = planned.spread
    seeds, luck = (spread.skill + spread.luck) ** 0.5, spread.shared**0.5
    caption = (
        f"Power in % to tell {planned.difference:g} points of {league.task.upper()} F1 apart, "
        f"Holm over {planned.comparisons} comparisons. From {spread.seeds} runs of "
        f"{spread.methods} methods: F1 deviates by {100 * seeds:.2f} points from seed to seed; the "
        f"examples move a difference by {100 * luck:.2f}."
    )
    if spread.methods == 1:
        caption += " One method: the other is taken to err independently, an upper bound."
    return Table(
        title=league.title,
        heads=("", *(f"{n:,} examples" for n in sizes)),
        sections=[rows, [[f"seeds for {100 * WANTED:.0f} %", *needed]]],
        caption=caption,
    ).signed(league.signature)


def draw_power(path: Path, league: League, planned: Plan) -> None:
    """Power over seeds, a line per number of examples, as a PNG."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        looks = zip((BLUE, ORANGE, GREEN, VERMILION), "os^D", ("-", "--", ":", "-."), strict=True)
        for (examples, _), (colour, marker, line) in zip(planned.needed, looks, strict=False):
            powers = [100 * d.power for d in planned.designs if d.examples == examples]
            label = f"{examples:,} examples"
            axes.plot(SEEDS, powers, color=colour, marker=marker, linestyle=line, label=label)
        axes.axhline(100 * WANTED, color=GREY, linewidth=1)
        axes.set_xscale("log")
        axes.set_xticks(SEEDS, [str(n) for n in SEEDS])
        axes.minorticks_off()
        axes.set_ylim(0, 102)
        axes.set_title(
            f"Power to tell {planned.difference:g} points of {league.task.upper()} F1 apart"
        )
        axes.set_xlabel("seeds of each method")
        axes.set_ylabel("power in %")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), handlelength=3.5)

    write_atomically(path, png(draw))
