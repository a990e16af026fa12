"""Words to sub-words with a fast tokenizer: no word is ever lost."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, slots=True)
class Tokens:
    """One tokenised sentence.

    Attributes:
        ids: sub-word ids with the tokenizer's special tokens.
        words: the word of each sub-word; -1 for special tokens.
    """

    ids: tuple[int, ...]
    words: tuple[int, ...]


def tokenise(
    tokenizer: PreTrainedTokenizerFast, sentences: Sequence[Sequence[str]]
) -> list[Tokens]:
    """Tokenise sentences that are already split into words.

    A word for which the tokenizer returns no piece (an invisible character, say) becomes the
    unknown token, so that every word has a sub-word and a place in the spans.

    Raises:
        ValueError: the tokenizer is not a fast one (no ``word_ids``).
    """
    if not tokenizer.is_fast:
        raise ValueError(f"{tokenizer.name_or_path}: a fast tokenizer is needed for word_ids()")
    if not sentences:
        return []
    encoded = tokenizer(
        [list(words) for words in sentences],
        is_split_into_words=True,
        add_special_tokens=False,
        truncation=False,
        padding=False,
    )
    unknown = tokenizer.unk_token_id
    result = []
    for row, words in enumerate(sentences):
        pieces: list[list[int]] = [[] for _ in words]
        for piece, word in zip(encoded["input_ids"][row], encoded.word_ids(row), strict=True):
            pieces[word].append(piece)
        ids: list[int] = [tokenizer.cls_token_id]
        index = [-1]
        for word, found in enumerate(pieces):
            ids.extend(found or [unknown])
            index.extend([word] * max(1, len(found)))
        result.append(Tokens((*ids, tokenizer.sep_token_id), (*index, -1)))
    return result
