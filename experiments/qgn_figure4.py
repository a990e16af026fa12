"""QGN, Figure 4: where models look for the entities of a tweet, as pictures and as numbers.

``python -m experiments.qgn_figure4 RUN [RUN ...] --out figure4.png``: run folders of any models on
the same data. The rows are gold entities that are in the image; the numbers are over all of them.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from gmbench.build import Run, build_run
from gmbench.data.images import open_image
from gmbench.engine.attention import entity_looks
from gmbench.reporting.attention import Look, Scene, draw_attention
from gmbench.scoring.pointing import Heat, Pointing, pointing
from gmbench.structures import Box, Example


@dataclass(frozen=True, eq=False)
class Looks:
    """How one model looks for every groundable gold entity of a split.

    Attributes:
        model: its name.
        heat: by example id and row of the entity.
        boxes: predicted box of the same span, None where none was given.
        numbers: over all of them.
    """

    model: str
    heat: dict[tuple[str, int], Heat]
    boxes: dict[tuple[str, int], Box | None]
    numbers: Pointing


def looks_of(run: Run, cfg: DictConfig, split: str) -> Looks:
    """Ask a trained model where it looks for each groundable entity that has a picture."""
    module = run.module.eval()
    examples = {e.id: e for e in run.data.splits[split].examples}
    heat: dict[tuple[str, int], Heat] = {}
    boxes: dict[tuple[str, int], Box | None] = {}
    asks = {"attention": True} if "regions" not in cfg.model.inputs else {}
    loader = run.data.val_dataloader() if split == "dev" else run.data.test_dataloader()
    for batch in loader:
        with torch.inference_mode():
            outputs = module.model(batch, **asks)
        answers = module.decoder(outputs, batch)
        for look in entity_looks(outputs, batch, cfg.model.decode.span_activation):
            name = batch.ids[look.sample]
            entity = examples[name].entities[look.gold]
            if not entity.groundable:
                continue
            said = {(p.start, p.end): p.box for p in answers[look.sample]}
            heat[name, look.gold] = look.heat
            boxes[name, look.gold] = said.get((entity.start, entity.end))
    judged = [(map_, _gold(examples, key), _size(examples, key)) for key, map_ in heat.items()]
    return Looks(cfg.model.name, heat, boxes, pointing(judged))


def scenes(
    examples: Sequence[Example], looks: Sequence[Looks], ids: Sequence[str], limit: int
) -> list[Scene]:
    """The first ``limit`` groundable entities, of the named tweets if any are named."""
    found = []
    for example in examples:
        if (ids and example.id not in ids) or example.image is None:
            continue
        image = np.asarray(open_image(example.image, example.size))
        for row, entity in enumerate(example.entities):
            key = (example.id, row)
            if not entity.groundable or any(key not in one.heat for one in looks):
                continue
            words = " ".join(example.words[entity.start : entity.end + 1])
            columns = tuple(Look(one.model, one.heat[key], one.boxes[key]) for one in looks)
            found.append(Scene(f"{words}, {entity.type}", image, entity.boxes, columns))
        if len(found) >= limit:
            break
    return found[:limit]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 done, 2 bad arguments."""
    parser = argparse.ArgumentParser(prog="python -m experiments.qgn_figure4", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="finished run folders")
    parser.add_argument("--split", choices=("dev", "test"), default="dev")
    parser.add_argument("--ids", nargs="*", default=[], help="tweets to draw")
    parser.add_argument("--limit", type=int, default=4, help="entities to draw")
    parser.add_argument("--out", type=Path, default=Path("figure4.png"))
    options = parser.parse_args(arguments)
    looks = []
    for folder in options.runs:
        checkpoint = folder / "checkpoints" / "best.ckpt"
        if not checkpoint.is_file():
            print(
                f"{folder}: no checkpoints/best.ckpt; name a finished run folder", file=sys.stderr
            )
            return 2
        cfg = OmegaConf.load(folder / "config.yaml")
        assert isinstance(cfg, DictConfig)
        run = build_run(cfg)
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        run.module.load_state_dict(state["state_dict"])
        looks.append(looks_of(run, cfg, options.split))
    chosen = scenes(run.data.splits[options.split].examples, looks, options.ids, options.limit)
    if chosen:
        draw_attention(chosen, options.out)
    Console().print(_table(looks))
    print(f"Picture: {options.out}" if chosen else "No such entity to draw.")
    return 0


def _table(looks: Sequence[Looks]) -> Table:
    table = Table(title="Where the query of a groundable entity looks")
    for column in ("model", "entities", "pointing game %", "mass in gold box %", "box area %"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for one in looks:
        n = one.numbers
        shares = (n.hit_rate, n.mass, n.area)
        table.add_row(one.model, str(n.maps), *(f"{100 * share:.1f}" for share in shares))
    return table


def _gold(examples: dict[str, Example], key: tuple[str, int]) -> tuple[Box, ...]:
    return examples[key[0]].entities[key[1]].boxes


def _size(examples: dict[str, Example], key: tuple[str, int]) -> tuple[float, float]:
    width, height = examples[key[0]].size or (1, 1)
    return float(width), float(height)


if __name__ == "__main__":
    sys.exit(main())
