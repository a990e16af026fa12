"""Copies of this process that train or score together over gloo: torch is imported once."""

import os
import signal
import socket
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch.distributed as dist
from lightning.pytorch.utilities import rank_zero_only

from gmbench.core.errors import InputError

PATIENCE = 900
"""Seconds."""


def forked(work: Callable[[], object], error: Path) -> int:
    """Start ``work`` in a copy of this process; its number. A traceback goes to the file."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException as raised:
        code = 2 if isinstance(raised, InputError) else 1
        error.write_text(traceback.format_exc())
    finally:
        os._exit(code)


def together(
    count: int, work: Callable[[int], object], folder: Path, *, follow: bool = False
) -> list[int]:
    """Run ``work(rank)`` in ``count`` processes; their exit codes. Errors: ``error.RANK.txt``.

    With ``follow`` whoever is left when the first one has ended is killed, as launchers do.
    """
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]

    def ranked(rank: int) -> None:
        os.environ |= {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "GLOO_SOCKET_IFNAME": "lo",
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "NODE_RANK": "0",
            "WORLD_SIZE": str(count),
        }
        rank_zero_only.rank = rank
        work(rank)

    children = [
        forked(lambda rank=rank: ranked(rank), folder / f"error.{rank}.txt")
        for rank in range(count)
    ]
    codes = [ended(children[0])]
    for child in children[1:]:
        if follow:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        codes.append(ended(child))
    return codes


def ended(child: int) -> int:
    """The exit code of a child, negative for a signal; one that hangs is killed after minutes."""
    patience = time.monotonic() + PATIENCE
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > patience:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise TimeoutError(f"a child was still running after {PATIENCE} s")
        time.sleep(0.02)


def joined(work: Callable[[int, int], None], count: int, folder: Path) -> list[int]:
    """The same with a process group: ``work(rank, count)``."""

    def inner(rank: int) -> None:
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/group", rank=rank, world_size=count
        )
        work(rank, count)
        dist.destroy_process_group()

    return together(count, inner, folder)
