"""Write a file whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path``, push it to the disk, then rename it into place.

    A reader sees the old file or the new one, never a part; a crash leaves the old one.

    Raises:
        OSError: the folder is missing or full, or may not be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


# One process builds what several ask for; the others wait.
@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold an advisory lock on ``path``; whether it is really held (no fcntl, no support: no)."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        yield False
        return
    with path.open("w") as handle:
        held = False
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
            held = True
        yield held
