"""The published variants: each rule by itself, and the counts that the released code gave."""

import random
from dataclasses import astuple

import pytest
from hypothesis import given

from gmbench.core.entities import Box, Entity, Prediction
from gmbench.core.errors import InputError
from gmbench.scoring.counting import TASKS, Counts, Scores, score_corpus
from gmbench.scoring.protocols import Document, Protocol, add_up, score
from tests.scoring.documents import corpora, golds, preds, random_document, worked_examples

BOX: Box = (0, 0, 100, 100)
HALF: Box = (0, 0, 100, 50)
FAR: Box = (500, 500, 600, 600)


def counts(protocol: Protocol, document: Document) -> dict[str, tuple[int, int, int]]:
    micro = score({"x": document}, protocol).total.micro
    return {task: astuple(getattr(micro, task)) for task in TASKS}


def test_mqspn_counts_as_the_released_code(shared):
    for row, gold, pred in worked_examples(shared):
        boxes = [tuple(box) for box in row["candidates"]]
        document = Document(gold, pred, words=row["tokens"], candidates=boxes)
        expected = row["expected"]["official_code"]
        got = counts("mqspn", document)
        assert got == {task: tuple(c.values()) for task, c in expected.items()}, row["id"]


def test_mqspn_gives_a_shared_candidate_to_the_later_name():
    gold = [Entity(0, 0, "PER", (BOX,)), Entity(2, 2, "ORG", (BOX,))]
    pred = [Prediction(0, 0, "PER", BOX, region=1), Prediction(2, 2, "ORG", BOX, region=1)]
    document = Document(gold, pred, words=("a", "and", "b"), candidates=(BOX, FAR))
    # "a" lost its candidate: it counts as not groundable, and the twin without region finds it.
    assert counts("mqspn", document)["gmner"] == (2, 3, 2)
    assert counts("strict", document)["gmner"] == (2, 2, 2)


def test_mqspn_labels_a_name_once():
    """A second mention of a name does not take candidates back."""
    gold = [Entity(at, at, kind, (BOX,)) for at, kind in ((0, "PER"), (2, "ORG"), (4, "PER"))]
    pred = [Prediction(at, at, "PER", BOX, region=1) for at in (0, 4)]
    document = Document(gold, pred, words=("a", "and", "b", "and", "a"), candidates=(BOX, FAR))
    # By their twins, as no candidate is left.
    assert counts("mqspn", document)["gmner"] == (2, 4, 3)


def test_mqspn_by_type_adds_up():
    gold = [Entity(0, 0, "PER", (BOX,)), Entity(2, 2, "ORG")]
    pred = [Prediction(0, 0, "PER", FAR, region=2), Prediction(2, 2, "LOC", None, region=0)]
    document = Document(gold, pred, words=("a", "and", "b"), candidates=(BOX, FAR))
    total = score({"x": document}, "mqspn").total
    assert total.micro.gmner == sum((t.gmner for t in total.per_type.values()), Counts())
    assert total.micro.mner == sum((t.mner for t in total.per_type.values()), Counts())
    assert total.micro.gmner == Counts(0, 3, 2)
    assert total.micro.mner == Counts(1, 2, 2)
    assert total.per_type["ORG"].eeg_tp == 1


@pytest.mark.parametrize(
    ("guess", "candidates", "reason"),
    [
        (Prediction(0, 0, "PER", BOX), None, "'t7': protocol mqspn compares indices .* none are"),
        (Prediction(0, 0, "PER"), None, "not defined for proposal-free models"),
        (Prediction(0, 0, "PER", BOX), (BOX,), r"prediction 0\.\.0 has a box but no 'region'"),
        (Prediction(0, 0, "PER", BOX, region=2), (BOX,), "chose region 2 of 1 candidates"),
        (Prediction(0, 0, "PER", BOX, region=0), (BOX,), "region 0 and a box"),
        (Prediction(0, 0, "PER", None, region=1), (BOX,), "region 1 and no box"),
        (Prediction(0, 0, "PER", BOX, region=2), (BOX, FAR), "its box is not candidate 2"),
    ],
)
def test_mqspn_is_refused_with_the_reason(guess, candidates, reason):
    document = Document([], [guess], words=("a",), candidates=candidates)
    with pytest.raises(InputError, match=reason):
        score({"t7": document}, "mqspn")


