"""The comparison site for ``gmbench.report --html``: where its tweets come from."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from gmbench.config.stored import stored_config
from gmbench.construct import build_source
from gmbench.data.errors import DataError
from gmbench.reporting.leaderboard import Board
from gmbench.reporting.records import RecordError
from gmbench.reporting.site.build import write_site
from gmbench.reporting.site.members import Member
from gmbench.structures import Example


def make_site(
    board: Board, folder: Path, console: Console, *, images: bool, sentences: bool = True
) -> Path:
    """Write the site; its first page.

    Args:
        board: what it shows.
        folder: new, empty, or an earlier site's.
        console: told what is being written, and which tweets are not at hand.
        images: whether pictures of tweets are copied into it.
        sentences: whether tweets can be read in it; without, there is no browser of examples.

    Raises:
        NotASite: the folder holds something else.
        OSError: a file cannot be written.
    """

    def gold_of(member: Member) -> Sequence[Example] | None:
        try:
            return scored_tweets(member)
        except (DataError, RecordError, OmegaConfBaseException) as fault:
            console.print(f"no examples: {fault}", soft_wrap=True, markup=False)
            return None

    with console.status("writing the site") as status:
        return write_site(
            board,
            folder,
            gold_of=gold_of,
            images=images,
            sentences=sentences,
            said=lambda line: status.update(line.replace("[", "(")),
        )


def scored_tweets(member: Member) -> tuple[Example, ...]:
    """The tweets that a run was scored on.

    Raises:
        RecordError: its ``config.yaml`` is missing or malformed.
        DataError: the data set is not there, or is no longer the one that was scored.
    """
    result = member.entry.result
    source = build_source(stored_config(member.entry.folder / "config.yaml"))
    examples = source.read(result.data.split).examples
    if source.fingerprint() != result.data.fingerprint:
        raise DataError(f"{source.folder}: no longer the data set that {member.name} was scored on")
    return examples
