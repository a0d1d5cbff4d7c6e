"""Encoders against numbers worked by hand, and what each of them can and cannot see."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.data.modalities import MODALITIES
from omnifuse.model import ENCODERS
from omnifuse.model.encoders.config import DEFAULT_ENCODERS
from omnifuse.model.layers.norm import ChannelNorm
from omnifuse.model.layers.position import Positions

DIM = 8


def encoder(options: Any, spec: ValueSpec, dim: int = DIM) -> Any:
    torch.manual_seed(0)
    return ENCODERS.build(ENCODERS.parse(options), spec, dim).eval()


def values(data: Tensor, mask: Tensor | None = None) -> Values:
    return Values(data, torch.ones(len(data), dtype=torch.bool), mask)


def all_of(rows: int, length: int) -> Tensor:
    return torch.ones(rows, length, dtype=torch.bool)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_every_modality_has_an_encoder_that_reads_it() -> None:
    assert set(DEFAULT_ENCODERS) == set(MODALITIES)
    for modality, config in DEFAULT_ENCODERS.items():
        assert modality in getattr(config, "modalities", ())


# Layers


def test_positions_by_hand() -> None:
    layer = Positions(4, gain=1.0)
    x = layer(torch.zeros(1, 3, 4))[0]
    angles = torch.tensor([[0.0, 0.0], [1.0, 0.01], [2.0, 0.02]])
    torch.testing.assert_close(x, torch.cat([angles.sin(), angles.cos()], dim=1))
    torch.testing.assert_close(layer(torch.zeros(1, 500, 4))[:, :3], x[None])


def test_odd_widths_have_positions_too() -> None:
    assert Positions(5)(torch.zeros(2, 7, 5)).shape == (2, 7, 5)


def test_the_channel_norm_is_a_layer_norm_of_each_position() -> None:
    layer, x = ChannelNorm(6), noise(2, 6, 3, 4)
    expected = torch.nn.functional.layer_norm(x[1, :, 2, 3], (6,))
    torch.testing.assert_close(layer(x)[1, :, 2, 3], expected)


# Sets


def bag(pool: str) -> Any:
    part = encoder({"name": "bag", "pool": pool}, ValueSpec(modality="set", shape=(3,)), dim=2)
    with torch.no_grad():
        part.embedding.copy_(torch.tensor([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]]))
        part.empty.copy_(torch.tensor([-1.0, -2.0]))
    return part


@pytest.mark.parametrize(("pool", "both"), [("sum", [101.0, 202.0]), ("mean", [50.5, 101.0])])
def test_a_bag_adds_up_the_vectors_of_its_labels(pool: str, both: list[float]) -> None:
    data = torch.tensor([[1.0, 0, 1], [0, 1, 0], [0, 0, 0], [0, 0, 0]])
    tokens = bag(pool)(Values(data, torch.tensor([True, True, True, False])))
    assert tokens.values[:, 0].tolist() == [both, [10.0, 20.0], [-1.0, -2.0], [0.0, 0.0]]
    assert tokens.mask[:, 0].tolist() == [True, True, True, False]


# Vectors and moments


def test_a_perceptron_by_hand() -> None:
    part = encoder({"name": "mlp", "hidden": 2}, ValueSpec(modality="vector", shape=(2,)), dim=1)
    with torch.no_grad():
        part.layers[0].weight.copy_(torch.tensor([[1.0, -1.0], [2.0, 0.0]]))
        part.layers[0].bias.copy_(torch.tensor([0.5, -3.0]))
        part.layers[3].weight.copy_(torch.tensor([[10.0, 100.0]]))
        part.layers[3].bias.fill_(1.0)
    # hidden: ReLU(1·2 − 1·1 + 0.5, 2·2 − 3) = (1.5, 1) and ReLU(−1 − 0 + 0.5, −2 − 3) = (0, 0)
    assert part(values(torch.tensor([[2.0, 1.0], [-1.0, 0.0]]))).values.flatten().tolist() == [116.0, 1.0]


def test_without_hidden_layer_a_perceptron_is_linear() -> None:
    part = encoder({"name": "mlp", "hidden": 0}, ValueSpec(modality="datetime", shape=(5,)))
    a, b = noise(1, 5), noise(1, 5, seed=1)
    zero, total = (part(values(x)).values for x in (torch.zeros(1, 5), a + b))
    torch.testing.assert_close(total, part(values(a)).values + part(values(b)).values - zero)


def test_the_hidden_layer_is_twice_the_token_by_default() -> None:
    assert encoder("mlp", ValueSpec(modality="vector", shape=(5,))).layers[0].out_features == 2 * DIM


# Ids


def test_an_id_no_row_could_teach_is_there_and_says_nothing() -> None:
    part = encoder("embedding", ValueSpec(modality="id", size=3))
    tokens = part(values(torch.tensor([0, 2, 3])))
    assert tokens.values[:2].any(2).all()
    assert not tokens.values[2].any()
    assert tokens.mask.all()


# Sound


def sound(rate_hz: float = 8000, **options: Any) -> Any:
    spec = ValueSpec(modality="audio", shape=(1, None), rate_hz=rate_hz, max_length=80_000)
    return encoder({"name": "mel_cnn", **options}, spec)


@pytest.mark.parametrize(("samples", "tokens"), [(1, 1), (640, 1), (641, 2), (8000, 13)])
def test_a_token_of_sound_stands_for_80_ms(samples: int, tokens: int) -> None:
    assert sound()(values(noise(1, 1, samples), all_of(1, samples))).mask.sum() == tokens
    assert sound(halvings=1, hop_s=0.04)(values(noise(1, 1, samples), all_of(1, samples))).mask.sum() == tokens


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 22_050])
def test_bands_and_windows_follow_the_rate(rate_hz: int) -> None:
    part = sound(rate_hz, normalise="fixed")
    wave = torch.sin(torch.arange(rate_hz) * (2 * torch.pi * 500 / rate_hz))[None, None]
    levels, mask = part.mel(wave, all_of(1, rate_hz))
    assert mask.shape[1] in (100, 101), "frames 10 ms apart"
    highest_mel = 2595 * math.log10(1 + rate_hz / 2 / 700)
    assert abs(levels[0, 0].mean(1).argmax().item() + 1 - 607.4 / highest_mel * 41) <= 0.6, "500 Hz are 607.4 mel"


def test_both_channels_of_stereo_are_heard() -> None:
    part = encoder("mel_cnn", ValueSpec(modality="audio", shape=(2, None), rate_hz=8000, max_length=8000))
    wave = noise(1, 2, 4000)
    other = torch.stack([wave[:, 0], noise(1, 4000, seed=3)], dim=1)
    assert not torch.allclose(part(values(wave, all_of(1, 4000))).values, part(values(other, all_of(1, 4000))).values)


# Series


SERIES = ValueSpec(modality="series", shape=(None, 2), max_length=400)


def test_a_token_of_a_series_sees_89_steps() -> None:
    part, data = encoder("conv1d", SERIES), noise(1, 400, 2)
    before = part(values(data, all_of(1, 400))).values[0]
    assert before.shape == (50, DIM)
    for step, moved in ((200 + 44, True), (200 + 45, False), (200 - 44, True), (200 - 45, False)):
        changed = data.clone()
        changed[0, step] += 5
        after = part(values(changed, all_of(1, 400))).values[0]
        assert bool((after[25] != before[25]).any()) is moved, f"token 25 stands for step 200; step {step} was changed"


def test_the_order_of_a_series_counts() -> None:
    part, data = encoder("conv1d", SERIES), noise(1, 64, 2)
    forwards, backwards = (part(values(x, all_of(1, 64))).pool() for x in (data, data.flip(1)))
    assert not torch.allclose(forwards, backwards, atol=1e-3)


def test_even_kernels_are_refused() -> None:
    with pytest.raises(OmnifuseError, match=r"kernel: 4 is even"):
        ENCODERS.parse({"name": "conv1d", "kernel": 4})


# Points


CLOUDS = ValueSpec(modality="points", shape=(None, 4), max_length=64)


def test_the_order_of_points_does_not_count() -> None:
    part, data = encoder("pointnet", CLOUDS), noise(2, 40, 4)
    mask = torch.arange(40) < torch.tensor([[40], [25]])
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    expected, found = part(values(data, mask)), part(values(data[:, order], mask[:, order]))
    torch.testing.assert_close(found.values, expected.values, atol=1e-5, rtol=1e-5)
    assert expected.mask.all()


def test_points_seen_twice_leave_the_whole_as_it_is() -> None:
    part, data = encoder("pointnet", CLOUDS), noise(1, 20, 4)
    once, twice = (part(values(x, all_of(1, x.shape[1]))).values for x in (data, torch.cat([data, data], dim=1)))
    torch.testing.assert_close(once, twice, atol=1e-5, rtol=1e-5)


def test_each_feature_of_the_points_counts() -> None:
    part, data = encoder("pointnet", CLOUDS), noise(1, 20, 4)
    before = part(values(data, all_of(1, 20))).values
    for feature in range(4):
        changed = data.clone()
        changed[..., feature] += 1
        assert not torch.allclose(part(values(changed, all_of(1, 20))).values, before, atol=1e-3)


def test_clouds_have_one_token_for_the_whole_and_one_for_each_query() -> None:
    part = encoder({"name": "pointnet", "queries": 7}, CLOUDS)
    assert part(values(noise(3, 5, 4), all_of(3, 5))).values.shape == (3, 8, DIM)


# Films


FILMS = ValueSpec(modality="video", shape=(5, 3, 24, 16))


def test_films_have_a_token_for_each_frame() -> None:
    tokens: Tokens = encoder("frames", FILMS)(values(noise(2, 5, 3, 24, 16)))
    assert tokens.values.shape == (2, 5, DIM)
    assert tokens.mask.all()


def test_the_order_of_frames_counts() -> None:
    part, film = encoder("frames", FILMS), noise(1, 5, 3, 24, 16)
    forwards, backwards = (part(values(x)).pool() for x in (film, film.flip(1)))
    assert not torch.allclose(forwards, backwards, atol=1e-3)


def test_where_in_a_frame_something_is_counts() -> None:
    part = encoder("frames", FILMS)
    films = torch.zeros(2, 5, 3, 24, 16)
    films[0, :, :, 0:4, 0:4] = 1
    films[1, :, :, 16:20, 8:12] = 1
    left, right = part(values(films)).pool()
    assert not torch.allclose(left, right, atol=1e-3)


def test_images_that_are_not_square_have_the_cells_that_are_told() -> None:
    for height, width in ((24, 16), (64, 20), (8, 8), (7, 31), (3, 3)):
        part = encoder("cnn", ValueSpec(modality="image", shape=(3, height, width)))
        assert part(values(noise(1, 3, height, width))).values.shape[1] == part.cells
