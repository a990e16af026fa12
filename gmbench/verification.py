"""Is a stored result true? Score its predictions again and compare every figure."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gmbench.construct import build_regions, build_source
from gmbench.data.source import SPLITS, DataSource, Split
from gmbench.reporting.differences import differences
from gmbench.reporting.figures import FloorFigures, Metrics
from gmbench.reporting.records import RecordError, to_plain
from gmbench.reporting.results import ProtocolUsed, RunResult, StoredFile, read_result
from gmbench.scoring.counting import PROTOCOL, PROTOCOL_VERSION, CorpusScores, score_corpus
from gmbench.scoring.fields import FileError
from gmbench.scoring.files import read_predictions
from gmbench.scoring.floors import Predictions, floors
from gmbench.structures import Example


def verify(folder: Path, root: Path | None = None) -> list[str]:
    """What is not true in a run folder, one line each; nothing if every figure stands.

    Compared are: protocol; name, fingerprint, size and pictures of the data set; the sha256 of
    stored files; and every figure of the model and of the floors, counted again.

    Args:
        folder: of a finished run.
        root: where its data set lies now; None = where ``config.yaml`` says.

    Raises:
        RecordError: ``result.json`` or ``config.yaml`` is missing, malformed, or holds figures
            that do not follow from their counts.
        DataError: the data set cannot be read.
        OSError: a file cannot be read.
    """
    path = folder / "result.json"
    if not path.is_file():
        raise RecordError(f"{path}: no such file; a run without it did not finish")
    result = read_result(path)
    cfg = _config(folder / "config.yaml")
    source = build_source(cfg)
    if root is not None:
        source = replace(source, root=root)
    regions = build_regions(cfg, source) if "regions" in cfg.model.inputs else None
    splits = {name: source.read(name, regions) for name in SPLITS}
    wrong = _protocol(result) + _data(result, source, splits[result.data.split])
    examples = splits[result.data.split].examples
    wrong += _stored(folder, result.checkpoint, may_be_gone=True)
    wrong += _stored(folder, result.predictions)
    predictions = folder / (
        f"predictions.{result.data.split}.jsonl"
        if result.predictions is None
        else result.predictions.path
    )
    try:
        found = read_predictions(predictions, examples)
    except FileError as fault:
        return [*(f"{path}: {line}" for line in wrong), str(fault)]
    scores = _scored(examples, found)
    metrics = Metrics.of(scores, saw_pixels=result.data.saw_pixels)
    wrong += differences(to_plain(result.metrics), to_plain(metrics), "metrics")
    again = tuple(
        FloorFigures.of(floor, _scored(examples, floor.predictions))
        for floor in floors(splits["train"].examples, examples)
    )
    wrong += differences(_by_name(result.floors), _by_name(again), "floors")
    return [f"{path}: {line}" for line in wrong]


def _config(path: Path) -> DictConfig:
    if not path.is_file():
        raise RecordError(f"{path}: no such file; it says which data set was used")
    try:
        cfg = OmegaConf.load(path)
        missing = {"data", "model", "regions"} - {str(key) for key in cfg}
    except (OmegaConfBaseException, YAMLError, ValueError, TypeError) as fault:
        raise RecordError(f"{path}: not a configuration ({fault})".replace("\n", " ")) from None
    if missing or not isinstance(cfg, DictConfig):
        raise RecordError(f"{path}: lacks {', '.join(sorted(missing))}")
    return cfg


def _protocol(result: RunResult) -> list[str]:
    ours = ProtocolUsed(name=PROTOCOL, version=PROTOCOL_VERSION, iou_threshold=0.5)
    return differences(to_plain(result.protocol), to_plain(ours), "protocol")


def _data(result: RunResult, source: DataSource, split: Split) -> list[str]:
    fingerprint = source.fingerprint()
    found = replace(
        result.data,
        name=source.name,
        synthetic=source.synthetic,
        fingerprint=fingerprint,
        n=len(split.examples),
        limit=source.limit,
        blanked=sum(example.image is None for example in split.examples),
    )
    wrong = differences(to_plain(result.data), to_plain(found), "data")
    if fingerprint != result.data.fingerprint:
        wrong.insert(0, f"the data set in {source.folder} is not the one that was scored")
    return wrong


def _stored(folder: Path, file: StoredFile | None, may_be_gone: bool = False) -> list[str]:
    """Whether a stored file is the one it was."""
    if file is None:
        return []
    path = folder / file.path
    if not path.is_file():
        return [] if may_be_gone else [f"{file.path} is missing"]
    with path.open("rb") as stream:
        digest = sha256()
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    if digest.hexdigest() == file.sha256:
        return []
    return [f"{file.path} was changed: stored sha256 {file.sha256}, found {digest.hexdigest()}"]


def _scored(examples: Sequence[Example], predictions: Predictions) -> CorpusScores:
    return score_corpus((example.entities, predictions[example.id]) for example in examples)


def _by_name(rows: Sequence[FloorFigures]) -> dict[str, object]:
    return {row.name: to_plain(row) for row in rows}
