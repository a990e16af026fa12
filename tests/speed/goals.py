"""What the project aims at in speed and memory, beside what a run of the bench measured; no torch.

Floors are the bare encoders of the same run. "Released" is the code published with MQSPN's paper:
its training step was measured once, at 12 to 13 floors; 12 is taken.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Content = Mapping[str, Any]
RELEASED_FLOORS = 12.0


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One line of the table of goals.

    Attributes:
        what: is measured.
        value: of a document; None where its suites did not measure it.
        limit: the value must not pass.
        least: it must reach the limit instead.
        unit: of both.
    """

    what: str
    value: Callable[[Content], float | None]
    limit: float
    least: bool = False
    unit: str = ""

    def met(self, value: float) -> bool:
        """Whether a measured value is good enough."""
        return value >= self.limit if self.least else value <= self.limit


def goals_table(content: Content) -> list[tuple[str, str, str, str]]:
    """Goal, limit, measured value, and ``met`` or ``missed`` for all that was measured."""
    lines = []
    for goal in GOALS:
        value = goal.value(content)
        if value is None:
            continue
        sign = ">=" if goal.least else "<="
        unit = f" {goal.unit}" if goal.unit else ""
        said = "met" if goal.met(value) else "**missed**"
        lines.append(
            (goal.what, f"{sign} {_figure(goal.limit)}{unit}", _figure(value) + unit, said)
        )
    return lines


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ratio(name: str, over: float = 1.0) -> Callable[[Content], float | None]:
    """A ratio of the document, times ``over``."""

    def read(content: Content) -> float | None:
        found = content["ratios"].get(name)
        return None if found is None else over * found

    return read


def inverse(name: str, of: float = 1.0) -> Callable[[Content], float | None]:
    """How many times faster: ``of`` over a ratio of the document."""

    def read(content: Content) -> float | None:
        found = content["ratios"].get(name)
        return None if not found else of / found

    return read


def fact(row: str, key: str, scale: float = 1.0) -> Callable[[Content], float | None]:
    """A counted fact of a row."""

    def read(content: Content) -> float | None:
        values = [
            r["facts"][key] for r in content["rows"] if r["name"] == row and key in r["facts"]
        ]
        return scale * values[0] if values else None

    return read


def milliseconds(row: str) -> Callable[[Content], float | None]:
    """Median CPU time of a row."""

    def read(content: Content) -> float | None:
        values = [
            r["cpu_ms"]["median"] for r in content["rows"] if r["name"] == row and r["cpu_ms"]
        ]
        return values[0] if values else None

    return read


GOALS = (
    Goal(
        what="MQSPN training step over the text encoder's forward and backward",
        value=ratio("mqspn_step_over_text_encoder"),
        limit=1.9,
    ),
    Goal(
        what="MQSPN training throughput over the released code's, in floors",
        value=inverse("mqspn_step_over_text_encoder", RELEASED_FLOORS),
        limit=6.0,
        least=True,
        unit="times",
    ),
    Goal(
        what="QGN training step over both encoders' forward and backward",
        value=ratio("qgn_step_over_encoders"),
        limit=2.0,
    ),
    Goal(what="QGN FLOP over both encoders'", value=ratio("qgn_flop_over_encoders"), limit=1.9),
    Goal(
        what="matching and costs, share of MQSPN's step",
        value=ratio("mqspn_matching_share", 100),
        limit=1.0,
        unit="%",
    ),
    Goal(
        what="matching and costs, share of QGN's step",
        value=ratio("qgn_matching_share", 100),
        limit=1.0,
        unit="%",
    ),
    Goal(
        what="operations (not views) of MQSPN's step",
        value=fact("mqspn training step", "ops"),
        limit=2500,
    ),
    Goal(
        what="operations (not views) of QGN's step",
        value=fact("qgn training step", "ops"),
        limit=3000,
    ),
    Goal(
        what="MQSPN's operations at four times the batch over those at once",
        value=ratio("mqspn_operations_growth"),
        limit=1.0,
    ),
    Goal(
        what="QGN's operations at four times the batch over those at once",
        value=ratio("qgn_operations_growth"),
        limit=1.0,
    ),
    Goal(
        what="peak memory of MQSPN's training",
        value=fact("mqspn training", "peak_mb", 1 / 1024),
        limit=4.0,
        unit="GiB",
    ),
    Goal(
        what="peak memory of QGN's training",
        value=fact("qgn training", "peak_mb", 1 / 1024),
        limit=7.5,
        unit="GiB",
    ),
    Goal(what="padding waste", value=ratio("padding_waste", 100), limit=3.0, unit="%"),
    Goal(
        what="loader: decoding once a region, over decoding once",
        value=inverse("loader_crops_over_decoding_once_a_region"),
        limit=3.0,
        least=True,
        unit="times",
    ),
    Goal(
        what="loader: decoding once a region, over cached features",
        value=inverse("loader_cached_over_decoding_once_a_region"),
        limit=50.0,
        least=True,
        unit="times",
    ),
    Goal(
        what="memory of 10,000 region records",
        value=fact("10,000 region records", "peak_mb"),
        limit=500,
        unit="MiB",
    ),
    Goal(
        what="score 1,500 tweets",
        value=milliseconds("score 1500 tweets, three tasks"),
        limit=50,
        unit="ms",
    ),
    Goal(
        what="decode 1,500 tweets x 60 queries",
        value=milliseconds("decode 1500 tweets x 60 queries"),
        limit=150,
        unit="ms",
    ),
    Goal(
        what="MQSPN's step in bf16, times faster than in fp32",
        value=inverse("mqspn_bf16_over_fp32"),
        limit=1.8,
        least=True,
        unit="times",
    ),
    Goal(
        what="QGN's step in bf16, times faster than in fp32",
        value=inverse("qgn_bf16_over_fp32"),
        limit=1.8,
        least=True,
        unit="times",
    ),
    *(
        Goal(
            what=f"{part}: CPU time a post at 16 times the data over that at once",
            value=ratio(f"scale_{part}_time"),
            limit=1.2,
        )
        for part in ("make", "prepare", "read", "cache", "epoch", "predict", "score", "report")
    ),
    *(
        Goal(
            what=f"{part}: peak memory at 16 times the data over that at once",
            value=ratio(f"scale_{part}_peak"),
            limit=1.2,
        )
        for part in ("make", "cache", "predict")
    ),
)
