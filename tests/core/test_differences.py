"""Every leaf that differs is named by its keys."""

import pytest

from gmbench.core.records import differences


@pytest.mark.parametrize(
    ("stored", "found", "lines"),
    [
        ({"a": 1, "b": [1, {"c": 2.0}]}, {"a": 1.0, "b": [1, {"c": 2}]}, []),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b: stored 1, found 2"]),
        ({"a": [1, 2]}, {"a": [1, 3]}, ["a[1]: stored 2, found 3"]),
        ({"a": [1, 2]}, {"a": [1]}, ["a: stored [1, 2], found [1]"]),
        ({"a": 1}, {"b": 1}, ["a: stored 1, found nothing", "b: stored nothing, found 1"]),
        ({"a": None}, {"a": {"b": 1}}, ["a: stored None, found {'b': 1}"]),
        ({"a": True}, {"a": 1}, ["a: stored True, found 1"]),
        (0.1 + 0.2, 0.3, [": stored 0.30000000000000004, found 0.3"]),
    ],
)
def test_differences(stored: object, found: object, lines: list[str]) -> None:
    assert differences(stored, found) == lines


def test_a_tolerance_is_for_floats_only() -> None:
    assert differences({"a": 0.1 + 0.2}, {"a": 0.3}, tolerance=1e-9) == []
    assert differences({"a": 0.0}, {"a": 1e-12}, tolerance=1e-9) == []
    assert differences({"a": 0.3}, {"a": 0.301}, tolerance=1e-9) == ["a: stored 0.3, found 0.301"]
    assert differences({"a": 10**12}, {"a": 10**12 + 1}, tolerance=1e-9) != []
