"""What fuzzing once found stays mended."""

import pytest

from tests.fuzz.targets import targets
from tests.fuzz.test_readers import attempt

FOUND = {
    "a configuration that is a lone number": ("config", b"0"),
    "a zip whose first member begins before the file": (
        "zip",
        b"PK\x01\x02\x14\x03\x14" + bytes(21) + b"\x01" + bytes(17) + b"a"
        b"PK\x05\x06" + bytes(4) + b"\x01\x00\x01\x00/\x00\x00\x00\x40\x00\x00\x00\x00\x00",
    ),
    "a zip with a member of no name": (
        "zip",
        b"PK\x01\x02\x14\x03\x14"
        + bytes(39)
        + b"PK\x05\x06"
        + bytes(4)
        + b"\x01\x00\x01\x00.\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    ),
}


@pytest.mark.parametrize("what", FOUND)
def test_it_is_a_documented_error(what, tmp_path):
    reader, data = FOUND[what]
    target = targets(b"", b"")[reader]
    path = tmp_path / target.name
    path.write_bytes(data)
    with pytest.raises(target.documented):
        target.read(path)
    attempt(target, tmp_path, data)