def test_hindex_wants_more_than_half_and_takes_the_last_of_a_span():
    gold = [Entity(0, 0, "PER", (BOX,))]
    assert counts("hindex", Document(gold, [Prediction(0, 0, "PER", HALF)]))["gmner"] == (0, 1, 1)
    assert counts("strict", Document(gold, [Prediction(0, 0, "PER", HALF)]))["gmner"] == (1, 1, 1)
    twice = [Prediction(0, 0, "PER", BOX), Prediction(0, 0, "ORG", BOX)]
    found = counts("hindex", Document(gold, twice))
    assert found == {"gmner": (0, 1, 1), "mner": (0, 1, 1), "eeg": (1, 1, 1)}
    assert counts("hindex", Document(gold, twice[::-1]))["gmner"] == (1, 1, 1)


def test_hindex_equals_its_index_sets():
    """Against the released rule, written anew: sets of candidate indices, dictionaries by span."""
    rng = random.Random(5)
    for _ in range(2_000):
        gold, pred = random_document(rng)
        ranked: list[Box] = [(0, 0, 10, 10), (0, 0, 10, 5), (30, 30, 40, 40), (0, 0, 20, 10)]
        chosen = [Prediction(p.start, p.end, p.type, rng.choice((None, *ranked))) for p in pred]

        def overlap(a: Box, b: Box) -> float:
            inside = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(
                0, min(a[3], b[3]) - max(a[1], b[1])
            )
            both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside
            return inside / both

        def accepted(entity: Entity, ranked: list[Box] = ranked) -> set[int]:
            if not entity.boxes:
                return {len(ranked)}
            real = [b for b in entity.boxes if b[2] > b[0] and b[3] > b[1]]
            return {k for k, r in enumerate(ranked) if any(overlap(r, b) > 0.5 for b in real)}

        ts = {(e.start, e.end): (accepted(e), e.type) for e in gold}
        ps = {
            (p.start, p.end): (len(ranked) if p.box is None else ranked.index(p.box), p.type)
            for p in chosen
        }
        tp = sum(
            span in ts and ts[span][1] == type_ and region in ts[span][0]
            for span, (region, type_) in ps.items()
        )
        got = score({"x": Document(gold, chosen)}, "hindex").total.micro.gmner
        assert got == Counts(tp, len(ps), len(ts))


def random_tweet(rng: random.Random) -> Document:
    """Few letters and few boxes: repeated names, adjacent entities and shared boxes are common."""
    words = rng.choices("abc", k=rng.randrange(1, 9))
    spans, at = [], 0
    while at < len(words):
        length = min(rng.choice((0, 1, 1, 2)), len(words) - at)
        if length:
            spans.append((at, at + length - 1))
        at += max(1, length)
    candidates: list[Box] = [
        (30 * x, 0, 30 * x + rng.choice((20, 40, 60)), 20)
        for x in rng.sample(range(20), rng.randrange(1, 19))
    ]
    boxes: dict[str, tuple[Box, ...]] = {}
    for start, end in spans:
        shown = rng.choices(candidates, k=rng.choice((0, 1, 1, 2)))
        moved = tuple((x + rng.choice((0, 5)), y, z, w) for x, y, z, w in shown)
        boxes.setdefault(" ".join(words[start : end + 1]), moved)
    gold = [
        Entity(s, e, rng.choice(("PER", "LOC")), boxes[" ".join(words[s : e + 1])])
        for s, e in spans
    ]
    pred = []
    for _ in range(rng.randrange(6)):
        start, end = rng.choice(spans) if spans and rng.random() < 0.7 else (len(words) - 1,) * 2
        region = rng.randrange(min(len(candidates), 15) + 1)
        box = candidates[region - 1] if region else None
        pred.append(Prediction(start, end, rng.choice(("PER", "LOC")), box, region=region))
    return Document(gold, pred, words, candidates)


