"""The signature of a score: in one line, all that two figures must share to be comparable.

strict1.0|iou0.5|gmner|test|n=1500|data=bef004e7|seeds=5
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from gmbench.core.entities import Entity
from gmbench.core.errors import InputError, did_you_mean
from gmbench.core.records import to_plain
from gmbench.scoring.counting import PROTOCOL_VERSION, TASKS
from gmbench.scoring.protocols import PROTOCOLS

KEYS = {
    "n": "number of examples",
    "data": "first digits of the fingerprint of the data set, as prepare prints it",
    "gold": "first digits of the sha256 of ids, words and gold entities of scored files",
    "seeds": "number of seeds of each row; two numbers are the least and the greatest",
    "types": "fine types were folded into their parents (coarse), or not",
    "text": "spans and types were given, regions alone were predicted",
}
"""The keys of a signature and what they mean; ``data`` or ``gold`` is needed, the last two not."""
POSITIONS = {
    "protocol": "the counting rules and their version",
    "iou": "least IoU of a right region; under hindex it must be exceeded",
    "tasks": "the tasks of the table",
    "split": "the split of the data set; file and cases: files that gmbench.score was given",
}
"""The parts before the keys, in order."""
FORMS = {"n": r"\d{1,9}", "seeds": r"\d{1,6}(-\d{1,6})?", "types": "coarse|fine", "text": "given"}
DIGITS = 8
"""Hexadecimal digits of a fingerprint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a score was counted on and how.

    Attributes:
        protocol: name and version, say ``strict1.0``.
        iou: least IoU.
        tasks: one or more of ``TASKS``.
        split: ``test``, or ``file`` and ``cases`` for files.
        n: number of examples.
        data, gold: fingerprint, one of them.
        seeds: least and greatest number of seeds of a row.
        types: ``coarse`` or ``fine`` where it was chosen.
        text: ``given`` where regions alone were predicted.
    """

    protocol: str
    iou: float
    tasks: tuple[str, ...]
    split: str
    n: int
    data: str | None = None
    gold: str | None = None
    seeds: tuple[int, int] = (1, 1)
    types: str | None = None
    text: str | None = None

    def __str__(self) -> str:
        least, most = self.seeds
        keys: dict[str, object] = {"n": self.n, "data": self.data, "gold": self.gold}
        keys["seeds"] = least if least == most else f"{least}-{most}"
        keys |= {"types": self.types, "text": self.text}
        shown = [f"{key}={value}" for key, value in keys.items() if value is not None]
        parts = (self.protocol, f"iou{self.iou:g}", "+".join(self.tasks), self.split, *shown)
        return "|".join(parts)


def protocol_name(name: str, version: str = PROTOCOL_VERSION) -> str:
    """The first part of a signature."""
    return f"{name}{version}"


def gold_digits(gold: Iterable[tuple[str, Sequence[str], Sequence[Entity]]]) -> str:
    """A fingerprint of ids, words and gold entities; their order does not matter."""
    lines = sorted(
        json.dumps([id_, list(words), sorted(map(to_plain, entities), key=str)])
        for id_, words, entities in gold
    )
    return sha256("\n".join(lines).encode()).hexdigest()[:DIGITS]


def parse_signature(text: str) -> Signature:
    """Read a signature.

    Raises:
        InputError: a part is missing, unknown or malformed; the message names the nearest match.
    """
    parts = [part.strip() for part in text.strip().split("|")]
    place = next((n for n, part in enumerate(parts) if "=" in part), len(parts))
    fixed, pairs = parts[:place], parts[place:]
    protocol, iou, tasks, split, *more = [*fixed, "", "", "", ""][: max(len(fixed), len(POSITIONS))]
    known = [protocol_name(name) for name in PROTOCOLS]
    if not re.fullmatch(rf"({'|'.join(PROTOCOLS)})\d+\.\d+", protocol):
        raise _fault(f"part 1 should be a protocol, not {protocol!r}", protocol, known)
    if not re.fullmatch(r"iou(0\.\d+|1)", iou):
        raise _fault(f"part 2 should be the IoU, such as iou0.5, not {iou!r}")
    for task in tasks.split("+"):
        if task not in TASKS:
            raise _fault(f"part 3 should be tasks, not {task!r}", task, TASKS)
    if not split or more:
        raise _fault(f"part 4 should be the split, then keys, not {'|'.join(fixed[3:])!r}")
    values: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if key not in KEYS:
            raise _fault(f"unknown key {key!r}", key, KEYS)
        if not equals or not value or key in values:
            raise _fault(f"{key} needs one value, got {pair!r}")
        values[key] = value
    if {"data", "gold"} <= values.keys():
        raise _fault("data and gold are the same thing: one of them")
    needed = {"n": "n", "data or gold": "gold" if "gold" in values else "data", "seeds": "seeds"}
    if absent := [name for name, key in needed.items() if key not in values]:
        raise _fault(f"key {', '.join(absent)} is missing")
    for key, value in values.items():
        if not re.fullmatch(FORMS.get(key, r"[0-9a-f]{8,64}"), value):
            raise _fault(f"{key}={value} is malformed")
    least, _, most = values["seeds"].partition("-")
    return Signature(
        protocol=protocol,
        iou=float(iou.removeprefix("iou")),
        tasks=tuple(tasks.split("+")),
        split=split,
        n=int(values["n"]),
        data=values.get("data"),
        gold=values.get("gold"),
        seeds=(int(least), int(most or least)),
        types=values.get("types"),
        text=values.get("text"),
    )


def _fault(what: str, word: str = "", known: Iterable[str] = ()) -> InputError:
    names = list(known)
    hint = ""
    if names:
        hint = did_you_mean(word, names) or f"; known: {', '.join(names)}"
    return InputError(f"signature: {what}{hint}")
