"""Read files that come to an end; write them whole or not at all."""

import glob
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gmbench.core.errors import fault

MAX_BYTES = 2**30
"""What :func:`read_file` reads: a thousand times the largest annotations in use."""
PIPES = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")
"""Where a pipe lies that the shell has opened, as ``<(command)`` does."""


def check_file(path: Path) -> None:
    """Refuse what may never end: a device, a socket, or a named pipe.

    Raises:
        InputError: it is such a file.
        OSError: it is missing, in a loop of links or may not be looked at.
    """
    mode = path.stat().st_mode
    piped = stat.S_ISFIFO(mode) and str(path).startswith(PIPES)
    if not (piped or stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # opening a folder says enough
        raise fault(path, "a device or named pipe", "give a regular file")


def read_file(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Content of a file of at most ``limit`` bytes.

    Raises:
        InputError: the file is larger, or as in :func:`check_file`.
        OSError: it cannot be read.
    """
    check_file(path)
    with path.open("rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise fault(path, f"more than {limit // 10**6:,} MB", "no file of this kind is that large")
    return data


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number, from 1, and text of each line of a UTF-8 file, with or without a byte order mark.

    Only LF and CR LF end a line: :meth:`str.splitlines` would also cut at the invisible separators
    that real tweets contain. After a last line end comes one empty line.

    Raises:
        InputError, OSError: a line is not UTF-8, or as in :func:`read_file`.
    """
    data = read_file(path).removeprefix(b"\xef\xbb\xbf")
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            what = f"not UTF-8 at byte {error.start}"
            raise fault(path, what, "save the file as UTF-8", line=number) from None
        yield number, text.removesuffix("\r")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` for a file or folder that becomes ``path``.

    It is removed after an error; what a killed process leaves, :func:`sweep` finds by its name,
    ``.NAME.RANDOM.tmp``. A folder may replace only an empty one.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        _remove(temporary)
        raise


def sweep(folder: Path, name: str | None = None, *, older: float = 0.0) -> int:
    """Remove what killed processes left in a folder; return the count.

    Args:
        folder: where :func:`replacing` was used; the caller holds it, or others may be writing.
        name: what it was to replace there; None = anything, there and below.
        older: seconds since its last change, for a folder that nobody holds.
    """
    if name is None:
        left = list(folder.rglob(".*.tmp"))
    else:
        left = list(folder.glob(f".{glob.escape(name)}.*.tmp"))
    if older:
        left = [path for path in left if _age(path) > older]
    for path in left:
        _remove(path)
    return len(left)


def _age(path: Path) -> float:
    """Seconds since the last change; 0 if the file is gone."""
    try:
        return time.time() - path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


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
