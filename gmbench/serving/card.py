"""The model card of an export: data, protocol, seed, figures with intervals, and what it cannot."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmbench.reporting.analysis import ANALYSIS, read_analysis
from gmbench.reporting.figures import TaskFigures
from gmbench.reporting.records import RecordError
from gmbench.reporting.results import RunResult, read_result
from gmbench.scoring.statistics import FigureIntervals, Interval
from gmbench.serving.record import Exported

TASKS = ("gmner", "mner", "eeg")


def model_card(run: Path, config: Mapping[str, Any], record: Exported) -> str:
    """Markdown with the front matter that a hub reads.

    Args:
        run: the finished run's folder.
        config: its resolved configuration.
        record: of the export.
    """
    result = read_result(run / "result.json")
    intervals = _intervals(run)
    return "\n".join(
        [
            "---",
            "library_name: gmbench",
            "pipeline_tag: token-classification",
            "tags: [gmner, named-entity-recognition, visual-grounding]",
            "---",
            "",
            f"# {record.model} on {result.data.name}",
            "",
            "Grounded multimodal named entity recognition: from a sentence and its picture, every",
            "entity as (first word, last word, type, box or none). Written by `gmbench export`.",
            "",
            "```python",
            "import gmbench",
            'gmbench.load("THIS_FOLDER").predict("picture.jpg", "a sentence about it")',
            "```",
            "",
            "## Model",
            "",
            *_model_lines(result, config, record),
            "",
            "## Data and protocol",
            "",
            *_data_lines(result),
            "",
            "## Figures",
            "",
            *_figure_lines(result, intervals),
            "",
            "## Limits",
            "",
            *_limit_lines(result, record),
            "",
        ]
    )


def _intervals(run: Path) -> Mapping[str, FigureIntervals]:
    """By task; none where the run has no analysis that can be read."""
    try:
        return read_analysis(run / ANALYSIS).intervals
    except (RecordError, OSError):
        return {}


def _model_lines(result: RunResult, config: Mapping[str, Any], record: Exported) -> list[str]:
    total = sum(part.total for part in result.parameters)
    reads = " and ".join(record.reading.inputs)
    labels = ", ".join(f"`{label.tag}` ({label.name})" for label in record.labels)
    commit = "unknown" if result.code.commit is None else f"`{result.code.commit}`"
    dirty = " with uncommitted changes" if result.code.dirty else ""
    return [
        f"- {total:,} parameters; it reads words and {reads} of the picture",
        f"- types, in class order: {labels}",
        f"- text encoder: {record.text.identity}",
        f"- vision encoder: {record.vision.identity}",
        f"- configuration `{record.config_sha}`, in full in `config.yaml`; seed "
        f"{result.config.seed}",
        f"- epochs: {config['trainer'].get('epochs')}; the checkpoint of epoch "
        f"{_told(result.selection.epoch)} (from 0) was chosen by {result.selection.split} "
        f"{result.selection.rule} = {_told(result.selection.value)}",
        f"- gmbench {record.gmbench}, commit {commit}{dirty}; torch "
        f"{result.versions.get('torch', 'unknown')}, {result.machine.precision} on "
        f"{result.machine.device}",
    ]


def _data_lines(result: RunResult) -> list[str]:
    data = result.data
    kind = (
        "the built-in synthetic world: a test bed, never to be ranked with real data"
        if data.synthetic
        else "see its owners for its licence; nothing of it is in this folder"
    )
    limit = "" if data.limit is None else f", limited to the first {data.limit} of each split"
    return [
        f"- {data.name} ({kind}){limit}",
        f"- fingerprint `{data.fingerprint}`",
        f"- scored on {data.split}: {data.n:,} examples, {data.blanked:,} of them without picture",
        f"- protocol {result.protocol.name} {result.protocol.version}, IoU >= "
        f"{result.protocol.iou_threshold}: micro P, R, F1 over entities",
    ]


def _figure_lines(result: RunResult, intervals: Mapping[str, FigureIntervals]) -> list[str]:
    named = "with 95 % intervals over examples" if intervals else "(the run has no intervals)"
    lines = [
        f"In %, one seed, {named}:",
        "",
        "| task | P | R | F1 | tp / pred / gold |",
        "|---|---|---|---|---|",
    ]
    for task in TASKS:
        found: TaskFigures | None = getattr(result.metrics, task)
        if found is None:
            lines.append(f"| {task.upper()} | not reported: the run saw no pixels | | | |")
            continue
        cells = [
            _cell(getattr(found, name), getattr(intervals.get(task), name, None))
            for name in ("precision", "recall", "f1")
        ]
        counts = f"{found.tp} / {found.pred} / {found.gold}"
        lines.append(f"| {task.upper()} | {' | '.join(cells)} | {counts} |")
    return lines


def _limit_lines(result: RunResult, record: Exported) -> list[str]:
    lines = [
        f"- Trained and scored on {result.data.name} alone; elsewhere nothing is known of it.",
        f"- At most {record.reading.max_tokens} sub-words a sentence.",
        "- One seed: the interval says nothing about another seed.",
    ]
    if "regions" in record.reading.inputs:
        lines.append(
            f"- It chooses among candidate regions (the first {record.reading.num_regions}): no "
            "box is better than the best candidate, and another detector's candidates are not "
            "those it was scored with."
        )
    if not result.data.saw_pixels:
        lines.append("- No picture was seen in training: its boxes mean nothing.")
    if result.data.synthetic:
        lines.append("- It knows invented names and drawn pictures only.")
    return lines


def _cell(value: float, interval: Interval | None) -> str:
    if interval is None or interval.low is None or interval.high is None:
        return f"{100 * value:.2f}"
    return f"{100 * value:.2f} [{100 * interval.low:.2f}, {100 * interval.high:.2f}]"


def _told(value: float | int | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
