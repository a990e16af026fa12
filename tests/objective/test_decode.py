import pytest
import torch

from gmbench.core.tensors import Outputs
from gmbench.objective.decode import Decoder
from tests.tensor_builders import make_batch, make_outputs, make_targets, perfect_outputs

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


def test_a_perfect_output_decodes_to_exactly_the_gold():
    targets = make_targets([3, 0, 1], seed=11)
    answers = Decoder(types=TYPES, overlap="none")(
        perfect_outputs(targets), make_batch(targets, rows=3)
    )
    for b, found in enumerate(answers):
        gold = {
            (int(s), int(e), TYPES[int(t) - 1], None if r[0] else int(r.int().argmax()))
            for s, e, t, r, m in zip(
                targets.starts[b],
                targets.ends[b],
                targets.types[b],
                targets.regions[b],
                targets.mask[b],
                strict=True,
            )
            if m
        }
        assert {
            (p.start, p.end, p.type, None if p.box is None else p.region) for p in found
        } == gold
        for p in found:
            if p.box is not None:
                assert p.box == (10.0 * p.region, 0.0, 10.0 * p.region + 9, 9.0)


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
    plain = make_outputs(1)
    boxes = torch.tensor([[[0.5, 0.5, 2.0, 0.5]] * 6])
    no_target = torch.tensor([[-9.0, 9.0] * 3])
    outputs = Outputs(
        type_logits=plain.type_logits.float(),
        start_logits=plain.start_logits.float(),
        end_logits=plain.end_logits.float(),
        boxes=boxes,
        no_target_logits=no_target,
    )
    (answers,) = Decoder(types=TYPES, overlap="none")(outputs, make_batch(None, rows=1))
    assert {p.box for p in answers} <= {None, (0.0, 25.0, 200.0, 75.0)}
    assert all(p.region is None for p in answers)
    assert all((p.box is None) == (p.no_target >= 0.5) for p in answers)


def test_outputs_without_any_region_are_refused():
    plain = make_outputs(1)
    outputs = Outputs(
        type_logits=plain.type_logits, start_logits=plain.start_logits, end_logits=plain.end_logits
    )
    with pytest.raises(ValueError, match="neither"):
        Decoder(types=TYPES)(outputs, make_batch(None, rows=1))
