"""Whose counting rules: the canonical protocol, and two published variants under their own names.

``strict`` is the protocol of this project (counting.py). ``hindex`` and ``mqspn`` (mqspn.py) count
as the released code of H-Index and MQSPN does, so that a figure can be laid beside theirs; neither
is for choosing a model, and two protocols never share a table. Micro counts throughout.

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
from gmbench.core.errors import InputError
from gmbench.core.iou import iou
from gmbench.scoring.counting import (
    PROTOCOL_VERSION,
    CorpusScores,
    Counts,
    Scores,
    Tally,
    TypeScores,
    score_corpus,
)
from gmbench.scoring.intervals import TweetTable, table_of

# Fine entity types and their parents: the 51 of Twitter-FMNERG under its 8. Types are compared as
# strings everywhere else; here is the only place that knows which is which.
FINE: dict[str, tuple[str, ...]] = {
    "person": (
        "actor", "artist", "athlete", "author", "businessman", "character", "coach", "director",
        "intellectual", "journalist", "musician", "person_other", "politician",
    ),
    "location": (
        "city", "continent", "country", "location_other", "park", "road", "state",
    ),
    "building": (
        "building_other", "cultural_place", "entertainment_place", "sports_facility",
    ),
    "organization": (
        "band", "company", "educational_institution", "government_agency", "news_agency",
        "organization_other", "political_party", "social_organization", "sports_league",
        "sports_team",
    ),
    "product": ("brand_name_products", "game", "product_other", "software"),
    "art": ("art_other", "film_and_television_works", "magazine", "music", "written_work"),
    "event": ("event_other", "festival", "sports_event"),
    "other": ("animal", "award", "medical_thing", "ordinance", "website"),
}  # fmt: skip
"""By parent type of Twitter-FMNERG, its fine ones."""

PARENTS = {fine: parent for parent, children in FINE.items() for fine in children}
COARSE = ("PER", "LOC", "ORG", "OTHER")
"""The types of Twitter-GMNER: another annotation of the same tweets, no parents of fine ones."""


def coarse(name: str) -> str:
    """The parent of a fine type; any other type stays as it is."""
    return PARENTS.get(name, name)


def with_coarse_gold(entities: Iterable[Entity]) -> tuple[Entity, ...]:
    """The same gold entities with parent types."""
    return tuple(replace(entity, type=coarse(entity.type)) for entity in entities)


def with_coarse_types(predictions: Iterable[Prediction]) -> tuple[Prediction, ...]:
    """The same predictions with parent types."""
    return tuple(replace(guess, type=coarse(guess.type)) for guess in predictions)


# The counting of the released MQSPN code, to compare with published figures of that family. It
# compares tuples of span, type and the *index* of a candidate region (1 = the best, 0 = none), so
# it needs the ranked candidates of each image and the index that a model chose; a model that
# predicts boxes by itself cannot be scored. Rules, in the order in which they act: 1. The first 15
# candidates count
CANDIDATES = 15
FIRST_RANK_STRUCK_OUT = 10
NONE = 0
SAME_BOX = 0.99
"""Least IoU of a predicted box and the candidate that its index names: less, and one is wrong."""

Tuple4 = tuple[int, int, str, int]


def score_as_mqspn(
    id_: str,
    gold: Sequence[Entity],
    pred: Sequence[Prediction],
    *,
    words: Sequence[str],
    candidates: Sequence[Box] | None,
) -> CorpusScores:
    """Count one tweet; its predictions are ``tp + false ones``, phantom twins among them.

    Raises:
        InputError: there are no ranked candidates, or a prediction names none of them.
    """
    if candidates is None:
        raise InputError(
            f"id {id_!r}: protocol mqspn compares indices of ranked candidate regions and none are "
            "given for this image; it is not defined for proposal-free models: use strict"
        )
    guesses = _without_overlaps(
        [(p.start, p.end, p.type, _index(id_, p, candidates)) for p in pred]
    )
    wanted = _gold_tuples(gold, words, candidates)
    chosen = set(guesses) | {
        (*guess[:3], NONE)
        for guess in guesses
        if guess not in wanted and any(tuple_[:3] == guess[:3] for tuple_ in wanted)
    }
    eeg_wanted = {(start, end, region) for start, end, _, region in wanted}
    eeg_guesses = {(start, end, region) for start, end, _, region in guesses}
    eeg_chosen = eeg_guesses | {
        (*guess[:2], NONE)
        for guess in eeg_guesses - eeg_wanted
        if any(tuple_[:2] == guess[:2] for tuple_ in eeg_wanted)
    }
    text_wanted, text_chosen = {w[:3] for w in wanted}, {g[:3] for g in guesses}
    per_type = {
        name: TypeScores(
            gmner=_count((c for c in chosen if c[2] == name), (w for w in wanted if w[2] == name)),
            mner=_count(
                (c for c in text_chosen if c[2] == name), (w for w in text_wanted if w[2] == name)
            ),
            eeg_tp=sum((w[0], w[1], w[3]) in eeg_chosen for w in wanted if w[2] == name),
        )
        for name in sorted({t[2] for t in wanted | chosen})
    }
    micro = Scores(
        _count(chosen, wanted), _count(text_chosen, text_wanted), _count(eeg_chosen, eeg_wanted)
    )
    return CorpusScores(1, micro, per_type)


def _gold_tuples(
    gold: Sequence[Entity], words: Sequence[str], candidates: Sequence[Box]
) -> set[Tuple4]:
    def name(entity: Entity) -> str:
        return " ".join(words[entity.start : entity.end + 1])

    ordered = sorted(gold, key=lambda entity: (entity.start, entity.end))
    labels: list[str | None] = [None] * len(candidates[:CANDIDATES])
    mentioned: dict[str, Entity] = {}
    for entity in ordered:
        mentioned.setdefault(name(entity), entity)
    for entity in mentioned.values():
        for slot in range(len(labels)):
            if any(iou(candidates[slot], box) >= 0.5 for box in entity.boxes):
                labels[slot] = name(entity)
    tuples: set[Tuple4] = set()
    read_to = -2
    for entity in ordered:
        if entity.start <= read_to + 1:
            continue
        read_to = entity.end
        ranks = [slot + 1 for slot, label in enumerate(labels) if label == name(entity)]
        kept = [rank for rank in ranks if rank < FIRST_RANK_STRUCK_OUT] if ranks else [NONE]
        tuples.update((entity.start, entity.end, entity.type, rank) for rank in kept)
    return tuples


def _without_overlaps(guesses: Sequence[Tuple4]) -> list[Tuple4]:
    kept: list[Tuple4] = []
    for guess in sorted(guesses, key=lambda g: -g[3]):
        if all(guess[1] < other[0] or other[1] < guess[0] for other in kept):
            kept.append(guess)
    return kept


def _index(id_: str, guess: Prediction, candidates: Sequence[Box]) -> int:
    """The candidate that a prediction chose, from 1, or 0 for none."""
    span = f"id {id_!r}: prediction {guess.start}..{guess.end}"
    if guess.region is None:
        if guess.box is None:
            return NONE
        raise InputError(
            f"{span} has a box but no 'region', the index of the candidate that was chosen; "
            "protocol mqspn is not defined for proposal-free models: use strict"
        )
    if guess.region > len(candidates):
        raise InputError(f"{span} chose region {guess.region} of {len(candidates)} candidates")
    if (guess.region == NONE) != (guess.box is None):
        raise InputError(
            f"{span} has region {guess.region} and {'no' if guess.box is None else 'a'} box; "
            "regions count from 1, and 0 is none"
        )
    if guess.box is not None and iou(guess.box, candidates[guess.region - 1]) < SAME_BOX:
        raise InputError(
            f"{span}: its box is not candidate {guess.region}; regions count from 1 in the order "
            "of the candidates, and protocol mqspn is not defined for boxes that were moved"
        )
    return guess.region


def _count(chosen: Iterable[object], wanted: Iterable[object]) -> Counts:
    left, right = set(chosen), set(wanted)
    return Counts(len(left & right), len(left), len(right))


__all__ = ["PROTOCOLS", "PROTOCOL_VERSION", "Document", "Protocol", "Scored", "score"]

Protocol = Literal["strict", "hindex", "mqspn"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


@dataclass(frozen=True, slots=True)
class Document:
    """One tweet as a protocol sees it.

    Attributes:
        words, candidates: asked for by ``mqspn`` alone; candidates best first, None = not known.
    """

    gold: Sequence[Entity]
    pred: Sequence[Prediction]
    words: Sequence[str] = ()
    candidates: Sequence[Box] | None = None

    def in_coarse_types(self) -> "Document":
        """The same tweet with parents in place of fine types."""
        return replace(self, gold=with_coarse_gold(self.gold), pred=with_coarse_types(self.pred))


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A corpus under one protocol.

    Attributes:
        ids: of the tweets, sorted.
        rows: the counts of each tweet, in the order of ``ids``.
        total: their sum.
        iou_threshold: least IoU of a right box; under ``hindex`` it must be exceeded.
    """

    protocol: Protocol
    iou_threshold: float
    ids: tuple[str, ...]
    rows: tuple[CorpusScores, ...]
    total: CorpusScores

    def table(self) -> TweetTable:
        """The counts of every tweet, for intervals and tests."""
        return table_of(self.ids, (row.micro for row in self.rows))

    @property
    def rule(self) -> str:
        """The protocol in a few words, as every table prints it."""
        sign = ">" if self.protocol == "hindex" else ">="
        return f"Protocol {self.protocol} {PROTOCOL_VERSION}, IoU {sign} {self.iou_threshold:g}"


def score(
    documents: Mapping[str, Document], protocol: Protocol = "strict", iou_threshold: float = 0.5
) -> Scored:
    """Count a corpus by id; order changes nothing.

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
