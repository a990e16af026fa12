"""What tells one data set from another: its files, and the candidate regions read with it."""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from gmbench.core.files import write_atomically
from gmbench.core.records import parse_record
from gmbench.data.examples import Split
from gmbench.data.regions import RegionSource
from gmbench.data.source import SPLITS, DataSource

log = logging.getLogger("gmbench")

SETTLED = 2 * 10**9
"""Nanoseconds after which another change of a file shows in its times on every file system."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Of the data that a run reads.

    Attributes:
        data: sha256 of the data set: :meth:`DataSource.fingerprint`.
        candidates: sha256 of the candidate boxes of every example that is read; None if none are,
            and for results that are older than it.
    """

    data: str
    candidates: str | None = None

    def differences(self, other: "Fingerprint") -> Iterator[str]:
        """Yield what ``other`` has another of, with both values; what is not known is equal."""
        for name, one, two in (
            ("data", self.data, other.data),
            ("candidates", self.candidates, other.candidates),
        ):
            if one is not None and two is not None and one != two:
                yield f"other {name} ({one[:12]} then, {two[:12]} now)"


def fingerprint(
    source: DataSource, splits: Mapping[str, Split], *, with_candidates: bool
) -> Fingerprint:
    """The fingerprint of data that was just read, from the content of its files.

    Args:
        source: of the data.
        splits: train, dev and test, as read from it.
        with_candidates: whether the candidates count.
    """
    examples = (example for name in SPLITS for example in splits[name].examples)
    digest = sha256()
    for example in examples if with_candidates else ():
        boxes = None if example.candidates is None else example.candidates.boxes
        digest.update(f"\n{example.id}|{'-' if boxes is None else len(boxes)}|".encode())
        if boxes is not None:
            digest.update(np.ascontiguousarray(boxes, dtype="<f8").tobytes())
    return Fingerprint(source.fingerprint(), digest.hexdigest() if with_candidates else None)


def current_fingerprint(
    source: DataSource, regions: RegionSource | None, cache: Path
) -> Fingerprint:
    """The fingerprint that a run would find now: read anew only if a file has changed since.

    Files that have their size, times and inode of the last time are taken for unchanged.

    Args:
        source: the data set.
        regions: its candidates, None if the run reads none.
        cache: folder where the fingerprints are kept.

    Raises:
        InputError: the data cannot be read.
    """
    state = _state(source, regions)
    file = cache / "fingerprints" / f"{state}.json"
    if state is not None and file.is_file():
        try:
            return parse_record(Fingerprint, file.read_bytes(), str(file))
        except (OSError, ValueError) as damage:
            log.warning("%s is damaged: it is computed again (%s)", file, damage)
    splits = {name: source.read(name, regions) for name in SPLITS}
    found = fingerprint(source, splits, with_candidates=regions is not None)
    if state is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, json.dumps(asdict(found)).encode())
        except OSError as fault:  # only a later run is slower
            log.warning("%s: not kept: %s", file, fault)
    return found


def _state(source: DataSource, regions: RegionSource | None) -> str | None:
    """Digest of the settings and of what the file system says of each file that would be read.

    None where that does not tell: a source of candidates that does not declare its files, or files
    that were changed a moment ago.
    """
    if regions is not None and not hasattr(regions, "files"):
        return None
    files = [path for _, path in source.files()]
    if regions is not None:
        ids = [path.stem for path in files if path.parent == source.images]
        files += [path for id_ in ids for path in regions.files(id_)]
    digest, newest = sha256(f"{source!r}|{regions!r}".encode()), 0
    for path in dict.fromkeys(files):
        try:
            found = path.stat()
        except OSError:
            digest.update(f"\n{path}|".encode())
            continue
        times = found.st_mtime_ns, found.st_ctime_ns
        digest.update(f"\n{path}|{found.st_size}|{times}|{found.st_ino}".encode())
        newest = max(newest, *times)
    return digest.hexdigest() if newest < time.time_ns() - SETTLED else None
