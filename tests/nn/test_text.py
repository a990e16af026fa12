import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel, RobertaTokenizer

from gmbench.core.errors import InputError
from gmbench.nn import text, weights
from gmbench.nn.text import TextEncoder, mask_states, pool_words


def small_bert(**changes):
    torch.manual_seed(0)
    settings = {
        "vocab_size": 50,
        "hidden_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 20,
    }
    return TextEncoder(model=BertModel(BertConfig(**settings | changes)), identity="t").eval()


@pytest.fixture
def sentence():
    torch.manual_seed(1)
    ids = torch.randint(5, 50, (2, 6))
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    return ids, mask


def test_states_equal_transformers_and_have_no_pooler(sentence):
    encoder = small_bert()
    assert not [name for name, _ in encoder.named_parameters() if "pooler" in name]
    wanted = encoder.model(input_ids=sentence[0], attention_mask=sentence[1].long())
    torch.testing.assert_close(encoder(*sentence), wanted.last_hidden_state)
    assert (encoder.width, encoder.depth) == (16, 3)
    assert encoder.model.config._attn_implementation == "sdpa"


def test_layers_are_embeddings_and_every_block(sentence):
    encoder = small_bert()
    layers = encoder.layers(*sentence)
    assert [tuple(layer.shape) for layer in layers] == [(2, 6, 16)] * 4
    torch.testing.assert_close(layers[-1], encoder(*sentence))
    embeddings = encoder.model.embeddings(sentence[0])
    torch.testing.assert_close(layers[0], embeddings)
    assert layers[1].ne(layers[0]).any()


def test_padding_changes_nothing(sentence):
    encoder = small_bert().double()
    ids, mask = sentence
    wanted = encoder(ids[1:, :4], mask[1:, :4])
    torch.testing.assert_close(encoder(ids, mask)[1:, :4], wanted, atol=1e-12, rtol=0)


def test_every_parameter_gets_a_gradient(sentence):
    encoder = small_bert(type_vocab_size=1)
    encoder(*sentence).square().sum().backward()
    missing = [name for name, p in encoder.named_parameters() if p.grad is None]
    assert not missing


def test_roberta_fits_too(sentence):
    config = RobertaConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=20, max_position_embeddings=20, pad_token_id=1,
    )  # fmt: skip
    encoder = TextEncoder(model=RobertaModel(config), identity="t")
    assert encoder(*sentence).shape == (2, 6, 16)
    assert encoder.depth == 2


def slow_pool(hidden, word_index, num_words):
    rows = []
    for states, words in zip(hidden, word_index, strict=True):
        for word in range(num_words):
            own = states[words == word]
            rows.append(own.max(dim=0).values if len(own) else torch.zeros(hidden.shape[-1]))
    return torch.stack([row.to(hidden) for row in rows]).view(len(hidden), num_words, -1)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    batch=st.integers(1, 3),
    pieces=st.integers(1, 9),
    words=st.integers(1, 6),
)
def test_pool_words_equals_a_loop(seed, batch, pieces, words):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(batch, pieces, 4, generator=generator, dtype=torch.float64) - 1
    index = torch.randint(-1, words, (batch, pieces), generator=generator)
    pooled = pool_words(hidden, index, words)
    assert pooled.dtype == torch.float64
    assert pooled.eq(slow_pool(hidden, index, words)).all()


def test_pool_words_gradient():
    torch.manual_seed(0)
    hidden = torch.randn(2, 6, 3, dtype=torch.float64, requires_grad=True)
    index = torch.tensor([[-1, 0, 0, 2, 2, -1], [-1, 1, 1, 1, -1, -1]])
    assert torch.autograd.gradcheck(lambda h: pool_words(h, index, 4), (hidden,))
    pool_words(hidden, index, 4).sum().backward()
    assert hidden.grad[index < 0].eq(0).all()
    # One sub-word in each dimension of each word that has any: 1 + 1 + 1 words, 3 dimensions.
    assert hidden.grad.sum() == 9


def test_pool_words_gives_the_whole_gradient_to_a_state_of_zero():
    hidden = torch.zeros(1, 1, 2, requires_grad=True)
    pool_words(hidden, torch.tensor([[0]]), 1).sum().backward()
    assert hidden.grad.eq(1).all()


def test_mask_states_are_the_states_at_the_mask(tokenizer_file):
    tokenizer = text._wordpiece(tokenizer_file, 256)
    encoder = small_bert(hidden_dropout_prob=0.5).train()
    prompts = ["person is an entity type about [MASK]", "[MASK] is a"]
    states = mask_states(encoder, tokenizer, prompts)
    assert encoder.training
    assert not states.requires_grad
    encoder.eval()
    for prompt, state in zip(prompts, states, strict=True):
        pieces = tokenizer(prompt, return_tensors="pt")
        at = pieces["input_ids"][0].tolist().index(tokenizer.mask_token_id)
        alone = encoder(pieces["input_ids"], pieces["attention_mask"].bool())[0, at]
        torch.testing.assert_close(state, alone, atol=1e-6, rtol=1e-5)


