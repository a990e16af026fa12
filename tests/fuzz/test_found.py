"""What fuzzing once found stays mended."""

import pytest

from tests.fuzz.targets import targets
from tests.fuzz.test_readers import attempt


def test_a_configuration_that_is_a_lone_number_is_a_documented_error(tmp_path):
    target = targets(b"", b"")["config"]
    path = tmp_path / target.name
    path.write_bytes(b"0")
    with pytest.raises(target.documented):
        target.read(path)
    attempt(target, tmp_path, b"0")
