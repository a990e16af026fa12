"""Heads, losses and decoding of MNER-QG against slow float64 references from their equations."""

import math

import pytest
import torch
from torch import nn

from gmbench.core.tensors import MASKED, Attention, Batch, Targets
from gmbench.nn.text import tiny_tokenizer
from models.mner_qg import ExistenceLoss, GroundingLoss, SpanDecoder, SpanOutputs, TextLoss
from models.mner_qg.heads import SpanHeads
from models.mner_qg.interaction import Interaction
from models.mner_qg.outputs import own_type_logits
from models.mner_qg.queries import TypeQueries
from models.mner_qg.vision import scaled_levels
from tests.models.references import matvec, some_mask, states

B, C, W, D = 2, 3, 5, 8
WORDS = (5, 3)
"""Real words of the two sentences."""

# Sentence, type (from 0), start, end, boxes cxcywh. Two spans of one type; one span of two types.
GOLD = (
    (0, 0, 1, 1, ((0.3, 0.3, 0.2, 0.2), (0.6, 0.5, 0.5, 0.4))),
    (0, 0, 3, 4, ((0.5, 0.5, 0.3, 0.3),)),
    (0, 2, 1, 1, ()),
    (1, 1, 0, 2, ((0.2, 0.7, 0.3, 0.4),)),
)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def bce(logit: float, truth: bool) -> float:
    return -math.log(sigmoid(logit) if truth else 1 - sigmoid(logit))


def some_outputs() -> SpanOutputs:
    words = torch.tensor([[n < count for n in range(W)] for count in WORDS])
    pairs = (words[:, :, None] & words[:, None]).triu()[:, None]
    exists = states(B, C, seed=1)
    return SpanOutputs(
        type_logits=own_type_logits(exists),
        start_logits=states(B, C, W, seed=2).masked_fill(~words[:, None], MASKED),
        end_logits=states(B, C, W, seed=3).masked_fill(~words[:, None], MASKED),
        boxes=states(B, C, 4, seed=4).sigmoid(),
        no_target_logits=states(B, C, seed=5),
        match_logits=states(B, C, W, W, seed=6).masked_fill(~pairs, MASKED),
        exists_logits=exists,
        attention=Attention(query_to_patch=states(B, C, 9, seed=7).softmax(dim=-1)),
    )


def some_targets() -> Targets:
    counts = [sum(g[0] == b for g in GOLD) for b in range(B)]
    most, boxes = max(counts), torch.zeros(B, max(counts), 2, 4, dtype=torch.float64)
    whole = torch.zeros(B, most, dtype=torch.long)
    types, starts, ends = whole.clone(), whole.clone(), whole.clone()
    mask, box_mask = whole.bool(), torch.zeros(B, most, 2, dtype=torch.bool)
    for b in range(B):
        for g, (_, kind, start, end, shown) in enumerate(x for x in GOLD if x[0] == b):
            mask[b, g], types[b, g], starts[b, g], ends[b, g] = True, kind + 1, start, end
            for m, box in enumerate(shown):
                boxes[b, g, m], box_mask[b, g, m] = torch.tensor(box), True
    return Targets(mask=mask, types=types, starts=starts, ends=ends, boxes=boxes, box_mask=box_mask)


def gold_of(b: int, c: int) -> list[tuple]:
    return [g for g in GOLD if g[:2] == (b, c)]


def test_match_head_scores_every_pair_of_words():
    """``w ReLU(W_1 h_i + W_2 h_j + a) + c``; starts and ends are linear in the word."""
    part, words, mask = SpanHeads(width=D).double(), states(B, W, D), some_mask(B, W)
    start, end, match = part(words, mask)
    for b in range(B):
        for i in range(W):
            if not mask[b, i]:
                assert start[b, i] == end[b, i] == MASKED
                continue
            assert start[b, i].item() == pytest.approx(matvec(part.start, words[b, i]).item())
            assert end[b, i].item() == pytest.approx(matvec(part.end, words[b, i]).item())
            for j in range(W):
                left, right = words[b, i], words[b, j]
                hidden = matvec(part.match.query, left) + matvec(part.match.key, right)
                wanted = matvec(part.match.score, hidden.clamp(min=0)).item()
                if j < i or not mask[b, j]:
                    wanted = MASKED
                assert match[b, i, j].item() == pytest.approx(wanted)


