"""Each part of QGN against a slow float64 reference written from the paper's equations."""

import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModel

from gmbench.nn.layers import sinusoids
from gmbench.nn.vision import VisionEncoder, attend, feed, from_clip, tiny_vision
from models.qgn.heads import PredictionHeads
from models.qgn.hvla import HierarchicalAlignment, HVLASettings, TextFusion, bridge
from models.qgn.mqa import MQASettings, MultiViewQueryAttention
from models.qgn.mqd import Features, MQDSettings, MultimodalQueryDecoding
from models.qgn.places import Places, square
from tests.models.references import attention, matvec, some_mask, states

B, S, N, D, HEADS = 2, 5, 7, 8, 2


def layer_norm(part: torch.nn.LayerNorm, vector: torch.Tensor) -> torch.Tensor:
    spread = (vector - vector.mean()) / torch.sqrt(vector.var(correction=0) + part.eps)
    return spread * part.weight + part.bias


def mqa(**settings) -> MultiViewQueryAttention:
    torch.manual_seed(0)
    return (
        MultiViewQueryAttention(
            width=D,
            heads=HEADS,
            num_queries=N,
            dropout=0.1,
            settings=MQASettings(query_std=1.0, **settings),
        )
        .double()
        .eval()
    )


@pytest.mark.parametrize("residual", [True, False])
def test_equations_1_and_2(residual):
    part, text, mask = mqa(jca_residual=residual), states(B, S, D), some_mask(B, S)
    found_text, found_queries = part(text, mask, ("a", "b"))
    start = part.initial.start
    for b in range(B):
        words = [text[b, s] for s in range(S) if mask[b, s]]
        guided = [
            layer_norm(part.look_norm, start[n] + attention(part.look, start[n], words, HEADS))
            for n in range(N)
        ]
        sequence = words + guided
        for place, state in enumerate(sequence):
            wanted = attention(part.joint, state, sequence, HEADS)
            if residual:
                wanted = layer_norm(part.joint_norm, state + wanted)
            query = place - len(words)
            found = found_text[b, place] if query < 0 else found_queries[b, query]
            torch.testing.assert_close(found, wanted, atol=1e-10, rtol=0)


def test_equation_3():
    torch.manual_seed(0)
    part = TextFusion(width=D, levels=4).double()
    levels = [states(B, S, D, seed=i) for i in range(4)]
    found = part(levels)
    for b in range(B):
        for s in range(S):
            adapted = [
                level[b, s] + matvec(adapter, level[b, s])
                for level, adapter in zip(levels, part.adapters, strict=True)
            ]
            wanted = matvec(part.merge, torch.cat(adapted))
            torch.testing.assert_close(found[b, s], wanted, atol=1e-12, rtol=0)


def test_words_do_not_look_at_queries_under_the_piqn_mask():
    text, mask = states(B, S, D), some_mask(B, S)
    for kind, free in (("full", False), ("piqn", True)):
        part = mqa(jca_mask=kind)
        before, _ = part(text, mask, ("a", "b"))
        with torch.no_grad():
            part.initial.start += 1.0
        after, _ = part(text, mask, ("a", "b"))
        assert torch.allclose(before, after) == free


@pytest.mark.parametrize("init", ["mean", "attn_single", "attn_multi", "one_vector", "slot_noise"])
def test_queries_differ_from_each_other_in_every_alternative(init):
    """Acceptance 9: 60 equal queries would find one entity a sentence."""
    part = mqa(query_init=init)
    _, queries = part(states(B, S, D), some_mask(B, S), ("a", "b"))
    apart = torch.cdist(queries, queries) + torch.eye(N) * 9
    assert apart.min() > 1e-3


def test_pooled_queries_do_not_see_padding():
    text, mask = states(B, S, D), some_mask(B, S)
    noise = torch.where(mask[..., None], text, text + 100)
    for init in ("mean", "attn_single", "attn_multi"):
        part = mqa(query_init=init)
        one, two = (part(t, mask, ("a", "b"))[1] for t in (text, noise))
        torch.testing.assert_close(one, two, atol=1e-12, rtol=0)


def test_slot_noise_belongs_to_the_sample():
    part = mqa(query_init="slot_noise", tqc=False, jca=False)
    text, mask = states(B, S, D), some_mask(B, S)
    _, there = part(text, mask, ("a", "b"))
    _, turned = part(text.flip(0), mask.flip(0), ("b", "a"))
    torch.testing.assert_close(there, turned.flip(0))
    assert not torch.allclose(there[0], there[1])


