"""Counting rules: the canonical protocol, and two published variants under their own names.

``strict`` is the protocol of this project (``counting``). ``hindex`` and ``mqspn`` count as the
released code of H-Index and MQSPN does, so that a figure can be compared with theirs; neither is
for choosing a model, and two protocols never share a table. All counts are micro counts.

======================  =====================  ==========================  =========================
rule                    strict                 hindex                      mqspn
======================  =====================  ==========================  =========================
a box is right          IoU >= 0.5             IoU > 0.5                   index of a candidate with
                                                                           IoU >= 0.5
gold regions            its boxes              its boxes                   candidates 1..9 of 15
no candidate covers it  stays groundable       stays groundable            becomes *none*
several right answers   any of them            any of them                 one gold tuple for each
wrong region            one wrong prediction   one wrong prediction        and a twin without region
repeated predictions    each counts            the last of a span counts   a set, after removing
                                                                           overlaps
gold                    all entities           the last of a span          none that starts right
                                                                           behind another
======================  =====================  ==========================  =========================
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from gmbench.core.entities import Box, Entity, Prediction
from gmbench.scoring.counting import (
    PROTOCOL_VERSION,
    CorpusScores,
    Counts,
    Scores,
    Tally,
    TypeScores,
    score_corpus,
)
from gmbench.scoring.fine_types import with_coarse_types
from gmbench.scoring.intervals import TweetTable, table_of
from gmbench.scoring.mqspn import score_as_mqspn

Protocol = Literal["strict", "hindex", "mqspn"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


@dataclass(frozen=True, slots=True)
class Document:
    """Gold and predictions of one example, as a protocol counts them.

    Attributes:
        words: needed by ``mqspn`` only.
        candidates: needed by ``mqspn`` only; best first, None if unknown.
    """

    gold: Sequence[Entity]
    pred: Sequence[Prediction]
    words: Sequence[str] = ()
    candidates: Sequence[Box] | None = None

    def in_coarse_types(self) -> "Document":
        """The same example with parent types in place of fine ones."""
        return replace(self, gold=with_coarse_types(self.gold), pred=with_coarse_types(self.pred))


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A corpus under one protocol.

    Attributes:
        ids: sorted.
        rows: the counts of each example, in the order of ``ids``.
        iou_threshold: minimum IoU of a right box; under ``hindex`` IoU must exceed it.
    """

    protocol: Protocol
    iou_threshold: float
    ids: tuple[str, ...]
    rows: tuple[CorpusScores, ...]
    total: CorpusScores

    def table(self) -> TweetTable:
        """The counts of every example, for intervals and tests."""
        return table_of(self.ids, (row.micro for row in self.rows))

    @property
    def rule(self) -> str:
        """The protocol in a few words, as every table prints it."""
        sign = ">" if self.protocol == "hindex" else ">="
        return f"Protocol {self.protocol} {PROTOCOL_VERSION}, IoU {sign} {self.iou_threshold:g}"


def score(
    documents: Mapping[str, Document], protocol: Protocol = "strict", iou_threshold: float = 0.5
) -> Scored:
    """Count a corpus by id; the order of documents does not matter.

    Raises:
        InputError: ``mqspn`` is not defined for a document; the message says why.
        ValueError: the threshold is not the protocol's own, or not in ``(0, 1]``.
    """
    if protocol != "strict" and iou_threshold != 0.5:
        raise ValueError(f"protocol {protocol} is defined for an IoU of 0.5 only")
    ids = tuple(sorted(documents))
    rows = tuple(_score(id_, documents[id_], protocol, iou_threshold) for id_ in ids)
    return Scored(protocol, iou_threshold, ids, rows, add_up(rows))


def add_up(rows: Iterable[CorpusScores]) -> CorpusScores:
    """The counts of several corpora together."""
    count, micro, per_type = 0, Scores(), dict[str, TypeScores]()
    nothing = TypeScores(Counts(), Counts(), 0)
    for row in rows:
        count += row.n
        micro += row.micro
        for name, more in row.per_type.items():
            so_far = per_type.get(name, nothing)
            per_type[name] = TypeScores(
                so_far.gmner + more.gmner, so_far.mner + more.mner, so_far.eeg_tp + more.eeg_tp
            )
    return CorpusScores(count, micro, dict(sorted(per_type.items())))


def _score(id_: str, document: Document, protocol: Protocol, iou_threshold: float) -> CorpusScores:
    if protocol == "strict":
        return score_corpus([(document.gold, document.pred)], iou_threshold)
    if protocol == "hindex":
        return _score_as_hindex(document)
    return score_as_mqspn(
        id_, document.gold, document.pred, words=document.words, candidates=document.candidates
    )


def _score_as_hindex(document: Document) -> CorpusScores:
    """The rules of NUSTM/GMNER, model/metrics.py: one answer a span, the last one; IoU > 0.5.

    Its gold is the set of candidates that pass the threshold; for predictions that are candidates
    this equals comparing boxes, and an entity that no candidate covers can never be found.
    """
    gold = {(entity.start, entity.end): entity for entity in document.gold}
    pred = {(guess.start, guess.end): guess for guess in document.pred}
    tally = Tally()
    # The next double above one half: >= of it is > of one half.
    tally.add(list(gold.values()), list(pred.values()), math.nextafter(0.5, 1.0))
    return tally.corpus()
