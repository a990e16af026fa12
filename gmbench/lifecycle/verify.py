"""Is a stored result true? Score its predictions again and compare every figure."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from hashlib import file_digest
from pathlib import Path

from gmbench.core.entities import Example
from gmbench.core.errors import InputError
from gmbench.core.records import differences, to_plain
from gmbench.data.examples import Split
from gmbench.data.fingerprint import Fingerprint, fingerprint
from gmbench.data.source import SPLITS, DataSource
from gmbench.lifecycle.build_data import build_regions, stored_data
from gmbench.reporting.index import TWEETS
from gmbench.reporting.record import (
    ANALYSIS,
    BaselineFigures,
    Metrics,
    ProtocolUsed,
    RunResult,
    StoredFile,
    read_analysis,
    read_result,
)
from gmbench.scoring.analysis import analyse
from gmbench.scoring.baselines import Predictions, baselines
from gmbench.scoring.counting import PROTOCOL, PROTOCOL_VERSION, TASKS, CorpusScores, score_corpus
from gmbench.scoring.files import read_predictions, read_tweet_table
from gmbench.scoring.intervals import TweetTable, tweet_table


def verify(folder: Path, root: Path | None = None, trust: Collection[str] = ()) -> list[str]:
    """What is not true in a run folder, one line each; nothing if every figure stands.

    Compared are: protocol; name, fingerprint, size and pictures of the data set; the sha256 of
    stored files; every figure of the model and of the floors, counted again; and, where they are
    there, the counts of every tweet and the analysis, but for what each part of the model adds.

    Args:
        folder: of a finished run.
        root: where its data set lies now; None = where ``config.yaml`` says.
        trust: prefixes of packages, beside gmbench, whose data sets and regions may be built.

    Raises:
        InputError: ``result.json`` or ``config.yaml`` is missing, a file is malformed, or figures
            do not follow from their counts.
        InputError: the counts by tweet are malformed.
        InputError: the data set cannot be read.
        OSError: a file cannot be read.
    """
    path = folder / "result.json"
    if not path.is_file():
        raise InputError(f"{path}: no such file; a run without it did not finish")
    result = read_result(path)
    settings, source = stored_data(folder, root, trust)
    regions = build_regions(settings, source)
    splits = {name: source.read(name, regions) for name in SPLITS}
    now = fingerprint(source, splits, with_candidates=regions is not None)
    wrong = _protocol(result) + _data(result, source, splits[result.data.split], now)
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
    except InputError as fault:
        return [*(f"{path}: {line}" for line in wrong), str(fault)]
    scores = _scored(examples, found)
    metrics = Metrics.of(scores, saw_pixels=result.data.saw_pixels)
    wrong += differences(to_plain(result.metrics), to_plain(metrics), "metrics")
    again = tuple(
        BaselineFigures.of(floor, _scored(examples, floor.predictions))
        for floor in baselines(
            splits["train"].examples, examples, one_region_a_type=settings.model.one_region_a_type
        )
    )
    wrong += differences(_by_name(result.floors), _by_name(again), "floors")
    wrong = [f"{path}: {line}" for line in wrong]
    counted = tweet_table({e.id: e.entities for e in examples}, found)
    chosen_from = settings.regions.eval_num if "regions" in settings.model.inputs else None
    return [
        *wrong,
        *_tweets(folder / TWEETS, counted),
        *_analysis(folder / ANALYSIS, result, examples, found, counted, chosen_from),
    ]


def _protocol(result: RunResult) -> list[str]:
    ours = ProtocolUsed(name=PROTOCOL, version=PROTOCOL_VERSION, iou_threshold=0.5)
    return differences(to_plain(result.protocol), to_plain(ours), "protocol")


def _data(result: RunResult, source: DataSource, split: Split, now: Fingerprint) -> list[str]:
    found = replace(
        result.data,
        name=source.name,
        synthetic=source.synthetic,
        fingerprint=now.data,
        candidates=now.candidates if result.data.candidates else None,
        n=len(split.examples),
        limit=source.limit,
        blanked=sum(example.image is None for example in split.examples),
    )
    wrong = differences(to_plain(result.data), to_plain(found), "data")
    then = Fingerprint(result.data.fingerprint, result.data.candidates)
    if others := " and ".join(then.differences(now)):
        wrong.insert(0, f"the data set in {source.folder} is not the one that was scored: {others}")
    return wrong


def _stored(folder: Path, file: StoredFile | None, may_be_gone: bool = False) -> list[str]:
    """Whether a stored file is the one it was."""
    if file is None:
        return []
    path = folder / file.path
    if not path.is_file():
        return [] if may_be_gone else [f"{file.path} is missing"]
    with path.open("rb") as stream:
        digest = file_digest(stream, "sha256").hexdigest()
    if digest == file.sha256:
        return []
    return [f"{file.path} was changed: stored sha256 {file.sha256}, found {digest}"]


def _tweets(path: Path, counted: TweetTable) -> list[str]:
    """Whether the stored counts by tweet are those of the predictions."""
    if not path.is_file():
        return []
    stored = read_tweet_table(path)
    if stored.ids != counted.ids:
        return [f"{path}: holds other tweets than the data set"]
    wrong = []
    for task in TASKS:
        one, other = getattr(stored, task).tolist(), getattr(counted, task).tolist()
        for id_, *rows in zip(stored.ids, one, other, strict=True):
            said = [f"{task} tp/pred/gold {'/'.join(map(str, row))}" for row in rows]
            if said[0] != said[1]:
                wrong.append(f"{path}: id {id_!r}: stored {said[0]}, found {said[1]}")
    return wrong


def _analysis(
    path: Path,
    result: RunResult,
    examples: Sequence[Example],
    found: Predictions,
    counted: TweetTable,
    chosen_from: int | None,
) -> list[str]:
    """Whether the stored analysis is that of the predictions."""
    if not path.is_file():
        return []
    stored = read_analysis(path)
    again = analyse(
        examples,
        found,
        counted,
        saw_pixels=result.data.saw_pixels,
        proposals=chosen_from,
        resamples=stored.resamples,
        seed=stored.seed,
        additions=stored.additions,  # of the model at work, which predictions do not tell
    )
    if stored.confusion is None:  # from before there was one
        again = replace(again, confusion=None)
    # Sums of floats may end in other digits on another machine; counts are exact everywhere.
    lines = differences(to_plain(stored), to_plain(again), tolerance=1e-9)
    return [f"{path}: {line}" for line in lines]


def _scored(examples: Sequence[Example], predictions: Predictions) -> CorpusScores:
    return score_corpus((example.entities, predictions[example.id]) for example in examples)


def _by_name(rows: Sequence[BaselineFigures]) -> dict[str, object]:
    return {row.name: to_plain(row) for row in rows}
