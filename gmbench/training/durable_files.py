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
    """A stream that hashes what is written and keeps the first error, a signal included.

    torch answers a failed write with an error of its own that does not give the reason.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.sha, self.size = stream, hashlib.sha256(), 0
        self.error: BaseException | None = None

    def write(self, data: Any) -> int:
        """Write and hash."""
        try:
            self.stream.write(data)
        except BaseException as error:
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
    # Restored from it, they are one file, and renaming one over the other would do nothing.
    if keep is not None and path.is_file() and not (keep.exists() and path.samefile(keep)):
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
    for place in (path, sidecar_of(path)):
        if place.is_dir():  # nothing of ours; it would not let itself be replaced by a file
            place.rename(place.with_name(f"{place.name}.folder"))
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
    except (OSError, ValueError, TypeError, RecursionError):
        return []


def damage(path: Path) -> str | None:
    """Say what is wrong with a checkpoint; None if it is intact.

    If its digest is lost, the check sums inside the archive are compared instead.

    Raises:
        OSError: it cannot be read.
    """
    if not path.is_file():
        return "a folder" if path.is_dir() else "missing"
    known, size = digests(path), path.stat().st_size
    if not known:
        return None if _sums_match(path) else f"{size} bytes that no digest or check sum confirms"
    if size not in {digest.size for digest in known}:
        return f"{size} bytes instead of {known[0].size}"
    return None if _digest_of(path) in known else "its SHA-256 does not match"


def _digest_of(path: Path) -> Digest:
    with path.open("rb") as file:
        return Digest(hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


def _sums_match(path: Path) -> bool:
    """Whether a file is an archive whose every record has its CRC-32."""
    try:
        with zipfile.ZipFile(path) as archive:
            return bool(archive.namelist()) and archive.testzip() is None
    except OSError:
        raise
    except Exception:  # zipfile answers damage with errors of many kinds
        return False


def intact(path: Path) -> Path:
    """Return ``path``; if it is a damaged ``last.ckpt``, warn and return ``previous.ckpt``.

    Raises:
        FileNotFoundError: neither exists.
        DamagedCheckpoint: ``path`` is damaged and nothing can replace it.
    """
    previous = path.with_name(PREVIOUS)
    reason = damage(path)
    if reason is None:
        return path
    if path.name == "last.ckpt" and damage(previous) is None:
        log.warning("%s is damaged (%s): going back to %s", path, reason, previous)
        return previous
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    raise DamagedCheckpoint(f"{path} is damaged ({reason}), and nothing can replace it")


def restore(path: Path, source: Path) -> None:
    """Put an intact checkpoint in the place of a damaged or missing one."""
    with replacing(path) as temporary:
        _link(source, temporary)
        _write_digests(path, [_digest_of(source)])
    _flush_folder(path.parent)


def is_full(error: BaseException) -> bool:
    """Whether the disk, the user's quota or the maximum file size is exhausted."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, OSError) and error.errno in full
