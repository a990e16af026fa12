"""No file makes a reader crash: every fault is one of its documented errors.

A few hundred broken files a reader here; ``python -m tests.fuzz.long`` goes on for minutes.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gmbench.core.errors import InputError
from tests.fuzz.targets import Target, stored, targets

NAMES = tuple(targets(b"", b""))
PIECES = [
    b"",
    b"\x00",
    b"\xff",
    b"\n",
    b"\n\n",
    b"\t",
    b'"',
    b"{",
    b"]",
    b"<",
    b"&",
    b"-1",
    b"1e999",
]
PIECES += [b"NaN", b"null", b"true", b"9" * 20, b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"B-PER"]

edits = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 12),
        st.one_of(st.sampled_from(PIECES), st.binary(max_size=6)),
    ),
    max_size=6,
)


def edited(seed: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    """At each place, some bytes are taken out and some put in."""
    data = seed
    for share, gone, put in changes:
        place = int(share * len(data))
        data = data[:place] + put + data[place + gone :]
    return data


@pytest.fixture(scope="module")
def readers(tmp_path_factory) -> dict[str, Target]:
    return stored(tmp_path_factory.mktemp("run"))


def attempt(target: Target, folder, data: bytes) -> None:
    """Read the bytes; any error but a documented one goes through."""
    path = folder / target.name
    path.write_bytes(data)
    said = target.name
    try:
        target.read(path)
    except InputError as error:
        said = str(error)
    assert target.name in said
    assert "\n" not in said


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_file_is_read(readers, tmp_path, name):
    target = readers[name]
    path = tmp_path / target.name
    path.write_bytes(target.seed)
    target.read(path)


@pytest.mark.parametrize("name", NAMES)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=edits)
def test_a_broken_file_is_a_documented_error(readers, tmp_path, name, changes):
    attempt(readers[name], tmp_path, edited(readers[name].seed, changes))


@pytest.mark.parametrize("name", NAMES)
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_documented_error(readers, tmp_path, name, data):
    attempt(readers[name], tmp_path, data)


def test_a_configuration_that_is_a_lone_number(readers, tmp_path):  # found by fuzzing
    path = tmp_path / "config.yaml"
    path.write_bytes(b"0")
    with pytest.raises(InputError):
        readers["config"].read(path)
