import warnings

import numpy as np
import pytest
from PIL import Image

from gmbench.core.entities import Prediction
from gmbench.serving.overlay import COLOURS, draw_answer
from gmbench.serving.posts import Answer, post


def answer(text, *predictions, size=(100, 60), notes=()):
    return Answer(post=post(text), predictions=predictions, size=size, notes=notes)


def rgb(colour):
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])


def shows(path, colour):
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return int((np.abs(pixels - rgb(colour)).max(axis=-1) < 12).sum())


def test_boxes_stand_where_they_were_found(tmp_path):
    found = Prediction(0, 1, "PER", (20.0, 10.0, 60.0, 50.0), 0.9)
    path = tmp_path / "a.png"
    draw_answer(answer("Lionel Messi", found), Image.new("RGB", (100, 60), "white"), path)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    width = pixels.shape[1]
    top = pixels[: round(width * 0.6)]  # the picture; its text lies below
    rows, columns = np.nonzero(np.abs(top - rgb(COLOURS[0])).max(axis=-1) < 12)
    scale = width / 100
    assert columns.min() / scale == pytest.approx(20, abs=1)
    assert columns.max() / scale == pytest.approx(60, abs=1)
    assert rows.min() / scale == pytest.approx(10, abs=1)
    assert rows.max() / scale == pytest.approx(50, abs=1)


def test_text_of_any_kind_is_drawn_and_nothing_is_said(tmp_path, recwarn):
    text = "$x$ \\frac <b>bold</b> 🇫🇷 日本 " + "long " * 300
    found = [Prediction(n, n, "OTHER", (0.0, 0.0, 30.0, 30.0), 0.5) for n in range(8)]
    found.append(Prediction(9, 40, "ORG"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_answer(
            answer(text, *found, notes=("a note " * 40,)),
            Image.new("RGB", (100, 60), "white"),
            tmp_path / "a.png",
        )
    assert shows(tmp_path / "a.png", COLOURS[1])


def test_without_picture_the_sentence_alone(tmp_path):
    draw_answer(answer("nobody here", size=None), None, tmp_path / "a.png")
    draw_answer(answer("nobody here", size=None), None, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert image.height < 150
