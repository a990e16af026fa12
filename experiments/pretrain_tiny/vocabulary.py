"""The tiny encoder's own uncased WordPiece vocabulary.

It holds the plain words of the built-in world's phrases, all characters, and every pair of
letters with a vowel. It holds no name and no colour of any pool, so invented names, seen or
unseen, fall apart into the same kind of pieces.
"""

from collections.abc import Iterable
from itertools import product
from string import ascii_lowercase, digits, punctuation

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from gmbench.data.synthetic.phrases import WORLD

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
VOWELS = "aeiouy"
EXTRA = "\u2026\u2019\u201c\u201d\u2013\u00a3\u20ac\u00e9"
"""Ellipsis, curly quotes, dash, pound, euro, e acute."""


def plain_texts() -> Iterable[str]:
    """Every phrase of the built-in world."""
    for group in (*WORLD.plain.values(), *WORLD.paired.values()):
        yield from group
    for group in (WORLD.vague, WORLD.empty, WORLD.joiners, WORLD.openers):
        yield from group
    yield from WORLD.closers
    yield from WORLD.hashtags
    yield "RT http in with the colours"


def build_tokenizer() -> Tokenizer:
    """The tokenizer; the same at every call."""
    normalizer, splitter = BertNormalizer(lowercase=True), BertPreTokenizer()
    letters = ascii_lowercase + digits + punctuation + EXTRA
    pairs = [a + b for a, b in product(ascii_lowercase, repeat=2) if {a, b} & set(VOWELS)]
    words = {
        word
        for text in plain_texts()
        for word, _ in splitter.pre_tokenize_str(
            normalizer.normalize_str(
                text.replace("{a}", " ").replace("{b}", " ").replace("{noise}", " ")
            )
        )
        if word.isascii()
    }
    pieces = [*letters, *sorted(words), *pairs]
    pieces += [f"##{piece}" for piece in (*ascii_lowercase, *digits, *pairs)]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys((*SPECIAL, *pieces)))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    return tokenizer
