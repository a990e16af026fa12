from dataclasses import replace
from functools import partial

import pytest
import torch
from torchvision.ops import box_convert

from gmbench.core.tensors import Outputs
from gmbench.objective.decode import Decoder
from tests.tensor_builders import (
    free_outputs,
    make_batch,
    make_outputs,
    make_targets,
    perfect_boxes,
    perfect_outputs,
)

TYPES = ("PER", "LOC", "ORG")


def one_query_each(rows: list[tuple[int, int, int, float]], words: int = 7) -> Outputs:
    """One sample; each row = (type, start, end, logit of the type) of a query."""
    kind = torch.zeros(1, len(rows), 4)
    start = torch.full((1, len(rows), words), -9.0)
    end = start.clone()
    region = torch.zeros(1, len(rows), 4)
    for q, (t, s, e, logit) in enumerate(rows):
        kind[0, q, t] = logit
        start[0, q, s] = end[0, q, e] = 9.0
    return Outputs(type_logits=kind, start_logits=start, end_logits=end, region_logits=region)


def spans(decoder: Decoder, outputs: Outputs) -> list[tuple[int, int]]:
    (answers,) = decoder(outputs, make_batch(None, rows=1))
    return [(p.start, p.end) for p in answers]


@pytest.mark.parametrize("perfect", [perfect_outputs, perfect_boxes])
def test_perfect_outputs_decode_to_exactly_the_gold(perfect):
    targets = make_targets([3, 0, 2], seed=11)
    batch = make_batch(targets, rows=3)
    answers = Decoder(types=TYPES, overlap="none")(perfect(targets), batch)
    corners = box_convert(targets.boxes[:, :, 0], "cxcywh", "xyxy") * 100
    corners[..., ::2] *= 2  # images of 200 x 100 pixels
    slots = targets.regions.int().argmax(dim=-1)
    for b, found in enumerate(answers):
        gold = {}
        for g in targets.mask[b].nonzero().flatten().tolist():
            box = corners[b, g] if perfect is perfect_boxes else batch.region_boxes[b, slots[b, g]]
            name = (int(targets.starts[b, g]), int(targets.ends[b, g]))
            type_ = TYPES[int(targets.types[b, g]) - 1]
            gold[name] = (type_, box.tolist() if targets.groundable[b, g] else None)
        assert {(p.start, p.end) for p in found} == set(gold)
        for p in found:
            type_, box = gold[p.start, p.end]
            assert p.type == type_
            assert (p.box is None) == (box is None)
            if box is not None:
                assert p.box == pytest.approx(box, abs=1e-3)


def test_overlap_policies():
    outputs = one_query_each([(1, 1, 3, 9.0), (2, 2, 2, 8.0), (1, 3, 5, 7.0), (3, 1, 3, 6.0)])
    assert spans(Decoder(types=TYPES, overlap="flat"), outputs) == [(1, 3)]
    assert spans(Decoder(types=TYPES, overlap="nested"), outputs) == [(1, 3), (2, 2)]
    assert spans(Decoder(types=TYPES, overlap="none"), outputs) == [(1, 3), (2, 2), (3, 5)]


def test_joint_spans_are_never_turned_round_and_argmax_drops_them():
    outputs = one_query_each([(1, 4, 2, 9.0)])
    ((start, end),) = spans(Decoder(types=TYPES), outputs)
    assert start <= end
    assert spans(Decoder(types=TYPES, span="argmax"), outputs) == []


def test_max_span_holds():
    outputs = one_query_each([(1, 0, 6, 9.0)])
    ((start, end),) = spans(Decoder(types=TYPES, max_span=3), outputs)
    assert end - start < 3


def test_threshold_on_the_type():
    outputs = one_query_each([(1, 0, 0, 0.2), (2, 3, 3, 9.0)])
    assert spans(Decoder(types=TYPES, type_threshold=0.9), outputs) == [(3, 3)]


def test_best_first_and_ties_by_query():
    outputs = one_query_each([(1, 5, 5, 3.0), (1, 1, 1, 9.0), (1, 3, 3, 3.0)])
    assert spans(Decoder(types=TYPES), outputs) == [(1, 1), (5, 5), (3, 3)]


