"""Copies are valid and leave the original alone; planted systems show what they must."""

import random
import sys
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from rich.console import Console
from scipy.stats import chi2_contingency

from experiments.readme import RESULTS
from experiments.shortcuts import perturb, report
from experiments.shortcuts.effects import ALL, SIDES, effects, tables
from experiments.shortcuts.perturb import (
    MASK,
    OF_PICTURES,
    OF_WORDS,
    POSTS,
    cue_words,
    perturbed,
    write_copies,
)
from experiments.studies.shortcuts import main
from gmbench.config import compose, parse
from gmbench.core.entities import Entity, Example, Prediction
from gmbench.core.errors import InputError
from gmbench.core.iou import pairwise_iou
from gmbench.data.images import open_image
from gmbench.data.pixels import BLANK
from gmbench.data.regions.vinvl import VinVL
from gmbench.data.source import DataSource
from gmbench.lifecycle.build_data import build_regions, build_source
from gmbench.prepare import prepare
from gmbench.scoring.counting import score_corpus
from gmbench.scoring.strata import strata

WORLD = (
    "data=synthetic_tiny",
    "data.world.train=48",
    "data.world.dev=4",
    "data.world.test=24",
    "callbacks.progress=false",
)


@pytest.fixture(scope="module")
def original(world):
    settings = parse(compose([*WORLD, f"data.root={world}", f"cache={world}/cache"]))
    source = build_source(settings)
    return source, build_regions(settings, source)


@pytest.fixture(scope="module")
def made(original, tmp_path_factory):
    return write_copies(*original, tmp_path_factory.mktemp("copies"))


@pytest.fixture(scope="module")
def by_how(made):
    return {copy.how: copy for copy in made.copies}


