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

PATIENCE = 900
"""Seconds."""


def together(
    count: int, work: Callable[[int], None], folder: Path, *, follow: bool = False
) -> list[int]:
    """Run ``work(rank)`` in ``count`` processes; their exit codes. Errors: ``error.RANK.txt``.

    With ``follow`` whoever is left when the first one has ended is killed, as launchers do.
    """
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    children = []
    for rank in range(count):
        child = os.fork()
        if child == 0:
            code = 1
            try:
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
                code = 0
            except BaseException:
                (folder / f"error.{rank}.txt").write_text(traceback.format_exc())
            finally:
                os._exit(code)
        children.append(child)
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