def test_proposal_free_boxes_lie_inside_the_image():
    outputs = replace(
        free_outputs(1),
        boxes=torch.tensor([[[0.5, 0.5, 2.0, 0.5]] * 6]),
        no_target_logits=torch.tensor([[-9.0, 9.0] * 3]),
    )
    (answers,) = Decoder(types=TYPES, overlap="none")(outputs, make_batch(None, rows=1))
    assert {p.box for p in answers} <= {None, (0.0, 25.0, 200.0, 75.0)}
    assert all(p.region is None for p in answers)
    assert all((p.box is None) == (p.no_target >= 0.5) for p in answers)


@pytest.mark.parametrize("corner", [0.0, 1.0, 1e-9, -3.0, 4.0])
@pytest.mark.parametrize("side", [0.0, 1e-12, 1.0])
def test_decoded_boxes_lie_inside_and_have_area(corner, side):
    outputs = perfect_boxes(make_targets([1]))
    outputs = replace(
        outputs,
        boxes=torch.tensor([corner, corner, side, side]).expand(1, 8, 4),
        no_target_logits=torch.full((1, 8), -9.0),
    )
    batch = replace(make_batch(None, rows=1), image_sizes=torch.tensor([[3.0, 5000.0]]))
    ((answer,),) = Decoder(types=TYPES)(outputs, batch)
    x1, y1, x2, y2 = answer.box
    assert 0 <= x1 < x2 <= 3
    assert 0 <= y1 < y2 <= 5000


@pytest.mark.parametrize(("threshold", "none"), [(0.0, True), (1.1, False)])
def test_thresholds_that_expose_the_floors(threshold, none):
    outputs = replace(perfect_boxes(make_targets([3])), no_target_logits=torch.zeros(1, 8))
    decoder = Decoder(types=TYPES, no_target_threshold=threshold)
    (answers,) = decoder(outputs, make_batch(None, rows=1))
    assert answers
    assert all((p.box is None) == none for p in answers)


def test_outputs_without_any_region_are_refused():
    with pytest.raises(ValueError, match="neither"):
        Decoder(types=TYPES)(replace(make_outputs(1), region_logits=None), make_batch(None, rows=1))


@pytest.mark.parametrize("longest", [1, 2, 7])
@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_the_best_span_within_reach_and_its_score(longest, activation):
    """Against every pair of ends; the score is p(type) p(start) p(end)."""
    outputs, shown = free_outputs(3, seed=4), {}
    decoder = Decoder(types=TYPES, overlap="none", max_span=longest, span_activation=activation)
    for b, answers in enumerate(decoder(outputs, make_batch(None, rows=3))):
        for answer in answers:
            shown.setdefault((b, answer.start, answer.end), []).append(answer.score)
    turned = torch.sigmoid if activation == "sigmoid" else partial(torch.softmax, dim=-1)
    start, end = turned(outputs.start_logits.detach()), turned(outputs.end_logits.detach())
    kinds, types = outputs.type_logits.softmax(dim=-1).max(dim=-1)
    wanted = {}
    for b in range(3):
        for q in range(6):
            if types[b, q] == 0:
                continue
            score, first, last = max(
                (float(start[b, q, i] * end[b, q, j]), i, j)
                for i in range(7)
                for j in range(i, min(7, i + longest))
            )
            wanted.setdefault((b, first, last), []).append(score * float(kinds[b, q]))
    assert {key: max(scores) for key, scores in wanted.items()} == {
        key: pytest.approx(scores[0], rel=1e-5) for key, scores in shown.items()
    }


def test_thresholds_at_equality():
    """A type must exceed its threshold; *not in the image* holds from its threshold on."""
    kind = torch.zeros(1, 1, 4)
    kind[..., 1] = torch.log(torch.tensor(3.0))  # p = 3 / 6
    outputs = replace(one_query_each([(1, 0, 0, 0.0)]), type_logits=kind)
    outputs = replace(outputs, region_logits=None, boxes=torch.full((1, 1, 4), 0.5))
    outputs = replace(outputs, no_target_logits=torch.zeros(1, 1))  # p = 1 / 2
    probability = float(kind.softmax(dim=-1).max())
    batch = make_batch(None, rows=1)
    assert Decoder(types=TYPES, type_threshold=probability)(outputs, batch) == [()]
    ((answer,),) = Decoder(types=TYPES, no_target_threshold=0.5)(outputs, batch)
    assert answer.box is None
    ((answer,),) = Decoder(types=TYPES, no_target_threshold=0.5001)(outputs, batch)
    assert answer.box is not None
