"""U-Net and transformer: shapes, sizes that do not halve evenly, what they see, and how many weights they have."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from omnifuse.core.values import Fused
from omnifuse.model.layers.dit import DiT
from omnifuse.model.layers.unet import UNet, folded, unfolded
from omnifuse.model.layers.velocity import Velocity

DIM, ROWS = 16, 3


def fused(seed: int = 0) -> Fused:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(4) <= torch.arange(ROWS)[:, None]
    return Fused(torch.randn(ROWS, 4, DIM, generator=generator) * mask[..., None], mask, torch.randn(ROWS, DIM, generator=generator))


def run(network: Velocity, x: Tensor, given: Fused | None = None, known: bool = True, t: float = 0.3) -> Tensor:
    with torch.no_grad():
        return network(x, torch.full((len(x),), t), given or fused(), torch.full((len(x),), known))


def unet(channels: int = 2, flat: bool = False) -> UNet:
    torch.manual_seed(0)
    return UNet(channels, 8, 2, DIM, 4, flat)


def patched(channels: int = 2, flat: bool = False) -> UNet:
    torch.manual_seed(0)
    return UNet(channels, 8, 1, DIM, 4, flat, patch=2)


def dit(channels: int = 2, flat: bool = False, ordered: bool = True, patch: int = 2) -> DiT:
    torch.manual_seed(0)
    return DiT(channels, 32, 2, DIM, 4, patch, flat, ordered)


def test_the_reference_has_nine_tenths_of_a_million_weights() -> None:
    weights = sum(weight.numel() for weight in UNet(1, 32, 2, 64, 4).parameters())
    assert 0.75e6 < weights < 0.95e6


def test_places_of_a_patch_become_channels_and_places_again() -> None:
    x = torch.arange(2 * 3 * 4 * 6, dtype=torch.float32).view(2, 3, 4, 6)
    apart = folded(x, (2, 3))
    assert apart.shape == (2, 18, 2, 2)
    assert apart[0, :6, 0, 0].tolist() == x[0, 0, :2, :3].flatten().tolist()
    assert torch.equal(unfolded(apart, (2, 3)), x)
    assert torch.equal(unfolded(folded(x[..., :5], (2, 3)), (2, 3))[..., :5], x[..., :5])


@pytest.mark.parametrize("size", [(28, 28), (7, 9), (1, 1), (5, 2), (40, 63)])
@pytest.mark.parametrize("make", [unet, patched, dit])
def test_any_size_comes_out_as_it_went_in(make: type, size: tuple[int, int]) -> None:
    x = torch.randn(ROWS, 2, *size)
    made = run(make(), x)
    assert made.shape == x.shape
    assert torch.isfinite(made).all()


@pytest.mark.parametrize("length", [1, 2, 13, 100])
@pytest.mark.parametrize("make", [unet, patched, dit])
def test_a_series_of_any_length_comes_out_as_it_went_in(make: type, length: int) -> None:
    x = torch.randn(ROWS, 3, 1, length)
    assert run(make(3, flat=True), x).shape == x.shape


@pytest.mark.parametrize("make", [unet, patched, dit])
def test_the_velocity_depends_on_time_on_the_vector_and_on_each_token_that_is_there(make: type) -> None:
    network, x, given = make(), torch.randn(ROWS, 2, 8, 8), fused()
    before = run(network, x, given)
    assert not torch.allclose(run(network, x, given, t=0.6), before, atol=1e-4)
    for place in range(4):
        tokens = given.tokens.clone()
        tokens[:, place] += 3 * torch.randn(DIM)
        moved = (run(network, x, Fused(tokens, given.mask, given.pooled)) - before).abs().amax((1, 2, 3)) > 1e-6
        assert torch.equal(moved, given.mask[:, place])
    pooled = given.pooled + torch.randn(DIM)
    assert not torch.allclose(run(network, x, Fused(given.tokens, given.mask, pooled)), before, atol=1e-4)


@pytest.mark.parametrize("make", [unet, patched, dit])
def test_rows_without_condition_see_nothing_of_what_is_fused(make: type) -> None:
    network, x = make(), torch.randn(ROWS, 2, 8, 8)
    assert torch.equal(run(network, x, fused(0), known=False), run(network, x, fused(1), known=False))
    assert not torch.allclose(run(network, x, fused(0)), run(network, x, fused(1)), atol=1e-4)


def test_without_order_places_are_exchanged_with_their_velocities() -> None:
    network, x = dit(3, flat=True, ordered=False, patch=1), torch.randn(ROWS, 3, 1, 12)
    order = torch.randperm(12)
    torch.testing.assert_close(run(network, x)[..., order], run(network, x[..., order]), atol=1e-5, rtol=1e-4)
    placed = dit(3, flat=True, patch=1)
    assert not torch.allclose(run(placed, x)[..., order], run(placed, x[..., order]), atol=1e-3)


def test_patches_become_the_places_they_were_made_of() -> None:
    network = dit(3)
    made = torch.arange(2 * 2 * 5 * 12, dtype=torch.float32).view(2, 10, 12)  # 2 × 5 patches of 3 channels, 2 × 2 places
    whole = network._whole(made, torch.Size((2, 5)))
    assert whole.shape == (2, 3, 4, 10)
    for row, column, channel in ((0, 0, 0), (3, 7, 2), (2, 9, 1)):
        patch, inside = 5 * (row // 2) + column // 2, 4 * channel + 2 * (row % 2) + column % 2
        assert whole[1, channel, row, column] == made[1, patch, inside]
