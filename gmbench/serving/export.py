"""Write an export folder, all of it or nothing: weights, configuration, record, model card."""

import os
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
from gmbench.core.files import replacing, sweep
from gmbench.core.locks import held
from gmbench.reporting.record import ANALYSIS, RunResult, read_analysis, read_result
from gmbench.scoring.counting import TASKS
from gmbench.scoring.intervals import FigureIntervals, Interval
from gmbench.serving.encoders import tokenizer_files
from gmbench.serving.folders import RECORD, RESULT, check_new
from gmbench.serving.model_folder import (
    CONFIG,
    WEIGHTS,
    ExportRecord,
    TrainedModel,
    read_model,
)

CARD = "README.md"


def export_run(run: Path, folder: Path, trust: tuple[str, ...] = ()) -> TrainedModel:
    """Write the model of a finished run into a new folder, read it back, and compare.

    Args:
        run: folder of a finished run.
        folder: to make; must not exist, or be empty.
        trust: prefixes of further packages whose classes may be built.

    Returns:
        The model as read back.

    Raises:
        InputError: the run is not finished, the folder exists, what was written is not what was
            trained, or as :func:`gmbench.serving.model_folder.read_model`.
        OSError: a file cannot be written.
    """
    check_new(run, folder)
    trained = read_model(run, trust)
    with held(folder.with_name(f".{folder.name}.lock"), folder):
        sweep(folder.parent, folder.name)
        with replacing(folder) as draft:
            draft.mkdir()
            _write(trained, run, draft)
            written = read_model(draft, trust)
            _compare(trained, written, folder)
    return written


def _write(trained: TrainedModel, run: Path, folder: Path) -> None:
    state = {name: tensor.contiguous().clone() for name, tensor in trained.state().items()}
    files = {
        WEIGHTS: save(state, metadata={"format": "pt"}),
        CONFIG: _config_bytes(trained.config, trained.record.model),
        **tokenizer_files(trained.tokenizer),
        **{name: content for name, content in trained.descriptions.items() if content},
    }
    hashes = {name: sha256(content).hexdigest() for name, content in files.items()}
    record = replace(trained.record, files=hashes)
    files[RECORD] = record.to_json()
    files[CARD] = model_card(run, trained.config, record).encode()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        with path.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())


def _compare(trained: TrainedModel, written: TrainedModel, folder: Path) -> None:
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
    plain = portable(config)
    names = plain.get("encoders", {})
    for key in ("text_name", "vision_name"):
        if isinstance(names.get(key), str) and Path(names[key]).is_absolute():
            names[key] = Path(names[key]).name
    head = f"# The configuration of the exported {model}, resolved; folders are left out.\n"
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    return (head + text).encode()


# ---------------------------------------------------------------- model card

TEMPLATE = """\
---
library_name: gmbench
pipeline_tag: token-classification
tags: [gmner, named-entity-recognition, visual-grounding]
{index}---

# {record.model} on {result.data.name}

Grounded multimodal named entity recognition: from a sentence and its picture, every
entity as (first word, last word, type, box or none). Written by `gmbench export`.

```python
import gmbench

gmbench.load("THIS_FOLDER").predict("picture.jpg", "a sentence about it")
```

## Model

- {parameters:,} parameters; it reads words and {inputs} of the picture
- types, in class order: {labels}
- text encoder: {record.text.identity}
- vision encoder: {record.vision.identity}
- configuration `{record.config_sha}`, in full in `config.yaml`; seed {result.config.seed}
- epochs: {epochs}; the checkpoint of epoch {selected_epoch} (from 0) was chosen by \
{result.selection.split} {result.selection.rule} = {selected_value}
- gmbench {record.gmbench}, commit {commit}; torch {torch}, {result.machine.precision} on \
{result.machine.device}

## Data and protocol

- {result.data.name} ({origin}){limit}
- fingerprint `{result.data.fingerprint}`
- scored on {result.data.split}: {result.data.n:,} examples, {result.data.blanked:,} of them \
without picture
- protocol {result.protocol.name} {result.protocol.version}, IoU >= \
{result.protocol.iou_threshold}: micro P, R, F1 over entities

## Figures

{figures}

## Limits

{limits}
"""