def test_text_loss_follows_its_equation():
    """Sums over words and over pairs i <= j, the mean over the questions of the batch."""
    outputs, factors = some_outputs(), {"start": 0.5, "end": 2.0, "match": 3.0}
    total = 0.0
    for b in range(B):
        for c in range(C):
            gold = gold_of(b, c)
            for i in range(WORDS[b]):
                began = any(g[2] == i for g in gold)
                ended = any(g[3] == i for g in gold)
                total += 0.5 * bce(outputs.start_logits[b, c, i].item(), began)
                total += 2.0 * bce(outputs.end_logits[b, c, i].item(), ended)
                for j in range(i, WORDS[b]):
                    span = any(g[2:4] == (i, j) for g in gold)
                    total += 3.0 * bce(outputs.match_logits[b, c, i, j].item(), span)
    found = TextLoss(**factors)(outputs, some_targets(), None)
    assert found.item() == pytest.approx(total / (B * C), rel=1e-9)


def corners(box) -> tuple[float, float, float, float]:
    x, y, w, h = box
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def slow_giou(one, two) -> float:
    a, b = corners(one), corners(two)

    def area(x1, y1, x2, y2):
        return max(0.0, x2 - x1) * max(0.0, y2 - y1)

    low = [max(p, q) for p, q in zip(a[:2], b[:2], strict=True)]
    high = [min(p, q) for p, q in zip(a[2:], b[2:], strict=True)]
    inner = area(*low, *high)
    union = area(*a) + area(*b) - inner
    hull = area(min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))
    return inner / union - (hull - union) / hull


