"""Figure 4 on the tiny world: both kinds of model look at every entity with a picture."""

import pytest
import torch
from omegaconf import OmegaConf

from experiments.engine.attention import draw, looks_of
from gmbench.config import compose
from gmbench.lifecycle.build import build_run
from gmbench.scoring.files import write_predictions


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Run folders of untrained models: what the figure reads of a run, and nothing else."""
    world = tmp_path_factory.mktemp("world")
    found = []
    for model in ("qgn", "mqspn"):
        cfg = compose(
            [
                f"model={model}",
                "data=synthetic_tiny",
                f"data.root={world}",
                f"cache={world}/cache",
                "trainer=debug",
            ]
        )
        run = build_run(cfg)
        folder = tmp_path_factory.mktemp(model)
        OmegaConf.save(cfg, folder / "config.yaml")
        (folder / "checkpoints").mkdir()
        torch.save({"state_dict": run.module.state_dict()}, folder / "checkpoints" / "best.ckpt")
        examples = run.data.splits["test"].examples
        write_predictions(folder / "predictions.test.jsonl", {e.id: () for e in examples})
        found.append(folder)
    return found


def test_both_models_look_at_every_entity(folders):
    looks = [looks_of(folder) for folder in folders]
    examples = looks[0].examples.values()
    wanted = {(e.id, g.start, g.end) for e in examples for g in e.entities if g.boxes}
    assert wanted
    for one in looks:
        assert wanted <= set(one.heats)
        assert one.pointing.maps == len(wanted)
        assert 0 < one.pointing.mass < 1
    picture = draw([(folder.name, one) for folder, one in zip(folders, looks, strict=True)])
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000


def test_a_run_without_its_checkpoint_has_no_look(tmp_path):
    assert looks_of(tmp_path) is None