def tree(folder: Path) -> dict[str, str]:
    """Every file by its content, links followed."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def surface(example: Example, entity: Entity) -> str:
    return " ".join(example.words[entity.start : entity.end + 1])


# Copies.


def test_copies_are_valid_data_sets_and_the_original_is_not_touched(original, made, tmp_path):
    source, _ = original
    before = tree(source.folder)
    again = write_copies(*original, tmp_path)
    assert tree(source.folder) == before
    assert [copy.how for copy in made.copies] == ["original", *OF_PICTURES, *OF_WORDS]
    test = source.read("test").examples
    for copy, other in zip(made.copies, again.copies, strict=True):
        assert tree(copy.folder) == tree(other.folder), "equal seeds give equal bytes"
        copied = DataSource(
            name=copy.how, root=copy.folder, text_dir="txt", xml_dir="xml", image_dir="images",
            tag_column=1, types=source.types,
        )  # fmt: skip
        screen = Console(file=StringIO())
        assert prepare(copied, VinVL(folder=copy.folder / "vinvl"), screen) == 0
        assert [e.id for e in copy.examples] == [e.id for e in test]
        for now, was in zip(copy.examples, test, strict=True):
            assert [(e.type, len(e.boxes)) for e in now.entities] == [
                (e.type, len(e.boxes)) for e in was.entities
            ]
            assert now.size == was.size
        for split in ("train", "dev"):
            assert [(e.id, e.words, e.entities) for e in copied.read(split).examples] == [
                (e.id, e.words, e.entities) for e in source.read(split).examples
            ]
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in folder.iterdir()} >= {copy.how for copy in made.copies}


def test_the_unchanged_copy_is_the_original(original, by_how):
    source, regions = original
    for now, was in zip(by_how["original"].examples, source.read("test", regions).examples,
                        strict=True):  # fmt: skip
        assert (now.words, now.entities, now.size) == (was.words, was.entities, was.size)
        assert now.image.read_bytes() == was.image.read_bytes()
        assert (now.candidates.boxes == was.candidates.boxes).all()
        assert (now.candidates.scores == was.candidates.scores).all()
    assert by_how["original"].changed == 0


def test_another_seed_draws_others(original, by_how):
    source, _ = original
    test, train = source.read("test").examples, source.read("train").examples
    for how in ("swapped", "names"):
        one, two = ([e for e, _ in perturbed(how, test, train=train, seed=s)] for s in (1, 2))
        assert [(e.words, e.image) for e in one] != [(e.words, e.image) for e in two]


def test_a_swapped_picture_is_another_one_and_brings_its_candidates(original, by_how):
    test = by_how["original"].examples
    for example, now, donor in zip(
        test, by_how["swapped"].examples, perturb.donors(test, 1), strict=True
    ):
        assert donor.image.read_bytes() != example.image.read_bytes()
        scale = np.divide(example.size, donor.size)
        assert np.allclose(now.candidates.boxes, donor.candidates.boxes * [*scale, *scale])
        shown = open_image(donor.image).resize(example.size, Image.Resampling.BILINEAR)
        assert open_image(now.image).tobytes() == shown.tobytes()
        assert now.entities == example.entities
    assert by_how["swapped"].changed == len(test)


def test_detections_go_with_their_picture(original):
    source, regions = original
    vectors = [
        replace(e, candidates=replace(e.candidates, features=np.ones((len(e.candidates), 2)),
                                      classes=("thing",) * len(e.candidates)))
        for e in source.read("test", regions).examples
    ]  # fmt: skip
    for how in ("swapped", "mirrored"):
        for other, _ in perturbed(how, vectors, train=(), seed=1):
            assert other.candidates.features.all()
            assert set(other.candidates.classes) == {"thing"}
    for other, _ in perturbed("blank", vectors, train=(), seed=1):
        assert not other.candidates.features.any()
        assert other.candidates.classes is None


def test_too_few_pictures_are_refused(by_how):
    example = by_how["original"].examples[0]
    with pytest.raises(InputError, match="no other picture"):
        perturb.donors([example, replace(example, id="twin")], 1)


def test_a_blank_picture_is_the_grey_of_crops_and_keeps_its_candidates(by_how):
    assert perturb.GREY == BLANK
    for was, now in zip(by_how["original"].examples, by_how["blank"].examples, strict=True):
        assert open_image(now.image).getcolors() == [(was.size[0] * was.size[1], (BLANK,) * 3)]
        assert (now.candidates.boxes == was.candidates.boxes).all()


def test_boxes_and_candidates_are_mirrored_with_their_picture(by_how):
    for was, now in zip(by_how["original"].examples, by_how["mirrored"].examples, strict=True):
        assert ImageOps.mirror(open_image(now.image)).tobytes() == open_image(was.image).tobytes()
        for before, after in zip(was.entities, now.entities, strict=True):
            for (x1, y1, x2, y2), box in zip(before.boxes, after.boxes, strict=True):
                assert box == (was.size[0] - x2, y1, was.size[0] - x1, y2)
            if before.boxes:
                assert np.allclose(
                    pairwise_iou(was.candidates.boxes, before.boxes),
                    pairwise_iou(now.candidates.boxes, after.boxes),
                )


def test_names_are_unseen_of_one_type_and_keep_their_casing(original, by_how):
    source, _ = original
    seen = {w.casefold() for e in source.read("train").examples for w in e.words}
    given: dict[tuple[str, str], str] = {}
    moved = 0
    for was, now in zip(by_how["original"].examples, by_how["names"].examples, strict=True):
        for before, after in zip(was.entities, now.entities, strict=True):
            old, new = surface(was, before), surface(now, after)
            assert after.type == before.type
            assert set(new.casefold().split()) - seen
            assert (old.isupper(), old.islower()) <= (new.isupper(), new.islower())
            assert given.setdefault((before.type, old.casefold()), new.casefold()) == new.casefold()
            moved += (before.start, before.end) != (after.start, after.end)
        outside = [[w for n, w in enumerate(e.words) if not any(x.start <= n <= x.end
                    for x in e.entities)] for e in (was, now)]  # fmt: skip
        assert outside[0] == outside[1]
    assert moved, "names of another length move what follows"
    assert len(set(given.values())) == len(given), "no two names are given the same"


@pytest.mark.parametrize(
    ("type_", "first"), [("PER", "person"), ("person", "person"), ("athlete", "person"), ("X", "")]
)
def test_every_annotation_has_names_of_its_types(type_, first):
    example = Example(id="1", words=("MESSI", "and", "messi"),
                      entities=(Entity(0, 0, type_), Entity(2, 2, type_)))  # fmt: skip
    ((other, _),) = perturbed("names", [example], train=(), seed=1)
    upper, lower = (surface(other, entity) for entity in other.entities)
    assert upper.isupper()
    assert upper.lower() == lower
    if first:
        assert len(lower.split()) == 2


def test_a_text_that_could_not_be_annotated_stays():
    box = (0.0, 0.0, 5.0, 5.0)
    example = Example(id="1", words=("Bayern", "beat", "BAYERN"),
                      entities=(Entity(0, 0, "ORG", (box,)), Entity(2, 2, "ORG")))  # fmt: skip
    ((other, _),) = perturbed("lower", [example], train=(), seed=1)
    assert other.words == example.words
    ((other, _),) = perturbed("lower", [replace(example, entities=example.entities[:1])],
                              train=(), seed=1)  # fmt: skip
    assert other.words == ("bayern", "beat", "bayern")


def test_cue_words_against_one_test_a_word(original, by_how):
    source, _ = original
    train = [
        replace(e, words=(*e.words, *["Telltale"] * any(x.type == "LOC" for x in e.entities)))
        for e in source.read("train").examples
    ]
    cues = cue_words(train)
    assert "telltale" in cues
    kinds = sorted({(e.type, bool(e.boxes)) for x in train for e in x.entities})

    def outside(example):
        named = {n for e in example.entities for n in range(e.start, e.end + 1)}
        return {w.casefold() for n, w in enumerate(example.words) if n not in named}

    words = {word for example in train for word in outside(example)}
    for word in words:
        table = [Counter(), Counter()]
        for example in train:
            table[word in outside(example)].update(
                (e.type, bool(e.boxes)) for e in example.entities
            )
        counts = np.asarray([[row[kind] for kind in kinds] for row in table])
        p = 1.0
        if (counts.sum(axis=1) > 0).all():
            p = chi2_contingency(counts, correction=False, lambda_="log-likelihood").pvalue
        assert (word in cues) == (p * len(words) <= 0.05)
    masked = [e for e, _ in perturbed("cues", train, train=train, seed=1)]
    assert all(e.words[-1] == MASK for e, t in zip(masked, train, strict=True)
               if t.words[-1] == "Telltale")  # fmt: skip
    for now, was in zip(masked, train, strict=True):
        assert [surface(now, e) for e in now.entities] == [surface(was, e) for e in was.entities]


def test_without_pictures_only_words_are_perturbed(original, tmp_path):
    source, _ = original
    blind = replace(source, root=source.folder, world=None, image_dir="none", missing_image="blank")
    made = write_copies(blind, None, tmp_path)
    assert [copy.how for copy in made.copies] == ["original", *OF_WORDS]
    assert not made.saw_pixels


# Planted systems.


def text_only(copy):
    """Finds capitalised words; type and box come from the word, the size and nothing else."""
    answers = {}
    for example in copy.examples:
        width, height = example.size
        found = []
        for place, word in enumerate(example.words):
            if word[0].isupper():
                sort = sha256(word.encode()).digest()[0]
                box = (0.0, 0.0, float(width), float(height)) if sort % 2 else None
                found.append(Prediction(place, place, ("PER", "LOC", "ORG")[sort % 3], box))
        answers[example.id] = found
    return answers


def reader(copies, share):
    """Knows the text by heart; of a share of the pictures, mirrored or not, what they show."""
    known = {}
    for copy in copies:
        if copy.how in ("original", "mirrored"):
            for number, example in enumerate(copy.examples):
                if number < share * len(copy.examples):
                    content = open_image(example.image).tobytes()
                    known[content] = [entity.boxes for entity in example.entities]

    def answer(copy):
        answers = {}
        for example in copy.examples:
            nothing = [()] * len(example.entities)
            boxes = known.get(open_image(example.image).tobytes(), nothing)
            if len(boxes) != len(example.entities):
                boxes = nothing
            answers[example.id] = [
                Prediction(e.start, e.end, e.type, next(iter(own), None))
                for e, own in zip(example.entities, boxes, strict=True)
            ]
        return answers

    return answer


def audited(made, answer):
    counted = {c.how: tables(c.examples, answer(c), made.types) for c in made.copies}
    return {
        how: {(e.group, e.task): e for e in effects(counted["original"], after, resamples=200)}
        for how, after in counted.items()
    }


def test_text_alone_shows_exactly_nothing_and_a_reader_of_pictures_the_most(made):
    blind = audited(made, text_only)
    for how in OF_PICTURES:
        for effect in blind[how].values():
            delta = effect.delta
            assert (delta.value, delta.low, delta.high) == (0, 0, 0)
    assert blind["lower"][ALL, "mner"].after == 0  # it lives on capitals
    assert blind["original"][ALL, "mner"].before > 0
    half, oracle = (audited(made, reader(made.copies, share)) for share in (0.5, 1.0))
    for how in ("swapped", "blank"):
        for task in ("gmner", "eeg"):
            worst = oracle[how]["groundable", task]
            assert (worst.before, worst.after) == (1, 0), "no greater effect is possible"
            assert worst.delta.value == -1
            most, some = (one[how][ALL, task].delta for one in (oracle, half))
            assert most.value < some.value < 0
            assert most.high < 0
        assert oracle[how][ALL, "mner"].delta.value == 0
    for how in ("original", "mirrored", *OF_WORDS):
        assert all(effect.delta.value == 0 for effect in oracle[how].values())


# The statistic.


def scattered(examples, seed):
    """Answers that are right, half right and wrong in every way."""
    rng = random.Random(seed)
    answers = {}
    for example in examples:
        found = []
        for entity in example.entities:
            boxes = [*entity.boxes, None, (0.0, 0.0, 9.0, 9.0)]
            for _ in range(rng.choice((0, 1, 1, 1, 2))):
                type_ = entity.type if rng.random() < 0.7 else rng.choice(("PER", "ORG"))
                found.append(Prediction(entity.start, entity.end, type_, rng.choice(boxes)))
        if rng.random() < 0.3:
            found.append(Prediction(0, 0, "OTHER"))
        answers[example.id] = found
    return answers


def test_counts_add_up_to_the_scores_of_the_whole(made, by_how):
    examples = by_how["original"].examples
    answers = scattered(examples, 1)
    found = {
        cell: table.sum(axis=0) for cell, table in tables(examples, answers, made.types).items()
    }
    pairs = [(example, answers[example.id]) for example in examples]
    corpus, splits = score_corpus((e.entities, p) for e, p in pairs), strata(pairs)
    for task in ("gmner", "mner", "eeg"):
        counts = getattr(corpus.micro, task)
        assert [*found[ALL, task, "f1"]] == [counts.tp, counts.pred, counts.gold]
    for name, scores in corpus.per_type.items():
        for task in ("gmner", "mner"):
            counts = getattr(scores, task)
            assert [*found[name, task, "f1"]] == [counts.tp, counts.pred, counts.gold]
        assert [*found[name, "eeg", "recall"]][::2] == [scores.eeg_tp, scores.gmner.gold]
    for (name, has_box), side in zip(SIDES.items(), splits.sides, strict=True):
        for task in ("gmner", "eeg"):
            counts = getattr(side, task)
            assert [*found[name, task, "f1"]] == [counts.tp, counts.pred, counts.gold]
        mner = sum(
            r.mner for r in splits.recalls if r.split == "boxes" and (r.name != "none") is has_box
        )
        assert found[name, "mner", "recall"][0] == mner


def test_the_effect_against_a_bootstrap_of_the_examples_themselves(made, by_how):
    examples = by_how["original"].examples
    before, after = scattered(examples, 1), scattered(examples, 2)
    found = effects(*(tables(examples, one, made.types) for one in (before, after)))
    effect = next(e for e in found if (e.group, e.task) == (ALL, "gmner"))

    def f1(answers, drawn):
        documents = ((e.entities, answers[e.id]) for e in drawn)
        return score_corpus(documents).micro.gmner.f1

    assert effect.before == f1(before, examples)
    assert effect.delta.value == pytest.approx(f1(after, examples) - f1(before, examples))
    rng, draws = random.Random(1), []
    for _ in range(400):
        drawn = rng.choices(examples, k=len(examples))
        draws.append(f1(after, drawn) - f1(before, drawn))
    low, high = np.quantile(draws, (0.025, 0.975))
    width = high - low
    assert effect.delta.low == pytest.approx(low, abs=0.25 * width)
    assert effect.delta.high == pytest.approx(high, abs=0.25 * width)


def test_answers_to_other_examples_are_refused(made, by_how):
    examples = by_how["original"].examples
    with pytest.raises(ValueError, match="1 ids"):
        tables(examples, scattered(examples[1:], 1), made.types)


# The command.

SYSTEM = """
import json, pathlib, sys
assert sum(1 for _ in pathlib.Path(sys.argv[1]).open())
for line in sys.stdin:
    post = json.loads(line)
    assert set(post) == {"id", "words", "size", "image"}
    found = [{"start": n, "end": n, "type": "PER", "box": None}
             for n, word in enumerate(post["words"]) if word[0].isupper()]
    print(json.dumps({"id": post["id"], "entities": found}))
