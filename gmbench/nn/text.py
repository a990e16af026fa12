"""Text encoders: sub-words to contextual states."""

from transformers import BertConfig


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
