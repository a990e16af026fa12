import pytest
import torch

from gmbench.core.entities import Candidates, Entity, Example, Prediction
from gmbench.core.tensors import Outputs, ShapeError, Targets
from tests.tensor_builders import make_batch, make_outputs, make_targets


def test_one_letter_is_one_size():
    good = make_targets([2, 1])
    with pytest.raises(ShapeError, match=r"Targets\.starts .*Int\[Tensor, 'B G'\]"):
        Targets(**{**vars(good), "starts": good.starts[:, :1]})


def test_dtypes_are_checked():
    good = make_targets([2, 1])
    with pytest.raises(ShapeError, match=r"Targets\.mask"):
        Targets(**{**vars(good), "mask": good.mask.float()})


def test_outputs_of_different_queries_are_refused():
    good = make_outputs(2)
    with pytest.raises(ShapeError, match=r"region_logits"):
        Outputs(**{**vars(good), "region_logits": good.region_logits[:, :2]})


def test_map_reaches_nested_records_and_tuples():
    batch = make_batch(make_targets([1]), rows=1)
    assert batch.map(lambda t: t.clone()).targets is not batch.targets
    deep = Outputs(**{**vars(make_outputs(1)), "aux": (make_outputs(1),)})
    assert deep.map(lambda t: t.half()).aux[0].type_logits.dtype == torch.float16
    assert batch.to("cpu").ids == batch.ids


@pytest.mark.parametrize("kind", [Entity, Prediction])
@pytest.mark.parametrize(("start", "end"), [(-1, 0), (3, 2)])
def test_spans_are_checked(kind, start, end):
    with pytest.raises(ValueError, match="inclusive"):
        kind(start, end, "PER")


def test_an_entity_outside_its_sentence_is_refused():
    with pytest.raises(ValueError, match="outside the sentence of 2 words"):
        Example("7", ("a", "b"), (Entity(1, 2, "PER"),))


def test_candidates_agree_about_their_number():
    import numpy as np

    with pytest.raises(ValueError, match="2 candidate boxes but 1 scores"):
        Candidates(np.zeros((2, 4)), scores=np.zeros(1))
    with pytest.raises(ValueError, match=r"\[K, 4\]"):
        Candidates(np.zeros((2, 3)))
    three = Candidates(np.zeros((3, 4)), scores=np.arange(3.0))
    assert len(three.top(2)) == 2