BRIDGES = {  # QGN.md section 3: (start, stride, depth) -> blocks
    (1, 3, 12): (1, 4, 7, 10),
    (2, 3, 12): (2, 5, 8, 11),
    (3, 3, 12): (3, 6, 9, 12),
    (1, 1, 12): (1, 2, 3, 4),
    (1, 2, 12): (1, 3, 5, 7),
    (2, 2, 12): (2, 4, 6, 8),
    (1, 3, 6): (1, 2, 4, 5),
    (2, 3, 6): (1, 3, 4, 6),
    (1, 3, 4): (1, 2, 3, 4),
    (1, 3, 24): (2, 8, 14, 20),
    (2, 3, 24): (4, 10, 16, 22),
    (1, 3, 2): (1, 2),
}


def blocks(start: int, stride: int, depth: int, **more) -> tuple[int, ...]:
    settings = {"levels": 4, "index_base": 1, "scale": "proportional", **more}
    return bridge(start=start, stride=stride, depth=depth, **settings)


@pytest.mark.parametrize(("start", "stride", "depth"), BRIDGES)
def test_bridging_blocks_at_any_depth(start, stride, depth):
    assert blocks(start, stride, depth) == BRIDGES[start, stride, depth]


def test_other_ways_to_count_blocks():
    assert blocks(1, 3, 6, scale="stride_preserving") == (1, 4)
    assert blocks(2, 3, 6, scale="stride_preserving") == (2, 5)
    assert blocks(1, 1, 12, levels="to_end") == tuple(range(1, 13))
    assert blocks(1, 3, 12, index_base=0) == (2, 5, 8, 11)
    with pytest.raises(ValueError, match=r"must lie in 1\.\.12"):
        blocks(3, 3, 12, index_base=0)


def clip(depth: int = 12) -> VisionEncoder:
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=depth,
        num_attention_heads=2,
        image_size=24,
        patch_size=8,
    )
    return from_clip(CLIPVisionModel(config), identity="random")


TOWERS = {"timm": lambda: tiny_vision(pretrained=False), "clip": clip}


def aligned(
    kind: str, text_depth: int = 12, **settings
) -> tuple[HierarchicalAlignment, VisionEncoder]:
    """HVLA in a tower, and the bare tower with the same weights."""
    tower, bare = TOWERS[kind](), TOWERS[kind]()
    bare.load_state_dict(tower.state_dict())
    part = HierarchicalAlignment(
        vision_encoder=tower,
        text_depth=text_depth,
        width=D,
        heads=HEADS,
        dropout=0.0,
        settings=HVLASettings(**settings),
    )
    return part.eval(), bare.eval()


@pytest.mark.parametrize("kind", TOWERS)
@pytest.mark.parametrize("inject", ["post", "mid", "pre"])
def test_with_zero_gates_the_tower_is_bare(kind, inject):
    part, bare = aligned(kind, gate="zero_init", inject=inject)
    pixels = torch.randn(2, 3, bare.image_size, bare.image_size)
    text = [torch.randn(2, S, D) for _ in range(13)]
    states, wanted = bare.embed(pixels), []
    for number, block in enumerate(bare.blocks, start=1):
        states = block(states)
        if number in part.read:
            wanted.append(states)
    found = part.levels(pixels, text, some_mask(B, S))
    assert len(found) == len(wanted) == 4
    for one, two in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, two, atol=1e-6, rtol=0)
    with torch.no_grad():
        part.gates[0] += 1.0
    assert not torch.allclose(part.levels(pixels, text, some_mask(B, S))[0], wanted[0])


@pytest.mark.parametrize("kind", TOWERS)
def test_halves_make_a_block(kind):
    tower = TOWERS[kind]().double().eval()
    tokens = states(2, 9, tower.width)
    for block in tower.blocks[:2]:
        torch.testing.assert_close(feed(block, attend(block, tokens)), block(tokens))


@pytest.mark.parametrize(
    ("settings", "kept"),
    [({}, 11), ({"vision_start": 3}, 12), ({"vision_stride": 1}, 5), ({"enabled": False}, 12)],
)
def test_blocks_that_nothing_reads_are_dropped(settings, kept):
    part, _ = aligned("clip", **settings)
    assert part.tower.depth == kept
    assert not list(part.tower.norm.parameters())


def test_an_injection_behind_the_last_read_block_is_not_built():
    part, _ = aligned("clip", vision_start=3, extract="fixed")
    assert part.read == (2, 5, 8, 11)
    assert part.changed == (3, 6, 9)


