"""One rank of many: what it holds and sends is what arithmetic says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch.distributed as dist

from omnifuse.core.errors import OmnifuseError
from omnifuse.study.plan.cluster import Rank, simulate
from omnifuse.study.plan.ground import Ground

RANKS = 4


@pytest.fixture(scope="module")
def ground(ground_of: Callable[..., Ground]) -> Ground:
    return ground_of({"dim": 64, "fusion": {"name": "joint", "depth": 3}})


@pytest.fixture(scope="module")
def copied(ground: Ground) -> Rank:
    return simulate(ground, RANKS, "DDP")


@pytest.fixture(scope="module")
def divided(ground: Ground) -> Rank:
    return simulate(ground, RANKS, "FSDP2")


def test_copies_hold_everything_and_send_gradients_twice_around_the_ring(ground: Ground, copied: Rank) -> None:
    count = sum(parameter.numel() for parameter in ground.trainer(fake=False).pipeline.model.parameters())
    assert (copied.rows, copied.blocks) == (4, 0)
    assert copied.memory.of("weights") >= 4 * count
    assert copied.memory.of("gradients") >= 4 * count  # the buckets
    assert copied.sent == pytest.approx(2 * 4 * count * 3 / 4, rel=0.02)  # and a few sums of batch norms and counts
    assert not dist.is_initialized()


def test_divided_weights_and_states_are_a_share_and_travel_three_times(copied: Rank, divided: Rank) -> None:
    assert divided.memory.of("weights") == pytest.approx(copied.memory.of("weights") / RANKS, rel=0.05)
    assert divided.memory.of("optimizer") == pytest.approx(copied.memory.of("optimizer") / RANKS, rel=0.05)
    assert divided.memory.bytes < copied.memory.bytes
    assert divided.blocks > 3
    assert divided.flops == copied.flops
    one_way = copied.memory.of("weights") * (RANKS - 1) / RANKS
    assert 2 * one_way < divided.sent < 3.2 * one_way  # gathered forward, most of them again backward, and the gradients


def test_what_is_gathered_for_a_block_counts_while_it_is_there(copied: Rank, divided: Rank) -> None:
    assert divided.memory.of("activations") > copied.memory.of("activations")


def test_more_ranks_hold_less(ground: Ground, divided: Rank) -> None:
    assert simulate(ground, 4 * RANKS, "FSDP2").memory.bytes < divided.memory.bytes


def test_a_batch_that_ranks_cannot_share_is_refused(ground: Ground) -> None:
    with pytest.raises(OmnifuseError, match="16 rows cannot be divided over 3 ranks"):
        simulate(ground, 3, "DDP")
