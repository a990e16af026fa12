"""Where trained models look for the entities of the test split: numbers and a picture.

Reads ``checkpoints/best.ckpt`` of finished runs, so it needs torch and is imported only when asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from omegaconf import OmegaConf

from gmbench.build import build_run
from gmbench.data.images import open_image
from gmbench.engine.attention import EntityLook, entity_looks
from gmbench.reporting.attention import Look, Scene, draw_attention
from gmbench.scoring.pointing import Heat, Pointing, pointing
from gmbench.structures import Entity, Example, Prediction

SHOWN = 6
"""Entities in the picture."""


@dataclass(frozen=True, eq=False)
class Looks:
    """Every look of one run.

    Attributes:
        heats: by example and gold entity (start, end).
        answers: the run's predictions by example.
        pointing: over entities with a box.
    """

    examples: dict[str, Example]
    heats: dict[tuple[str, int, int], Heat]
    answers: dict[str, tuple[Prediction, ...]]
    pointing: Pointing


@cache
def looks_of(folder: Path) -> Looks | None:
    """The looks of the run in a folder; None without its checkpoint."""
    checkpoint = folder / "checkpoints" / "best.ckpt"
    if not checkpoint.is_file():
        return None
    cfg = OmegaConf.load(folder / "config.yaml")
    assert OmegaConf.is_dict(cfg)
    run = build_run(cfg)  # type: ignore[arg-type]
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    run.module.load_state_dict(state["state_dict"], strict=False)
    model = run.module.model.eval()
    examples = {example.id: example for example in run.data.splits["test"].examples}
    heats: dict[tuple[str, int, int], Heat] = {}
    for batch in run.data.test_dataloader():
        with torch.no_grad():
            outputs = model(batch, attention=True)
        for look in entity_looks(outputs, batch, cfg.model.activation):
            entity = _entity(batch, look, examples)
            heats[(batch.ids[look.sample], entity.start, entity.end)] = look.heat
    answers = _answers(folder, tuple(examples.values()))
    shown = [
        (heat, entity.boxes, example.size)
        for (id_, start, end), heat in heats.items()
        if (example := examples[id_]).size is not None
        for entity in example.entities
        if (entity.start, entity.end) == (start, end) and entity.boxes
    ]
    return Looks(examples, heats, answers, pointing(shown))


def draw(runs: Sequence[tuple[str, Looks]]) -> bytes:
    """One row an entity, one column a run: the first entities with a box that all looked for."""
    shared = set.intersection(*(set(looks.heats) for _, looks in runs))
    scenes: list[Scene] = []
    for id_, start, end in sorted(shared):
        example = runs[0][1].examples[id_]
        entity = next(e for e in example.entities if (e.start, e.end) == (start, end))
        if not entity.boxes or example.image is None or len(scenes) == SHOWN:
            continue
        words = " ".join(example.words[start : end + 1])
        scenes.append(
            Scene(
                text=f"{words} ({entity.type})",
                image=np.asarray(open_image(example.image, example.size)),
                boxes=entity.boxes,
                looks=tuple(
                    Look(name, looks.heats[(id_, start, end)], _box(looks.answers[id_], entity))
                    for name, looks in runs
                ),
            )
        )
    with TemporaryDirectory() as folder:
        file = Path(folder) / "looks.png"
        draw_attention(scenes, file)
        return file.read_bytes()


def _entity(batch: object, look: EntityLook, examples: dict[str, Example]) -> Entity:
    ids = batch.ids  # type: ignore[attr-defined]
    return examples[ids[look.sample]].entities[look.gold]


def _answers(folder: Path, gold: tuple[Example, ...]) -> dict[str, tuple[Prediction, ...]]:
    from gmbench.scoring.files import read_predictions

    return read_predictions(folder / "predictions.test.jsonl", gold)


def _box(answers: Sequence[Prediction], entity: Entity) -> tuple[float, float, float, float] | None:
    same = [p for p in answers if (p.start, p.end) == (entity.start, entity.end)]
    return same[0].box if same else None
