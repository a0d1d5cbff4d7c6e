"""Fusions by attention: formulas worked row by row on the tokens that are there, without any mask, and what absence leaves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from fusion_cases import fuse, fusion, randomise, vectors
from torch import Tensor, nn

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.values import Fused, Tokens
from omnifuse.model import FUSIONS
from omnifuse.model.layers.attention import Attention

DIM, HEADS = 8, 2
LENGTHS = {1: (3,), 2: (3, 2), 3: (3, 1, 2)}
# Row by row how many tokens of each column are there, of up to three columns.
ROWS = [(3, 1, 2), (1, 1, 1), (2, 0, 2), (0, 1, 0), (3, 0, 0), (0, 0, 1), (0, 0, 0)]


def columns(count: int) -> list[Tokens]:
    """Tokens of one to three columns in float64, of other lengths in every row, noise where masked."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for m, length in enumerate(LENGTHS[count]):
        mask_BT = torch.arange(length) < torch.tensor([row[m] for row in ROWS]).unsqueeze(1)
        made.append(Tokens(torch.randn(len(ROWS), length, DIM, generator=generator, dtype=torch.float64), mask_BT))
    return made


def run(part: Any, given: Sequence[Tokens]) -> Fused:
    with torch.no_grad():
        return part({f"c{m}": column for m, column in enumerate(given)})


@torch.no_grad()
def attention(part: Any, query_TD: Tensor, memory_SD: Tensor) -> Tensor:
    """Vaswani et al., one head and one query after another; the null key, if any, before the others."""
    width = DIM // HEADS
    out_TD = torch.zeros_like(query_TD)
    q, kv = query_TD @ part.query.weight.T, memory_SD @ part.key_value.weight.T
    for head in range(HEADS):
        here = slice(head * width, (head + 1) * width)
        keys, values = list(rms(part.key_norm, kv[:, :DIM][:, here])), list(kv[:, DIM:][:, here])
        if part.null is not None:
            keys, values = [part.null[0, head, 0], *keys], [part.null[1, head, 0], *values]
        for t in range(len(q)):
            scores = [float(rms(part.query_norm, q[t, here]) @ key) / math.sqrt(width) for key in keys]
            total = sum(math.exp(score) for score in scores)
            for score, value in zip(scores, values, strict=True):
                out_TD[t, here] += math.exp(score) / total * value
    return out_TD @ part.out.weight.T + part.out.bias


def rms(norm: Any, x: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + torch.finfo(x.dtype).eps).sqrt() * norm.weight


def hidden(block: Any, x_TD: Tensor) -> Tensor:
    return x_TD + block.mlp(block.mlp_norm(x_TD))


def block(part: Any, x_TD: Tensor) -> Tensor:
    h_TD = part.attention_norm(x_TD)
    return hidden(part, x_TD + attention(part.attention, h_TD, h_TD))


def cross_block(part: Any, x_TD: Tensor, memory_SD: Tensor) -> Tensor:
    return hidden(part, x_TD + attention(part.attention, part.attention_norm(x_TD), part.memory_norm(memory_SD)))


def rows(given: Sequence[Tokens]) -> list[dict[int, Tensor]]:
    """For every row the tokens that are there, by column."""
    return [{m: column.values[row, column.mask[row]] for m, column in enumerate(given) if column.present[row]} for row in range(len(ROWS))]


def assert_streams(fused: Fused, given: Sequence[Tokens], row: int, streams: dict[int, Tensor], first: int, empty: Tensor) -> None:
    """What is handed on in a row are these tokens in their places, and z the mean of their means, or `empty` without any."""
    place = first
    for m, column in enumerate(given):
        length = column.mask.shape[1]
        assert torch.equal(fused.mask[row, place : place + length], column.mask[row])
        if m in streams:
            torch.testing.assert_close(fused.tokens[row, place : place + length][column.mask[row]], streams[m])
        assert not fused.tokens[row, place : place + length][~column.mask[row]].any()
        place += length
    assert place == fused.tokens.shape[1]
    expected = torch.stack([stream.mean(0) for stream in streams.values()]).mean(0) if streams else empty
    torch.testing.assert_close(fused.pooled[row], expected)


# The null key and value


def test_attention_with_a_null_key_has_one_more_term_in_its_softmax() -> None:
    part = Attention(1, 1, null=True).double()
    assert part.null is not None
    with torch.no_grad():
        for linear in (part.query, part.key_value, part.out):
            linear.weight.fill_(1)
        part.null.copy_(torch.tensor([math.log(2), 5.0]).view(2, 1, 1, 1))
        x_BTD, mask_BT = torch.tensor([[[3.0]], [[3.0]]]).double(), torch.tensor([[True], [False]])
        found = part(x_BTD, x_BTD, mask_BT) - part.out.bias
    # Normalised, query and key are 1: exp(1) for the token of value 3, exp(log 2) = 2 for the null value 5, or that alone.
    torch.testing.assert_close(found.flatten(), torch.tensor([(3 * math.e + 5 * 2) / (math.e + 2), 5.0]).double())


