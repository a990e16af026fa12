"""The counts of every tweet as a file: all that statistics need of a run, and nothing else.

A CSV with one line a tweet, sorted by id, of the strict protocol: predictions and gold entities,
then the true positives of the three tasks.
"""

import csv
import io
from pathlib import Path

import numpy as np

from gmbench.scoring.atomic import write_atomically
from gmbench.scoring.fields import FileError
from gmbench.scoring.statistics import TweetTable

MOST_DIGITS = 10
HEADER = ["id", "pred", "gold", "gmner_tp", "mner_tp", "eeg_tp"]


def write_tweet_table(path: Path, table: TweetTable) -> None:
    """Write a table of the strict protocol, whole or not at all.

    Raises:
        ValueError: the tasks differ in predictions or gold, as under other protocols.
        OSError: the file cannot be written.
    """
    tasks = (table.gmner, table.mner, table.eeg)
    if any((task[:, 1:] != table.gmner[:, 1:]).any() for task in tasks):
        raise ValueError("only counts of the strict protocol are stored")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    columns = [table.gmner[:, 1], table.gmner[:, 2], *(task[:, 0] for task in tasks)]
    counts = np.stack(columns, axis=1).tolist()
    writer.writerows([id_, *row] for id_, row in zip(table.ids, counts, strict=True))
    write_atomically(path, text.getvalue().encode())


def read_tweet_table(path: Path) -> TweetTable:
    """Read what ``write_tweet_table`` wrote.

    Raises:
        FileError: a line is not what it should be.
        OSError: the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            lines = list(csv.reader(stream))
    except (UnicodeDecodeError, csv.Error) as fault:
        raise FileError(f"{path}: not a table of counts ({fault})") from None
    if not lines or lines[0] != HEADER:
        raise FileError(f"{path}:1: the columns must be {','.join(HEADER)}")
    ids: list[str] = []
    rows: list[list[tuple[int, int, int]]] = []
    for number, line in enumerate(lines[1:], start=2):
        where = f"{path}:{number}"
        if len(line) != len(HEADER) or not all(map(_is_count, line[1:])):
            raise FileError(f"{where}: an id and five whole numbers were expected")
        if ids and line[0] <= ids[-1]:
            raise FileError(f"{where}: id {line[0]!r} stands twice or out of order")
        pred, gold, *found = map(int, line[1:])
        if max(found) > min(pred, gold):
            raise FileError(f"{where}: more true positives than predictions or gold entities")
        ids.append(line[0])
        rows.append([(tp, pred, gold) for tp in found])
    cube = np.array(rows, dtype=np.int64).reshape(len(ids), 3, 3)
    return TweetTable(tuple(ids), cube[:, 0], cube[:, 1], cube[:, 2])


def _is_count(text: str) -> bool:
    """Whether a cell is a whole number that a tweet can reach."""
    return text.isdecimal() and text.isascii() and len(text) < MOST_DIGITS
