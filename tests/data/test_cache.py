"""What is kept on disk is used only if it is what was written."""

import os
import resource

import numpy as np
import pytest

from gmbench.core.errors import InputError
from gmbench.data.cache import kept
from tests.data.test_batches import counting, examples, features_of, mean_colour

__all__ = ["examples"]  # a fixture

DAMAGES = {
    "a flipped byte": lambda data: data[:140] + bytes([data[140] ^ 1]) + data[141:],
    "zeros in place of all vectors": lambda data: data[:128] + bytes(len(data) - 128),
    "truncated": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "without the digest": lambda data: data[:-32],
    "text": lambda data: b"no such array",
}


def damaged(folder, damage):
    (file,) = folder.glob("*.npy")
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    return file


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_features_are_computed_again_with_a_line(examples, tmp_path, damage, caplog):
    sound = np.array(features_of(examples, tmp_path).values)
    file, calls = damaged(tmp_path, damage), []
    again = features_of(examples, tmp_path, counting(calls))
    assert np.array_equal(again.values, sound)
    assert calls
    assert f"{file} is damaged" in caplog.messages[0]
    caplog.clear()
    assert np.array_equal(features_of(examples, tmp_path, encode=None).values, sound)
    assert not caplog.messages


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_array_is_computed_again(tmp_path, damage, caplog):
    array = np.arange(100.0).reshape(25, 4)
    file = tmp_path / "cache" / "a.npy"
    assert np.array_equal(kept(file, lambda: array), array)
    assert np.array_equal(kept(file, lambda: array + 1), array)
    damaged(tmp_path / "cache", damage)
    assert np.array_equal(kept(file, lambda: array), array)
    assert len(caplog.messages) == 1
    assert np.array_equal(kept(file, lambda: array + 1), array)


def test_what_killed_writers_left_is_removed_once_and_nothing_of_others(tmp_path):
    folder = tmp_path / "cache"
    old, young = folder / ".a.npy.0123abcd.tmp", folder / "inner" / ".b.npy.0123abcd.tmp"
    young.parent.mkdir(parents=True)
    for file in (old, young):
        file.touch()
    os.utime(old, (0, 0))
    kept(folder / "c.npy", lambda: np.zeros(3))
    assert {file.name for file in folder.rglob("*.*")} == {"c.npy", young.name}
    os.utime(young, (0, 0))
    kept(folder / "d.npy", lambda: np.zeros(3))
    assert young.exists()  # looked for once in a process, not once a picture


def test_a_disk_without_room_is_one_line_before_any_vector_is_computed(examples, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))
    try:
        with pytest.raises(InputError, match=f"cache: {tmp_path}: .*set cache=FOLDER") as refused:
            features_of(examples, tmp_path, encode=mean_colour)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(str(refused.value).splitlines()) == 1
    assert not list(tmp_path.glob("regions-*"))
    assert len(features_of(examples, tmp_path).values) == 6


@pytest.mark.parametrize(
    "use",
    [
        lambda folder, examples: features_of(examples, folder),
        lambda folder, _: kept(folder / "a.npy", lambda: np.zeros(3)),
    ],
    ids=["features", "boxes"],
)
def test_a_file_in_place_of_the_folder_is_one_line(examples, tmp_path, use):
    (tmp_path / "cache").write_text("")
    with pytest.raises(InputError, match=f"cache: {tmp_path / 'cache'}: "):
        use(tmp_path / "cache", examples)