def test_mask_states_uses_the_tokenizers_own_mask(tokenizer_file):
    tokenizer = text._wordpiece(tokenizer_file, 256)
    tokenizer.mask_token = "x"
    assert mask_states(small_bert(), tokenizer, ["a [MASK] b"]).shape == (1, 16)


def test_a_prompt_without_mask_is_named(tokenizer_file):
    tokenizer = text._wordpiece(tokenizer_file, 256)
    with pytest.raises(ValueError, match=r"exactly one \[MASK\]: 'person'"):
        mask_states(small_bert(), tokenizer, ["person"])


def test_tiny_from_scratch(tokenizer_file, monkeypatch):
    monkeypatch.setattr(weights, "SHIPPED", tokenizer_file.parent)
    tokenizer = text.tiny_tokenizer()
    assert tokenizer.is_fast
    encoder = text.tiny_text(pretrained=False)
    pieces = tokenizer([["ab", "xa", "q"]], is_split_into_words=True, return_tensors="pt")
    assert pieces.word_ids(0) == [None, 0, 1, 1, 2, None]  # ab, x ##a, [UNK]
    assert encoder(pieces["input_ids"], pieces["attention_mask"].bool()).shape == (1, 6, 128)
    assert "random" in encoder.identity


def test_tiny_weights_round_trip_in_half_precision(tokenizer_file, monkeypatch):
    from safetensors.torch import save_file

    monkeypatch.setattr(weights, "SHIPPED", tokenizer_file.parent)
    first = text.tiny_text(pretrained=False)
    with pytest.raises(InputError, match=r"text\.safetensors is missing.*pretrain_tiny"):
        text.tiny_text()
    half = {name: value.half().contiguous() for name, value in first.state_dict().items()}
    save_file(half, tokenizer_file.parent / "text.safetensors")
    second = text.tiny_text()
    assert {p.dtype for p in second.parameters()} == {torch.float32}
    for name, value in second.state_dict().items():
        assert value.eq(half[name].float()).all()
    del half["model.embeddings.LayerNorm.bias"]
    save_file(half, tokenizer_file.parent / "text.safetensors")
    with pytest.raises(InputError, match=r"model\.embeddings\.LayerNorm\.bias is missing"):
        text.tiny_text()


def test_a_local_folder_by_name(tmp_path, tokenizer_file):
    saved = small_bert()
    saved.model.save_pretrained(tmp_path / "bert")
    text._wordpiece(tokenizer_file, 256).save_pretrained(tmp_path / "bert")
    encoder = text.named_text(str(tmp_path / "bert"))
    ids = torch.arange(5, 11)[None]
    mask = torch.ones(1, 6, dtype=torch.bool)
    torch.testing.assert_close(encoder.eval()(ids, mask), saved(ids, mask))
    assert encoder.identity == f"{tmp_path / 'bert'} {weights.fingerprint(saved)}"
    tokenizer = text.named_tokenizer(str(tmp_path / "bert"))
    assert tokenizer.is_fast
    assert tokenizer.mask_token == "[MASK]"


def test_a_tokenizer_without_vocabulary_is_refused(tmp_path):
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="no vocabulary"):
        text.named_tokenizer(str(tmp_path))


def test_byte_level_words_get_their_space(tmp_path):
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "a", "b", "\u0120", "ab", "\u0120ab"]
    tokenizer = RobertaTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=[("a", "b"), ("\u0120", "ab")],
    )
    tokenizer.save_pretrained(tmp_path)
    loaded = text.named_tokenizer(str(tmp_path))
    words = loaded([["ab", "ab"]], is_split_into_words=True, add_special_tokens=False)
    assert words["input_ids"] == [[9, 9]]
    assert words.word_ids(0) == [0, 1]


def test_small_tells_paraphrases_from_unrelated_sentences(minilm):
    encoder, tokenizer = text.small_text().eval(), text.small_tokenizer()
    assert tokenizer.is_fast
    assert (encoder.width, encoder.depth) == (384, 6)
    assert text.MINILM_SHA256 in encoder.identity
    sentences = [
        "The singer gave a concert in Paris last night.",
        "Yesterday evening a vocalist performed live in the French capital.",
        "My laptop's battery drains far too quickly.",
    ]
    pieces = tokenizer(sentences, padding=True, return_tensors="pt")
    mask = pieces["attention_mask"].bool()
    with torch.no_grad():
        states = encoder(pieces["input_ids"], mask)
    vectors = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    same, other, third = (
        torch.cosine_similarity(vectors[a], vectors[b], dim=0) for a, b in ((0, 1), (0, 2), (1, 2))
    )
    assert same > 0.5 > 0.3 > max(other, third)
