"""From examples to batches: tokens, pixels, targets, order, cached features."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gmbench.core.entities import Candidates, Entity, Example
from gmbench.data import features as cache
from gmbench.data.datamodule import LengthGroupedBatches
from gmbench.data.dataset import Collate, GroundedDataset, tokenise
from gmbench.data.features import region_features
from gmbench.data.pixels import BLANK, PixelSettings, center, letterbox, whole
from gmbench.nn.text import tiny_tokenizer
from tests.data.files import picture as noise

PIXELS = PixelSettings(image_size=16, crop_size=8, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
CLASSES = {"PER": 1, "LOC": 2}


def picture(folder: Path, name: str, size=(40, 20)) -> Path:
    path = folder / f"{name}.jpg"
    Image.new("RGB", size, (255, 0, 0)).save(path)
    return path


@pytest.fixture
def examples(tmp_path):
    candidates = Candidates(np.array([[0.0, 0, 20, 20], [20.0, 0, 40, 20], [0.0, 0, 4, 4]]))
    return [
        Example(
            "one",
            ("Ann", "sees", "Rome"),
            (
                Entity(0, 0, "PER", ((0.0, 0.0, 20.0, 20.0), (21.0, 0.0, 40.0, 20.0))),
                Entity(2, 2, "LOC"),
            ),
            picture(tmp_path, "one"),
            (40, 20),
            candidates,
        ),
        Example("two", ("nothing",), (), None, None, None),
        Example(
            "three",
            ("Bo",),
            (Entity(0, 0, "PER", ((30.0, 15.0, 40.0, 20.0),)),),
            picture(tmp_path, "three"),
            (40, 20),
            candidates.top(1),
        ),
    ]


def dataset(examples, inputs, **more):
    tokens = tokenise(tiny_tokenizer(), [e.words for e in examples])
    return GroundedDataset(
        examples,
        tokens=tokens,
        inputs=frozenset(inputs),
        pixels=more.pop("settings", PIXELS),
        num_regions=more.pop("num_regions", 15),
        **more,
    )


def batch_of(data, with_regions=True):
    collate = Collate(classes=CLASSES, pad_id=0, with_regions=with_regions)
    return collate([data[i] for i in range(len(data))])


def test_regions_and_targets(examples):
    batch = batch_of(dataset(examples, ["regions"]))
    assert batch.region_mask.sum(dim=1).tolist() == [4, 1, 2]
    assert batch.region_pixels.shape == (3, 4, 3, 8, 8)
    targets = batch.targets
    assert targets.mask.sum(dim=1).tolist() == [2, 0, 1]
    assert targets.types[0].tolist() == [1, 2]
    # both boxes of Ann have a candidate; Rome is not in the image; Bo is not covered
    assert targets.regions[0].tolist() == [[False, True, True, False], [True, False, False, False]]
    assert not targets.regions[2].any()
    assert targets.groundable.tolist() == [[True, False], [False, False], [True, False]]
    torch.testing.assert_close(targets.boxes[0, 0, 0], torch.tensor([0.25, 0.5, 0.5, 1.0]))


@pytest.mark.parametrize(("side", "shows"), [(20.0, True), (20.01, False)])
def test_a_candidate_shows_an_entity_from_an_iou_of_exactly_one_half(examples, side, shows):
    one = replace(
        examples[0],
        entities=(Entity(0, 0, "PER", ((0.0, 0.0, side, 20.0),)),),
        candidates=Candidates(np.array([[0.0, 0, 10, 20]])),
    )
    assert batch_of(dataset([one], ["regions"])).targets.regions[0, 0].tolist() == [False, shows]


def test_padding_belongs_to_no_word_and_slot_0_is_grey_and_normalised(examples):
    settings = replace(PIXELS, mean=(0.1, 0.2, 0.3), std=(0.5, 0.4, 0.3))
    batch = batch_of(dataset(examples, ["regions"], settings=settings))
    assert (batch.word_index[~batch.token_mask] == -1).all()
    assert not batch.token_mask.all()
    grey = [
        (BLANK / 255 - mean) / std for mean, std in zip(settings.mean, settings.std, strict=True)
    ]
    slots = batch.region_pixels[:, 0]  # [B, 3, h, w]
    torch.testing.assert_close(slots[0].mean(dim=(1, 2)), torch.tensor(grey))
    assert (slots[0] == slots[2]).all()


def test_pixels_of_a_missing_image_are_zero_and_masked(examples):
    batch = batch_of(dataset(examples, ["pixels"]), with_regions=False)
    assert batch.image_mask.tolist() == [True, False, True]
    assert batch.pixels.shape == (3, 3, 16, 16)
    assert (batch.pixels[1] == 0).all()
    assert batch.region_mask is None
    assert batch.targets.regions is None


def test_num_regions_keeps_the_first(examples):
    batch = batch_of(dataset(examples, ["regions"], num_regions=1))
    assert batch.region_mask.shape[1] == 2


def test_every_word_has_a_piece():
    words = ("hello", "\ufe0f", "Velxqar", "\u200d", "&amp")
    (tokens,) = tokenise(tiny_tokenizer(), [words])
    assert set(range(5)) <= set(tokens.words)
    assert tokens.words[0] == tokens.words[-1] == -1
    assert tokens.ids[tokens.words.index(1)] == tiny_tokenizer().unk_token_id
    assert tokenise(tiny_tokenizer(), []) == []


def test_a_squash_cuts_nothing_and_a_letterbox_keeps_both_ends():
    image = Image.new("RGB", (100, 10), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 3, 10))
    image.paste((255, 255, 255), (97, 0, 100, 10))
    squashed = whole(image, PIXELS)
    assert squashed[:, :, 0].mean() > squashed[:, :, 8].mean()
    assert squashed[:, :, -1].mean() > squashed[:, :, 8].mean()
    boxed = np.asarray(letterbox(image, (0, 0, 100, 10), 50))[:, :, 0]
    assert boxed[0, 0] == BLANK
    assert boxed[25, 0] > 150
    assert boxed[25, -1] > 150


def test_degenerate_boxes_still_give_a_crop():
    image = Image.new("RGB", (30, 30), (9, 9, 9))
    for box in [(5, 5, 5, 5), (29.9, 29.9, 30, 30), (-4, -4, 2, 2), (25, 25, 60, 60)]:
        assert letterbox(image, box, 8).size == (8, 8)


def test_batches_group_lengths_and_depend_on_seed_and_epoch_only():
    lengths = np.random.default_rng(0).integers(5, 60, size=997).tolist()
    sampler = LengthGroupedBatches(lengths, batch_size=16, seed=3)
    sampler.set_epoch(2)
    first = list(sampler)
    assert sorted(i for batch in first for i in batch) == list(range(997))
    assert len(first) == len(sampler)
    fresh = LengthGroupedBatches(lengths, batch_size=16, seed=3)
    list(fresh)
    fresh.set_epoch(2)
    assert list(fresh) == first
    fresh.set_epoch(3)
    assert list(fresh) != first
    padded = sum(len(b) * max(lengths[i] for i in b) for b in first)
    assert 1 - sum(lengths) / padded < 0.04


def mean_colour(pixels, boxes):
    assert boxes is None
    return pixels.mean(dim=(2, 3))


def features_of(examples, folder, encode=mean_colour, settings=PIXELS):
    return region_features(
        examples,
        encode=encode,
        pixels=settings,
        num_regions=2,
        folder=folder,
        identity="test",
        label="train",
    )


def counting(asked, limit=None):
    """``mean_colour`` that notes its calls, and stops the build at one too many."""

    def encode(pixels, boxes):
        asked.append(len(pixels))
        if limit is not None and len(asked) > limit:
            raise KeyboardInterrupt
        return mean_colour(pixels, boxes)

    return encode


def test_cached_features_are_those_of_the_crops(examples, tmp_path):
    cached = features_of(examples, tmp_path / "cache")
    crops = dataset(examples, ["regions"], num_regions=2)
    for index in range(3):
        direct = crops[index].crops.mean(dim=(2, 3))
        torch.testing.assert_close(cached.row(index, 3), direct, atol=2e-3, rtol=0)
    again = features_of(examples, tmp_path / "cache", encode=None)
    assert np.array_equal(again.values, cached.values)
    batch = batch_of(dataset(examples, ["regions"], num_regions=2, features=cached))
    assert batch.region_features.shape == (3, 3, 3)
    assert batch.region_pixels is None
    assert not list((tmp_path / "cache").glob("*.part*"))


def test_a_photograph_of_two_examples_is_encoded_once(examples, tmp_path):
    first = replace(examples[0], image=noise(tmp_path / "noise.png", size=(40, 20)))
    copy = tmp_path / "copy.png"
    copy.write_bytes(first.image.read_bytes())
    twin = replace(first, id="twin", image=copy)
    other_boxes = replace(first, id="other", candidates=first.candidates.top(1))
    calls = []
    cached = features_of([first, examples[2], twin, other_boxes], tmp_path / "c", counting(calls))
    assert calls == [1, 2, 1, 1]  # the blank image, first, examples[2], other_boxes
    alone = features_of([twin], tmp_path / "alone")
    assert torch.equal(cached.row(2, 3), alone.row(0, 3))
    assert len(cached.row(2, 3)[1:].unique()) == 6  # its two crops; before them the blank image


def test_a_cache_that_was_broken_off_goes_on_where_it_stopped(examples, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "STRIDE", 1)
    calls, rest = [], []
    whole = features_of(examples, tmp_path / "whole", counting(calls)).values
    with pytest.raises(KeyboardInterrupt):
        features_of(examples, tmp_path, counting([], limit=2))
    assert all(".part" in path.name for path in tmp_path.glob("regions-*"))
    again = features_of(examples, tmp_path, counting(rest))
    assert len(rest) < len(calls)
    assert np.array_equal(again.values, whole)
    assert [path.suffix for path in tmp_path.glob("regions-*")] == [".npy"]


def test_roi_vectors_are_cached_apart_and_fit_their_boxes(examples, tmp_path):
    shapes = set()

    def encode(pixels, boxes):
        shapes.add(tuple(pixels.shape))
        return boxes

    features_of(examples, tmp_path)
    roi = features_of(examples, tmp_path, encode, replace(PIXELS, region_encoder="roi_align"))
    assert len(list(tmp_path.glob("*.npy"))) == 2
    found = roi.row(0, 3) * torch.tensor([*examples[0].size, *examples[0].size])
    wanted = torch.tensor(examples[0].candidates.boxes[:2]).float()
    torch.testing.assert_close(found[1:], wanted, atol=0.2, rtol=0)
    torch.testing.assert_close(roi.row(0, 1)[0], torch.tensor([0.0, 0, 1, 1]))
    assert shapes == {(1, 3, 16, 16)}


def test_another_box_is_another_cache(examples, tmp_path):
    features_of(examples, tmp_path)
    moved = replace(examples[0], candidates=Candidates(np.array([[1.0, 0, 20, 20]])))
    features_of([moved, *examples[1:]], tmp_path)
    assert len(list(tmp_path.glob("*.npy"))) == 2


def test_without_cache_roi_align_gets_whole_pictures(examples):
    settings = replace(PIXELS, region_encoder="roi_align")
    batch = batch_of(dataset(examples, ["regions"], settings=settings))
    assert batch.region_pixels is None
    assert batch.pixels.shape == (3, 3, 16, 16)


def test_a_centred_crop_cuts_the_ends_off():
    pixels = np.zeros((10, 30, 3), dtype=np.uint8)
    pixels[:, 10:20] = 200
    cut = np.asarray(center(Image.fromarray(pixels), (0, 0, 30, 10), 8))
    assert cut.shape == (8, 8, 3)
    assert (cut > 180).all()  # the filter looks a little beyond the square
    assert np.asarray(letterbox(Image.fromarray(pixels), (0, 0, 30, 10), 8)).min() == 0
