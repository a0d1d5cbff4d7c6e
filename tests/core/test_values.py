"""Values, tokens and their masks."""

from __future__ import annotations

import pytest
import torch

from omnifuse.core.values import Tokens, Values


@pytest.fixture
def tokens() -> Tokens:
    """Three rows of up to three tokens; the last row is absent."""
    mask = torch.tensor([[True, True, False], [True, False, False], [False, False, False]])
    values = torch.arange(18, dtype=torch.float32).reshape(3, 3, 2) + 1
    return Tokens(torch.where(mask.unsqueeze(-1), values, 0), mask)


def test_a_row_without_tokens_is_absent(tokens: Tokens):
    assert tokens.present.tolist() == [True, True, False]


def test_pool_is_the_mean_over_the_tokens_that_are_there(tokens: Tokens):
    pooled = tokens.pool()
    assert pooled[0].tolist() == [2.0, 3.0]
    assert pooled[1].tolist() == [7.0, 8.0]
    assert pooled[2].tolist() == [0.0, 0.0]


def test_pool_does_not_see_what_is_masked(tokens: Tokens):
    dirty = torch.where(tokens.mask.unsqueeze(-1), tokens.values, 1e6)
    assert torch.equal(Tokens(dirty, tokens.mask).pool(), tokens.pool())


def test_pool_keeps_half_precision(tokens: Tokens):
    half = Tokens(tokens.values.to(torch.bfloat16), tokens.mask).pool()
    assert half.dtype == torch.bfloat16
    assert torch.allclose(half.float(), tokens.pool(), atol=0.05)


def test_keep_masks_and_zeroes_the_other_rows(tokens: Tokens):
    kept = tokens.keep(torch.tensor([False, True, True]))
    assert kept.present.tolist() == [False, True, False]
    assert not kept.values[0].any()
    assert torch.equal(kept.values[1], tokens.values[1])
    assert tokens.present.tolist() == [True, True, False], "the original is not changed"


def test_select_takes_rows_in_order_and_drops_positions_that_none_uses(tokens: Tokens):
    picked = tokens.select(torch.tensor([2, 1]))
    assert picked.values.shape == (2, 1, 2)
    assert picked.present.tolist() == [False, True]
    assert picked.values[1, 0].tolist() == [7.0, 8.0]
    assert torch.equal(tokens.select(slice(0, 2)).values, tokens.values[:2, :2])


def test_select_of_absent_rows_alone_keeps_one_masked_position(tokens: Tokens):
    picked = tokens.select(torch.tensor([2]))
    assert picked.values.shape == (1, 1, 2)
    assert not picked.mask.any()


def test_concatenate_pads_to_the_longest_and_masks_the_padding(tokens: Tokens):
    short = Tokens(torch.full((1, 1, 2), 5.0), torch.ones(1, 1, dtype=torch.bool))
    both = Tokens.concatenate([short, tokens])
    assert both.values.shape == (4, 3, 2)
    assert both.mask[0].tolist() == [True, False, False]
    assert both.values[0].tolist() == [[5.0, 5.0], [0.0, 0.0], [0.0, 0.0]]
    assert torch.equal(both.values[1:], tokens.values)
    assert torch.equal(both.pool(), torch.cat([short.pool(), tokens.pool()]))


def test_concatenating_what_was_selected_gives_the_whole(tokens: Tokens):
    parts = [tokens.select(slice(i, i + 1)) for i in range(3)]
    whole = Tokens.concatenate(parts)
    assert torch.equal(whole.pool(), tokens.pool())
    assert torch.equal(whole.present, tokens.present)


def test_values_select_data_presence_and_mask_together():
    values = Values(torch.arange(6).reshape(3, 2), torch.tensor([True, False, True]), torch.ones(3, 2, dtype=torch.bool))
    picked = values.select(torch.tensor([2, 1]))
    assert len(values) == 3
    assert picked.data.tolist() == [[4, 5], [2, 3]]
    assert picked.present.tolist() == [True, False]
    assert picked.mask is not None
    assert picked.mask.shape == (2, 2)
    assert Values(torch.zeros(2), torch.ones(2, dtype=torch.bool)).select(slice(0, 1)).mask is None
