"""gmbench.score as a user types it: golden cases, faults in one line, speed, order, formats."""

import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gmbench.core.entities import Box, Entity, Example, Prediction
from gmbench.score import gold_of_folder, main
from gmbench.scoring.counting import TASKS
from gmbench.scoring.files import write_gold, write_predictions
from tests.conftest import REPOSITORY
from tests.scoring.documents import random_document
from tests.stopwatch import cpu_seconds

BOX: Box = (1.0, 2.0, 30.0, 40.0)


def run(*arguments: object, seed: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gmbench.score", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    """The JSON object that the verb prints, in this process."""
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def corpus(count: int, seed: int = 3) -> tuple[list[Example], dict[str, list[Prediction]]]:
    rng = random.Random(seed)
    examples, predictions = [], {}
    for number in range(count):
        gold, pred = random_document(rng)
        words = ("w0", "w1", "w2", "w3")
        gold = [
            replace(e, boxes=tuple(b for b in e.boxes if b[0] < b[2] and b[1] < b[3])) for e in gold
        ]
        examples.append(Example(f"t{number}", words, tuple(gold), size=(50, 50)))
        predictions[f"t{number}"] = pred
    return examples, predictions


def write(
    folder: Path, examples: list[Example], predictions: dict[str, list[Prediction]] | str
) -> tuple[Path, Path]:
    """Gold and predictions as files; predictions may be the text of theirs."""
    gold, pred = folder / "g.jsonl", folder / "p.jsonl"
    write_gold(gold, examples)
    if isinstance(predictions, str):
        pred.write_text(predictions)
    else:
        write_predictions(pred, predictions)
    return gold, pred


def example(*words: str, type: str = "PER", boxes: tuple[Box, ...] = (BOX,)) -> list[Example]:
    """One tweet whose first word is an entity."""
    return [Example("7", words, (Entity(0, 0, type, boxes),))]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Gold and predictions of 200 random tweets."""
    return write(tmp_path, *corpus(200))


# ---------------------------------------------------------------- golden cases


def test_golden_cases_one_by_one(shared, capsys):
    path = shared / "golden" / "cases_public.jsonl"
    assert main(["--cases", str(path), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    cases = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(cases) > 30
    assert rows == [{"id": case["id"], **case["expected"]} for case in cases]


def test_golden_corpus(shared, capsys):
    found = told(capsys, "--cases", shared / "golden" / "cases_public.jsonl", "--corpus")
    expected = json.loads((shared / "golden" / "corpus_public.json").read_text())
    for task in ("gmner", "mner"):
        macro = expected[task].pop("macro_f1")
        assert found[task].pop("macro_f1") == pytest.approx(macro, abs=1e-15)
    assert {key: found[key] for key in expected} == expected
    assert (found["protocol"], found["version"]) == ("strict", "1.0")


def test_cases_for_people(shared, capsys):
    path = shared / "golden" / "cases_public.jsonl"
    assert main(["--cases", str(path)]) == 0
    out = capsys.readouterr().out
    assert "duplicate_box-004  GMNER 1/3/2  MNER 1/3/2  EEG 1/3/2" in out
    assert "40 cases" in out
    assert "Protocol strict 1.0, IoU >= 0.5" in out
    assert main(["--cases", str(path), "--corpus"]) == 0
    assert "40/94/78" in capsys.readouterr().out


# ---------------------------------------------------------------- what is printed


def test_one_object_with_the_keys_that_were_promised(files, capsys):
    found = told(capsys, *files)
    for task in TASKS:
        assert set(found[task]) >= {"tp", "pred", "gold", "precision", "recall", "f1"}
    assert set(found) >= {*TASKS, "per_type", "protocol", "version"}
    assert "intervals" not in found
    with_intervals = told(capsys, *files, "--resamples", 200)
    low, high = with_intervals["intervals"]["gmner"]["f1"]
    assert low < found["gmner"]["f1"] < high
    assert with_intervals["intervals"]["resamples"] == 200


def test_tables_name_protocol_intervals_types_and_splits(files, capsys):
    assert main([*map(str, files), "--resamples", "99"]) == 0
    out = capsys.readouterr().out
    assert out.count("Protocol strict 1.0, IoU >= 0.5") == 3
    for text in ("GMNER", "MNER", "EEG", "95 % BCa intervals", "99 resamples", "macro F1"):
        assert text in out
    for text in ("PER", "groundable", "ungroundable", "several", "small", "3 or more"):
        assert text in out
    assert main([*map(str, files), "--resamples", "0", "--train", str(files[0])]) == 0
    out = capsys.readouterr().out
    assert "BCa" not in out
    assert "unseen" in out


def test_other_protocols_print_their_own_rule(files, capsys):
    assert main([*map(str, files), "--protocol", "hindex", "--resamples", "9"]) == 0
    out = capsys.readouterr().out
    assert out.count("Protocol hindex 1.0, IoU > 0.5") == 2
    assert "strict" not in out
    found = told(capsys, *files, "--protocol", "hindex")
    assert found["protocol"] == "hindex"
    assert "strata" not in found


def test_a_higher_threshold(files, capsys):
    half, nearly = told(capsys, *files), told(capsys, *files, "--iou", 0.9)
    assert nearly["gmner"]["tp"] < half["gmner"]["tp"]
    assert nearly["mner"] == half["mner"]


def test_mqspn_needs_candidates(tmp_path, capsys):
    predictions = {"7": [Prediction(0, 0, "PER", BOX, region=2)]}
    arguments = (*write(tmp_path, example("Kevin", "wins"), predictions), "--protocol", "mqspn")
    assert main([*map(str, arguments)]) == 2
    assert "'7': protocol mqspn compares indices of ranked" in capsys.readouterr().err
    regions = tmp_path / "c.jsonl"
    regions.write_text('{"id": "7", "boxes": [[50, 50, 60, 60], [1, 2, 30, 40]]}\n')
    assert told(capsys, *arguments, "--candidates", regions)["gmner"]["tp"] == 1


def test_lost_points_stand_below_the_scores(tmp_path, capsys):
    examples, predictions = corpus(40)
    gold, pred = write(tmp_path, examples, predictions)
    boxes = tmp_path / "candidates.jsonl"
    lines = [
        {"id": e.id, "boxes": [BOX, *(e.entities[0].boxes if e.entities else ())]} for e in examples
    ]
    boxes.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with_candidates = (gold, pred, "--lost", "--candidates", boxes)
    lost = told(capsys, *with_candidates)["lost"]
    assert sum(part["errors"] for part in lost["parts"].values()) + 2 * lost["tp"] == (
        lost["pred"] + lost["gold"]
    )
    fewer = told(capsys, *with_candidates, "--num-regions", 1)["lost"]
    assert fewer["parts"]["candidates"]["errors"] > lost["parts"]["candidates"]["errors"]
    assert main([*map(str, with_candidates), "--resamples", "99"]) == 0
    shown = capsys.readouterr().out
    assert "no candidate" in shown
    assert "have a candidate" in shown.replace("\n", " ")


def test_labels_are_ranked_one_a_line(tmp_path, capsys):
    examples, predictions = corpus(30)
    gold, pred = write(tmp_path, examples, predictions)
    other = tmp_path / "other" / "p.jsonl"
    other.parent.mkdir()
    write_predictions(other, predictions | {examples[0].id: []})
    files = ("--labels", gold, pred, other)
    assert main([*map(str, files), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    suspects = [line for line in lines if line["kind"] != "ranking"]
    assert {line["kind"] for line in suspects} == {"span", "type", "region"}
    assert all(line["words"] == ["w0", "w1", "w2", "w3"] for line in suspects)
    assert next(line["first"] for line in lines if line["kind"] == "ranking") == 0
    assert main([*map(str, files)]) == 0
    shown = capsys.readouterr().out
    assert "Labels that most of 2 systems are against" in shown
    assert "GMNER F1 and rank" in shown


def test_types_are_folded(tmp_path, capsys):
    examples, predictions = example("Kevin", type="athlete"), {"7": [Prediction(0, 0, "actor")]}
    files = write(tmp_path, examples, predictions)
    assert told(capsys, *files, "--types", "fine")["mner"]["tp"] == 0
    found = told(capsys, *files, "--types", "coarse")
    assert found["mner"]["tp"] == 1
    assert list(found["per_type"]["mner"]) == ["person"]
    cases = tmp_path / "c.jsonl"
    gold = {"start": 0, "end": 0, "type": "athlete", "boxes": []}
    cases.write_text(json.dumps({"id": "7", "gold": [gold], "pred": [{**GOOD, "type": "actor"}]}))
    assert told(capsys, "--cases", cases)["mner"]["tp"] == 0
    assert told(capsys, "--cases", cases, "--types", "coarse")["mner"]["tp"] == 1


def test_candidates_from_a_folder_of_vinvl(tmp_path, capsys):
    text = '{"id": "7", "entities": [{"text": "Kevin", "type": "PER", "region": 1}]}\n'
    files = write(tmp_path, example("Kevin"), text)
    arguments = (*files, "--from", "index", "--none", 16, "--candidates", tmp_path)
    assert main([*map(str, arguments)]) == 2
    assert "7.jpg.npz: missing candidates" in capsys.readouterr().err
    boxes = np.array([(50, 50, 60, 60), BOX], dtype=np.float32)
    np.savez(tmp_path / "7.jpg.npz", bounding_boxes=boxes, num_boxes=2)
    assert told(capsys, *arguments)["gmner"]["tp"] == 1


def test_pred_as_the_key_of_the_list(tmp_path, capsys):
    files = write(tmp_path, example("Kevin"), json.dumps({"id": "7", "pred": [GOOD]}))
    assert told(capsys, *files)["mner"]["tp"] == 1


def test_another_systems_format(tmp_path, capsys):
    text = '{"id": "7", "entities": [{"text": "York", "type": "LOC", "region": 0}]}\n'
    files = write(tmp_path, example("York", "or", "York", type="LOC"), text)
    regions = tmp_path / "c.jsonl"
    regions.write_text('{"id": "7", "boxes": [[1, 2, 30, 40]]}\n')
    arguments = (*files, "--from", "index", "--candidates", regions, "--none", 16, "--json")
    assert main([*map(str, arguments)]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["gmner"]["tp"] == 1
    assert captured.err.startswith("note: ")
    assert "'York' is ambiguous" in captured.err


# ---------------------------------------------------------------- faults

GOOD = {"start": 0, "end": 0, "type": "PER", "box": None}


def fault(id_: str = "a", **changes: object) -> str:
    return json.dumps({"id": id_, "entities": [{**GOOD, **changes}]})


EMPTY = '{"id": "b", "entities": []}'
FAULTS = {  # tests/scoring/test_files.py has them all
    "an id missing": ([fault()], "1 of 2 ids of the gold data are missing: b"),
    "a malformed line": ([fault(), '{"id": "b", '], "p.jsonl:2: not JSON"),
    "a span outside": ([fault(end=2), EMPTY], "id 'a': entities[0]: span 0..2 lies outside"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_one_line_and_exit_code_2(name, tmp_path, capsys):
    lines, message = FAULTS[name]
    files = write(tmp_path, [Example("a", ("x", "y")), Example("b", ("z",))], "\n".join(lines))
    for extra in ([], ["--json"]):
        assert main([*map(str, files), *extra]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        assert message in captured.err
        assert str(files[1]) in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["only.jsonl"], "expected GOLD and PRED, got 1 files"),
        (["--gold-root", "x", "a", "b"], "expected PRED, got 2 files"),
        (["a", "b", "--protocol", "macro"], "invalid choice: 'macro'"),
        (["a", "b", "--iou", "0"], "--iou must lie in"),
        (["a", "b", "--iou", "0.7", "--protocol", "hindex"], "be 0.5 under another protocol"),
        (["a", "b", "--resamples", "-1"], "--resamples"),
        (["a", "b", "--corpus"], "--corpus belongs to --cases"),
        (["a", "b", "--num-regions", "5"], "--num-regions cuts the list of --candidates"),
        (["a", "b", "--lost", "--protocol", "hindex"], "--lost is defined for the protocol strict"),
        (["a", "b", "--split", "dev"], "--split belongs to --gold-root"),
        (["a", "--gold-root", "r", "--train", "t"], "--train does not belong to --gold-root"),
        (["--labels", "gold", "one"], "--labels needs GOLD and PRED and more PREDs"),
        (["--labels", "g", "p", "q", "--iou", "0.6"], "--iou does not belong to --labels"),
        (["--cases", "c", "--from", "llm"], "--from does not belong to --cases"),
        (["--verify", "r", "--protocol", "hindex"], "--protocol does not belong to --verify"),
        (["--compare", "r", "s", "--iou", "0.6"], "--iou does not belong to --compare"),
        (["--audit", "t", "--iou", "0.6"], "--iou does not belong to --audit"),
        (["--audit", "gone.csv"], "gone.csv: No such file or directory"),
        (["a", "--cases", "c"], "--cases takes no other file, got a"),
        (["--cases", "c", "--verify", "r"], "not allowed with argument"),
        (["gone.jsonl", "b"], "gone.jsonl: No such file or directory"),
        (["--verify", "gone"], "gone/result.json: no such file"),
        (["--compare", "gone", "too"], "gone: no result.json"),
    ],
)
def test_a_wrong_command_is_one_line(arguments, message, capsys):
    try:
        code: object = main(arguments)
    except SystemExit as end:  # what argparse does
        code = end.code
    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (2, 1)
    assert message in error


def test_a_published_table_is_audited(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("system,task,P,R,F1\na,gmner,50.00,60.00,53.00\n")
    found = told(capsys, "--audit", path)
    assert [flag["flag"] for flag in found["flags"]] == ["inconsistent"]
    assert (found["rows"], found["readings"]) == (1, {"a GMNER": "???"})


def test_every_table_has_a_signature_that_is_read_back(files, capsys):
    assert main([*map(str, files), "--resamples", "9", "--types", "fine"]) == 0
    lines = capsys.readouterr().out.splitlines()
    signatures = [line for line in lines if line.startswith("strict1.0|")]
    assert len(signatures) == sum(line.startswith("╰") for line in lines) == 3
    parts = told(capsys, "--signature", signatures[0])
    assert (parts["n"], parts["split"], parts["types"]) == (200, "file", "fine")
    assert told(capsys, *files, "--types", "fine")["signature"] == signatures[0]
    assert main(["--signature", "strict1.0|iou0.5"]) == 2
    assert "part 3 should be tasks" in capsys.readouterr().err


def test_a_case_that_is_malformed(tmp_path, capsys):
    path = tmp_path / "c.jsonl"
    path.write_text('{"id": "x", "gold": [], "pred": [{"start": 2, "end": 1}]}\n')
    assert main(["--cases", str(path), "--json"]) == 2
    assert "c.jsonl:1: id 'x': pred[0]: key 'type' is missing" in capsys.readouterr().err


# ---------------------------------------------------------------- order, speed, start


def test_order_and_hash_seeds_change_no_byte(tmp_path):
    examples, predictions = corpus(60)
    rng = random.Random(0)
    outputs: dict[str, set[str]] = {"--json": set(), "--train": set()}
    for seed in ("0", "2718"):
        mixed = [
            replace(e, entities=tuple(rng.sample(e.entities, len(e.entities))))
            for e in rng.sample(examples, len(examples))
        ]
        shuffled = {
            id_: rng.sample(predictions[id_], len(predictions[id_]))
            for id_ in rng.sample(list(predictions), len(predictions))
        }
        keys = ("start", "end", "type", "box")
        rows = [
            {"id": id_, "entities": [{key: getattr(p, key) for key in keys} for p in guesses]}
            for id_, guesses in shuffled.items()
        ]
        gold, pred = write(tmp_path, mixed, "\n".join(map(json.dumps, rows)))
        for mode in outputs:
            extra = ["--json"] if mode == "--json" else [mode, str(gold)]
            done = run(gold, pred, "--resamples", 500, *extra, seed=seed)
            assert done.returncode == 0, done.stderr
            outputs[mode].add(done.stdout)
    assert {mode: len(texts) for mode, texts in outputs.items()} == {"--json": 1, "--train": 1}


def test_1500_tweets_in_a_second_and_intervals_in_five(tmp_path):
    gold, pred = write(tmp_path, *corpus(1_500))
    setup = "from gmbench.score import main"
    plain = [str(gold), str(pred), "--json"]
    assert cpu_seconds(setup, f"assert main({plain}) == 0", below=1) < 1
    resampled = [*plain, "--resamples", "9999"]
    assert cpu_seconds(setup, f"assert main({resampled}) == 0", below=5) < 5


def test_it_starts_at_once_and_without_torch():
    assert cpu_seconds("", "from gmbench.score import main", below=1) < 1
    heavy = {"torch", "lightning", "transformers", "hydra", "matplotlib", "scipy", "pydantic"}
    code = f"import sys, gmbench.score; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, timeout=60)
    assert run("--help").returncode == 0


# ---------------------------------------------------------------- the real test split


@pytest.fixture(scope="module")
def real_gold(shared: Path) -> tuple[Example, ...]:
    return gold_of_folder(shared / "data" / "twitter_gmner", "test", None, None).examples


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("gold", (100.0, 100.0, 100.0)),
        ("none", (58.87, 100.0, 58.87)),
        ("full", (70.98, 100, 70.98)),
    ],
)
def test_the_real_test_split(answer, expected, real_gold, shared, tmp_path, capsys):
    def region(example: Example, entity: Entity) -> Box | None:
        if answer == "none" or not entity.boxes:
            return None
        if answer == "gold":
            return entity.boxes[-1]
        assert example.size is not None
        return 0.0, 0.0, float(example.size[0]), float(example.size[1])

    write_predictions(
        tmp_path / "p.jsonl",
        {
            e.id: [Prediction(x.start, x.end, x.type, region(e, x)) for x in e.entities]
            for e in real_gold
        },
    )
    root = shared / "data" / "twitter_gmner"
    found = told(capsys, "--gold-root", root, tmp_path / "p.jsonl")
    assert tuple(round(100 * found[task]["f1"], 2) for task in TASKS) == expected
    assert found["gmner"]["gold"] == 2543
    assert {name: row["gold"] for name, row in found["strata"]["found"]["boxes"].items()} == {
        "none": 1497,
        "one": 943,
        "several": 103,
    }


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("types", "text_dir", "count"), [("fine", None, 51), ("coarse", "txt_fine", 8), (None, None, 4)]
)
def test_types_of_a_folder(types, text_dir, count, shared):
    gold = gold_of_folder(shared / "data" / "twitter_gmner", "test", text_dir, types)
    assert len({x.type for e in gold.examples for x in e.entities}) in (count, count - 1)
    assert gold.train_names
    assert sum(len(e.entities) for e in gold.examples) > 2500