def mqspn_by_lists(tweet: Document) -> list[Counts]:
    """The released counting written anew with lists, over a union of tuples as it does."""
    assert tweet.candidates is not None
    owner: dict[int, str] = {}
    surfaces = [" ".join(tweet.words[e.start : e.end + 1]) for e in tweet.gold]
    for surface in dict.fromkeys(surfaces):
        for box in tweet.gold[surfaces.index(surface)].boxes:
            for rank, region in enumerate(tweet.candidates[:15], start=1):
                width = max(0, min(box[2], region[2]) - max(box[0], region[0]))
                if 2 * width >= box[2] - box[0] + region[2] - region[0] - width:  # equal heights
                    owner[rank] = surface
    wanted, skip = [], -1
    for entity, surface in zip(tweet.gold, surfaces, strict=True):
        if entity.start == skip:
            continue
        skip = entity.end + 1
        ranks = sorted(rank for rank, name in owner.items() if name == surface)
        for rank in [r for r in ranks if r < 10] if ranks else [0]:
            wanted.append((entity.start, entity.end, entity.type, rank))
    kept: list[tuple[int, int, str, int]] = []
    for p in sorted(tweet.pred, key=lambda p: p.region or 0, reverse=True):
        if not any(p.start <= k[1] and k[0] <= p.end for k in kept):
            kept.append((p.start, p.end, p.type, p.region or 0))

    def counted(
        gold: list[tuple[object, ...]], pred: list[tuple[object, ...]], twins: bool
    ) -> Counts:
        if twins:
            wrong = [p for p in pred if p not in gold]
            pred = pred + [(*p[:-1], 0) for p in wrong for g in gold if g[:-1] == p[:-1]]
        union = dict.fromkeys([*gold, *pred])
        return Counts(
            sum(x in gold and x in pred for x in union),
            sum(x in pred for x in union),
            sum(x in gold for x in union),
        )

    return [
        counted(list(wanted), list(kept), twins=True),
        counted([w[:3] for w in wanted], [k[:3] for k in kept], twins=False),
        counted([(*w[:2], w[3]) for w in wanted], [(*k[:2], k[3]) for k in kept], twins=True),
    ]


def test_mqspn_against_lists():
    rng = random.Random(11)
    tweets = {f"{n}": random_tweet(rng) for n in range(2_000)}
    scored = score(tweets, "mqspn")
    for id_, row in zip(scored.ids, scored.rows, strict=True):
        got = [row.micro.gmner, row.micro.mner, row.micro.eeg]
        assert got == mqspn_by_lists(tweets[id_]), tweets[id_]


@given(corpora)
def test_strict_by_document_is_strict_at_once(corpus):
    documents = {f"{n}": Document(gold, pred) for n, (gold, pred) in enumerate(corpus)}
    scored = score(documents)
    assert scored.total == score_corpus(corpus)
    assert list(scored.total.per_type) == sorted(scored.total.per_type)
    table = scored.table()
    assert table.ids == tuple(sorted(documents))
    assert tuple(table.gmner.sum(axis=0)) == astuple(scored.total.micro.gmner)
    assert score(dict(reversed(documents.items()))).rows == scored.rows


@given(golds, preds)
def test_precision_and_recall_stand_in_one_ratio(gold, pred):
    """R17 (a): P/R is gold/pred, whatever the task."""
    micro = score({"x": Document(gold, pred)}).total.micro
    for counted in (micro.gmner, micro.mner, micro.eeg):
        assert counted.precision * len(pred) == pytest.approx(counted.recall * len(gold))


def test_only_strict_has_a_threshold():
    for protocol in ("hindex", "mqspn"):
        with pytest.raises(ValueError, match=r"IoU of 0\.5 only"):
            score({}, protocol, 0.75)
    with pytest.raises(ValueError, match="iou_threshold"):
        score({"x": Document([], [])}, "strict", 1.5)


def test_nothing_adds_up_to_nothing():
    assert add_up([]).micro == Scores()
    assert score({}).total.n == 0