def test_attention_without_anything_to_read_gives_zeros_unless_it_has_a_null_value() -> None:
    for null in (False, True):
        part = Attention(DIM, HEADS, null=null)
        randomise(part)
        read = part(torch.randn(1, 2, DIM), torch.randn(1, 3, DIM), torch.zeros(1, 3, dtype=torch.bool))
        nothing_D = torch.zeros(DIM) if part.null is None else part.null[1].flatten()
        torch.testing.assert_close(read, part.out(nothing_D).expand(1, 2, -1))


# Stack


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("optional", [False, True])
def test_stack_hands_the_tokens_on_as_they_are(count: int, optional: bool) -> None:
    part, given = fusion("stack", count, DIM, optional), columns(count)
    randomise(part)
    fused = run(part, given)
    empty = part.empty if optional else torch.zeros(DIM).double()
    for row, streams in enumerate(rows(given)):
        assert_streams(fused, given, row, streams, 1, empty)
        assert bool(fused.mask[row, 0]) == (not streams), "the empty vector is there only where nothing else is"
        if not streams:
            assert torch.equal(fused.tokens[row, 0], empty)


def test_stack_has_no_weights_but_the_empty_vector() -> None:
    assert {name: tuple(p.shape) for name, p in fusion("stack", 2, DIM, True).named_parameters()} == {"empty": (DIM,)}
    assert not list(fusion("stack", 2, DIM, [True, False]).parameters()), "one column is always there"


# Co-attention


@pytest.mark.parametrize("count", [1, 2, 3])
def test_co_attention_reads_the_others_then_itself(count: int) -> None:
    part, given = fusion("co_attention", count, DIM, True, heads=HEADS), columns(count)
    randomise(part)
    fused = run(part, given)
    for row, there in enumerate(rows(given)):
        streams = {m: x_TD + part.column[m] for m, x_TD in there.items()}
        for layer in part.layers:
            if count > 1:
                nothing = torch.zeros(0, DIM).double()
                before = streams
                streams = {
                    m: cross_block(layer.others[m], x_TD, torch.cat([nothing, *(before[n] for n in before if n != m)]))
                    for m, x_TD in before.items()
                }
            streams = {m: block(layer.own[m], x_TD) for m, x_TD in streams.items()}
        assert_streams(fused, given, row, {m: part.norms[m](x_TD) for m, x_TD in streams.items()}, 1, part.empty)


# MulT


@pytest.mark.parametrize("count", [1, 2, 3])
def test_mult_reads_every_other_column_as_it_came_then_what_was_read(count: int) -> None:
    part, given = fusion("mult", count, DIM, True, heads=HEADS), columns(count)
    randomise(part)
    fused = run(part, given)
    for row, there in enumerate(rows(given)):
        streams = {}
        for m, x_TD in there.items():
            read = []
            others = [n for n in range(count) if n != m]
            for pair, n in zip(part.streams[m].pairs, others, strict=True):
                z_TD = x_TD
                for cross in pair.blocks:
                    z_TD = cross_block(cross, z_TD, there.get(n, torch.zeros(0, DIM).double()))
                read.append(pair.norm(z_TD))
            h_TD = part.streams[m].join(torch.cat(read, dim=1)) if read else x_TD
            for own in part.streams[m].memory.blocks:
                h_TD = block(own, h_TD)
            streams[m] = part.streams[m].memory.norm(h_TD)
        assert_streams(fused, given, row, streams, 1, part.empty)


# Bottleneck


@pytest.mark.parametrize("fuse_from", [0, 1])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_bottleneck_exchanges_the_mean_of_the_shared_tokens(count: int, fuse_from: int) -> None:
    part, given = fusion("bottleneck", count, DIM, True, heads=HEADS, tokens=2, depth=3, fuse_from=fuse_from), columns(count)
    randomise(part)
    fused = run(part, given)
    for row, streams in enumerate(rows(given)):
        shared_KD = part.shared
        for depth, blocks in enumerate(part.blocks):
            if depth < fuse_from:
                streams = {m: block(blocks[m], x_TD) for m, x_TD in streams.items()}
                continue
            mixed = {m: block(blocks[m], torch.cat([shared_KD, x_TD])) for m, x_TD in streams.items()}
            streams = {m: h_TD[2:] for m, h_TD in mixed.items()}
            if mixed:
                shared_KD = torch.stack([h_TD[:2] for h_TD in mixed.values()]).mean(0)
        handed_on = part.shared_norm(shared_KD)
        assert fused.mask[row, :2].all()
        torch.testing.assert_close(fused.tokens[row, :2], handed_on)
        assert_streams(fused, given, row, {m: part.norms[m](x_TD) for m, x_TD in streams.items()}, 2, handed_on.mean(0))


