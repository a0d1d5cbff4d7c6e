"""One rank of many: what it holds and sends is what arithmetic says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch.distributed as dist

from omnifuse.core.errors import OmnifuseError
from omnifuse.study.plan.cluster import simulate
from omnifuse.study.plan.ground import Ground

WIDE = {"dim": 64, "fusion": {"name": "joint", "depth": 4}}


def test_copies_hold_everything_and_send_gradients_twice_around_the_ring(ground_of: Callable[..., Ground]) -> None:
    ground = ground_of(WIDE)
    count = sum(parameter.numel() for parameter in ground.trainer(fake=False).pipeline.model.parameters())
    rank = simulate(ground, 4, "DDP")
    assert (rank.rows, rank.blocks) == (4, 0)
    assert rank.memory.of("weights") >= 4 * count
    assert rank.memory.of("gradients") >= 4 * count  # the buckets
    assert rank.sent == pytest.approx(2 * 4 * count * 3 / 4, rel=0.02)  # and a few sums of batch norms and counts
    assert not dist.is_initialized()


def test_divided_weights_and_states_are_a_share_and_travel_three_times(ground_of: Callable[..., Ground]) -> None:
    ground = ground_of(WIDE)
    whole, rank = simulate(ground, 4, "DDP"), simulate(ground, 4, "FSDP2")
    assert rank.memory.of("weights") == pytest.approx(whole.memory.of("weights") / 4, rel=0.05)
    assert rank.memory.of("optimizer") == pytest.approx(whole.memory.of("optimizer") / 4, rel=0.05)
    assert rank.memory.bytes < whole.memory.bytes
    assert rank.blocks > 4
    assert rank.flops == whole.flops
    one_way = whole.memory.of("weights") * 3 / 4
    assert 2 * one_way < rank.sent < 3.2 * one_way  # gathered forward, most of them again backward, and the gradients


def test_more_ranks_hold_less(ground_of: Callable[..., Ground]) -> None:
    ground = ground_of(WIDE)
    assert simulate(ground, 16, "FSDP2").memory.bytes < simulate(ground, 4, "FSDP2").memory.bytes


def test_a_batch_that_ranks_cannot_share_is_refused(ground_of: Callable[..., Ground]) -> None:
    with pytest.raises(OmnifuseError, match="16 rows cannot be divided over 3 ranks"):
        simulate(ground_of(), 3, "DDP")
