"""Batch normalisation with absent rows and several ranks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from omnifuse.model.layers.norm import BatchNorm

PRESENT = torch.tensor([True, False, True, True, False, True, True, True])


def pictures(rows: int = 8, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 3, 4, 5, generator=generator) * 2 + 1


def layer(kind: type[nn.BatchNorm2d] = BatchNorm) -> nn.BatchNorm2d:
    norm = kind(3)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
        norm.bias.copy_(torch.tensor([-1.0, 0.0, 1.0]))
    return norm


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def results(norm: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Output, gradients and running statistics after one step of a loss that weighs every entry differently."""
    weights = torch.linspace(-1, 1, y[0].numel()).reshape(y[0].shape).cos()
    ((y.square() * weights).sum() / 480).backward()
    gradients = {f"gradient of {name}": p.grad for name, p in norm.named_parameters()}
    buffers = {name: buffer for name, buffer in norm.named_buffers() if buffer.is_floating_point()}
    return {"y": y.detach(), "gradient of x": x.grad, **gradients, **buffers}


def test_with_everything_present_it_is_the_batch_norm_of_torch() -> None:
    ours, theirs = layer(), layer(nn.BatchNorm2d)
    a, b = pictures().requires_grad_(), pictures().requires_grad_()
    found = results(ours, a, ours(a, torch.ones(8, dtype=torch.bool)))
    expected = results(theirs, b, theirs(b))
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    assert torch.equal(ours.eval()(pictures(seed=1), PRESENT), theirs.eval()(pictures(seed=1)))


def test_absent_rows_do_not_count() -> None:
    ours, theirs = layer(), layer(nn.BatchNorm2d)
    a, b = pictures().requires_grad_(), pictures()[PRESENT].requires_grad_()
    found = results(ours, a, torch.where(PRESENT[:, None, None, None], ours(a, PRESENT), 0))
    expected = results(theirs, b, theirs(b))
    close(found["y"][PRESENT], expected["y"])
    close(found["gradient of x"][PRESENT], expected["gradient of x"])
    assert not found["gradient of x"][~PRESENT].any()
    for name in ("running_mean", "running_var", "gradient of weight", "gradient of bias"):
        close(found[name], expected[name])


def test_what_absent_rows_hold_changes_nothing() -> None:
    first, second = layer(), layer()
    x = pictures()
    noise = torch.where(PRESENT[:, None, None, None], x, 1000.0)
    assert torch.equal(first(x, PRESENT)[PRESENT], second(noise, PRESENT)[PRESENT])
    assert torch.equal(first.running_mean, second.running_mean)
    assert torch.equal(first.running_var, second.running_var)


def test_a_batch_without_any_picture_leaves_the_running_averages_alone() -> None:
    norm = layer()
    norm(pictures(), PRESENT)
    mean, variance = norm.running_mean.clone(), norm.running_var.clone()
    y = norm(torch.zeros(8, 3, 4, 5), torch.zeros(8, dtype=torch.bool))
    assert torch.isfinite(y).all()
    assert torch.equal(norm.running_mean, mean)
    assert torch.equal(norm.running_var, variance)


def test_one_pixel_in_all_is_finite() -> None:
    norm = layer()
    y = norm(torch.randn(4, 3, 1, 1), torch.tensor([False, True, False, False]))
    assert torch.isfinite(y).all()
    assert torch.isfinite(norm.running_var).all()


def test_values_far_from_zero_keep_their_variance() -> None:
    ours, theirs = layer(), layer(nn.BatchNorm2d)
    x = pictures() + 300
    torch.testing.assert_close(ours(x, PRESENT)[PRESENT], theirs(x[PRESENT]), atol=0.02, rtol=0.02)


MASKS = {
    "some are absent": PRESENT,
    "one rank has none": torch.tensor([True] * 4 + [False] * 4),
    "none is absent": torch.ones(8, dtype=torch.bool),
    "all are absent": torch.zeros(8, dtype=torch.bool),
}


def _masked_step(x: Tensor, mask: Tensor) -> dict[str, Tensor]:
    norm = layer()
    return results(norm, x, torch.where(mask[:, None, None, None], norm(x, mask), 0))


def _rank(rank: int, world: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world)
    try:
        half = slice(rank * 4, rank * 4 + 4)
        for number, mask in enumerate(MASKS.values()):
            found = _masked_step(pictures()[half].clone().requires_grad_(), mask[half])
            for name in ("gradient of weight", "gradient of bias"):
                dist.all_reduce(found[name])
            save_file({name: value.contiguous() for name, value in found.items()}, f"{folder}/rank-{rank}-{number}.safetensors")
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.start_processes(_rank, (2, str(folder)), nprocs=2, start_method="spawn")
    return folder


@pytest.mark.parametrize("which", MASKS)
def test_two_ranks_compute_what_one_does(two_ranks: Path, which: str) -> None:
    number, mask = list(MASKS).index(which), MASKS[which]
    expected = _masked_step(pictures().requires_grad_(), mask)
    ranks = [load_file(two_ranks / f"rank-{rank}-{number}.safetensors") for rank in range(2)]
    for name in ("y", "gradient of x"):
        close(torch.cat([rank[name] for rank in ranks]), expected[name])
    for name in ("running_mean", "running_var", "gradient of weight", "gradient of bias"):
        for rank in ranks:
            close(rank[name], expected[name])
