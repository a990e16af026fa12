"""Write an export folder: all of it or nothing."""

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save

from gmbench.config.identity import portable
from gmbench.core.errors import InputError
from gmbench.reporting.record import ANALYSIS, RunResult, TaskFigures, read_analysis, read_result
from gmbench.scoring.counting import TASKS
from gmbench.scoring.intervals import FigureIntervals, Interval
from gmbench.serving.manifest import RECORD, Exported, dumps, tokenizer_files
from gmbench.serving.model_folder import CONFIG, WEIGHTS, Parts, read_parts

# The model card of an export: data, protocol, seed, figures with intervals, and what it cannot.


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
    except (InputError, OSError):
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


CARD = "README.md"


def export_run(run: Path, folder: Path, trust: tuple[str, ...] = ()) -> Parts:
    """Write the model of a finished run into a new folder, read it back, and compare.

    Args:
        run: folder of a finished run.
        folder: made; nothing may be there yet.
        trust: prefixes of further packages whose classes may be built.

    Returns:
        The parts as read back.

    Raises:
        InputError: the run is not finished, the folder exists, or what was written is not what
            was trained.
        OSError: a file cannot be written.
        ValueError: as :func:`gmbench.serving.model_folder.read_parts`.
    """
    if (run / RECORD).is_file():
        raise InputError(f"{run}: exported already; name a run folder")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is there already; name a new folder, or remove it")
    parts = read_parts(run, trust)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.tmp")
    draft.mkdir(parents=True)
    try:
        _write(parts, run, draft)
        written = read_parts(draft, trust)
        _compare(parts, written, folder)
        if folder.is_dir():
            folder.rmdir()
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return written


def _write(parts: Parts, run: Path, folder: Path) -> None:
    state = {name: tensor.contiguous().clone() for name, tensor in parts.state().items()}
    files = {
        WEIGHTS: save(state, metadata={"format": "pt"}),
        CONFIG: _config_bytes(parts.config, parts.record.model),
        **tokenizer_files(parts.tokenizer),
        **{name: content for name, content in parts.descriptions.items() if content},
    }
    record = replace(
        parts.record, files={n: sha256(content).hexdigest() for n, content in files.items()}
    )
    files[RECORD] = dumps(record)
    files[CARD] = model_card(run, parts.config, record).encode()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        with path.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())


def _compare(trained: Parts, written: Parts, folder: Path) -> None:
    """Every tensor, bit for bit."""
    before, after = trained.state(), written.state()
    wrong = sorted(before.keys() ^ after.keys())
    wrong += [name for name in before.keys() & after.keys() if not _same(before[name], after[name])]
    if wrong:
        raise InputError(f"{folder}: not written, {wrong[0]} came back changed")


def _same(first: torch.Tensor, second: torch.Tensor) -> bool:
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    bits = [t.contiguous().reshape(-1).view(torch.uint8) for t in (first, second)]
    return bool(torch.equal(*bits))


def _config_bytes(config: Mapping[str, Any], model: str) -> bytes:
    """The configuration without folders of the exporting machine."""
    plain = portable(dict(config))
    names = plain.get("encoders", {})
    for key in ("text_name", "vision_name"):
        if isinstance(names.get(key), str) and Path(names[key]).is_absolute():
            names[key] = Path(names[key]).name
    head = f"# The configuration of the exported {model}, resolved; folders are left out.\n"
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    return (head + text).encode()
