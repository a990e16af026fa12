"""The table of promises adds up what tests of several files found."""

from types import SimpleNamespace

from tests.promises import KEY, added_up


def report(file: str, *found: list[object]) -> SimpleNamespace:
    properties = [(KEY, list(entry)) for entry in found] + [("other", 1)]
    return SimpleNamespace(nodeid=f"{file}::test", user_properties=properties)


def test_counts_are_added_and_texts_named_once():
    rows = added_up(
        [
            report("b.py", ["R10", "places", 0, 12]),
            report("a.py", ["R2", "kills", 40, 50], ["R2", "left behind", "0", "0"]),
            report("c.py", ["R2", "kills", 1_000, 1_000], ["R2", "left behind", "0", "0"]),
        ]
    )
    assert rows == [
        ("R2", "kills", "1,040 of 1,050", "a.py, c.py"),
        ("R2", "left behind", "0", "a.py, c.py"),
        ("R10", "places", "0 of 12", "b.py"),
    ]