def test_grounding_loss_follows_its_equation():
    """``5 L1 + 2 (1 - GIoU)`` with the largest box of the type, and the places inside it."""
    outputs, values = some_outputs(), []
    for b in range(B):
        for c in range(C):
            boxes = [box for g in gold_of(b, c) for box in g[4]]
            if not boxes:
                continue
            gold = max(boxes, key=lambda box: box[2] * box[3])
            box = outputs.boxes[b, c].tolist()
            value = 5 * sum(abs(p - q) for p, q in zip(box, gold, strict=True))
            value += 2 * (1 - slow_giou(box, gold))
            x1, y1, x2, y2 = corners(gold)
            inside = 0.0
            for place in range(9):
                x, y = (place % 3 + 0.5) / 3, (place // 3 + 0.5) / 3
                if x1 <= x <= x2 and y1 <= y <= y2:
                    inside += outputs.attention.query_to_patch[b, c, place].item()
            assert inside > 0
            values.append(value - 0.7 * math.log(inside))
    assert len(values) == 2
    found = GroundingLoss(place=0.7)(outputs, some_targets(), None)
    assert found.item() == pytest.approx(sum(values) / len(values), rel=1e-5)


def test_existence_loss_follows_its_equation():
    """One bit for all types; the other, *not in the image*, for those that are named."""
    outputs, exists, groundable = some_outputs(), [], []
    for b in range(B):
        for c in range(C):
            gold = gold_of(b, c)
            exists.append(bce(outputs.exists_logits[b, c].item(), bool(gold)))
            if gold:
                shown = any(g[4] for g in gold)
                groundable.append(bce(outputs.no_target_logits[b, c].item(), not shown))
    wanted = 0.3 * sum(exists) / len(exists) + 2.0 * sum(groundable) / len(groundable)
    found = ExistenceLoss(exists=0.3, groundable=2.0)(outputs, some_targets(), None)
    assert found.item() == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("gate", ["exists", "groundable", "none"])
def test_the_gate_scales_what_the_text_hears(gate):
    """``LN(h + e_c m)`` with ``e_c = sigmoid(w [h_CLS; mean v])``."""
    part = Interaction(width=D, heads=2, dropout=0.0, layers=0, gate=gate).double()
    text, vision = states(B, W, D), states(B, 4, D, seed=1)
    text_mask, vision_mask = some_mask(B, W), torch.tensor([[True] * 4, [False] * 4])
    found = part(text, vision, text_mask=text_mask, vision_mask=vision_mask)
    heard = part.vision_hears(vision, text, text_mask)
    message = part.text_hears(text, vision, vision_mask)
    assert message[1].abs().max() == 0  # no image, no message
    for b in range(B):
        both = torch.cat([text[b, 0], heard[b].sum(dim=0) / 4])
        bits = matvec(part.existence.score, both)
        torch.testing.assert_close(found.existence[b], bits)
        share = {"exists": sigmoid(bits[0]), "groundable": sigmoid(bits[1]), "none": 1.0}[gate]
        for row in range(W):
            wanted = nn.functional.layer_norm(text[b, row] + share * message[b, row], (D,))
            torch.testing.assert_close(found.text[b, row], wanted)


def decoded(outputs: SpanOutputs, targets: Targets | None = None, **choices):
    batch = Batch(
        ids=("a", "b"),
        input_ids=torch.zeros(B, W, dtype=torch.long),
        token_mask=torch.ones(B, W, dtype=torch.bool),
        word_index=torch.zeros(B, W, dtype=torch.long),
        word_mask=torch.ones(B, W, dtype=torch.bool),
        image_sizes=torch.tensor([[200.0, 100.0]] * B),
        image_mask=torch.ones(B, dtype=torch.bool),
        targets=targets,
    )
    return SpanDecoder(types=("X", "Y", "Z"), **choices)(outputs, batch)


def spans(outputs: SpanOutputs, **choices):
    return [[(p.type, p.start, p.end) for p in row] for row in decoded(outputs, **choices)]


def sure(*rows: tuple[int, int, int, int, float]) -> SpanOutputs:
    """Outputs that are sure of nothing but the given (sentence, type, start, end) log-odds."""
    plain = some_outputs()
    match = torch.full_like(plain.match_logits, -8.0)
    match = match.masked_fill(plain.match_logits <= MASKED / 2, MASKED)
    start, end = torch.full((2, B, C, W), -8.0, dtype=torch.float64)
    for b, c, i, j, value in rows:
        match[b, c, i, j] = start[b, c, i] = end[b, c, j] = value
    boxes = torch.tensor([0.5, 0.5, 0.2, 0.4], dtype=torch.float64).expand(B, C, 4)
    return SpanOutputs(
        type_logits=plain.type_logits,
        start_logits=start,
        end_logits=end,
        boxes=boxes,
        no_target_logits=torch.tensor([[-3.0, 3.0, -3.0]] * B, dtype=torch.float64),
        match_logits=match,
        exists_logits=torch.tensor([[4.0, 4.0, -4.0]] * B, dtype=torch.float64),
    )


def test_every_span_of_a_type_is_answered_with_the_types_one_box():
    rows = decoded(sure((0, 0, 0, 0, 2.0), (0, 0, 2, 4, 3.0), (0, 1, 1, 1, 1.0)))[0]
    assert [(p.type, p.start, p.end) for p in rows] == [("X", 2, 4), ("X", 0, 0), ("Y", 1, 1)]
    assert rows[0].box == rows[1].box == pytest.approx((80, 30, 120, 70))
    assert rows[2].box is None
    assert rows[0].score == pytest.approx(sigmoid(3.0))
    assert rows[2].no_target == pytest.approx(sigmoid(3.0))


def test_decoding_choices():
    crossing = sure((0, 0, 0, 2, 3.0), (0, 1, 1, 3, 2.0), (0, 2, 4, 4, 1.0), (1, 0, 0, 2, 1.0))
    assert spans(crossing) == [[("X", 0, 2), ("Z", 4, 4)], [("X", 0, 2)]]
    assert spans(crossing, overlap="type")[0] == [("X", 0, 2), ("Y", 1, 3), ("Z", 4, 4)]
    assert spans(crossing, existence=True)[0] == [("X", 0, 2)]
    assert spans(crossing, max_span=2)[0] == [("Z", 4, 4)]
    assert spans(crossing, threshold=0.8)[0] == [
        ("X", 0, 2),
    ]
    crossing.end_logits[0, 0] = -8.0
    assert spans(crossing, rule="all")[0] == [("Y", 1, 3), ("Z", 4, 4)]
    assert [p.box for p in decoded(crossing, no_target_threshold=0.0)[0]] == [None, None]


def test_regions_are_measured_on_gold_text():
    rows = decoded(sure((0, 0, 0, 2, 3.0)), targets=some_targets(), given_text=True)
    found = [[(p.type, p.start, p.end, p.box is None) for p in row] for row in rows]
    assert found[0] == [("X", 1, 1, False), ("X", 3, 4, False), ("Z", 1, 1, False)]
    assert found[1] == [("Y", 0, 2, True)]
    with pytest.raises(ValueError, match="given_text"):
        decoded(sure(), given_text=True)


def some_batch(tokenizer, *sentences: list[str]) -> Batch:
    pieces = tokenizer(list(sentences), is_split_into_words=True, padding=True, return_tensors="pt")
    index = [[-1 if w is None else w for w in pieces.word_ids(b)] for b in range(len(sentences))]
    longest = max(map(len, sentences))
    return Batch(
        ids=tuple(str(b) for b in range(len(sentences))),
        input_ids=pieces["input_ids"],
        token_mask=pieces["attention_mask"].bool(),
        word_index=torch.tensor(index),
        word_mask=torch.tensor([[w < len(s) for w in range(longest)] for s in sentences]),
        image_sizes=torch.ones(len(sentences), 2),
        image_mask=torch.ones(len(sentences), dtype=torch.bool),
    )


def test_each_sentence_stands_behind_each_question():
    tokenizer = tiny_tokenizer()
    texts = {"A": "who is named?", "B": "which old places are named here?", "unread": "x"}
    asked = questions(texts)(some_batch(tokenizer, ["one", "two", "three"], ["four"]))
    for row, (sentence, name) in enumerate(
        (s, n) for s in ("one two three", "four") for n in ("A", "B")
    ):
        real = asked.ids[row][asked.mask[row]]
        wanted = tokenizer(texts[name], sentence)["input_ids"]
        assert real.tolist() == wanted
    assert (asked.word_index.max(dim=1).values == torch.tensor([2, 2, 0, 0])).all()
    question = len(tokenizer(texts["B"])["input_ids"])  # the longest, with [CLS] and [SEP]
    assert (asked.word_index[:, :question] == -1).all()
    assert (asked.word_index[0, question:] >= 0).sum() == len(
        tokenizer("one two three").tokens()
    ) - 2


def questions(texts: dict[str, str]) -> TypeQueries:
    return TypeQueries(tokenizer=tiny_tokenizer(), type_names=("A", "B"), texts=texts)


def test_a_sentence_beyond_the_encoders_last_position_is_cut():
    tokenizer = tiny_tokenizer()
    part = questions({"A": "who is named?", "B": "where?"})
    asked = part(some_batch(tokenizer, ["word"] * 400))
    assert asked.ids.shape[1] == tokenizer.model_max_length
    assert asked.mask.all(dim=1)[0]


def test_a_type_without_a_text_is_named():
    with pytest.raises(ValueError, match="no text for B"):
        questions({"A": "a", "B": " "})
    with pytest.raises(ValueError, match="shorten it"):
        questions({"A": "word " * 300, "B": "b"})


def test_levels_are_scaled_to_the_encoder():
    assert scaled_levels((4, 8, 12), 12) == (4, 8, 12)
    assert scaled_levels((4, 8, 12), 10) == (4, 7, 10)
    assert scaled_levels((4, 8, 12), 4) == (2, 3, 4)
    assert scaled_levels((4, 8, 12), 1) == (1,)
    with pytest.raises(ValueError, match="1 to 12"):
        scaled_levels((0, 4), 12)