def test_padded_text_says_nothing_to_the_image():
    part, bare = aligned("clip")
    pixels = torch.randn(2, 3, bare.image_size, bare.image_size)
    text = [torch.randn(2, S, D) for _ in range(13)]
    noise = [torch.where(some_mask(B, S)[..., None], t, t + 50) for t in text]
    one, two = part(pixels, text, some_mask(B, S)), part(pixels, noise, some_mask(B, S))
    torch.testing.assert_close(one, two, atol=1e-5, rtol=0)


def test_learned_places_fit_other_image_sizes():
    places = Places(width=D, prefix=1, grid=3, positions="learned").double()
    same = places.vision(torch.zeros(1, 10, D, dtype=torch.float64))[0, 1:]
    torch.testing.assert_close(same, places.patches.flatten(0, 1) + places.marks[0])
    with torch.no_grad():
        places.patches.copy_(torch.arange(3.0)[:, None, None].expand(3, 3, D))
    larger = places.vision(torch.zeros(1, 37, D, dtype=torch.float64))[0, 1:] - places.marks[0]
    rows = larger.view(6, 6, D)[:, 0, 0]
    assert (rows.diff() >= 0).all()
    assert rows[0] == 0
    assert rows[-1] == 2
    with pytest.raises(ValueError, match="sub-words"):
        places.text(torch.zeros(1, 513, D, dtype=torch.float64))


def test_fixed_places_tell_every_patch_apart():
    grid = square(12, 128)
    assert (torch.cdist(grid, grid) + torch.eye(144) * 9).min() > 0.1


Rows = list[torch.Tensor]


def cross(part, states: Rows, keys: Rows) -> Rows:
    """A post-norm block, one state at a time; equal to self-attention where keys are states."""
    after = []
    for state in states:
        state = layer_norm(
            part.attention_norm, state + attention(part.attention, state, keys, HEADS)
        )
        first, _, _, last = part.feed_forward.layers
        hidden = torch.nn.functional.gelu(matvec(first, state))
        after.append(layer_norm(part.feed_norm, state + matvec(last, hidden)))
    return after


def decoder_block(part, states: Rows, keys: Rows) -> Rows:
    mixed = [
        layer_norm(part.own_norm, state + attention(part.own, state, states, HEADS))
        for state in states
    ]
    return cross(part.cross, mixed, keys)


@pytest.mark.parametrize(
    ("mre_text", "mre_vision", "layers"),
    [("vtf", "hvla", (1, 2, 2)), ("mqa", "vtf", (2, 1, 1)), ("vtf", "vtf", (0, 0, 1))],
)
def test_decoding_as_the_paper_words_it(mre_text, mre_vision, layers):
    """III-B: VTF over the joint sequence, queries over its memory, refinement beside the image."""
    torch.manual_seed(0)
    settings = MQDSettings(
        **dict(zip(("vtf_layers", "fde_layers", "mre_layers"), layers, strict=True)),
        positions="sinusoid",
        mre_text=mre_text,
        mre_vision=mre_vision,
    )
    part = MultimodalQueryDecoding(
        width=D, heads=HEADS, dropout=0.1, prefix=1, grid=2, settings=settings
    )
    part = part.double().eval()
    text_mask, word_mask = some_mask(B, S), some_mask(B, 3)
    f = Features(
        text=states(B, S, D, seed=1),
        text_mask=text_mask,
        vision=states(B, 5, D, seed=2),
        vision_mask=torch.ones(B, 5, dtype=torch.bool),
        queries=states(B, 4, D, seed=3),
        word_index=torch.tensor([[-1, 0, 0, 1, 2], [-1, 0, 0, -1, -1]]),
        num_words=3,
        word_mask=word_mask,
    )
    found = part(f, deep=True, picture=False)
    placed = (part.places.vision(f.vision), part.places.text(f.text))
    for b in range(B):
        pieces = [s for s in range(S) if text_mask[b, s]]
        memory = [*placed[0][b], *placed[1][b, pieces]]
        for block in part.vtf:
            memory = cross(block, memory, memory)
        source = memory[5:] if mre_text == "vtf" else [f.text[b, s] for s in pieces]
        words = [
            torch.stack([source[i] for i, s in enumerate(pieces) if f.word_index[b, s] == w]).amax(
                0
            )
            for w in range(3)
            if word_mask[b, w]
        ]
        vision = memory[:5] if mre_vision == "vtf" else list(f.vision[b])
        queries, wanted = list(f.queries[b]), []
        for block in part.fde:
            queries = decoder_block(block, queries, memory)
            wanted.append((queries, words))
        for refine, look in zip(part.refine, part.vision_branch, strict=True):
            joint = cross(refine, words + queries, words + queries)
            words, queries = joint[: len(words)], joint[len(words) :]
            vision = decoder_block(look, vision, joint)
            wanted.append((queries, words))
        merged = [
            layer_norm(part.merge_norm, query + attention(part.merge, query, vision, HEADS))
            for query in queries
        ]
        wanted[-1] = (merged, words)
        torch.testing.assert_close(found.vision[b], torch.stack(vision), atol=1e-9, rtol=0)
        assert len(found.layers) == len(wanted)
        for (queries, words), layer in zip(wanted, found.layers, strict=True):
            torch.testing.assert_close(layer[0][b], torch.stack(queries), atol=1e-9, rtol=0)
            torch.testing.assert_close(
                layer[1][b, : len(words)], torch.stack(words), atol=1e-9, rtol=0
            )


