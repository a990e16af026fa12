"""Where models look: heat maps, the pointing game, and Figure 4 on the tiny world."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from experiments.engine.attention import (
    Look,
    Looks,
    Scene,
    area_inside,
    draw,
    draw_scenes,
    entity_looks,
    hottest,
    looks_of,
    mass_inside,
    patch_heat,
    pointing,
    points_at,
    region_heat,
    speakers,
)
from gmbench.config import compose, parse
from gmbench.core.entities import Entity, Example, Prediction
from gmbench.core.tensors import Attention
from gmbench.lifecycle.build import build_run
from gmbench.scoring.files import write_predictions
from tests.tensor_builders import make_batch, make_targets, perfect_outputs

SIZE = (200.0, 100.0)


def test_patches_keep_their_places():
    heat = patch_heat(np.array([0.1, 0.6, 0.2, 0.1]))
    assert heat.tolist() == [[0.1, 0.6], [0.2, 0.1]]
    assert hottest(heat) == (0.75, 0.25)
    with pytest.raises(ValueError, match="no square"):
        patch_heat(np.ones(5))


def test_mass_is_exact_to_parts_of_a_cell():
    heat = patch_heat(np.array([0.1, 0.6, 0.2, 0.1]))
    # the left half of the hot cell and as much of the cold one below it
    box = (100.0, 25.0, 150.0, 75.0)
    assert mass_inside(heat, [box], SIZE) == pytest.approx(0.6 / 4 + 0.1 / 4)
    assert mass_inside(heat, [(0.0, 0.0, 200.0, 100.0)], SIZE) == pytest.approx(1.0)
    assert mass_inside(heat * 0.5, [box], SIZE) == pytest.approx(0.175)


def test_overlapping_boxes_count_once():
    heat = np.ones((4, 4)) / 16
    boxes = [(0.0, 0.0, 100.0, 100.0), (50.0, 0.0, 150.0, 100.0)]
    assert mass_inside(heat, boxes, SIZE) == pytest.approx(0.75)
    assert area_inside(boxes, SIZE) == pytest.approx(0.75)


def test_regions_are_painted_with_their_mass():
    boxes = np.array([[0.0, 0.0, 50.0, 50.0], [100.0, 0.0, 200.0, 100.0], [9.0, 9.0, 9.0, 9.0]])
    heat = region_heat(np.array([0.3, 0.5, 0.2]), boxes, SIZE)
    assert heat.sum() == pytest.approx(0.8)  # a box without area holds nothing
    assert mass_inside(heat, [(0.0, 0.0, 50.0, 50.0)], SIZE) == pytest.approx(0.3 / 0.8)
    assert mass_inside(heat, [(150.0, 0.0, 200.0, 100.0)], SIZE) == pytest.approx(0.25 / 0.8)
    with pytest.raises(ValueError, match="2 weights for 3 boxes"):
        region_heat(np.ones(2), boxes, SIZE)


def test_painting_is_exact_off_the_grid():
    box = (33.3, 11.1, 77.7, 66.6)
    heat = region_heat(np.array([0.4]), np.array([box]), SIZE, cells=7)
    assert heat.sum() == pytest.approx(0.4)
    outside = region_heat(np.array([0.4]), np.array([(-50.0, 0.0, 50.0, 100.0)]), SIZE)
    assert mass_inside(outside, [(0.0, 0.0, 50.0, 100.0)], SIZE) == pytest.approx(1.0)


def test_pointing_game():
    heat = region_heat(np.array([0.9]), np.array([[20.0, 20.0, 60.0, 60.0]]), SIZE)
    x, y = hottest(heat)
    assert (x * 200, y * 100) == pytest.approx((40, 40), abs=2.0)
    assert points_at(heat, [(30.0, 30.0, 50.0, 50.0)], SIZE)
    assert not points_at(heat, [(100.0, 0.0, 200.0, 100.0)], SIZE)
    assert not points_at(np.zeros((3, 3)), [(0.0, 0.0, 200.0, 100.0)], SIZE)


def test_many_maps():
    left, right = [(0.0, 0.0, 100.0, 100.0)], [(100.0, 0.0, 200.0, 100.0)]
    heat = patch_heat(np.array([0.7, 0.1, 0.1, 0.1]))
    found = pointing([(heat, left, SIZE), (heat, right, SIZE), (heat, left, SIZE)])
    assert (found.maps, found.hits) == (3, 2)
    assert found.hit_rate == pytest.approx(2 / 3)
    assert found.mass == pytest.approx((0.8 + 0.2 + 0.8) / 3)
    assert found.area == pytest.approx(0.5)
    assert pointing([]).hit_rate == 0.0
    with pytest.raises(ValueError, match="gold boxes"):
        pointing([(heat, (), SIZE)])


def test_the_query_that_names_the_entity_speaks():
    targets = make_targets([3, 1], seed=3)
    outputs = perfect_outputs(targets).map(lambda t: t.flip(1))  # query 7 - g answers for gold g
    found = speakers(outputs, make_batch(targets, rows=2), "sigmoid")
    assert found[0].tolist() == [7, 6, 5]
    assert found[1, 0] == 7


def test_regions_are_painted_back_where_they_lie():
    targets = make_targets([1, 0], seed=1)  # candidate i is the box (10 i, 0, 10 i + 9, 9)
    batch = make_batch(targets, rows=2)
    (look,) = entity_looks(perfect_outputs(targets), batch, "sigmoid")
    slot = int(targets.regions[0, 0].int().argmax())
    box = (10.0 * slot, 0.0, 10.0 * slot + 9, 9.0)
    assert (look.sample, look.gold, look.query) == (0, 0, 0)
    assert points_at(look.heat, [box], (200.0, 100.0))
    assert mass_inside(look.heat, [box], (200.0, 100.0)) > 0.8  # cells cut across its edges


def test_patches_come_from_the_attention_of_that_query():
    targets = make_targets([2, 1])
    weights = torch.zeros(2, 8, 4)
    weights[..., 0] = 1.0
    weights[0, 1] = torch.tensor([0.0, 0.0, 1.0, 0.0])
    outputs = replace(
        perfect_outputs(targets), region_logits=None, attention=Attention(query_to_patch=weights)
    )
    batch = replace(
        make_batch(targets, rows=2),
        region_boxes=None,
        region_mask=None,
        image_mask=torch.tensor([True, False]),
    )
    looks = entity_looks(outputs, batch, "sigmoid")
    assert [look.gold for look in looks] == [0, 1]  # the other tweet has no picture
    assert looks[0].heat.tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert looks[1].heat.tolist() == [[0.0, 0.0], [1.0, 0.0]]
    with pytest.raises(ValueError, match="attention=True"):
        entity_looks(replace(outputs, attention=None), batch, "sigmoid")


def scene(*models: str, boxes=((10.0, 10.0, 40.0, 30.0),)) -> Scene:
    heat = np.zeros((4, 4))
    heat[1, 1] = 1.0
    looks = tuple(Look(model, heat, (12.0, 8.0, 44.0, 33.0)) for model in models)
    return Scene("Ann Lee, PER", np.full((60, 80, 3), 200, np.uint8), boxes, looks)


def test_a_row_an_entity_and_a_column_a_model():
    one = draw_scenes([scene("QGN")])
    assert one == draw_scenes([scene("QGN")])  # the same scenes, the same bytes
    two = draw_scenes([scene("QGN", "MQSPN"), scene("QGN", "MQSPN", boxes=())])
    first, second = Image.open(BytesIO(one)), Image.open(BytesIO(two))
    assert second.size == (2 * first.width, 2 * first.height)
    assert np.asarray(first).std() > 10


def shown(axis):
    """What one scene of a picture holds: pixels, heat, boxes with their look, the hottest place."""
    pixels, heat = (image.get_array().tolist() for image in axis.images)
    boxes = [(box.get_bbox().extents.tolist(), box.get_linestyle()) for box in axis.patches]
    cross = [tuple(line.get_xydata()[0]) for line in axis.lines]
    assert all(tuple(image.get_extent()) == (0, 80, 60, 0) for image in axis.images)
    return pixels, heat, boxes, cross


def test_a_scene_shows_its_figures(drawn):
    gold, answer = (10.0, 10.0, 40.0, 30.0), (12.0, 8.0, 44.0, 33.0)
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    near, far = np.zeros((4, 4)), np.zeros((4, 4))
    near[1, 1], near[3, 3] = 0.6, 0.4  # the first cell is (20, 15, 40, 30): inside the gold box
    far[0, 2] = 1.0
    looks = (Look("A", near, answer), Look("B", far, None), Look("C", 0 * near, answer))
    draw_scenes([Scene("Ann", image, (gold,), looks), Scene("Bob", image, (), looks)])
    ann, bob = np.asarray(drawn[0].axes).reshape(2, 3)
    rims = [(list(box), "solid") for box in (gold, gold, answer)]  # each with a white rim
    mine = [rims[0], (list(gold), "-"), rims[2], (list(answer), "--")]
    crosses = {"A": [(30.0, 22.5)], "B": [(50.0, 7.5)], "C": []}
    for row, boxes in ((ann, (mine, mine[:2], mine)), (bob, (mine[2:], [], mine[2:]))):
        for axis, look, around in zip(row, looks, boxes, strict=True):
            wanted = (image.tolist(), look.heat.tolist(), around, crosses[look.model])
            assert shown(axis) == wanted
    assert [axis.get_title(loc="left") for axis in (*ann, *bob)] == [
        "Ann\nA: hit, mass inside 60 %",
        "Ann\nB: miss, mass inside 0 %, no box",
        "Ann\nC: miss, mass inside 0 %",
        "Bob\nA: a box, none is due",
        "Bob\nB: not in the image",
        "Bob\nC: a box, none is due",
    ]


def test_rows_are_the_first_entities_with_a_box_that_all_looked_for(tmp_path, drawn):
    gold = (10.0, 10.0, 40.0, 30.0)

    def example(name: str) -> Example:
        pixels = np.full((60, 80, 3), ord(name), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        entities = (Entity(0, 1, "PER", (gold,)), Entity(3, 3, "LOC"), Entity(4, 4, "ORG", (gold,)))
        words = (name, "Lee", "in", "Rome", "Fiat")
        return Example(name, words, entities, tmp_path / f"{name}.png", (80, 60))

    def looks(run: int, *, left_out: str) -> Looks:
        examples = {name: example(name) for name in "dcba"}
        heats, answers = {}, {}
        for name, one in examples.items():
            for entity in one.entities:
                span = (entity.start, entity.end)
                if (name, *span) != (left_out, 4, 4):
                    heats[name, *span] = np.full((2, 2), 100 * run + ord(name) + entity.start)
            place = 10.0 * run + ord(name) % 10
            answers[name] = (
                Prediction(4, 4, "ORG", None),
                Prediction(0, 1, "PER", (1, 2, place, 9)),
            )
        return Looks(examples, heats, answers, pointing([]))

    draw([("A", looks(1, left_out="b")), ("B", looks(2, left_out="c"))])
    axes = np.asarray(drawn[0].axes).reshape(-1, 2)
    kept = [("a", 0), ("a", 4), ("b", 0), ("c", 0), ("d", 0), ("d", 4)]  # SHOWN
    assert len(axes) == len(kept)
    for row, (name, start) in zip(axes, kept, strict=True):
        for run, axis in enumerate(row, start=1):
            pixels, heat, boxes, _ = shown(axis)
            assert pixels[0][0] == [ord(name)] * 3
            assert heat == [[100 * run + ord(name) + start] * 2] * 2
            answer = [([1, 2, 10.0 * run + ord(name) % 10, 9], "--")] if start == 0 else []
            assert [box for box in boxes if box[1] == "--"] == answer
            words = f"{name} Lee (PER)" if start == 0 else "Fiat (ORG)"
            assert axis.get_title(loc="left").startswith(f"{words}\n{'AB'[run - 1]}: ")


@pytest.mark.parametrize("scenes", [[], [scene()], [scene("QGN"), scene("MQSPN")]])
def test_what_cannot_be_drawn_is_refused(scenes):
    with pytest.raises(ValueError, match="same models"):
        draw_scenes(scenes)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, world):
    """Run folders of untrained models: what the figure reads of a run, and nothing else."""
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
        run = build_run(parse(cfg))
        folder = tmp_path_factory.mktemp(model)
        OmegaConf.save(cfg, folder / "config.yaml", resolve=True)
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
