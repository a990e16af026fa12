"""Fixtures that every test may use."""

import gc
import os
import signal
from pathlib import Path

import pytest

from tests.promises import promise, show

__all__ = ["promise"]

# Two processes share the cores: one thread each, and none that spins while it waits. Set before
# anything imports torch, and handed on to the commands that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A shell without job control starts ``pytest &`` with Ctrl-C ignored, and so would be every command
# that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The packages imported leave a million objects that are never garbage: looked through less often.
gc.set_threshold(50_000, 20, 100)

REPOSITORY = Path(__file__).resolve().parent.parent
LONG = {"docs", "experiments", "faults", "grid", "lifecycle", "models", "serving", "verbs"}
"""Folders whose files take long: begun first, so that no process is left alone with one."""


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real annotations, pictures and golden cases; skips where it is absent."""
    folder = Path(os.environ.get("GMBENCH_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared folder at {folder} (set GMBENCH_SHARED)")
    return folder


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """Where built-in worlds and their caches are made, once for all tests and processes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "worlds"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def door(tmp_path_factory):
    """Where commands are run as a user types them, without importing torch for each."""
    from tests.door import Door

    with Door(tmp_path_factory.mktemp("reader")) as opened:
        yield opened


def pytest_collection_modifyitems(items) -> None:
    items.sort(key=lambda item: not LONG & {part.name for part in item.path.parents})


def pytest_terminal_summary(terminalreporter) -> None:
    show(terminalreporter)
