"""Write files that are either whole or absent, and recognise them by digest.

Beside ``last.ckpt`` lies ``last.ckpt.json``: size and SHA-256 of the file and of the one before it,
so that no crash between the two renames leaves a file without its digest.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from gmbench.core.errors import InputError
from gmbench.core.files import replacing, write_atomically

log = logging.getLogger("gmbench")

PREVIOUS = "previous.ckpt"
"""The ``last.ckpt`` before the current one."""


class DamagedCheckpoint(InputError):
    """A checkpoint is not what was written, and nothing can replace it."""


@dataclass(frozen=True)
class Digest:
    """Identifies the content of a file."""

    sha256: str
    size: int


class _HashingStream:
    """A stream that hashes what is written and keeps the first error of the disk.

    torch answers a failed write with an error of its own that does not give the reason.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.sha, self.size = stream, hashlib.sha256(), 0
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write and hash."""
        try:
            self.stream.write(data)
        except OSError as error:
            self.error = self.error or error
            raise
        self.sha.update(data)
        self.size += len(memoryview(data).cast("B"))
        return len(data)

    def flush(self) -> None:
        """Flush the file."""
        self.stream.flush()


def write_durably(path: Path, write: Callable[[Any], None], *, keep: Path | None = None) -> None:
    """Replace ``path`` once the new content is on the disk.

    Args:
        path: the file, a zip archive as torch writes it.
        write: gets a stream with ``write`` and ``flush``.
        keep: new name of the old file; None = it is lost.

    Raises:
        OSError: no space left, or no right to write; the old file is untouched and nothing is left
            behind.
    """
    with replacing(path) as temporary:
        with temporary.open("xb") as file:
            stream = _HashingStream(file)
            try:
                write(stream)
            except Exception as error:
                if stream.error is not None:
                    raise stream.error from error
                raise
            file.flush()
            os.fsync(file.fileno())
        digest = Digest(stream.sha.hexdigest(), stream.size)
        _read_back(temporary, digest)
        _record(path, digest, keep)
    _flush_folder(path.parent)


def duplicate(path: Path, other: Path, *, keep: Path | None = None) -> None:
    """Give ``path`` a second name: a hard link, or a copy where the disk has no links.

    Args:
        path: written by :func:`write_durably`.
        other: its second name; a file of that name is replaced.
        keep: as in :func:`write_durably`.

    Raises:
        OSError: as in :func:`write_durably`.
    """
    with replacing(other) as temporary:
        _link(path, temporary)
        _record(other, digests(path)[0], keep)
    _flush_folder(other.parent)


def _record(path: Path, digest: Digest, keep: Path | None) -> None:
    """Keep the old file under its new name and add the digest that ``path`` is about to have."""
    if keep is not None and path.exists():
        with replacing(keep) as temporary:
            _link(path, temporary)
            _write_digests(keep, [*digests(path), *digests(keep)])
    _write_digests(path, [digest, *digests(path)[:1]])


def _link(path: Path, other: Path) -> None:
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)
        with other.open("rb") as file:
            os.fsync(file.fileno())


def _write_digests(path: Path, known: list[Digest]) -> None:
    plain = [asdict(digest) for digest in dict.fromkeys(known)]
    write_atomically(sidecar_of(path), json.dumps(plain).encode())
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Make the new names in a folder survive a crash of the machine."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_back(path: Path, digest: Digest) -> None:
    if path.stat().st_size != digest.size or not zipfile.is_zipfile(path):
        raise OSError(f"{path}: what was written cannot be read back")


def sidecar_of(path: Path) -> Path:
    """Return where the digests of a file are stored."""
    return path.with_name(f"{path.name}.json")


def digests(path: Path) -> list[Digest]:
    """Return the digests that a file may have, newest first; none if they are not known."""
    try:
        return [Digest(**entry) for entry in json.loads(sidecar_of(path).read_bytes())]
    except (OSError, ValueError, TypeError):
        return []


def damage(path: Path) -> str | None:
    """Say what is wrong with a file; None if it is intact, or if its digest is not known.

    Raises:
        OSError: it cannot be read.
    """
    known = digests(path)
    if not known:
        return None
    if path.stat().st_size not in {digest.size for digest in known}:
        return f"{path.stat().st_size} bytes instead of {known[0].size}"
    with path.open("rb") as file:
        sha = hashlib.file_digest(file, "sha256").hexdigest()
    return None if sha in {digest.sha256 for digest in known} else "its SHA-256 does not match"


def intact(path: Path) -> Path:
    """Return ``path``; if it is a damaged ``last.ckpt``, warn and return ``previous.ckpt``.

    Raises:
        FileNotFoundError: neither exists.
        DamagedCheckpoint: ``path`` is damaged and nothing can replace it.
    """
    previous = path.with_name(PREVIOUS)
    reason = damage(path) if path.is_file() else "missing"
    if reason is None:
        return path
    if path.name == "last.ckpt" and previous.is_file() and damage(previous) is None:
        log.warning("%s is damaged (%s): going back to %s", path, reason, previous)
        return previous
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    raise DamagedCheckpoint(f"{path} is damaged ({reason}), and nothing can replace it")


def sweep(folder: Path) -> int:
    """Remove temporary files of dead processes; return their count."""
    orphans = [path for path in folder.glob(".*.tmp") if _is_orphan(path)]
    for path in orphans:
        path.unlink(missing_ok=True)
    return len(orphans)


def _is_orphan(path: Path) -> bool:
    process = path.name.split(".")[-3]
    if not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return int(process) == os.getpid()  # a reused number: this process has nothing open yet


def is_full(error: BaseException) -> bool:
    """Whether the disk, the user's quota or the maximum file size is exhausted."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, OSError) and error.errno in full