def model_card(run: Path, config: Mapping[str, Any], record: ExportRecord) -> str:
    """Markdown with the front matter that a hub reads.

    Args:
        run: the finished run's folder.
        config: its resolved configuration.
        record: the export's.
    """
    result = read_result(run / RESULT)
    data, code, selection = result.data, result.code, result.selection
    commit = "unknown" if code.commit is None else f"`{code.commit}`"
    origin = (
        "the built-in synthetic world: a test bed, never to be ranked with real data"
        if data.synthetic
        else "see its owners for its licence; nothing of it is in this folder"
    )
    return TEMPLATE.format(
        record=record,
        result=result,
        parameters=sum(part.total for part in result.parameters),
        inputs=" and ".join(record.reading.inputs),
        labels=", ".join(f"`{label.tag}` ({label.name})" for label in record.labels),
        epochs=config["trainer"].get("epochs"),
        selected_epoch="unknown" if selection.epoch is None else selection.epoch,
        selected_value="unknown" if selection.value is None else f"{selection.value:.4f}",
        commit=f"{commit} with uncommitted changes" if code.dirty else commit,
        torch=result.versions.get("torch", "unknown"),
        origin=origin,
        limit="" if data.limit is None else f", limited to the first {data.limit} of each split",
        figures="\n".join(_figure_lines(result, run / ANALYSIS)),
        limits="\n".join(f"- {line}" for line in _limits(result, record)),
        index=_model_index(result),
    )


def _model_index(result: RunResult) -> str:
    """The figures as a hub's leaderboards read them: YAML of the front matter."""
    data = result.data
    metrics = [
        {"type": "f1", "name": f"{task.upper()} F1", "value": round(100 * figures.f1, 2)}
        for task in TASKS
        if (figures := getattr(result.metrics, task)) is not None
    ]
    scored = {
        "task": {
            "type": "token-classification",
            "name": "Grounded multimodal named entity recognition",
        },
        "dataset": {
            "type": data.name,
            "name": f"{data.name}{' (built-in world)' if data.synthetic else ''}",
            "split": data.split,
            "revision": data.fingerprint,
        },
        "metrics": metrics,
    }
    index = {"model-index": [{"name": result.config.model, "results": [scored]}]}
    text: str = yaml.safe_dump(index, sort_keys=False, allow_unicode=True)
    return text


def _figure_lines(result: RunResult, analysis: Path) -> list[str]:
    intervals: Mapping[str, FigureIntervals] = {}
    try:
        intervals = read_analysis(analysis).intervals
        named = "with 95 % intervals over examples"
    except (InputError, OSError):
        named = "(the run has no intervals)"
    lines = [
        f"In %, one seed, {named}:",
        "",
        "| task | P | R | F1 | tp / pred / gold |",
        "|---|---|---|---|---|",
    ]
    for task in TASKS:
        figures = getattr(result.metrics, task)
        if figures is None:
            lines.append(f"| {task.upper()} | not reported: the run saw no pixels | | | |")
            continue
        cells = [
            _cell(getattr(figures, name), getattr(intervals.get(task), name, None))
            for name in ("precision", "recall", "f1")
        ]
        counts = f"{figures.tp} / {figures.pred} / {figures.gold}"
        lines.append(f"| {task.upper()} | {' | '.join(cells)} | {counts} |")
    return lines


def _cell(value: float, interval: Interval | None) -> str:
    if interval is None or interval.low is None or interval.high is None:
        return f"{100 * value:.2f}"
    return f"{100 * value:.2f} [{100 * interval.low:.2f}, {100 * interval.high:.2f}]"


def _limits(result: RunResult, record: ExportRecord) -> list[str]:
    lines = [
        f"Trained and scored on {result.data.name} alone; elsewhere nothing is known of it.",
        f"At most {record.reading.max_tokens} sub-words per sentence.",
        "One seed: the interval says nothing about another seed.",
    ]
    if "regions" in record.reading.inputs:
        lines.append(
            f"It chooses among candidate regions (the first {record.reading.num_regions}): no "
            "box is better than the best candidate, and another detector's candidates are not "
            "those it was scored with."
        )
    return [*lines, *(f"{line[0].upper()}{line[1:]}." for line in record.limits)]
