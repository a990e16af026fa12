"""A disk of a few MiB for one child process: nobody else sees it, and it goes with the child."""

import ctypes
import os
import subprocess
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.processes import ended

NEW_MOUNTS, NOT_ALLOWED = 0x00020000, 77


def on_small_disk(size: int, work: Callable[[Path], None], folder: Path) -> None:
    """Run ``work(disk)`` in a copy of this process; skips where mounting is not allowed."""
    disk, said = folder / "disk", folder / "error.txt"
    disk.mkdir()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if _mounted(disk, size) else NOT_ALLOWED
            if code == 0:
                work(disk)
        except BaseException:
            code = 1
            said.write_text(traceback.format_exc())
        finally:
            os._exit(code)
    code = ended(child)
    if code == NOT_ALLOWED:
        pytest.skip("mounting a small disk takes rights that this process does not have")
    assert code == 0, said.read_text() if said.exists() else code


def _mounted(disk: Path, size: int) -> bool:
    try:
        if ctypes.CDLL(None, use_errno=True).unshare(NEW_MOUNTS) != 0:
            return False
        for command in (
            ["mount", "--make-rprivate", "/"],
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)],
        ):
            if subprocess.run(command, capture_output=True, check=False).returncode:
                return False
    except (OSError, AttributeError):
        return False
    return True