def test_a_missing_picture_is_no_key_of_decoding():
    """Where every visual token is masked, what they hold changes neither queries nor words."""
    torch.manual_seed(0)
    settings = MQDSettings(positions="sinusoid")
    part = MultimodalQueryDecoding(
        width=D, heads=HEADS, dropout=0.0, prefix=1, grid=2, settings=settings
    )
    part = part.double().eval()
    answers = []
    for seed in (2, 9):
        f = Features(
            text=states(B, S, D, seed=1),
            text_mask=some_mask(B, S),
            vision=states(B, 5, D, seed=seed),
            vision_mask=torch.zeros(B, 5, dtype=torch.bool),
            queries=states(B, 4, D, seed=3),
            word_index=torch.arange(S).repeat(B, 1),
            num_words=S,
            word_mask=some_mask(B, S),
        )
        answers.append(part(f, deep=False, picture=False).layers[-1])
    torch.testing.assert_close(answers[0][0], answers[1][0], atol=1e-10, rtol=0)


@pytest.mark.parametrize(
    ("gate", "factor"), [("none", 1.0), ("zero_init", 0.25), ("layer_scale", 0.1)]
)
def test_the_message_is_added_to_what_the_block_left(gate, factor):
    """Eq. 3's "residual connection": ungated as it is, gated by its factor or factors."""
    part, _ = aligned("clip", gate=gate)
    if gate == "zero_init":
        torch.nn.init.constant_(part.gates[0], 0.25)
    pixels = torch.randn(2, 3, part.tower.image_size, part.tower.image_size)
    text, mask = [torch.randn(2, S, D) for _ in range(13)], some_mask(B, S)
    before = part.tower.embed(pixels)
    for block in part.tower.blocks[: part.changed[0]]:
        before = block(before)
    fused = part.fusions[0]([text[block] for block in part.text_blocks])
    message = part.looks[0](part.norms[0](before), fused, mask)
    found = part.levels(pixels, text, mask)[0]
    assert message.abs().max() > 1e-3
    torch.testing.assert_close(found, before + factor * message)


def test_each_modality_has_its_own_mark():
    places = Places(width=D, prefix=1, grid=2, positions="sinusoid").double()
    nothing = torch.zeros(1, 5, D, dtype=torch.float64)
    text, vision = places.text(nothing)[0], places.vision(nothing)[0]
    torch.testing.assert_close(text - places.marks[1], sinusoids(5, D).double())
    torch.testing.assert_close(vision[0], places.class_place[0] + places.marks[0])
    torch.testing.assert_close(vision[1:] - places.marks[0], square(2, D).double())


def test_every_layer_is_answered_as_if_it_stood_alone():
    """Types, ends, boxes and their drafts of a layer come from its own queries and words."""
    torch.manual_seed(0)
    heads = PredictionHeads(width=D, num_types=3, prefix=1, box="refined").double()
    torch.nn.init.normal_(heads.box.again.step.weight)
    layers = [(states(B, 4, D, seed=i), states(B, 3, D, seed=i + 9)) for i in range(3)]
    vision, seen = states(B, 10, D, seed=20), torch.ones(B, 10, dtype=torch.bool)
    masks = {"word_mask": some_mask(B, 3), "vision_mask": seen}
    for layer, found in zip(layers, heads(layers, vision, **masks), strict=True):
        (alone,) = heads([layer], vision, **masks)
        for name in ("type_logits", "start_logits", "end_logits", "boxes", "no_target_logits"):
            torch.testing.assert_close(getattr(found, name), getattr(alone, name))
        torch.testing.assert_close(found.drafts, alone.drafts)
        torch.testing.assert_close(found.attention.query_to_patch, alone.attention.query_to_patch)
