"""Members of a zip or tar archive, one after the other, whatever they claim to be."""

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from gmbench.core.errors import fault

LONGEST_HEADER = 4 * 2**20
OTHERS = {b"Rar!": "rar", b"7z\xbc\xaf": "7z"}


@dataclass(frozen=True)
class Member:
    """A file or folder of an archive.

    Attributes:
        name: as written.
        size: declared.
        kind: ``file``, ``folder``, or what else it claims to be.
        source: to be opened.
    """

    name: str
    size: int
    kind: str
    source: Any


@contextmanager
def members_of(archive: Path) -> Iterator[Iterator[Member]]:
    """Its members, to be read in this order while the archive is open.

    Raises:
        DataError: neither zip nor tar, or a member is encrypted.
    """
    with archive.open("rb") as file:
        magic = file.read(6)
    for start, kind in OTHERS.items():
        if magic.startswith(start):
            todo = "unpack it with another program, or get it as zip or tar"
            raise fault(archive, f"a {kind} archive, which Python cannot read", todo)
    if magic.startswith(b"PK"):
        with zipfile.ZipFile(archive) as found:
            yield (_of_zip(archive, found, info) for info in found.infolist())
        return
    with _plain(archive, magic) as stream:
        try:
            tar = tarfile.open(fileobj=cast(Any, _Capped(archive, stream)), mode="r:")  # noqa: SIM115
        except tarfile.ReadError:
            raise fault(archive, "neither a zip nor a tar archive, or truncated") from None
        with tar:
            yield (_of_tar(tar, info) for info in tar)


def _of_zip(archive: Path, found: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    if info.flag_bits & 1:
        raise fault(archive, f"{info.filename!r} is encrypted")
    form = stat.S_IFMT(info.external_attr >> 16)
    kinds = {0: "file", stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symbolic link"}
    # not is_dir(), which fails on a name of no letters
    kind = "folder" if info.filename.endswith("/") else kinds.get(form, "device")
    return Member(info.filename, info.file_size, kind, lambda: found.open(info))


def _of_tar(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    kinds = {
        "symbolic link": info.issym(),
        "hard link": info.islnk(),
        "device": info.isdev(),
        "sparse file": info.issparse(),
        "folder": info.isdir(),
        "file": info.isreg(),
    }
    kind = next((name for name, holds in kinds.items() if holds), "member of an unknown kind")
    return Member(info.name, info.size, kind, lambda: tar.extractfile(info))


def _plain(archive: Path, magic: bytes) -> IO[bytes]:
    """The bytes of an archive, decompressed on the way."""
    if magic.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(archive))
    if magic.startswith(b"BZh"):
        return cast(IO[bytes], bz2.open(archive))
    if magic.startswith(b"\xfd7zXZ"):
        return cast(IO[bytes], lzma.open(archive))
    return archive.open("rb")


class _Capped:
    """A stream from which nothing long is read at once: headers of a tar may claim any length."""

    def __init__(self, archive: Path, stream: IO[bytes]) -> None:
        self.archive, self.stream = archive, stream
        self.seek, self.tell, self.close = stream.seek, stream.tell, stream.close

    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        if not 0 <= size <= LONGEST_HEADER:
            raise fault(self.archive, "holds too much: a header of more than 4 MiB")
        return self.stream.read(size)
