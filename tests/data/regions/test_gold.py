from gmbench.data.regions.gold import GoldBoxes

OBJECT = """<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>
<ymax>{}</ymax></bndbox></object>"""


def test_every_annotated_box_is_a_candidate_once_the_largest_first(tmp_path):
    objects = [OBJECT.format(*row) for row in (("A", 1, 1, 5, 5), ("A", 2, 2, 40, 30))]
    objects.append(OBJECT.format("B", 1, 1, 5, 5))
    (tmp_path / "1.xml").write_text(f"<annotation>{''.join(objects)}</annotation>")
    source = GoldBoxes(folder=str(tmp_path))
    assert source.files("1") == (tmp_path / "1.xml",)
    assert source(id="1", image=None, size=(50, 50)).boxes.tolist() == [
        [2, 2, 40, 30],
        [1, 1, 5, 5],
    ]
    assert source(id="2", image=None, size=(50, 50)).boxes.shape == (0, 4)
