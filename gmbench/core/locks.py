"""What one process holds: an operating system's lock, which ends with its process."""

import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from gmbench.core.errors import InputError, located

log = logging.getLogger("gmbench")

LOCK = ".lock"
"""In a run folder: the lock of the process that works there."""
HOLDERS = "GMBENCH_HOLDERS"
"""Environment variable: processes that hold something and have started this one, one a line."""
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""How a file system answers that has none: some network file systems."""


class Held(InputError):
    """Another process holds it."""


@contextmanager
def held(lock: Path, what: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold ``what`` against all other processes.

    The kernel frees the lock of a process that is gone, whatever ended it; the file that may stay
    behind says nothing. Processes that the holder starts may use what it holds: a grid's runs.

    Args:
        lock: a file for the lock, in a folder that is made if necessary; gone after the release.
        what: for the message.
        wait: until it is free.

    Raises:
        Held: another process has it; the message says which one and since when.
        OSError: the folder may not be written.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    own = FileLock(lock, timeout=-1 if wait else 0, fallback_to_soft=False)
    try:
        own.acquire()
    except Timeout:
        holder = _holder(lock)
        if not holder.startswith(_holders()):
            todo = "wait until it has ended, or end it"
            raise Held(located(what, f"in use by {holder}", todo)) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        log.warning("%s: on a file system without locks; use it in one process only", what)
    try:
        if own.is_locked:
            os.environ[HOLDERS] = "\n".join({*_holders(), _this_process()})
            with suppress(OSError):  # a full disk
                now = datetime.now().astimezone().isoformat(" ", "seconds")
                lock.write_text(f"{_this_process()}since {now}\n")
        yield
    finally:
        if own.is_locked:
            lock.unlink(missing_ok=True)  # before the release: who comes now finds another file
            own.release()


def launched_rank() -> int:
    """This process's rank as torchrun, Lightning's own launcher or Slurm have set it."""
    values = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return next((int(value) for value in values if value), 0)


def _holders() -> tuple[str, ...]:
    """Those on whose behalf this process works; not itself."""
    return tuple(one for one in os.environ.get(HOLDERS, "").splitlines() if one != _this_process())


def _this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()} "


def _holder(lock: Path) -> str:
    try:
        return lock.read_text(errors="replace").strip() or "another process"
    except OSError:
        return "another process"
