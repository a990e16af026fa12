import numpy as np
import pytest
from PIL import Image

from experiments.engine.attention import Look, Scene, draw_attention


def scene(*models: str, boxes=((10.0, 10.0, 40.0, 30.0),)) -> Scene:
    heat = np.zeros((4, 4))
    heat[1, 1] = 1.0
    looks = tuple(Look(model, heat, (12.0, 8.0, 44.0, 33.0)) for model in models)
    return Scene("Ann Lee, PER", np.full((60, 80, 3), 200, np.uint8), boxes, looks)


def test_a_row_an_entity_and_a_column_a_model(tmp_path):
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    draw_attention([scene("QGN")], one)
    draw_attention([scene("QGN", "MQSPN"), scene("QGN", "MQSPN", boxes=())], two)
    (w1, h1), (w2, h2) = Image.open(one).size, Image.open(two).size
    assert (w2, h2) == (2 * w1, 2 * h1)
    assert np.asarray(Image.open(one)).std() > 10


def test_the_same_scenes_give_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        draw_attention([scene("QGN")], tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("scenes", [[], [scene()], [scene("QGN"), scene("MQSPN")]])
def test_what_cannot_be_drawn_is_refused(tmp_path, scenes):
    with pytest.raises(ValueError, match="same models"):
        draw_attention(scenes, tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()
