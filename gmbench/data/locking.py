"""One process builds what several ask for; the others wait."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


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
