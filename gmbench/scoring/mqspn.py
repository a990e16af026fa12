"""The counting of the released MQSPN code, to compare with published figures of that family.

It compares tuples of span, type and the *index* of a candidate region (1 = the best, 0 = none). It
therefore needs the ranked candidates of each image and the index that a model chose; a model that
predicts boxes directly cannot be scored. The rules, in the order in which they apply:

1. The first 15 candidates count. One with IoU >= 0.5 to a gold box takes that entity's name as its
   label; where several names fit, the later one. The released code goes through the objects of the
   XML file; records do not keep that order, so here names come as first mentioned.
2. An entity that starts right behind the one read before is lost.
3. An entity becomes one gold tuple for each candidate labelled with its name; with none, a tuple of
   index 0. Candidates from rank 10 on are removed afterwards, so an entity that has only such ones
   disappears.
4. Predictions are ordered by index, greatest first; one that overlaps an earlier one is removed.
5. Gold and predictions are sets of tuples; MNER leaves the index out, EEG the type.
6. With the index compared, a prediction with the right span (and type) and a wrong index adds a
   twin of index 0, which is right wherever that tuple is gold.

Not followed: candidates that repeat another's box exactly shift later labels there.
"""

from collections.abc import Iterable, Sequence

from gmbench.core.entities import Box, Entity, Prediction
from gmbench.core.errors import InputError
from gmbench.core.iou import iou
from gmbench.scoring.counting import CorpusScores, Counts, Scores, TypeScores

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
