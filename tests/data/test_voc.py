import time

import pytest

from gmbench.core.errors import InputError
from gmbench.data.voc import check_name, read_voc
from tests.data.files import assert_cheap, thing, voc


def read(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "7.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return read_voc(path)


def test_boxes_are_kept_as_they_stand(tmp_path):
    found = read(tmp_path, voc(thing("Ada Byron", (1, 1, 100, 80)) + thing("Ada Byron")))
    assert found.size == (100, 80)
    assert [item.box for item in found.objects] == [(1, 1, 100, 80), (10, 10, 50, 40)]
    assert all(isinstance(side, float) for item in found.objects for side in item.box)
    assert found.faults == ()


def test_fractions_of_a_pixel_are_kept_as_cvat_and_voc2012_write_them(tmp_path):
    found = read(tmp_path, voc(thing("Ada", ("1.5", "45.70000076293945", "50.0", "+60"))))
    assert [item.box for item in found.objects] == [(1.5, 45.70000076293945, 50, 60)]
    assert found.faults == ()


def test_no_size_and_no_object_are_allowed(tmp_path):
    assert read(tmp_path, voc(size=None)) == read(tmp_path, "<annotation/>")


def test_broken_html_of_the_tokens_survives(tmp_path, promise):
    found = read(tmp_path, voc(thing("AT &amp ; T")))
    assert found.objects[0].name == "AT &amp ; T"
    promise("R6", "bad and odd files classified with the right reason", 1)


def test_utf_16_with_a_byte_order_mark(tmp_path, promise):
    text = '<?xml version="1.0" encoding="utf-16"?>' + voc(thing("Beyoncé ✨"))
    assert read(tmp_path, text, "utf-16").objects[0].name == "Beyoncé ✨"
    promise("R6", "bad and odd files classified with the right reason", 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "0 bytes"),
        (voc(thing("Ada"))[:-40], "not well-formed"),
        ("\x00\x01\x02 no xml", "not well-formed"),
        ("<html></html>", "expected <annotation>"),
        ('<?xml version="1.0" encoding="no-such"?><annotation/>', "not"),
        ("<annotation>" + "<a>" * 40 + "</a>" * 40 + "</annotation>", "levels"),
        ("<annotation>" + "x" * 1_000_001 + "</annotation>", "1 MB"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, text, why):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / '7.xml'}:")
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ("<object><name>Ada</name></object>", "0 <bndbox>"),
        (thing("Ada", (50, 10, 10, 40)), "no area"),
        (thing("Ada", (10, 10, 10, 40)), "no area"),
        (thing("Ada", (10, 40, 50, 40)), "no area"),
        (thing("Ada", (10, 10, 50, 81)), "leaves the image of 100x80"),
        (thing("Ada", (10, 10, 101, 40)), "leaves the image of 100x80"),
        (thing("Ada", (-1, 10, 50, 40)), "leaves the image"),
        (thing("Ada", ("1,5", 10, 50, 40)), "<xmin> '1,5'; boxes are numbers of pixels"),
        (thing("Ada", ("nan", 10, 50, 40)), "<xmin> 'nan'"),
        (thing("Ada", ("9" * 5000, 10, 50, 40)), "<xmin> '9999"),
        (thing("Ada", (10.5, 10, 10.5, 40)), "no area: xmin 10.5"),
        (thing("Ada", (10, 10, 100.01, 40)), "leaves the image of 100x80"),
        (thing("Ada", (10, 10, 50, "")), "<ymax> ''"),
        (thing("Ada", (1, 2, 3, 4)) + thing("Ada", (1, 2, 3, 4)), "twice"),
        (thing(""), "no <name>"),
    ],
)
def test_objects_with_a_fault_are_left_out_and_told(tmp_path, objects, why):
    good = thing("Bob", (5, 5, 9, 9))
    found = read(tmp_path, voc("\n\n" + objects + "\n" + good))
    assert found.objects[-1].name == "Bob"
    assert len(found.faults) == 1
    assert str(found.faults[0]).startswith(f"{tmp_path / '7.xml'}:3: ")
    assert why in str(found.faults[0])


def test_a_name_that_the_text_does_not_have(tmp_path):
    found = read(tmp_path, voc(thing("Ada  Byron") + thing("Bob")))
    first, second = found.objects
    with pytest.raises(InputError, match=r"no entity named 'Ada Byron' .* spaces differ"):
        check_name(tmp_path / "7.xml", first, {"Ada Byron", "Bob"})
    check_name(tmp_path / "7.xml", second, {"Ada Byron", "Bob"})


BOMBS = {
    "laughs": '<!DOCTYPE a [<!ENTITY a "ha">'
    + "".join(
        f'<!ENTITY {n} "{f"&{p};" * 10}">' for p, n in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]><annotation>&i;</annotation>",
    "quadratic": f'<!DOCTYPE a [<!ENTITY a "{"x" * 50_000}">]>'
    f"<annotation>{'&a;' * 2000}</annotation>",
    "file": '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotation>&a;</annotation>',
    "dtd": '<!DOCTYPE annotation SYSTEM "http://127.0.0.1/x.dtd"><annotation/>',
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_document_type_is_refused_at_once(tmp_path, bomb, promise):
    began = time.process_time()
    with pytest.raises(InputError, match=r"7.xml:1: has a document type"):
        read(tmp_path, BOMBS[bomb])
    assert time.process_time() - began < 0.1
    promise("R7", "hostile xml files refused", 1)


def test_bombs_cost_no_memory(tmp_path):
    for name, text in BOMBS.items():
        (tmp_path / f"{name}.xml").write_text(text)
    assert_cheap("from gmbench.data.voc import read_voc as read", tmp_path)
