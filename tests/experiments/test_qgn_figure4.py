"""Figure 4 on the tiny world: every groundable entity gets a look, of either kind of model."""

import pytest

from experiments.qgn_figure4 import looks_of, scenes
from gmbench.build import build_run
from gmbench.config import compose
from gmbench.reporting.attention import draw_attention


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return tmp_path_factory.mktemp("world")


def test_both_models_look_at_every_groundable_entity(world, tmp_path):
    looks = []
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
        looks.append(looks_of(run, cfg, "dev"))
    examples = run.data.splits["dev"].examples
    wanted = {(e.id, g) for e in examples for g, gold in enumerate(e.entities) if gold.groundable}
    for one in looks:
        assert set(one.heat) == wanted
        assert one.numbers.maps == len(wanted)
        assert 0 < one.numbers.mass < 1
    named = [name for name, _ in sorted(wanted)][:1]
    chosen = scenes(examples, looks, named, 3)
    assert chosen
    assert all(scene.boxes and len(scene.looks) == 2 for scene in chosen)
    draw_attention(chosen, tmp_path / "figure4.png")
    assert (tmp_path / "figure4.png").stat().st_size > 1000
    assert scenes(examples, looks, ["no such tweet"], 3) == []
