"""What never ends is refused before it is read."""

import os
from pathlib import Path

import pytest

from gmbench.core.errors import InputError, located
from gmbench.core.files import check_file, read_file


@pytest.mark.parametrize("read", [check_file, read_file])
def test_what_never_ends_is_refused(read, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for endless in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError, match="a device or named pipe; give a regular file"):
            read(endless)
    with pytest.raises(OSError, match=r"[Ll]oop|levels of symbolic links"):
        read(tmp_path / "loop")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / ("n" * 240))


def test_a_file_beyond_its_limit_is_not_read(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_file(tmp_path / "a", limit=5) == b"12345"
    with pytest.raises(InputError, match="more than 0 MB"):
        read_file(tmp_path / "a", limit=4)


@pytest.mark.parametrize("address", ["https://a.org/1.jpg", "s3://bucket/1.jpg"])
def test_a_web_address_keeps_its_slashes(address):
    told = f"{address}: not there; a web address is no file: download it first"
    assert located(Path(address), "not there") == told  # a path takes one slash
    assert located(Path.cwd() / address, "not there").endswith(told)
