import pytest
import torch
from torch import nn

from gmbench.nn.layers import Attention, CrossBlock, FeedForward, sinusoids


@pytest.fixture
def inputs():
    torch.manual_seed(0)
    query = torch.randn(3, 5, 16, dtype=torch.float64)
    keys = torch.randn(3, 7, 12, dtype=torch.float64)
    mask = torch.rand(3, 7) < 0.6
    mask[:, 0] = True
    return query, keys, mask


def test_attention_equals_torchs(inputs):
    query, keys, mask = inputs
    ours = Attention(width=16, heads=4, key_width=12).double()
    theirs = nn.MultiheadAttention(16, 4, kdim=12, vdim=12, batch_first=True).double()
    with torch.no_grad():
        for name, part in (("q", ours.query), ("k", ours.key), ("v", ours.value)):
            part.bias.normal_()
            getattr(theirs, f"{name}_proj_weight").copy_(part.weight)
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    wanted, weights = theirs(query, keys, keys, key_padding_mask=~mask, average_attn_weights=False)
    torch.testing.assert_close(ours(query, keys, mask), wanted)
    torch.testing.assert_close(ours.weights(query, keys, mask), weights)
    torch.testing.assert_close(ours(query, keys), theirs(query, keys, keys)[0])


def test_rows_without_keys_are_zero_and_have_finite_gradients(inputs):
    query, keys, mask = inputs
    mask[1] = False
    attention = Attention(width=16, heads=2, key_width=12).double()
    nn.init.normal_(attention.out.bias)
    keys.requires_grad_()
    result = attention(query, keys, mask)
    assert result[1].eq(0).all()
    assert result[0].ne(0).any()
    assert attention.weights(query, keys, mask)[1].eq(0).all()
    result.square().sum().backward()
    assert keys.grad.isfinite().all()
    assert keys.grad[1].eq(0).all()
    for parameter in attention.parameters():
        assert parameter.grad.isfinite().all()


def test_mask_of_pairs(inputs):
    query, keys, _ = inputs
    attention = Attention(width=16, heads=2, key_width=12).double()
    pairs = torch.rand(3, 5, 7) < 0.5
    pairs[0, 2] = False
    result = attention(query, keys, pairs)
    for sample in range(3):
        for row in range(5):
            chosen = keys[sample : sample + 1, pairs[sample, row]]
            one = query[sample : sample + 1, row : row + 1]
            alone = attention(one, chosen)[0, 0] if chosen.shape[1] else torch.zeros(16).double()
            torch.testing.assert_close(result[sample, row], alone)


@pytest.mark.parametrize("kind", ["attention", "block"])
def test_padding_and_batch_change_nothing(inputs, kind):
    query, keys, mask = inputs
    settings = {"width": 16, "heads": 4, "key_width": 12}
    layer = (Attention if kind == "attention" else CrossBlock)(**settings).double().eval()
    wanted = layer(query, keys, mask)
    more = torch.cat([keys, torch.full((3, 4, 12), 1e6, dtype=torch.float64)], dim=1)
    longer = torch.cat([mask, torch.zeros(3, 4, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(layer(query, more, longer), wanted, atol=1e-12, rtol=0)
    torch.testing.assert_close(layer(query[1:2], keys[1:2], mask[1:2]), wanted[1:2])


def test_dropout_acts_in_training_only(inputs):
    query, keys, mask = inputs
    block = CrossBlock(width=16, heads=4, key_width=12, dropout=0.5).double()
    assert block(query, keys, mask).ne(block(query, keys, mask)).any()
    block.eval()
    assert block(query, keys, mask).eq(block(query, keys, mask)).all()


def test_feed_forward_widths_and_gradients():
    part = FeedForward(width=6)
    assert part.layers[0].out_features == 24
    assert FeedForward(width=6, hidden=5).layers[0].out_features == 5
    part(torch.randn(2, 3, 6)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in part.parameters())


def test_heads_that_do_not_divide_are_named():
    with pytest.raises(ValueError, match="5 heads do not divide the width 16"):
        Attention(width=16, heads=5)


def test_runs_in_bfloat16_autocast(inputs):
    query, keys, mask = (part.float() if part.is_floating_point() else part for part in inputs)
    attention = Attention(width=16, heads=4, key_width=12)
    mask[2] = False
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = attention(query, keys, mask)
    assert result.isfinite().all()
    torch.testing.assert_close(result.float(), attention(query, keys, mask), atol=0.05, rtol=0.05)


def test_sinusoids_tell_places_apart_and_do_not_depend_on_the_number_of_places():
    long, short = sinusoids(40, 16), sinusoids(7, 16)
    torch.testing.assert_close(long[:7], short)
    assert long.abs().max() <= 1
    distance = torch.cdist(long, long) + 9 * torch.eye(40)
    assert distance.min() > 0.1
    assert sinusoids(3, 5).shape == (3, 5)
