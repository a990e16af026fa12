"""The whole site of a leaderboard."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from gmbench.core.entities import Example
from gmbench.reporting.formats import BOARD_MEANING, PAIRS_MEANING, league_table
from gmbench.reporting.leaderboard import Board, League, method_overrides
from gmbench.reporting.overlays import EXAMPLES
from gmbench.reporting.pairs import Pair, every_pair
from gmbench.reporting.plots import PICTURES
from gmbench.reporting.site.runs import (
    Answers,
    Member,
    analysis_of,
    answers_of,
    compared,
    curves_of,
    firsts,
    members,
)
from gmbench.reporting.site.tweets import Split2x2, Tweet, split_by, tweets
from gmbench.reporting.site.writer import Writer
from gmbench.reporting.tables import Row
from gmbench.reporting.verdicts import Judged

ROWS = 8
"""So many rows from the top are compared in pairs and shown in the browser of examples."""

GoldOf = Callable[[Member], Sequence[Example] | None]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A league on the site.

    Attributes:
        table: cells of every row, and the member of its first seed.
        runs: all of its runs.
        browser: page of the examples, or None where gold or predictions are not there.
        pairs: first, second and page of every pair.
    """

    league: League
    heads: Row
    table: tuple[tuple[Member, Row], ...]
    runs: tuple[Member, ...]
    browser: str | None
    pairs: tuple[tuple[Member, Member, str], ...]


@dataclass(frozen=True, kw_only=True)
class Browsed:
    """What the script of a browser of examples reads."""

    title: str
    runs: tuple[str, ...]
    types: tuple[str, ...]
    pixels: bool
    tweets: tuple[Tweet, ...]


def write_site(
    board: Board,
    folder: Path,
    *,
    gold_of: GoldOf,
    images: bool,
    sentences: bool = True,
    progress: Callable[[str], None] = lambda line: None,
) -> Path:
    """Write every page.

    Args:
        board: what is shown.
        folder: new, empty, or an earlier site's.
        gold_of: the tweets that a run was scored on, or None where they are not at hand.
        images: whether pictures of tweets are copied into the site.
        sentences: whether it has a browser of examples; without, their verdicts are only counted.
        progress: called with a line for each part that is being written.

    Returns:
        The first page.

    Raises:
        InputError: the folder holds something else.
        OSError: a file cannot be written.
    """
    writer = Writer(folder=folder)
    writer.prepare()
    writer.static()
    shown = [
        _league(writer, league, number, gold_of, images and sentences, sentences, progress)
        for number, league in enumerate(board.leagues, start=1)
    ]
    writer.page(
        "index.html",
        "index.html",
        board=board,
        leagues=shown,
        meaning=BOARD_MEANING,
        sentences=sentences,
    )
    return folder / "index.html"


def _league(
    writer: Writer,
    league: League,
    number: int,
    gold_of: GoldOf,
    images: bool,
    sentences: bool,
    progress: Callable[[str], None],
) -> Shown:
    runs = members(league)
    first = firsts(league.rows, runs)
    for member in runs:
        progress(f"run {member.name}")
        _run(writer, member, (*PICTURES, Path(EXAMPLES).stem) if images else PICTURES)
    top = first[:ROWS]
    gold = gold_of(top[0])
    answers: dict[Member, Answers] = {}
    if gold is not None:
        split = league.rows[0].entries[0].result.data.split
        for member in top:
            if (found := answers_of(member.entry.folder, split, gold)) is not None:
                answers[member] = found
    judged: dict[Member, tuple[Judged, ...]] = {}
    browser = None
    pixels = league.rows[0].entries[0].result.data.saw_pixels
    if gold is not None and answers:
        progress(f"examples of {league.title}")
        pictures = writer.pictures(gold, f"examples/images-{number}") if images else {}
        from_page = {id_: path.removeprefix("examples/") for id_, path in pictures.items()}
        read = tweets(gold, list(answers.values()), from_page, saw_pixels=pixels)
        judged = {member: tuple(t.runs[n] for t in read) for n, member in enumerate(answers)}
        if sentences:
            browser = _browser(writer, league, number, gold, tuple(answers), read)
    labels = {member: row.label for member, row in zip(first, league.rows, strict=True)}
    by_labels: dict[tuple[str, str], list[Pair]] = {}
    if any(len(row.entries) > 1 for row in league.rows[:ROWS]):
        for tested in every_pair(league, ROWS):
            by_labels.setdefault((tested.first, tested.second), []).append(tested)
    pairs = []
    for one, other in combinations(top, 2):
        progress(f"{one.name} against {other.name}")
        page = f"pairs/{one.page[4:-5]}--{other.page[4:-5]}.html"
        split_table: tuple[Split2x2, ...] = ()
        if gold is not None and one in judged and other in judged:
            split_table = split_by(judged[one], judged[other], gold)
        order = list(judged)
        writer.page(
            page,
            "pair.html",
            one=one,
            other=other,
            pairs_meaning=PAIRS_MEANING,
            comparison=compared(one, other),
            seeds=by_labels.get((labels[one], labels[other]), ()),
            splits=split_table,
            pixels=pixels,
            browser=browser,
            places=tuple(order.index(m) if m in judged else None for m in (one, other)),
        )
        pairs.append((one, other, page))
    table = league_table(league)
    return Shown(
        league=league,
        heads=tuple(table.heads),
        table=tuple(zip(first, table.rows, strict=True)),
        runs=runs,
        browser=browser,
        pairs=tuple(pairs),
    )


def _browser(
    writer: Writer,
    league: League,
    number: int,
    gold: Sequence[Example],
    runs: Sequence[Member],
    found: tuple[Tweet, ...],
) -> str:
    """The examples' page and its data; where the page lies."""
    types = sorted({e.type for example in gold for e in example.entities})
    writer.data(
        f"examples/league-{number}.js",
        Browsed(
            title=league.title,
            runs=tuple(member.name for member in runs),
            types=tuple(types),
            pixels=league.rows[0].entries[0].result.data.saw_pixels,
            tweets=found,
        ),
    )
    page = f"examples/league-{number}.html"
    writer.page(
        page,
        "examples.html",
        title=league.title,
        data=f"league-{number}.js",
        runs=tuple(member.name for member in runs),
        types=types,
        with_pictures=any(tweet.image for tweet in found),
    )
    return page


def _run(writer: Writer, member: Member, shown: Sequence[str]) -> None:
    folder = member.entry.folder
    stem = member.page[:-5]
    pictures = []
    for name in shown:
        file = folder / "pictures" / f"{name}.png"
        if file.is_file():
            write = writer.chart if name in PICTURES else writer.raw
            write(f"runs/{stem}/{name}.png", file.read_bytes())
            pictures.append(name)
    curves = curves_of(folder, saw_pixels=member.entry.result.data.saw_pixels)
    if curves is not None:
        writer.chart(f"runs/{stem}/curves.png", curves)
    writer.page(
        f"runs/{member.page}",
        "run.html",
        member=member,
        result=member.entry.result,
        overrides=method_overrides(member.entry.result),
        analysis=analysis_of(folder),
        pictures=tuple(pictures),
        curves=curves is not None,
        stem=stem,
    )
