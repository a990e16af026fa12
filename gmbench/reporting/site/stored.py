"""What a run folder holds for its pages; a damaged file costs its part of a page alone."""

from pathlib import Path

from gmbench.reporting.analysis import ANALYSIS, read_analysis
from gmbench.reporting.comparison import CannotCompare, compare_runs, read_scored_run
from gmbench.reporting.records import RecordError
from gmbench.reporting.site.curves import curves_png
from gmbench.reporting.site.members import Member
from gmbench.scoring.analysis import Analysis
from gmbench.scoring.comparison import Comparison
from gmbench.scoring.fields import FileError


def curves_of(folder: Path, *, saw_pixels: bool) -> bytes | None:
    """Its learning curves as a PNG; None where nothing was logged or the file is damaged."""
    path = folder / "metrics.csv"
    try:
        return curves_png(path, saw_pixels=saw_pixels) if path.is_file() else None
    except ValueError:
        return None


def analysis_of(folder: Path) -> Analysis | None:
    """What is known of its errors; None without the file or where it is damaged."""
    path = folder / ANALYSIS
    try:
        return read_analysis(path) if path.is_file() else None
    except RecordError:
        return None


def compared(one: Member, other: Member) -> Comparison | str:
    """The paired tests, or why there are none."""
    try:
        return compare_runs(*(read_scored_run(member.entry.folder) for member in (one, other)))
    except (CannotCompare, FileError, RecordError) as fault:
        return str(fault)
