"""Export, load, predict: one file, so that one process trains its models once."""

import hashlib
import json
import os
import re
import shutil
import signal
import sys
from itertools import islice

import pytest
import torch
import yaml
from PIL import Image

import gmbench
from experiments.shortcuts.report import read
from experiments.studies.shortcuts import main as shortcuts
from gmbench.config.renames import original
from gmbench.config.trust import UntrustedTarget
from gmbench.core.errors import InputError
from gmbench.core.records import parse_record
from gmbench.export import main as export
from gmbench.predict import main as predict
from gmbench.reporting.record import read_result
from gmbench.scoring.files import read_predictions, write_predictions
from gmbench.serving.export import export_run
from gmbench.serving.model_folder import ExportRecord
from gmbench.serving.posts import post
from tests.faults.processes import ended, forked

PREDICTIONS = "predictions.test.jsonl"
DRAWN = "trained on drawn pictures and invented names: nothing is known of real posts"


def pictured(trained):
    """Posts of the split whose pictures are there."""
    return [p for p in trained.posts if p.image is not None]


# ---------------------------------------------------------------- as trained


@pytest.mark.parametrize("folder", ["run", "export"])
@pytest.mark.parametrize("model", ["mqspn", "qgn"])
def test_answers_are_those_of_the_run_to_the_last_bit(model, folder, request, tmp_path):
    trained = request.getfixturevalue(model)
    loaded = gmbench.load(getattr(trained, folder), device="cpu", regions=trained.regions)
    found = {a.post.id: a.predictions for a in loaded.answers(trained.posts, batch_size=16)}
    write_predictions(tmp_path / PREDICTIONS, found)
    assert sum(map(len, found.values())) > 10
    assert (tmp_path / PREDICTIONS).read_bytes() == (trained.run / PREDICTIONS).read_bytes()


def test_the_folder_carries_everything_and_no_path_of_this_machine(mqspn, place):
    path = mqspn.export / "export.json"
    record = parse_record(ExportRecord, path.read_bytes(), str(path))
    names = {p.relative_to(mqspn.export).as_posix() for p in mqspn.export.rglob("*") if p.is_file()}
    assert names == {*record.files, "export.json", "README.md"}
    assert "model.safetensors" in names
    assert list(record.types) == ["PER", "LOC", "ORG", "OTHER"]
    for name in names - {"model.safetensors"}:
        assert str(place) not in (mqspn.export / name).read_text(), name


def test_the_card_tells_data_protocol_seed_figures_and_limits(mqspn):
    card = (mqspn.export / "README.md").read_text()
    result = json.loads((mqspn.run / "result.json").read_text())
    mner = result["metrics"]["mner"]
    assert f"{mner['tp']} / {mner['pred']} / {mner['gold']}" in card
    assert f"{100 * mner['f1']:.2f} [" in card, "no interval beside the figure"
    for told in (result["data"]["fingerprint"], "strict 1.0", "seed 1", "test bed", "## Limits"):
        assert told in card
    assert f"- {DRAWN.capitalize()}." in card
    (model,) = yaml.safe_load(card.split("---\n")[1])["model-index"]
    (scored,) = model["results"]
    assert scored["dataset"]["revision"] == result["data"]["fingerprint"]
    found = {metric["name"]: metric["value"] for metric in scored["metrics"]}
    assert found["MNER F1"] == round(100 * mner["f1"], 2)
    assert list(found) == ["GMNER F1", "MNER F1", "EEG F1"]


def test_a_model_that_saw_no_picture_gives_boxes_only_when_asked(qgn, tmp_path):
    blind = tmp_path / "blind"
    shutil.copytree(qgn.run, blind)
    stored = json.loads((blind / "result.json").read_text())
    stored["data"]["saw_pixels"] = False
    stored["metrics"] |= {"gmner": None, "eeg": None, "gmner_macro_f1": None}
    for row in stored["metrics"]["per_type"].values():
        row |= {"gmner": None, "eeg_tp": None}
    (blind / "result.json").write_text(json.dumps(stored))
    asked = qgn.posts
    for boxes in (False, True):
        loaded = gmbench.load(blind, device="cpu", boxes=boxes)
        answers = list(loaded.answers(asked))
        assert all(any("trained without pictures" in n for n in a.notes) for a in answers)
        assert any(p.box for a in answers for p in a.predictions) is boxes


