"""Pretraining of the tiny encoders: shipped files as recorded, and the recipe reproduces."""

import json
import subprocess
import sys

import pytest

from experiments.pretrain_tiny.__main__ import LIMIT, WEIGHTS, main, pretrain
from experiments.pretrain_tiny.recipe import FILES, RECIPE, Recipe, TextRecipe, VisionRecipe, check

TINY = Recipe(
    text=TextRecipe(cast=120, sentences=60, steps=4, batch=8),
    vision=VisionRecipe(cast=60, scenes=20, steps=3, batch=4, crops=6),
)


def test_shipped_weights_are_those_of_the_recipe():
    assert check(WEIGHTS) == []
    record = json.loads((WEIGHTS / RECIPE).read_text())
    assert record["settings"] == Recipe().settings()
    assert record["settings"]["seed"] > 100_000  # no preset's
    size = sum((WEIGHTS / f"{name}.safetensors").stat().st_size for name in ("text", "vision"))
    assert size == record["bytes"] <= LIMIT


def test_shipped_weights_load_into_the_tiny_encoders():
    from gmbench.nn.text import tiny_text, tiny_tokenizer
    from gmbench.nn.vision import tiny_vision

    text, vision = tiny_text(), tiny_vision()
    record = json.loads((WEIGHTS / RECIPE).read_text())
    assert len(tiny_tokenizer()) == record["vocabulary"]
    assert all(p.isfinite().all() for part in (text, vision) for p in part.parameters())
    assert record["pixels"] == {"mean": list(vision.mean), "std": list(vision.std)}


def test_vocabulary_holds_no_name_and_no_colour():
    from experiments.pretrain_tiny.vocabulary import build_tokenizer
    from gmbench.data.synthetic.cast import POOLS
    from gmbench.data.synthetic.looks import COLOURS

    tokenizer = build_tokenizer()
    pieces = set(tokenizer.get_vocab())
    for pool in POOLS.values():
        assert not pieces & set(pool.syllables)
        suffixes = {word.lower() for words in pool.suffixes.values() for word in words}
        assert len(pieces & suffixes) <= 3  # a suffix may be a plain word of some phrase as well
    for colours in COLOURS.values():
        assert not pieces & set(colours)
    text = tokenizer.encode(["Kelvar", "RT", "#", "&amp", "😍"], is_pretokenized=True)
    assert set(text.word_ids) == {None, 0, 1, 2, 3, 4}
    assert "[UNK]" not in text.tokens[: text.word_ids.index(4)]


def test_check_names_the_file_that_differs(tmp_path):
    assert "not there" in check(tmp_path)[0]
    for name in FILES:
        (tmp_path / name).write_bytes((WEIGHTS / name).read_bytes())
    (tmp_path / RECIPE).write_bytes((WEIGHTS / RECIPE).read_bytes())
    assert main(["--check", "--out", str(tmp_path)]) == 0
    (tmp_path / "vision.safetensors").write_bytes(b"no")
    assert main(["--check", "--out", str(tmp_path)]) == 1
    assert ["vision.safetensors" in fault for fault in check(tmp_path)] == [True]


def test_check_needs_no_torch():
    script = (
        "import sys; from experiments.pretrain_tiny.__main__ import main; code = main(['--check']);"
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_dense_targets_follow_the_boxes():
    import torch

    from experiments.pretrain_tiny.pictures import ABSENT, Pictures
    from experiments.pretrain_tiny.vision import assign

    boxes = torch.zeros(1, 3, 4)
    boxes[0, 0] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    boxes[0, 1] = torch.tensor([0.5, 0.0, 1.0, 0.5])
    boxes[0, 2] = torch.tensor([0.10, 0.60, 0.12, 0.62])  # smaller than a patch
    kinds = torch.tensor([[0, 1, 2]])
    pictures = Pictures(
        torch.zeros(1, 8, 8, 3, dtype=torch.uint8),
        boxes,
        kinds,
        kinds,
        torch.zeros(1, 3, 6),
        torch.tensor([ABSENT]),
    )
    owner, _ = assign(pictures, 16)
    assert owner.reshape(4, 4).tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.slow
def test_a_small_recipe_reproduces(tmp_path):
    first = pretrain(TINY, tmp_path / "a")
    second = pretrain(TINY, tmp_path / "b")
    assert first["sha256"] == second["sha256"]
    assert first["losses"] == second["losses"]
    assert check(tmp_path / "a") == []
