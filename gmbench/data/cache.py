"""Arrays kept on disk: verified when they are read, computed again if they are damaged.

A file is numpy's own format followed by the sha256 of it, so that it is one file and moves whole.
"""

import errno
import io
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gmbench.core.errors import InputError
from gmbench.core.files import replacing, sweep

log = logging.getLogger("gmbench")

SEAL = 32
"""Bytes of the digest at the end of a file."""
ABANDONED = 3600.0
"""Seconds after which nobody still writes a temporary file."""


def kept(file: Path, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """The array in ``file``; if it is not there or damaged, it is computed and kept.

    Raises:
        InputError: the folder cannot be written, or its disk is full.
    """
    if intact(file):
        return np.asarray(np.load(file, allow_pickle=False))
    array, stream = compute(), io.BytesIO()
    np.save(stream, array)
    with writing(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        _tidy(file.parent)
        with replacing(file) as part:  # without a lock: whoever else writes it writes the same
            part.write_bytes(stream.getvalue() + sha256(stream.getvalue()).digest())
    return array


@cache
def _tidy(folder: Path) -> None:
    """Remove what killed processes left in a folder: once in a process."""
    sweep(folder, older=ABANDONED)


def intact(file: Path) -> bool:
    """Whether a file is there and ends with the digest of the rest; a damaged one is reported."""
    try:
        with file.open("rb") as stream:
            whole = stream.seek(0, os.SEEK_END) > SEAL and _digest(stream) == stream.read()
    except FileNotFoundError:
        return False
    except OSError:  # a folder, a bad disk
        whole = False
    if not whole:
        log.warning("%s is damaged: it is computed again", file)
    return whole


def seal(file: Path) -> None:
    """Write the digest of a file into its last bytes, which were left for it."""
    with file.open("r+b") as stream:
        stream.write(_digest(stream))


def _digest(stream: BinaryIO) -> bytes:
    """The sha256 of all but the last bytes, before which ``stream`` then stands."""
    left = stream.seek(0, os.SEEK_END) - SEAL
    stream.seek(0)
    digest = sha256()
    while left > 0 and (chunk := stream.read(min(left, 2**20))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.digest()


def reserve(file: Path, size: int) -> None:
    """Give a file all the room it will need, so that a full disk shows before the work.

    Raises:
        OSError: there is no such room.
    """
    with file.open("r+b") as stream:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(stream.fileno(), 0, size)
        else:
            stream.truncate(size)


@contextmanager
def writing(folder: Path, size: int = 0) -> Iterator[None]:
    """Turn an error of the disk into one line about the cache.

    Args:
        folder: that is written to.
        size: bytes that are needed.

    Raises:
        InputError: the folder cannot be written, or its disk is full.
    """
    try:
        yield
    except OSError as error:
        needed = f" for {size / 2**20:,.1f} MiB" if size and error.errno == errno.ENOSPC else ""
        raise InputError(
            f"cache: {folder}: {error.strerror or error}{needed}; make room, or set cache=FOLDER "
            f"where it can be written"
        ) from error
