"""Type queries: the written question of each type, put before the sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from gmbench.core.tensors import Batch


@dataclass(frozen=True, eq=False)
class Asked:
    """Each sentence behind each question, type by type within a sentence.

    Attributes:
        ids: ``[B * C, L]`` sub-words of ``[CLS] q_c [SEP] words [SEP]``.
        mask: ``[B * C, L]``.
        word_index: ``[B * C, L]`` word of each sub-word; -1 in the question.
    """

    ids: Tensor
    mask: Tensor
    word_index: Tensor


class TypeQueries(nn.Module):
    """One fixed text a type, kept as sub-words.

    Shorter texts are padded behind their end, before ``[SEP]``; the padding is masked.
    """

    ids: Tensor
    mask: Tensor

    def __init__(
        self,
        *,
        tokenizer: PreTrainedTokenizerFast,
        type_names: Sequence[str],
        texts: Mapping[str, str],
    ) -> None:
        """Tokenise the texts.

        Args:
            tokenizer: of the text encoder.
            type_names: names of the types, in class order.
            texts: by type name; those of types that the data does not have are ignored.

        Raises:
            ValueError: a type has no text or an empty one.
        """
        super().__init__()
        without = [name for name in type_names if not texts.get(name, "").strip()]
        if without:
            raise ValueError(
                f"type_queries: no text for {', '.join(without)} (there is one for "
                f"{', '.join(texts) or 'none'}); add it, as in "
                f"'+model.network.type_queries={{{without[0]}: what to look for}}'"
            )
        pieces = tokenizer(
            [texts[name] for name in type_names],
            add_special_tokens=False,
            padding=True,
            padding_side="right",
            return_tensors="pt",
        )
        mask = pieces["attention_mask"].bool()
        # A pretrained encoder knows no position beyond this.
        self.longest = int(tokenizer.model_max_length)
        if mask.shape[1] + 3 >= self.longest:
            raise ValueError(
                f"type_queries: a text of {mask.shape[1]} sub-words leaves no room for a sentence "
                f"in the {self.longest} of the encoder; shorten it"
            )
        self.register_buffer("ids", pieces["input_ids"] * mask, persistent=False)
        self.register_buffer("mask", mask, persistent=False)

    def __len__(self) -> int:
        return len(self.ids)

    def forward(self, batch: Batch) -> Asked:
        """Ask every question of every sentence.

        Sub-words beyond the encoder's last position are cut off; their words have empty states.
        """
        rows, types = len(batch), len(self)
        size = self.ids.shape[1]
        room = self.longest - size - 1  # of the sentence with its own [CLS] and [SEP]
        sentence = batch.input_ids[:, :room]
        first = sentence[:, :1]  # [CLS]
        last = batch.token_mask.sum(dim=1, keepdim=True) - 1  # [B, 1]
        close = batch.input_ids.gather(1, last)  # [B, 1], [SEP]

        def behind(question: Tensor, before: Tensor, after: Tensor, words: Tensor) -> Tensor:
            """``[C, n]``, ``[B, 1]``, ``[B, 1]``, ``[B, m]`` -> ``[B * C, n + m + 2]``."""
            parts = (
                before[:, None].expand(-1, types, -1),  # [B, C, 1]
                question[None].expand(rows, -1, -1),  # [B, C, n]
                after[:, None].expand(-1, types, -1),
                words[:, None].expand(-1, types, -1),  # [B, C, m]
            )
            return torch.cat(parts, dim=2).flatten(0, 1)  # [B, C, ...] -> [B * C, ...]

        real, none = torch.ones_like(first, dtype=torch.bool), torch.full_like(first, -1)
        return Asked(
            ids=behind(self.ids, first, close, sentence[:, 1:]),
            mask=behind(self.mask, real, real, batch.token_mask[:, 1:room]),
            word_index=behind(
                torch.full_like(self.ids, -1), none, none, batch.word_index[:, 1:room]
            ),
        )
