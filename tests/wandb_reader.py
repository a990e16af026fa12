"""Reads back what W&B wrote offline: its log of protobuf records, and the files they name."""

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

BLOCK, HEAD = 32768, 7
FULL, LAST = 1, 4


@dataclass
class OfflineRun:
    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None

    def stored(self, kind: str, name: str) -> Path:
        """The file behind a name in the one artifact of a type."""
        (artifact,) = (a for a in self.artifacts.values() if a.type == kind)
        (entry,) = (e for e in artifact.manifest.contents if e.path == name)
        return Path(entry.local_path)


def read_offline(folder: Path) -> OfflineRun:
    """The one finished offline run below a folder."""
    (path,) = folder.rglob("offline-run-*/*.wandb")
    found = OfflineRun()
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.run = record.run
            found.config |= {u.key: json.loads(u.value_json) for u in record.run.config.update}
        elif kind == "summary":
            found.summary |= values(record.summary.update)
        elif kind == "history":
            found.history.append(values(record.history.item))
        elif kind == "artifact":
            found.artifacts[record.artifact.name] = record.artifact
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
    return found


def values(items):
    return {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in items}


def records(path: Path):
    """Records of a log in blocks of 32 KiB; a record's parts follow one another."""
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    at, whole = HEAD, b""
    while at + HEAD <= len(data):
        left = BLOCK - at % BLOCK
        if left < HEAD:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + HEAD])
        whole += data[at + HEAD : at + HEAD + size]
        at += HEAD + size
        if kind in (FULL, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            whole = b""
            yield record
