"""The schema of ``result.json``: all that one finished run has to say, and how it is stored.

The file is written last and whole, so its presence means *finished*. Rows that differ in protocol,
data fingerprint, split or limit must never be ranked together. Change a field's meaning, and
``SCHEMA`` goes up.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gmbench.core.errors import InputError
from gmbench.core.files import read_file, write_atomically
from gmbench.core.provenance import GitState, redact
from gmbench.core.records import parse_record, to_plain
from gmbench.core.safe_text import to_json
from gmbench.scoring.analysis import Analysis
from gmbench.scoring.baselines import Baseline
from gmbench.scoring.counting import TASKS, CorpusScores, Counts

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolUsed:
    """The counting rules; two protocols never share a table."""

    name: str
    version: str
    iou_threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DataUsed:
    """The examples that were scored."""

    name: str
    synthetic: bool  # the built-in world: never ranked with real data
    fingerprint: str  # sha256 over the files and settings that make the data set
    candidates: str | None = None  # sha256 of the boxes that were read; None: none, or not recorded
    split: str
    n: int  # examples scored
    limit: int | None  # the run was told to use at most so many; None = the whole split
    saw_pixels: bool  # False: every picture was blank, grounding is not reported
    blanked: int  # examples whose picture was missing or bad and was left blank


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigUsed:
    """What was asked for."""

    model: str
    sha: str  # sha256 of the resolved configuration without its volatile keys
    overrides: tuple[str, ...]  # as typed, credentials hidden
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What it ran on."""

    device: str  # a name a person knows, say "cpu" or "NVIDIA H200"
    processes: int
    threads: int  # of one process; changes the last digits of a loss on a CPU
    precision: str  # say "32-true" or "bf16-mixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The parameters of one part of the model."""

    name: str
    total: int
    trainable: int

    def __post_init__(self) -> None:
        if not 0 <= self.trainable <= self.total < 2**53:
            raise ValueError(f"{self.name}: impossible numbers of parameters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What it took; None where it was not measured."""

    seconds: float  # the whole run
    cpu_seconds: float | None = None  # of its first process; None: of a version that did not count
    peak_memory_mib: float | None  # of the device, or of the process on a CPU
    samples_per_second: float | None  # in training

    def __post_init__(self) -> None:
        for name in ("seconds", "cpu_seconds", "peak_memory_mib", "samples_per_second"):
            value = getattr(self, name) or 0  # what is not finite is never written
            if value < 0 or 1e12 < value < math.inf:
                raise ValueError(f"{name} is out of range")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """How the checkpoint was chosen."""

    rule: str  # say "gmner_f1": micro F1 of that task
    split: str
    value: float | None  # None: nothing was chosen, the last state was used
    epoch: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file of the run folder."""

    path: str  # relative to the run folder
    sha256: str

    def __post_init__(self) -> None:
        if ".." in Path(self.path).parts or Path(self.path).is_absolute():
            raise ValueError("path leads out of the run folder")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Which try at which job wrote a record; job and number together are unique in a folder."""

    job_id: str  # sha256 of the configuration, as in ConfigUsed
    number: int  # 1 = the first try; a run that was killed counts
    began: str  # UTC, ISO 8601
    ended: str | None  # None: it runs, or was killed
    status: str  # running, done, or failed:CAUSE


# Figures: counts, and what follows from counts.
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFigures:
    """One task's counts, with the figures that follow from them for whoever reads the file.

    Raises:
        ValueError: the figures do not follow from the counts, or the counts are impossible.
    """

    tp: int
    pred: int
    gold: int
    precision: float  # 0..1, as the next two
    recall: float
    f1: float

    def __post_init__(self) -> None:
        if not 0 <= self.tp <= min(self.pred, self.gold):
            raise ValueError(f"tp={self.tp} of pred={self.pred} and gold={self.gold} cannot be")
        counts = Counts(self.tp, self.pred, self.gold)
        for name in ("precision", "recall", "f1"):
            stored, follows = getattr(self, name), getattr(counts, name)
            if stored != follows:
                raise ValueError(f"{name} is {stored}, but the counts give {follows}: edited?")

    @classmethod
    def of(cls, counts: Counts) -> "TaskFigures":
        """The figures of some counts."""
        return cls(**{field.name: getattr(counts, field.name) for field in fields(cls)})


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeFigures:
    """One entity type; grounding is None where the run saw no pixels."""

    gmner: TaskFigures | None
    mner: TaskFigures
    eeg_tp: int | None  # gold entities of this type found by span and region; recall only


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The three tasks (micro), by type, and the macro means; None where no pixels were seen."""

    gmner: TaskFigures | None
    mner: TaskFigures
    eeg: TaskFigures | None
    per_type: Mapping[str, TypeFigures]
    gmner_macro_f1: float | None
    mner_macro_f1: float

    @classmethod
    def of(cls, scores: CorpusScores, *, saw_pixels: bool) -> "Metrics":
        """The figures of a corpus; without pixels, grounding is *not reported*."""
        return cls(
            gmner=TaskFigures.of(scores.micro.gmner) if saw_pixels else None,
            mner=TaskFigures.of(scores.micro.mner),
            eeg=TaskFigures.of(scores.micro.eeg) if saw_pixels else None,
            per_type={
                name: TypeFigures(
                    gmner=TaskFigures.of(row.gmner) if saw_pixels else None,
                    mner=TaskFigures.of(row.mner),
                    eeg_tp=row.eeg_tp if saw_pixels else None,
                )
                for name, row in scores.per_type.items()
            },
            gmner_macro_f1=scores.macro_f1("gmner") if saw_pixels else None,
            mner_macro_f1=scores.macro_f1("mner"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineFigures:
    """What a baseline reaches on the same split; None for a task it says nothing of.

    It needs no picture, so its grounding figures stand even where the run saw no pixels.
    """

    name: str
    gmner: TaskFigures | None
    mner: TaskFigures | None
    eeg: TaskFigures | None

    @classmethod
    def of(cls, baseline: Baseline, scores: CorpusScores) -> "BaselineFigures":
        """The figures of a baseline's predictions, for the tasks it is meant for."""
        return cls(
            name=baseline.name,
            **{
                task: TaskFigures.of(getattr(scores.micro, task))
                if task in baseline.tasks
                else None
                for task in TASKS
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One finished run."""

    protocol: ProtocolUsed
    data: DataUsed
    config: ConfigUsed
    code: GitState
    versions: Mapping[str, str]
    machine: Machine
    parameters: tuple[Part, ...]
    cost: Cost
    selection: Selection
    checkpoint: StoredFile | None
    predictions: StoredFile | None
    metrics: Metrics
    floors: tuple[BaselineFigures, ...]
    attempt: Attempt | None = None  # None: of a version that did not count them
    schema: int = SCHEMA
    exact_resume: bool = True  # False: went on from a checkpoint of another machine or code
    degraded: tuple[str, ...] = ()  # it went on without: disk (checkpoints), nan (training steps)

    def __post_init__(self) -> None:
        grounded = (self.metrics.gmner is not None, self.metrics.eeg is not None)
        if grounded != (self.data.saw_pixels,) * 2:
            raise ValueError("gmner and eeg are reported exactly when the run saw pixels")

    @property
    def selected_f1(self) -> float:
        """Test F1 of the task that chooses checkpoints: GMNER, or MNER without pixels."""
        return (self.metrics.gmner or self.metrics.mner).f1


def write_result(path: Path, result: RunResult) -> None:
    """Write ``result.json`` whole or not at all, credentials hidden.

    Raises:
        ValueError: a number is not finite.
        OSError: the file cannot be written; what was there before still is.
    """
    _write(path, redact(to_plain(result)), indent=2)


def read_result(path: Path) -> RunResult:
    """Read and check a ``result.json``.

    Raises:
        InputError: not JSON, another schema, a key missing, unknown or of the wrong type, or
            figures that do not follow from their counts; file and key are named.
        OSError: the file cannot be read.
    """
    data = read_file(path)
    stored = re.search(rb'"schema":\s*(\d{1,9})\b', data)  # first: another schema has other keys
    if stored and int(stored[1]) != SCHEMA:
        raise InputError(
            f"{path}: schema {int(stored[1])}, but this version reads {SCHEMA}; run it again or "
            "read it with the version that wrote it"
        )
    return parse_record(RunResult, data, str(path))


# The error analysis of a run.
ANALYSIS = "analysis.json"


def write_analysis(path: Path, analysis: Analysis) -> None:
    """Write ``analysis.json``; the errors are those of ``write_result``."""
    _write(path, to_plain(analysis), indent=1)


def read_analysis(path: Path) -> Analysis:
    """Read what ``write_analysis`` wrote; the errors are those of ``read_result``."""
    return parse_record(Analysis, read_file(path), str(path))


def _write(path: Path, plain: Any, indent: int) -> None:
    try:
        text = to_json(plain, indent=indent)
    except ValueError as fault:
        raise ValueError(f"{path}: not written, a number is not finite ({fault})") from fault
    write_atomically(path, f"{text}\n".encode())
