"""Write a file whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that becomes ``path``, or is removed after an error.

    Its name ``.NAME.PID.RANDOM.tmp`` tells which process a file left by a crash belonged to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path``, push it to the disk, then rename it into place.

    A reader sees the old file or the new one, never a part; a crash leaves the old one.

    Raises:
        OSError: the folder is missing or full, or may not be written; nothing is left behind.
    """
    with replacing(path) as temporary, temporary.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
