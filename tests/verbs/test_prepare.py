from io import StringIO

import pytest
from rich.console import Console

from gmbench.data.regions.grid import Pyramid
from gmbench.data.regions.vinvl import VinVL
from gmbench.prepare import prepare
from tests.data.files import COARSE, dataset, real, source, thing, voc


def show(data, regions=None) -> tuple[int, str]:
    out = StringIO()
    return prepare(data, regions, Console(file=out, width=160)), out.getvalue()


def test_a_sound_data_set(tmp_path):
    data = source(dataset(tmp_path))
    code, text = show(data, Pyramid())
    assert code == 0
    assert "groundable entities" in text
    assert data.fingerprint() in text
    assert "2 dev examples repeat a train text exactly" in text
    assert "data.drop_leaked=true" in text
    assert "14.0 per image on 2 images, covering 1 of 1 groundable entities" in text
    assert "missing" not in text


def test_recall_of_candidates_stands_beside_other_sources_and_is_drawn(tmp_path):
    data = source(dataset(tmp_path))
    half = Pyramid(levels=[(0.5, 2)])
    out = StringIO()
    picture = tmp_path / "made" / "recall.png"
    prepare(
        data, Pyramid(), Console(file=out, width=160),
        label="grid", beside={"quarters": half}, picture=picture,
    )  # fmt: skip
    rows = [line.split() for line in out.getvalue().splitlines() if "k = 5" in line or "│ " in line]
    figures = {row[1]: row[3::2] for row in rows if row[1] in ("grid", "quarters")}
    assert figures["grid"][-1] == "100.0"
    assert len(figures["quarters"]) == 5
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_missing_folders(tmp_path):
    code, text = show(source(tmp_path / "nowhere"))
    assert code == 1
    assert "missing" in text
    assert "NUSTM" not in text
    assert "NUSTM/GMNER" in show(source(tmp_path / "nowhere", name="twitter_gmner"))[1]


def test_missing_images_and_candidates(tmp_path):
    root = dataset(tmp_path, images=["1"])
    code, text = show(source(root), VinVL(folder=tmp_path))
    assert code == 1
    assert f"missing 3 images in {root / 'images'} (2.jpg, d2.jpg, t2.jpg); add them" in text
    assert f"missing candidates of 3 images; {tmp_path / '1.jpg.npz'}: missing candidates" in text
    assert show(source(root, missing_image="blank"))[0] == 0


def test_bad_files_are_listed_one_a_line(tmp_path):
    xmls = {"1": "", "2": voc(thing("Eve"))}
    root = dataset(tmp_path, xmls=xmls)
    (root / "images" / "d1.jpg").write_bytes(b"[red]")
    code, text = show(source(root))
    assert code == 1
    bad = [line for line in text.splitlines() if line.startswith("bad ")]
    assert len(bad) == 3
    assert "1 dropped files" in text
    assert "1 dropped objects" in text
    assert show(source(root, bad_input="mask"))[0] == 0


def test_a_fault_of_the_text_is_one_line(tmp_path):
    root = dataset(tmp_path)
    (root / "txt" / "dev.txt").write_text("IMGID:1\nAda\tB-PRE\n")
    code, text = show(source(root))
    assert code == 1
    assert text.count("\n") == 1
    assert "dev.txt:2: unknown tag 'B-PRE'" in text
    assert "; did you mean B-PER?" in text


@pytest.mark.real_data
def test_the_real_annotations(shared):
    code, text = show(real(shared))
    assert code == 0
    for cell in ("16,772", "6,770", "8,148", "4 after normalisation", "7 after normalisation"):
        assert cell in text
    for tag in COARSE:
        assert tag in text
    assert show(real(shared, missing_image="error", limit=10))[0] == 1
