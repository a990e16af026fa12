"""The signature of a score: one line that can be quoted and read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmbench.core.entities import Entity
from gmbench.core.errors import InputError
from gmbench.scoring.counting import TASKS
from gmbench.scoring.protocols import PROTOCOLS
from gmbench.scoring.signature import Signature, gold_digits, parse_signature

QUOTED = "strict1.0|iou0.5|gmner|test|n=1500|data=bef004e7|seeds=5"
PARTS = {
    "protocol": st.sampled_from([f"{name}1.0" for name in PROTOCOLS]),
    "iou": st.sampled_from([0.5, 0.55, 0.95, 1.0]),
    "tasks": st.sets(st.sampled_from(TASKS), min_size=1).map(tuple),
    "split": st.sampled_from(["test", "dev", "file"]),
    "n": st.integers(0, 10**8),
    "seeds": st.tuples(st.integers(0, 9), st.integers(10, 99)) | st.just((3, 3)),
    "types": st.sampled_from([None, "coarse", "fine"]),
    "text": st.sampled_from([None, "given"]),
}


@given(st.fixed_dictionaries(PARTS), st.sampled_from(["data", "gold"]))
def test_what_is_printed_is_read_back(parts, which):
    signature = Signature(**parts, **{which: "0123abcd"})
    assert parse_signature(str(signature)) == signature


def test_the_quoted_one():
    signature = parse_signature(f" {QUOTED}\n")
    assert str(signature) == QUOTED
    assert (signature.tasks, signature.seeds, signature.gold) == (("gmner",), (5, 5), None)


@pytest.mark.parametrize(("old", "new", "message"), [
    ("strict1.0", "strikt1.0", "not 'strikt1.0'; did you mean strict1.0?"),
    ("strict1.0|", "", "part 1 should be a protocol, not 'iou0.5'; known: strict1.0, hindex1.0"),
    ("iou0.5|", "", "part 2 should be the IoU, such as iou0.5, not 'gmner'"),
    ("gmner", "gmnr", "part 3 should be tasks, not 'gmnr'; did you mean gmner?"),
    ("|test", "", "part 4 should be the split, then keys, not ''"),
    ("|test", "|test|dev", "part 4 should be the split, then keys, not 'test|dev'"),
    ("data=", "dat=", "unknown key 'dat'; did you mean data?"),
    ("n=", "zzz=", "unknown key 'zzz'; known: n, data, gold, seeds, types, text"),
    ("|data=bef004e7", "", "key data or gold is missing"),
    ("|data=bef004e7|seeds=5", "", "key data or gold, seeds is missing"),
    ("seeds=5", "gold=bef004e7", "data and gold are the same thing"),
    ("seeds=5", "n=5", "n needs one value, got 'n=5'"),
    ("bef004e7", "bef", "data=bef is malformed"),
    (QUOTED, "", "part 1 should be a protocol, not ''"),
])  # fmt: skip
def test_a_wrong_part_is_named_with_its_nearest_match(old, new, message):
    with pytest.raises(InputError) as error:
        parse_signature(QUOTED.replace(old, new))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_gold_counts_and_its_order_does_not():
    entities = (Entity(0, 0, "PER", ()), Entity(1, 1, "LOC", ()))
    two = ("2", ("c",), ())
    digits = gold_digits([("1", ("a", "b"), entities), two])
    assert gold_digits([two, ("1", ("a", "b"), entities[::-1])]) == digits
    other = (entities[0], Entity(1, 1, "ORG", ()))
    assert gold_digits([("1", ("a", "b"), other), two]) != digits
    assert gold_digits([("1", ("a", "b"), entities)]) != digits
