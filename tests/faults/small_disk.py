"""A disk of a few MiB for one child process: nobody else sees it, and it goes with the child."""

import ctypes
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.processes import ended, forked

NEW_MOUNTS, NOT_ALLOWED = 0x00020000, 77


def on_small_disk(size: int, work: Callable[[Path], None], folder: Path) -> None:
    """Run ``work(disk)`` in a copy of this process; skips where mounting is not allowed."""
    disk, error = folder / "disk", folder / "error.txt"
    disk.mkdir()

    def mounted() -> None:
        if not _mount(disk, size):
            os._exit(NOT_ALLOWED)
        work(disk)

    code = ended(forked(mounted, error))
    if code == NOT_ALLOWED:
        pytest.skip("mounting a small disk takes rights that this process does not have")
    assert code == 0, error.read_text() if error.exists() else code


def _mount(disk: Path, size: int) -> bool:
    commands = (
        ["mount", "--make-rprivate", "/"],
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)],
    )
    try:
        if ctypes.CDLL(None, use_errno=True).unshare(NEW_MOUNTS) != 0:
            return False
        return all(subprocess.run(c, capture_output=True).returncode == 0 for c in commands)
    except (OSError, AttributeError):
        return False