def test_columns_meet_through_the_shared_tokens_alone() -> None:
    given = columns(2)
    changed = [given[0], Tokens(given[1].values + 1, given[1].mask)]
    for depth, alone in ((1, True), (2, False)):
        part = fusion("bottleneck", 2, DIM, heads=HEADS, tokens=2, depth=depth)
        before, after = run(part, given), run(part, changed)
        first = slice(2, 2 + given[0].mask.shape[1])
        assert torch.equal(before.tokens[0, first], after.tokens[0, first]) == alone, "after one block nothing has come back yet"
        assert not torch.equal(before.tokens[0, :2], after.tokens[0, :2])


def test_columns_that_never_meet_are_refused() -> None:
    with pytest.raises(OmnifuseError, match=r"model\.fusion\.fuse_from: 2 is behind the last of 2 blocks"):
        FUSIONS.parse({"name": "bottleneck", "fuse_from": 2}).check(["a", "b"], 16)  # type: ignore[attr-defined]


# Perceiver


@pytest.mark.parametrize("count", [1, 2, 3])
def test_perceiver_latents_read_all_tokens_then_each_other(count: int) -> None:
    part, given = fusion("perceiver", count, DIM, True, heads=HEADS, latents=3, blocks=2), columns(count)
    randomise(part)
    fused = run(part, given)
    for row, there in enumerate(rows(given)):
        x_TD = torch.cat([torch.zeros(0, DIM).double(), *(x_TD + part.column[m] for m, x_TD in there.items())])
        h_ND = part.latents
        for read, blocks in zip(part.reads, part.blocks, strict=True):
            h_ND = cross_block(read, h_ND, x_TD)
            for own in blocks:
                h_ND = block(own, h_ND)
        h_ND = part.norm(h_ND)
        torch.testing.assert_close(fused.tokens[row], h_ND)
        torch.testing.assert_close(fused.pooled[row], h_ND.mean(0))
    assert fused.mask.all()


# All of them

EVERY = ["joint", "co_attention", "mult", "bottleneck", "perceiver"]


@pytest.mark.parametrize("name", EVERY)
def test_which_column_said_it_matters(name: str) -> None:
    part, (x, y) = fusion(name, 2, DIM, heads=HEADS), vectors(2, DIM)
    assert not torch.allclose(fuse(part, [x, y]).pooled, fuse(part, [y, x]).pooled, atol=1e-6)


@pytest.mark.parametrize("name", ["stack", *EVERY])
@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_half_precision_without_autocast(name: str, precision: torch.dtype) -> None:
    part = fusion(name, 3, DIM, True, **({} if name == "stack" else {"heads": HEADS}))
    given = columns(3)
    expected = run(part, given).pooled
    part.to(precision)
    found = run(part, [Tokens(column.values.to(precision), column.mask) for column in given])
    assert found.pooled.dtype == found.tokens.dtype == precision
    torch.testing.assert_close(found.pooled.double(), expected, atol=0.1, rtol=0.1)


def looked_up(seed: int, count: int = 128, places: int = 4) -> tuple[dict[str, Tokens], Tensor]:
    """A column of tokens, each a key and a sign, one that names a key, and whether the sign that stands there is positive."""
    generator = torch.Generator().manual_seed(seed)
    keys_BT = torch.rand(count, 2 * places, generator=generator).argsort(1)[:, :places]
    sign_BT = torch.randint(0, 2, (count, places), generator=generator).float() * 2 - 1
    asked_B1 = torch.randint(0, places, (count, 1), generator=generator)
    one_hot = torch.eye(2 * places)
    shelf_BTD = torch.cat([one_hot[keys_BT], sign_BT.unsqueeze(2).expand(-1, -1, 8)], dim=2)
    question_BTD = torch.cat([one_hot[keys_BT.gather(1, asked_B1)], torch.zeros(count, 1, 8)], dim=2)
    given = {
        name: Tokens(x_BTD, torch.ones(x_BTD.shape[:2], dtype=torch.bool))
        for name, x_BTD in (("shelf", shelf_BTD), ("question", question_BTD))
    }
    return given, sign_BT.gather(1, asked_B1).squeeze(1) > 0


def accuracy(name: str, steps: int) -> float:
    """Train a fusion and a linear head to look up, and ask about other rows."""
    torch.manual_seed(0)
    part: Any = FUSIONS.build(FUSIONS.parse(name), {"shelf": False, "question": False}, 16)
    head = nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*part.parameters(), *head.parameters()], lr=5e-3)
    for step in range(steps):
        given, positive_B = looked_up(step)
        loss = nn.functional.binary_cross_entropy_with_logits(head(part(given).pooled).squeeze(1), positive_B.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    given, positive_B = looked_up(10**6, count=2000)
    with torch.no_grad():
        return ((head(part(given).pooled).squeeze(1) > 0) == positive_B).float().mean().item()


@pytest.mark.parametrize(("name", "steps"), [("joint", 150), ("co_attention", 75), ("mult", 75), ("bottleneck", 150), ("perceiver", 150)])
def test_attention_finds_the_token_that_is_asked_for(name: str, steps: int) -> None:
    assert accuracy(name, steps) > 0.85


def test_means_of_tokens_tell_only_which_sign_is_more_frequent() -> None:
    assert accuracy("concat", 150) < 0.75
