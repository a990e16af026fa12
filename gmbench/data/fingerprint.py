"""One hash that says which data a number was measured on."""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

CHUNK = 1 << 20


def fingerprint(files: Iterable[tuple[str, Path]], *, salt: str) -> str:
    """sha256 over sorted ``(name, size, sha256)`` of files; absent ones do not count.

    Args:
        files: a name that does not depend on where the data lies (``xml/12.xml``), and the file.
        salt: what else decides what is read: reader version, tag column, types.
    """
    digest = sha256(salt.encode())
    for name, path in sorted(files):
        found = _content(path)
        if found is not None:
            digest.update(f"\n{name}|{found[0]}|{found[1]}".encode())
    return digest.hexdigest()


def _content(path: Path) -> tuple[int, str] | None:
    digest = sha256()
    size = 0
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
    except FileNotFoundError:
        return None
    return size, digest.hexdigest()
