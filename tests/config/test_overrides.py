import pytest

from gmbench.config.overrides import MAX_NAME, folder_name, parsed, quote, quoted

TEXTS = (
    *("数据/x", "a=b", "it's", "#a", "(x)", "a&b", ";", "[x]", "a,b", "2024", "true", "a b", "a\\"),
    *("\\'x", "{}", "{x", "a:b", "!x", "~x", "a\\\\'b", " lead", "choice(a,b)", "./runs"),
)


@pytest.mark.parametrize("text", TEXTS)
def test_a_path_is_taken_as_typed(text: str) -> None:
    once = quoted(f"data.root={text}")
    read = parsed(once)
    assert read is not None
    assert read.value() == text
    assert quoted(once) == once
    assert (literal := parsed(f"a={quote(text)}")) is not None
    assert literal.value() == text


def test_what_hydra_reads_stays_and_what_it_cannot_is_quoted(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/rosa")
    for override in (
        "seed=3",
        "seed=1,2",
        "a=[1,2]",
        "seed=[1",
        "data.root='x'",
        "ckpt=null",
        "~a",
    ):
        assert quoted(override, sweep=True) == override
    assert quoted("data.root=A,B", sweep=True) == "data.root=A,B"
    assert quoted("regions.source.path=lr=0.1/b") == "regions.source.path='lr=0.1/b'"
    assert quoted("data.root=~/own") == "data.root=/home/rosa/own"


def test_long_lists_of_overrides_end_in_a_hash() -> None:
    assert folder_name("seed=1,a=b/c") == "seed=1,a=b/c"
    long, other = "a=" + "é" * 200, "a=" + "é" * 201
    for text in (long, other, "a=../../x"):
        assert len(folder_name(text).encode()) <= MAX_NAME
        assert "/" not in folder_name(text)
    assert folder_name(long) != folder_name(other)
    assert folder_name(long) == folder_name(long)