def test_loading_reads_nothing_shipped_and_leaves_the_random_numbers_alone(
    mqspn, tmp_path, monkeypatch
):
    monkeypatch.setattr("gmbench.nn.weights.SHIPPED", tmp_path)
    before = torch.random.get_rng_state()
    gmbench.load(mqspn.export, device="cpu")
    assert torch.equal(before, torch.random.get_rng_state())


# ---------------------------------------------------------------- audited


@pytest.mark.parametrize("name", ["mqspn", "qgn"])
def test_a_trained_run_is_audited(name, request, tmp_path, capsys):
    """It answers perturbed copies; and the unchanged one as in its own test."""
    run = request.getfixturevalue(name).run
    stem = tmp_path / "shortcuts"
    arguments = ["--copies", str(tmp_path / "copies"), "--out", str(stem), "--resamples", "50"]
    assert shortcuts([str(run), *arguments, "--device", "cpu"]) == 0
    assert "differ" not in capsys.readouterr().err
    (system,) = read(stem.with_suffix(".json")).systems
    assert system.label == {"mqspn": "mqspn, vinvl", "qgn": "qgn"}[name]
    metrics = read_result(run / "result.json").metrics
    for done in system.perturbed:
        whole = {e.task: e.before for e in done.effects if e.group == "all"}
        for task, value in whole.items():
            assert value == pytest.approx(getattr(metrics, task).f1)


# ---------------------------------------------------------------- strangers' folders