"""


def test_a_system_that_is_only_a_command(world, made, tmp_path, capsys):
    (tmp_path / "system.py").write_text(SYSTEM)
    stem = tmp_path / "out" / "shortcuts"
    data = [*WORLD, f"data.root={world}", f"cache={world}/cache"]
    place = made.copies[0].folder.parents[1]
    ends = ["--copies", str(place), "--out", str(stem), "--resamples", "50"]
    run = f"{sys.executable} {tmp_path}/system.py {{folder}}/{POSTS}"
    assert main([*data, *ends, "--command", run, "--label", "capitals"]) == 0
    assert "capitals" in capsys.readouterr().out
    (system,) = report.read(stem.with_suffix(".json")).systems
    assert [done.how for done in system.perturbed] == [*OF_PICTURES, *OF_WORDS]
    assert system.n == system.perturbed[0].changed == len(made.copies[0].examples)
    written = {path.name: path.read_bytes() for path in stem.parent.iterdir()}
    assert set(written) == {"shortcuts.json", "shortcuts.csv", "shortcuts.md", "shortcuts.png"}
    assert main(["--out", str(stem)]) == 0
    assert {path.name: path.read_bytes() for path in stem.parent.iterdir()} == written
    capsys.readouterr()
    assert main([*data, *ends, "--command", "false"]) == 2
    assert "exit code 1" in capsys.readouterr().err
    assert len([*place.iterdir()]) == 1, "copies that are there are taken"
    words = made.copies[0].examples[0].words
    assert not any(" ".join(words[:3]) in data.decode("latin-1") for data in written.values())


def test_a_folder_for_the_copies_must_be_named(capsys):
    with pytest.raises(SystemExit):
        main(["RUN"])
    assert "--copies" in capsys.readouterr().err


def test_seeds_of_one_method_share_a_row(made):
    one = report.System(
        label="a", seed=1, data="d", fingerprint="f", candidates=None, n=3, draws=1,
        perturbed=(report.Perturbed(how="lower", changed=2, effects=()),),
    )  # fmt: skip
    examples = made.copies[0].examples
    before = tables(examples, scattered(examples, 1), made.types)
    found = report.Shortcuts(systems=())
    values = []
    for seed in (1, 2):
        done = effects(before, tables(examples, scattered(examples, seed + 1), made.types))
        values.append(100 * done[0].delta.value)
        perturbed = (replace(one.perturbed[0], effects=done),)
        found = found.with_system(replace(one, seed=seed, perturbed=perturbed))
    table, _ = report.result_tables(found, "d")
    unchanged, lower = table.rows
    assert lower[3] == f"{np.mean(values):+.2f} ± {np.std(values, ddof=1):.2f} (2)"
    assert unchanged[3] == f"{100 * done[0].before:.2f} ± 0.00 (2)"


@pytest.mark.parametrize("path", sorted(RESULTS.glob("shortcuts_*.json")), ids=lambda p: p.stem)
def test_a_committed_table_is_made_of_its_figures(path):
    found = report.read(path)
    assert path.with_suffix(".md").read_text() == report.markdown(found)
    assert path.with_suffix(".csv").read_text() == report.rows_csv(found)
