"""The whole site of a leaderboard."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path
from typing import Any

from gmbench.core.entities import Example
from gmbench.reporting.charts import analysis_charts
from gmbench.reporting.formats import BOARD_MEANING, PAIRS_MEANING, league_table, p_value
from gmbench.reporting.leaderboard import Board, League, method_overrides
from gmbench.reporting.overlays import EXAMPLES
from gmbench.reporting.pairs import every_pair
from gmbench.reporting.site.examples import shown_examples, split_by
from gmbench.reporting.site.labels import shown_labels
from gmbench.reporting.site.runs import (
    Answers,
    Member,
    analysis_of,
    answers_of,
    compared,
    curves_of,
    firsts,
    members,
    picture_of,
)
from gmbench.reporting.site.svg import drawn
from gmbench.reporting.site.writer import Writer
from gmbench.reporting.tables import Row
from gmbench.reporting.verdicts import Judged

ROWS, RUNS = 8, 16
"""Number of rows from the top that are compared in pairs and shown in the browser of examples, and
of their runs in it, first the first seed of each."""

GoldOf = Callable[[Member], Sequence[Example] | None]


@dataclass(frozen=True, kw_only=True)
class ShownLeague:
    """A league on the site.

    Attributes:
        table: cells of every row, and the member of its first seed.
        runs: all of its runs.
        browser: page of the examples, or None where gold or predictions are not there.
        labels: page of the labels that runs agree against, likewise; None of one run alone.
        pairs: first, second and page of every pair.
    """

    league: League
    heads: Row
    table: tuple[tuple[Member, Row], ...]
    runs: tuple[Member, ...]
    browser: str | None
    labels: str | None
    pairs: tuple[tuple[Member, Member, str], ...]


def write_site(
    board: Board,
    folder: Path,
    *,
    gold_of: GoldOf,
    images: bool,
    sentences: bool = True,
    progress: Callable[[str], None] = lambda line: None,
) -> Path:
    """Write every page; the first one.

    Args:
        board: what is shown.
        folder: new, empty, or an earlier site's.
        gold_of: the examples that a run was scored on, or None where they are not at hand.
        images: whether images of examples are copied into the site.
        sentences: whether it has a browser of examples; without, their verdicts are only counted.
        progress: called with a line for each part that is being written.

    Raises:
        InputError: the folder holds something else.
        OSError: a file cannot be written.
    """
    writer = Writer(folder=folder)
    writer.prepare()
    writer.static()
    site = _Site(writer, gold_of, images and sentences, sentences, progress)
    leagues = [site.league(league, number) for number, league in enumerate(board.leagues, start=1)]
    index = {"board": board, "leagues": leagues, "meaning": BOARD_MEANING, "sentences": sentences}
    writer.page("index.html", "index.html", **index)
    return folder / "index.html"


@dataclass(frozen=True)
class _Site:
    """Pages of leagues; the fields are those of ``write_site``."""

    writer: Writer
    gold_of: GoldOf
    images: bool
    sentences: bool
    progress: Callable[[str], None]

    def league(self, league: League, number: int) -> ShownLeague:
        """Every page of a league but the first page's table."""
        runs = members(league)
        first = firsts(league.rows, runs)
        table = league_table(league)
        gold = self.gold_of(first[0])
        judged: dict[Member, tuple[Judged, ...]] = {}
        browser = labels = None
        if gold is not None:
            of_rows = {entry.folder for row in league.rows[:ROWS] for entry in row.entries}
            others = [member for member in runs if member.entry.folder in of_rows]
            top = list(dict.fromkeys((*first[:ROWS], *others)))[:RUNS]
            judged, browser, labels = self._examples(league, number, gold, top)
        places = {member: place for place, member in enumerate(judged)}
        for member in runs:
            self.progress(f"run {member.name}")
            self._run(member, browser, places.get(member))
        return ShownLeague(
            league=league,
            heads=table.heads,
            table=tuple(zip(first, table.rows, strict=True)),
            runs=runs,
            browser=browser,
            labels=labels,
            pairs=tuple(self._pairs(league, first, gold or (), judged, browser)),
        )

    def _examples(
        self, league: League, number: int, gold: Sequence[Example], top: Sequence[Member]
    ) -> tuple[dict[Member, tuple[Judged, ...]], str | None, str | None]:
        """The judged answers of every run that has some, the browser's page and that of labels."""
        data = top[0].entry.result.data
        read = {member: answers_of(member.entry.folder, data.split, gold) for member in top}
        answers = {member: found for member, found in read.items() if found is not None}
        if not answers:
            return {}, None, None
        self.progress(f"examples of {league.title}")
        paths = self.writer.pictures(gold, f"examples/images-{number}") if self.images else {}
        from_page = {id_: path.removeprefix("examples/") for id_, path in paths.items()}
        shown = shown_examples(gold, list(answers.values()), from_page, saw_pixels=data.saw_pixels)
        judged = {member: tuple(e.runs[n] for e in shown) for n, member in enumerate(answers)}
        if not self.sentences:
            return judged, None, None
        values: dict[str, Any] = {
            "title": league.title,
            "runs": tuple(member.name for member in answers),
            "types": tuple(sorted({e.type for example in gold for e in example.entities})),
        }
        script = {**values, "pixels": data.saw_pixels, "examples": shown}
        self.writer.data(f"examples/league-{number}.js", script)
        page = f"examples/league-{number}.html"
        with_pictures = any(example.image for example in shown)
        values |= {"data": f"league-{number}.js", "with_pictures": with_pictures}
        self.writer.page(page, "examples.html", **values)
        labels = self._labels(league, number, gold, answers, paths, saw_pixels=data.saw_pixels)
        return judged, page, labels

    def _labels(
        self,
        league: League,
        number: int,
        gold: Sequence[Example],
        answers: Mapping[Member, Answers],
        images: Mapping[str, str],
        *,
        saw_pixels: bool,
    ) -> str | None:
        """The page of labels that runs agree against; None of one run, which has no majority."""
        if len(answers) < 2:
            return None
        page = f"labels/league-{number}.html"
        self.writer.page(
            page,
            "labels.html",
            title=league.title,
            runs=[member.name for member in answers],
            shown=shown_labels(gold, list(answers.values()), images, saw_pixels=saw_pixels),
            browser=f"examples/league-{number}.html",
        )
        return page

    def _pairs(
        self,
        league: League,
        first: Sequence[Member],
        gold: Sequence[Example],
        judged: Mapping[Member, tuple[Judged, ...]],
        browser: str | None,
    ) -> Iterator[tuple[Member, Member, str]]:
        """First, second and page of every pair."""
        top = league.rows[:ROWS]
        over_seeds = every_pair(league, ROWS) if any(len(row.entries) > 1 for row in top) else ()
        places = {member: place for place, member in enumerate(judged)}
        for (one, row), (other, other_row) in combinations(zip(first, top, strict=False), 2):
            self.progress(f"{one.name} against {other.name}")
            page = f"pairs/{one.page[4:-5]}--{other.page[4:-5]}.html"
            both = one in judged and other in judged
            labels = (row.label, other_row.label)
            seeds = [pair for pair in over_seeds if (pair.first, pair.second) == labels]
            tested = any(pair.p is not None for pair in seeds)  # says more than two runs can
            self.writer.page(
                page,
                "pair.html",
                one=one,
                other=other,
                pairs_meaning=PAIRS_MEANING,
                p_value=p_value,
                comparison=None if tested else compared(one, other),
                seeds=seeds,
                splits=split_by(judged[one], judged[other], gold) if both else (),
                pixels=one.entry.result.data.saw_pixels,
                browser=browser,
                places=(places.get(one), places.get(other)),
            )
            yield one, other, page

    def _run(self, member: Member, browser: str | None, place: int | None) -> None:
        """The page of a run; ``place`` is its own among the runs of the browser."""
        folder, result = member.entry.folder, member.entry.result
        stem = member.page[:-5]
        png = picture_of(folder, EXAMPLES) if self.images else None
        picture = f"{stem}/{EXAMPLES}"
        analysis = analysis_of(folder)
        self.writer.page(
            f"runs/{member.page}",
            "run.html",
            member=member,
            result=result,
            overrides=method_overrides(result),
            analysis=analysis,
            shown={
                "Learning curves": curves_of(folder, result),
                "Analysis": list(chain(*analysis_charts(analysis).values())) if analysis else [],
            },
            drawn=drawn,
            picture=picture if png and self.writer.image(f"runs/{picture}", png) else None,
            browser=browser,
            place=place,
            most=RUNS,
        )