def change(folder, edit):
    """Edit config.yaml and make the folder's checksums fit: a stranger would."""
    path = folder / "config.yaml"
    config = yaml.safe_load(path.read_text())
    edit(config["model"])
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    record = json.loads((folder / "export.json").read_text())
    record["files"]["config.yaml"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "export.json").write_text(json.dumps(record))


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A module that leaves a mark when it is imported, in reach of this process."""
    marker = tmp_path / "it_ran"
    (tmp_path / "evil_module.py").write_text(
        f"from pathlib import Path\nPath({str(marker)!r}).touch()\n"
        "def build(**_):\n    pass\n"
        "from models.mqspn import MQSPN as _M\nclass Mine(_M):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield marker
    sys.modules.pop("evil_module", None)


@pytest.mark.parametrize(
    ("node", "target"),
    [
        ("network", "evil_module.build"),
        ("network", "os.system"),
        ("network", "builtins.exec"),
        ("network", "gmbench.run.os.system"),
        ("network", "gmbench.export.sys.exit"),
        ("network", "models.mqspn.model.torch.load"),
        ("network", "gmbench.core.files.write_atomically"),
        ("network", "gmbenchevil.Thing"),
        ("network.mqs.human_queries", "evil_module.build"),
        ("decode", "evil_module.build"),
        ("decode", "gmbench.engine.decode.os.system"),
        ("decode", ["os", "system"]),
    ],
)
def test_a_strangers_configuration_runs_no_foreign_code(node, target, copied, hostile, promise):
    def edit(model):
        *parents, last = node.split(".")
        for name in parents:
            model = model[name]
        model[last] = {**(model[last] or {}), "_target_": target}

    change(copied, edit)
    place = re.escape(f"config.yaml: model.{node}._target_")
    with pytest.raises(UntrustedTarget, match=place) as error:
        gmbench.load(copied)
    assert "\n" not in str(error.value)
    assert not hostile.exists()
    promise("R10", "hostile model folders and checkpoints refused, nothing run", 1)


def test_what_is_not_built_is_not_imported(copied, hostile):
    change(copied, lambda model: model["loss"].update(_target_="evil_module.build"))
    gmbench.load(copied, device="cpu")
    assert not hostile.exists()


def test_interpolations_are_refused(copied):
    change(copied, lambda model: model.update(name="${oc.env:HOME}"))
    with pytest.raises(UntrustedTarget, match="interpolation"):
        gmbench.load(copied)


def test_a_prefix_that_the_caller_names_is_trusted(copied, hostile):
    change(copied, lambda model: model["network"].update(_target_="evil_module.Mine"))
    with pytest.raises(UntrustedTarget, match="--trust"):
        gmbench.load(copied)
    loaded = gmbench.load(copied, device="cpu", trust=["evil_module"])
    assert loaded.predict(None, "Gorweny Hall") is not None


def test_a_hostile_checkpoint_is_not_unpickled(mqspn, tmp_path, promise):
    run = shutil.copytree(mqspn.run, tmp_path / "run")
    marker = tmp_path / "it_ran"

    class Hostile:
        def __reduce__(self):
            return (os.mkdir, (str(marker),))

    path = run / "checkpoints" / "best.ckpt"
    torch.save({"state_dict": Hostile()}, path)
    result = json.loads((run / "result.json").read_text())
    result["checkpoint"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (run / "result.json").write_text(json.dumps(result))
    with pytest.raises(InputError, match=r"best\.ckpt"):
        gmbench.load(run)
    assert not marker.exists()
    promise("R10", "hostile model folders and checkpoints refused, nothing run", 1)


def flip(folder):
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (flip, r"model\.safetensors: not the file that was exported"),
        (lambda f: (f / "config.yaml").unlink(), r"config\.yaml: missing"),
        (lambda f: (f / "export.json").write_text("{"), r"export\.json: not JSON"),
        (lambda f: (f / "export.json").unlink(), "neither an export"),
    ],
)
def test_a_damaged_folder_is_named_in_a_line(harm, message, copied):
    harm(copied)
    with pytest.raises(InputError, match=message):
        gmbench.load(copied)


# ---------------------------------------------------------------- export


def test_an_export_under_the_names_of_before_answers_the_same(copied):
    asked = post("Gorweny Hall stands")
    answer = gmbench.load(copied, device="cpu").answer(asked)
    change(copied, lambda model: model.update(original(model)))
    text = (copied / "config.yaml").read_text()
    assert "gmbench.engine.decode.Decoder" in text
    assert "mqs:" not in text
    assert gmbench.load(copied, device="cpu").answer(asked) == answer


def test_exporting_makes_a_new_folder_or_nothing(mqspn, tmp_path, capsys):
    assert export([str(mqspn.run), str(tmp_path / "new")]) == 0
    assert "bit for bit" in capsys.readouterr().out
    assert export([str(mqspn.run), str(tmp_path / "new")]) == 2
    assert "is there already" in capsys.readouterr().err
    assert export([str(mqspn.export), str(tmp_path / "other")]) == 2
    assert "exported already" in capsys.readouterr().err
    assert export([str(mqspn.run.parent), str(tmp_path / "other")]) == 2
    assert "there are runs below it" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_failure_leaves_nothing_behind(mqspn, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "model.safetensors")

    monkeypatch.setattr("gmbench.serving.export._compare", full)
    with pytest.raises(OSError, match="No space"):
        export_run(mqspn.run, tmp_path / "new")
    assert not list(tmp_path.iterdir())


@pytest.mark.fault
def test_after_a_kill_the_same_export_sweeps_and_succeeds(mqspn, tmp_path, monkeypatch):
    place = tmp_path / "place" / "new"
    with monkeypatch.context() as patched:
        patched.setattr(
            "gmbench.serving.export._compare", lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        )
        child = forked(lambda: export_run(mqspn.run, place), tmp_path / "error.txt")
        assert ended(child) == -signal.SIGKILL
    assert not place.exists()
    assert list(place.parent.glob(".new.*.tmp"))
    export_run(mqspn.run, place)
    assert list(place.parent.iterdir()) == [place]


# ---------------------------------------------------------------- predict in Python


@pytest.fixture(scope="module")
def loaded(mqspn):
    return gmbench.load(mqspn.export, device="cpu", regions=mqspn.regions)


def test_words_and_text_name_the_same_entities(loaded):
    text = "  Gorweny Hall,\tstill  stands"
    words = ["Gorweny", "Hall", ",", "still", "stands"]
    assert loaded.predict(None, text) == loaded.predict(None, words=text.split())
    assert loaded.predict(None, text, words=words) == loaded.predict(None, words=words)
    assert loaded.predict(None, text)


def test_without_picture_no_entity_has_a_box(mqspn, qgn):
    for trained in (mqspn, qgn):
        answer = gmbench.load(trained.export, device="cpu").answer(post("Gorweny Hall stands"))
        assert answer.predictions
        assert all(found.box is None for found in answer.predictions)
        assert answer.notes == ("no picture: no entity has a box", DRAWN)


def test_a_picture_in_memory_is_a_picture_in_a_file(qgn):
    asked = pictured(qgn)[0]
    loaded = gmbench.load(qgn.export, device="cpu")
    from_file = loaded.predict(asked.image, words=asked.words)
    with Image.open(asked.image) as image:
        assert loaded.predict(image, words=asked.words) == from_file
        assert loaded.predict(image.convert("RGBA"), words=asked.words) == from_file
    assert from_file


def test_a_picture_lying_on_its_side_is_read_upright(mqspn, tmp_path):
    loaded = gmbench.load(mqspn.export, device="cpu", regions="grid")
    with Image.open(pictured(mqspn)[0].image) as image:
        upright = image.convert("RGB")
    upright.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    straight = loaded.answer(post("Gorweny Hall", image=tmp_path / "upright.png"))
    turned = loaded.answer(post("Gorweny Hall", image=tmp_path / "turned.png"))
    assert turned.turned
    assert not straight.turned
    assert turned.size == straight.size == upright.size
    assert turned.predictions == straight.predictions


def test_a_bad_picture_is_an_error_alone_and_a_note_among_many(loaded, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"bad\.jpg: not an image"):
        loaded.predict(bad, "Gorweny Hall")
    posts = [post("Gorweny Hall", image=bad, id="a"), post("Gorweny Hall", id="b")]
    first, second = loaded.answers(posts)
    assert "not an image" in first.notes[0]
    assert first.predictions == second.predictions != ()


def test_a_bad_picture_in_memory_is_told_too(loaded, mqspn, tmp_path):
    with Image.open(pictured(mqspn)[0].image) as image:
        image.save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "half.png").write_bytes(content[: len(content) // 2])
    with (
        Image.open(tmp_path / "half.png") as half,
        pytest.raises(InputError, match="picture in memory cannot be read"),
    ):
        loaded.predict(half, "Gorweny Hall")


def test_a_sentence_beyond_the_encoder_is_told(loaded):
    with pytest.raises(InputError, match="at most 256"):
        loaded.predict(None, "word " * 400)
    long, short = loaded.answers([post("word " * 400), post("Gorweny Hall")])
    assert long.predictions == ()
    assert "at most 256" in long.notes[0]
    assert short.predictions


def test_a_stream_is_read_a_batch_at_a_time(loaded):
    asked = []

    def endless():
        while True:
            asked.append(len(asked))
            yield post("Gorweny Hall", id=str(len(asked)))

    answers = loaded.answers(endless(), batch_size=4)
    assert not asked
    assert [a.post.id for a in islice(answers, 5)] == ["1", "2", "3", "4", "5"]
    assert len(asked) == 8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"regions": "gird"}, "did you mean grid"),
        ({"num_regions": 0}, "at least 1"),
        ({"device": "cuda:99"}, "device 'cuda:99'"),
    ],
)
def test_what_cannot_be_used_is_told(settings, message, mqspn):
    with pytest.raises(ValueError, match=message) as error:
        gmbench.load(mqspn.export, **settings)
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------- predict on the command line


def test_one_post_is_a_line_of_json_and_a_picture(mqspn, tmp_path, capsys):
    asked = pictured(mqspn)[0]
    text = "Hm:  Gorweny Hall"
    arguments = [str(mqspn.export), "--image", str(asked.image), "--text", text]
    npz = mqspn.regions.folder / f"{asked.id}.jpg.npz"
    out = tmp_path / "overlay.png"
    assert predict([*arguments, "--regions", f"vinvl:{npz}", "--out", str(out)]) == 0
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert captured.err == f"note: {DRAWN}\n"
    assert answer["notes"] == [DRAWN]
    assert answer["words"] == ["Hm:", "Gorweny", "Hall"]
    assert tuple(answer["size"]) == asked.size
    assert answer["entities"]
    for entity in answer["entities"]:
        start, end = entity["chars"]
        assert text[start:end] == entity["text"]
    with Image.open(out) as picture:
        assert min(picture.size) > 200


def test_boxes_of_any_detector_are_candidates(mqspn, tmp_path, capsys):
    asked = pictured(mqspn)[0]
    path = tmp_path / "boxes.jsonl"
    path.write_text(json.dumps({"id": asked.image.stem, "boxes": [[1, 2, 30, 40]]}) + "\n")
    arguments = ["--image", str(asked.image), "--text", "Gorweny Hall", "--num-regions", "3"]
    assert predict([str(mqspn.export), *arguments, "--regions", f"jsonl:{path}"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert all(entity["box"] in (None, [1, 2, 30, 40]) for entity in answer["entities"])
    assert answer["notes"] == [DRAWN]


def test_a_stream_goes_on_after_a_bad_picture(mqspn, tmp_path, capsys):
    good = pictured(mqspn)[:2]
    shutil.copy(good[0].image, tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(b"")
    posts = [
        {"id": "a", "text": "Gorweny Hall", "image": "a.jpg"},
        {"id": "b", "words": ["Gorweny", "Hall"], "image": "b.jpg"},
        {"id": "c", "text": "Gorweny Hall", "image": "gone.jpg"},
        {"id": "d", "text": "Gorweny Hall"},
    ]
    path = tmp_path / "posts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in posts))
    assert predict([str(mqspn.export), "--input", str(path), "--batch-size", "3"]) == 0
    captured = capsys.readouterr()
    answers = [json.loads(line) for line in captured.out.splitlines()]
    assert [answer["id"] for answer in answers] == ["a", "b", "c", "d"]
    assert all(answer["entities"] for answer in answers)
    assert answers[0]["size"]
    assert "0 bytes" in answers[1]["notes"][0]
    assert "missing image" in answers[2]["notes"][0]
    assert answers[3]["notes"] == ["no picture: no entity has a box", DRAWN]
    assert "4 posts, 2 of them" in captured.err


def test_gold_lines_in_and_scorable_lines_out(mqspn, tmp_path, capsys):
    gold = tmp_path / "gold.jsonl"
    rows = [{"id": p.id, "words": p.words, "entities": []} for p in mqspn.posts[:3]]
    gold.write_text("".join(json.dumps(row) + "\n" for row in rows))
    images = mqspn.examples[0].image.parent
    arguments = ["--input", str(gold), "--images", str(images), "--format", "score"]
    assert predict([str(mqspn.export), *arguments]) == 0
    (tmp_path / "out.jsonl").write_text(capsys.readouterr().out)
    assert read_predictions(tmp_path / "out.jsonl", mqspn.examples[:3])


def test_a_folder_of_pictures_with_texts(mqspn, tmp_path, capsys):
    shutil.copy(pictured(mqspn)[0].image, tmp_path / "one.jpg")
    (tmp_path / "one.txt").write_text("Gorweny Hall\n")
    (tmp_path / "two.txt").write_text("Gorweny Hall\n")
    assert predict([str(mqspn.export), "--input", str(tmp_path)]) == 0
    one, two = map(json.loads, capsys.readouterr().out.splitlines())
    assert (one["id"], two["id"]) == ("one", "two")
    assert one["size"]
    assert two["size"] is None
    shutil.copy(tmp_path / "one.jpg", tmp_path / "three.jpg")
    assert predict([str(mqspn.export), "--input", str(tmp_path)]) == 2
    assert "three.jpg" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "a", "txt": "b"}', "unknown key 'txt'; did you mean text?"),
        ('{"id": "a", "text": "x", "words": ["y"]}', "word 0 ('y') does not stand in the text"),
    ],
)
def test_a_bad_line_is_told_with_its_number(line, message, mqspn, tmp_path, capsys):
    path = tmp_path / "posts.jsonl"
    good = '{"id": "ok", "text": "caf\\ud83d"}'
    path.write_text(f"{good}\n{line}\n{good}\n")
    assert predict([str(mqspn.export), "--input", str(path)]) == 2
    captured = capsys.readouterr()
    answers = [json.loads(row) for row in captured.out.splitlines()]
    assert [answer["text"] for answer in answers] == ["caf\ufffd"] * 2
    told, summary, note = captured.err.splitlines()
    assert note == f"note: {DRAWN}"
    assert summary == "2 posts, 1 more left out: no posts"
    assert told.startswith(f"{path}:2: ")
    assert message in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["DIR"], "nothing to read"),
        (["DIR", "--text", "a", "--input", "b"], "takes the place"),
        (["DIR", "--input", "/nowhere.jsonl"], "--input: /nowhere.jsonl: no such file"),
        (["DIR", "--input", ".", "--out", "a.png"], "--out draws one post"),
        (["DIR", "--text", "  "], "the text has no word"),
        (["DIR", "--text", "a", "--image", "/no.jpg"], "/no.jpg: no such file"),
        (["DIRr", "--text", "a"], "no such folder; did you mean"),
    ],
)
def test_a_bad_command_is_one_line(arguments, message, mqspn, capsys):
    first = arguments[0].replace("DIR", str(mqspn.export))
    assert predict([first, *arguments[1:]]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (told,) = captured.err.splitlines()
    assert message in told
