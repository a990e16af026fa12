"""One door for all tests of the pages in a process: importing torch is most of their cost."""

import pytest

from tests.docs.door import Door


@pytest.fixture(scope="session")
def door(tmp_path_factory):
    with Door(tmp_path_factory.mktemp("reader")) as opened:
        yield opened
