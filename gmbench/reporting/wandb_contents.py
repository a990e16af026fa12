"""What a finished run shows on W&B: figures with counts, examples with boxes, pictures, the model.

Each function here makes an action for ``WandbMirror.send``: it is carried out in the mirror's
thread, and what fails there is said, never raised.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gmbench.data.images import open_image
from gmbench.reporting.figures import TaskFigures
from gmbench.reporting.overlays import EXAMPLES
from gmbench.reporting.results import RunResult
from gmbench.reporting.wandb_mirror import Action
from gmbench.scoring.counting import score_document
from gmbench.structures import Box, Entity, Example, Prediction

SIDE = 512
"""Pixels of the longer side of a picture in the table; its boxes are told as shares of it."""

COLUMNS = ("id", "words", "image", "gold", "predicted", "right", "of gold", "of predicted")


def summary_of(result: RunResult) -> dict[str, Any]:
    """The final figures of a run with their counts, flat, as W&B compares runs by them."""
    data, metrics = result.data, result.metrics
    found: dict[str, Any] = {
        "status": "done",
        "config_sha": result.config.sha,
        "protocol": f"{result.protocol.name} {result.protocol.version}",
        "data/name": data.name,
        "data/fingerprint": data.fingerprint,
        "data/split": data.split,
        "data/n": data.n,
        "data/limit": data.limit,
        "data/saw_pixels": data.saw_pixels,
        "data/blanked": data.blanked,
        "code/commit": result.code.commit,
        "code/dirty": result.code.dirty,
        "device": result.machine.device,
        "parameters": sum(part.total for part in result.parameters),
        "parameters/trained": sum(part.trainable for part in result.parameters),
        "seconds": result.cost.seconds,
        "peak_memory_mib": result.cost.peak_memory_mib,
        "samples_per_second": result.cost.samples_per_second,
        "best/rule": f"{result.selection.split} {result.selection.rule}",
        "best/value": result.selection.value,
        "best/epoch": result.selection.epoch,
    }
    for task in ("gmner", "mner", "eeg"):
        found |= _figures(f"{data.split}/{task}", getattr(metrics, task))
    for name, row in metrics.per_type.items():
        found |= _figures(f"{data.split}/{name}/gmner", row.gmner)
        found |= _figures(f"{data.split}/{name}/mner", row.mner)
    return {key: value for key, value in found.items() if value is not None}


def _figures(prefix: str, figures: TaskFigures | None) -> dict[str, float]:
    if figures is None:
        return {}
    names = ("tp", "pred", "gold", "precision", "recall", "f1")
    return {f"{prefix}_{name}": getattr(figures, name) for name in names}


def show_summary(values: Mapping[str, Any]) -> Action:
    """These values as the run's summary."""
    return lambda run: run.summary.update(dict(values))


def show_examples(
    examples: Sequence[Example], predictions: Mapping[str, Sequence[Prediction]], most: int
) -> Action:
    """A table of at most ``most`` examples, evenly spread over the split, none of them chosen.

    Each with its words, its image with gold and predicted boxes, both lists of entities, and how
    many of the predicted quadruples are right.
    """

    def act(run: Any) -> None:
        import wandb

        step = max(1, -(-len(examples) // most))
        shown = [e for e in examples[::step] if e.id in predictions]
        types = {entity.type for e in shown for entity in e.entities}
        types |= {found.type for e in shown for found in predictions[e.id]}
        classes = {name: number for number, name in enumerate(sorted(types), start=1)}
        table = wandb.Table(columns=list(COLUMNS))
        for example in shown:
            found = predictions[example.id]
            counts = score_document(example.entities, found).gmner
            table.add_data(
                example.id,
                " ".join(example.words),
                _image(wandb, example, found, classes),
                _gold_text(example),
                _found_text(example, found),
                counts.tp,
                counts.gold,
                counts.pred,
            )
        run.log({"examples": table})

    return act


def _image(
    wandb: Any, example: Example, found: Sequence[Prediction], classes: Mapping[str, int]
) -> Any:
    if example.image is None:
        return None
    picture = open_image(example.image, example.size)
    width, height = example.size or picture.size
    labels = {number: name for name, number in classes.items()}

    def boxes(rows: Sequence[tuple[Entity | Prediction, Box]]) -> dict[str, Any]:
        return {
            "box_data": [
                {
                    "position": {
                        "minX": box[0] / width,
                        "minY": box[1] / height,
                        "maxX": box[2] / width,
                        "maxY": box[3] / height,
                    },
                    "class_id": classes[row.type],
                    "box_caption": f"{_words(example, row)} ({row.type})",
                    "scores": {"score": row.score} if isinstance(row, Prediction) else {},
                }
                for row, box in rows
            ],
            "class_labels": labels,
        }

    picture.thumbnail((SIDE, SIDE))
    return wandb.Image(
        picture,
        boxes={
            "gold": boxes([(e, box) for e in example.entities for box in e.boxes]),
            "predicted": boxes([(p, p.box) for p in found if p.box is not None]),
        },
    )


def _gold_text(example: Example) -> str:
    lines = [
        f"{_words(example, e)} ({e.type}){'' if e.boxes else ', not in the image'}"
        for e in example.entities
    ]
    return "\n".join(lines)


def _found_text(example: Example, found: Sequence[Prediction]) -> str:
    lines = [
        f"{_words(example, p)} ({p.type}) {p.score:.2f}{'' if p.box else ', not in the image'}"
        for p in found
    ]
    return "\n".join(lines)


def _words(example: Example, row: Entity | Prediction) -> str:
    return " ".join(example.words[row.start : row.end + 1])


def show_pictures(folder: Path) -> Action:
    """Every picture of the analysis, by its name; none that shows tweets, which are a choice."""

    def act(run: Any) -> None:
        import wandb

        pictures = sorted(path for path in folder.glob("*.png") if path.name != EXAMPLES)
        if pictures:
            run.log({f"analysis/{path.stem}": wandb.Image(str(path)) for path in pictures})

    return act


def show_model(name: str, files: Sequence[Path], metadata: Mapping[str, Any]) -> Action:
    """The run's files as a versioned artifact of type ``model``; referred to, not copied."""

    def act(run: Any) -> None:
        import wandb

        artifact = wandb.Artifact(name, type="model", metadata=dict(metadata))
        for path in files:
            artifact.add_file(str(path), policy="immutable", skip_cache=True)
        run.log_artifact(artifact)

    return act
