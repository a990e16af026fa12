"""``analysis.json`` of a run folder: how an analysis is stored."""

import json
from pathlib import Path

from gmbench.reporting.records import RecordError, from_plain, to_plain
from gmbench.scoring.analysis import Analysis
from gmbench.scoring.atomic import write_atomically

ANALYSIS = "analysis.json"


def write_analysis(path: Path, analysis: Analysis) -> None:
    """Write it whole or not at all.

    Raises:
        ValueError: a number is not finite.
        OSError: the file cannot be written.
    """
    text = json.dumps(to_plain(analysis), indent=1, allow_nan=False)
    write_atomically(path, f"{text}\n".encode())


def read_analysis(path: Path) -> Analysis:
    """Read what ``write_analysis`` wrote.

    Raises:
        RecordError: not JSON, or not in the shape of an analysis.
        OSError: the file cannot be read.
    """
    try:
        plain = json.loads(path.read_bytes())
    except ValueError as fault:
        raise RecordError(f"{path}: not JSON: {fault}") from fault
    return from_plain(Analysis, plain, str(path))
