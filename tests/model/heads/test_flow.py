"""A flow: its convention, guidance and solvers, what it draws of each kind of column, and that it learns."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Fused, Values
from omnifuse.model.heads.canvas import PointsCanvas, SeriesCanvas
from omnifuse.model.heads.config import HEADS
from omnifuse.model.heads.flow import FlowHead, euler, follow, heun, logit_normal, mixed
from omnifuse.model.heads.sampling import RowNoise, Sampling
from omnifuse.model.layers.velocity import Velocity

DIM = 16
SPECS = {
    "image": ValueSpec(modality="image", shape=(1, 8, 8)),
    "audio": ValueSpec(modality="audio", shape=(1, None), max_length=8000, rate_hz=8000),
    "series": ValueSpec(modality="series", shape=(None, 3), max_length=50),
    "points": ValueSpec(modality="points", shape=(None, 4), max_length=30),
}
SMALL = {"width": 16, "depth": 1, "mels": 16}


def fused(rows: int, seed: int = 0) -> Fused:
    generator = torch.Generator().manual_seed(seed)
    pooled = torch.randn(rows, DIM, generator=generator)
    return Fused(torch.randn(rows, 2, DIM, generator=generator), torch.ones(rows, 2, dtype=torch.bool), pooled)


def head(modality: str = "image", **options: object) -> FlowHead:
    torch.manual_seed(0)
    return HEADS.build(HEADS.parse({"name": "flow", **SMALL, **options}), SPECS[modality], DIM)


def values(modality: str, rows: int = 4, length: int = 20, seed: int = 1) -> Values:
    """Random values; row b is b places shorter than the longest."""
    generator = torch.Generator().manual_seed(seed)
    shape = [length if side is None else side for side in SPECS[modality].shape]
    data, present = torch.randn(rows, *shape, generator=generator) * 0.3, torch.ones(rows, dtype=torch.bool)
    if modality == "image":
        return Values(data, present)
    mask = torch.arange(length) < length - torch.arange(rows)[:, None]
    axis = SPECS[modality].shape.index(None) + 1
    return Values(torch.where(mask.unsqueeze(2) if axis == 1 else mask.unsqueeze(1), data, 0), present, mask)


class Recorder(Velocity):
    """In the place of the network: keeps what it was asked and says what it was told to."""

    def __init__(self, said: Tensor | float = 0.0) -> None:
        super().__init__()
        self.said = said
        self.asked: list[tuple[Tensor, ...]] = []

    def forward(self, x_BCHW: Tensor, t_B: Tensor, fused: Fused, known_B: Tensor) -> Tensor:
        self.asked.append((x_BCHW, t_B, fused.pooled, known_B))
        return torch.zeros_like(x_BCHW) + self.said


# The convention


def test_noise_is_at_zero_data_at_one_and_the_velocity_leads_from_one_to_the_other() -> None:
    noise, x = torch.randn(2, 1, 3, 3), torch.randn(2, 1, 3, 3)
    assert torch.equal(mixed(noise, x, torch.zeros(2)), noise)
    assert torch.equal(mixed(noise, x, torch.ones(2)), x)
    half = torch.full((2,), 0.5)
    torch.testing.assert_close(mixed(noise, x, half) + 0.5 * (x - noise), x)


def test_the_loss_of_the_true_velocity_is_zero_and_of_none_the_square_of_data_less_noise() -> None:
    part, target = head().eval(), values("image")
    part.network = recorder = Recorder()
    loss = part.loss(fused(4), target)
    assert len(recorder.asked) == 4
    expected = torch.zeros(4)
    for x_t, t, _, known in recorder.asked:
        assert known.all()
        noise = (x_t - t[:, None, None, None] * target.data) / (1 - t[:, None, None, None])
        expected += (target.data - noise).square().flatten(1).mean(1) / 4
    torch.testing.assert_close(loss, expected)


def test_times_are_logit_normal() -> None:
    times = logit_normal((torch.arange(20_000) + 0.5) / 20_000)
    logits = times.double().logit()
    assert logits.mean().item() == pytest.approx(0, abs=1e-3)
    assert logits.std().item() == pytest.approx(1, abs=1e-2)


def test_in_training_times_are_spread_over_the_batch_and_the_named_share_of_rows_sees_no_condition() -> None:
    part, target = head(unconditional=0.25).train(), values("image", rows=400)
    part.network = recorder = Recorder()
    for _ in range(10):
        part.loss(fused(400), target)
    share = torch.cat([known for *_, known in recorder.asked]).float().mean().item()
    assert share == pytest.approx(0.75, abs=0.03)
    for _, t, _, _ in recorder.asked:
        assert t.logit().mean().item() == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("modality", list(SPECS))
def test_a_loss_that_teaches_nothing_is_always_the_same_and_leaves_the_random_state_alone(modality: str) -> None:
    part, target = head(modality), values(modality)
    part.train().loss(fused(4), target)
    state = torch.get_rng_state()
    first = part.eval().loss(fused(4), target)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(part.loss(fused(4), target), first)
    longer = pad(target, modality, 7)
    torch.testing.assert_close(part.loss(fused(4), longer), first, atol=1e-5, rtol=1e-5)


def pad(target: Values, modality: str, extra: int) -> Values:
    """The same values padded further, with numbers that mean nothing."""
    if target.mask is None:
        return target
    axis = SPECS[modality].shape.index(None) + 1
    shape = list(target.data.shape)
    shape[axis] = extra
    mask = torch.cat([target.mask, torch.zeros(len(target), extra, dtype=torch.bool)], dim=1)
    return Values(torch.cat([target.data, torch.full(shape, 9.0)], dim=axis), target.present, mask)


def test_rows_without_target_cost_nothing_and_have_no_loss() -> None:
    part, target = head().train(), values("image")
    part.network = recorder = Recorder()
    loss = part.loss(fused(4), target.keep(torch.tensor([True, False, True, False])))
    assert len(recorder.asked[0][0]) == 2
    assert loss[1] == loss[3] == 0
    assert (loss[[0, 2]] > 0).all()


def test_a_batch_without_any_target_still_runs_the_network() -> None:
    part = head("audio").train()
    part.loss(fused(4), values("audio").keep(torch.zeros(4, dtype=torch.bool))).sum().backward()
    for name, weight in part.named_parameters():
        assert weight.grad is not None, name
        assert not weight.grad.any(), name
    assert not part.canvas.get_buffer("count")
    assert not part.canvas.get_buffer("seen")


# Sampling


@pytest.mark.parametrize("guidance", [0.0, 1.0, 2.5])
def test_guidance_is_the_empty_velocity_and_w_times_the_way_to_the_told_one(guidance: float) -> None:
    part, given = head().eval(), fused(3)
    x, t = torch.randn(3, 1, 8, 8), torch.full((3,), 0.4)
    told, empty = (part.network(x, t, given, torch.full((3,), known)) for known in (True, False))
    torch.testing.assert_close(part._guided(given, guidance)(x, 0.4), empty + guidance * (told - empty), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("guidance", "rows"), [(1.0, 3), (2.0, 6)])
@pytest.mark.parametrize(("solver", "looks"), [("euler", 5), ("heun", 10)])
def test_guidance_asks_once_for_both_and_heun_twice_a_step(guidance: float, rows: int, solver: str, looks: int) -> None:
    part = head(steps=5, solver=solver, guidance=guidance).eval()
    part.network = recorder = Recorder()
    part.generate(fused(3), RowNoise(range(3)), Sampling())
    assert [len(x) for x, *_ in recorder.asked] == [rows] * looks
    recorder.asked.clear()
    part.generate(fused(3), RowNoise(range(3)), Sampling(steps=2, solver="euler", guidance=1.0))
    assert [(len(x), t[0].item()) for x, t, *_ in recorder.asked] == [(3, 0.0), (3, 0.5)]


def test_a_constant_velocity_leads_to_noise_and_velocity() -> None:
    part = head(guidance=1.0).eval()
    part.network = Recorder(0.7)
    drawn = part.generate(fused(2), RowNoise([5, 6]), Sampling(steps=3))
    torch.testing.assert_close(drawn, RowNoise([5, 6]).normal(1, 8, 8) + 0.7)


@pytest.mark.parametrize(("solver", "order"), [(euler, 1), (heun, 2)])
def test_the_error_of_a_solver_falls_by_its_order(solver: object, order: int) -> None:
    """For dx/dt = x·(1 + t), x(1) = x(0)·exp(3/2)."""
    start = torch.ones(1, dtype=torch.float64)
    errors = [
        abs(follow(lambda x, t: x * (1 + t), start, steps, solver).item() - math.exp(1.5))  # pyright: ignore[reportArgumentType]
        for steps in (40, 80)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("network", ["unet", "dit"])
@pytest.mark.parametrize("modality", list(SPECS))
def test_draws_have_the_form_of_the_column_and_each_row_depends_on_its_seed_alone(modality: str, network: str) -> None:
    part = head(modality, network=network, patch=None)
    part.train().loss(fused(4), values(modality, length=500 if modality == "audio" else 20))
    part.eval()
    given = fused(3)
    drawn = part.generate(given, RowNoise([1, 2, 3]), Sampling(steps=3))
    width = {"audio": 4 * 128, "series": 20, "points": 20}.get(modality)
    assert drawn.shape == (3, *[width if side is None else side for side in SPECS[modality].shape])
    assert torch.isfinite(drawn).all()
    assert torch.equal(part.generate(given, RowNoise([1, 2, 3]), Sampling(steps=3)), drawn)
    near = 1e-2 if modality == "audio" else 1e-4  # phases make much of the last digits
    for row in range(3):
        alone = Fused(given.tokens[row : row + 1], given.mask[row : row + 1], given.pooled[row : row + 1])
        again = part.generate(alone, RowNoise([row + 1]), Sampling(steps=3))
        torch.testing.assert_close(again[0], drawn[row], atol=near, rtol=1e-3)
    assert not torch.allclose(part.generate(given, RowNoise([1, 2, 9]), Sampling(steps=3))[2], drawn[2], atol=1e-2)


def test_draws_from_nothing_at_all_are_draws() -> None:
    part = head().eval()
    nothing = Fused(torch.zeros(2, 3, DIM), torch.zeros(2, 3, dtype=torch.bool), torch.zeros(2, DIM))
    assert torch.isfinite(part.generate(nothing, RowNoise([0, 1]), Sampling())).all()


def test_a_flow_has_no_answer_and_refuses_what_does_not_fit() -> None:
    with pytest.raises(OmnifuseError, match=r"Pipeline\.generate"):
        head().predict(fused(2))
    with pytest.raises(OmnifuseError, match="heads: 5 does not divide the width 16"):
        head(network="dit", heads=5)
    with pytest.raises(OmnifuseError, match="points have no neighbours"):
        head("points", patch=2)
    with pytest.raises(OmnifuseError, match="mels: 300 bands are too many"):
        head("audio", mels=300, window_s=0.004)


@pytest.mark.parametrize(("shape", "kind"), [((1, 64, 64), "UNet"), ((3, 65, 65), "DiT")])
def test_large_pictures_are_made_by_a_transformer(shape: tuple[int, int, int], kind: str) -> None:
    part = HEADS.build(HEADS.parse("flow"), ValueSpec(modality="image", shape=shape), DIM)
    assert type(part.network).__name__ == kind


# Canvases


def test_a_series_is_read_as_it_was_painted_up_to_its_end() -> None:
    canvas, target = SeriesCanvas(SPECS["series"]), values("series")
    canvas.observe(target)
    painted = canvas.paint(pad(target, "series", 5))
    assert painted.shape == (4, 4, 1, 20)
    read = canvas.read(painted)
    assert torch.equal(read, target.data)
    assert canvas.lengths(read) == [20, 19, 18, 17]


def test_a_longer_series_is_cut_where_the_longest_of_the_training_ends() -> None:
    canvas = SeriesCanvas(SPECS["series"])
    canvas.observe(values("series", length=12))
    assert canvas.paint(values("series", length=20)).shape == (4, 4, 1, 12)
    assert canvas.paint(values("series", length=5)).shape == (4, 4, 1, 12)


def test_points_that_are_there_come_first() -> None:
    canvas, target = PointsCanvas(SPECS["points"]), values("points")
    canvas.observe(target)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(3))
    read = canvas.read(canvas.paint(target)[..., order])
    assert canvas.lengths(read) == [20, 19, 18, 17]
    for row, count in enumerate((20, 19, 18, 17)):
        assert {tuple(point) for point in read[row, :count].tolist()} == {tuple(point) for point in target.data[row, :count].tolist()}


def test_a_sound_keeps_its_length_its_pitch_and_its_silence_behind_the_end() -> None:
    part = head("audio", mels=40)
    time_s = torch.arange(4096) / 8000
    waves = torch.stack([0.5 * torch.sin(2 * math.pi * hz * time_s) for hz in (300, 1200)])[:, None]
    mask = torch.arange(4096) < torch.tensor([[4096], [2000]])
    target = Values(waves * mask[:, None], torch.ones(2, dtype=torch.bool), mask)
    part.train().loss(fused(2), target)
    canvas = part.canvas
    painted = canvas.paint(target)
    assert painted.shape == (2, 2, 40, 32)
    assert painted[:, 0].mean().item() == pytest.approx(0, abs=1e-3)
    assert painted[:, 0].std().item() == pytest.approx(1, abs=1e-2)
    read = canvas.read(painted)
    assert canvas.lengths(read) == [4096, 2048]  # whole frames
    assert not read[1, :, 2048:].any()
    for row, hz in enumerate((300, 1200)):
        spectrum = torch.fft.rfft(read[row, 0, :2048] * torch.hann_window(2048)).abs()
        assert spectrum.argmax().item() * 8000 / 2048 == pytest.approx(hz, rel=0.12)


def test_mean_and_deviation_of_sounds_are_those_of_all_batches() -> None:
    part, batches = head("audio").train(), [values("audio", length=500, seed=seed) for seed in range(3)]
    for batch in batches:
        part.loss(fused(4), batch)
    painted = torch.cat([part.canvas.paint(batch)[:, 0] for batch in batches])
    assert painted.mean().item() == pytest.approx(0, abs=1e-3)
    assert painted.std().item() == pytest.approx(1, abs=1e-2)


# Learning


def test_a_flow_learns_a_distribution_of_two_modes_by_label() -> None:
    """Label 0 is bright above or bright on the left, label 1 bright below or bright on the right."""
    modes = torch.full((4, 1, 8, 8), -1.0)
    modes[0, 0, :4], modes[1, 0, :, :4], modes[2, 0, 4:], modes[3, 0, :, 4:] = 1, 1, 1, 1
    part, words = head(depth=2).train(), torch.eye(2, DIM) * 4
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(part.parameters(), lr=3e-3)

    def given(labels: Tensor) -> Fused:
        return Fused(words[labels][:, None], torch.ones(len(labels), 1, dtype=torch.bool), words[labels])

    for _ in range(200):
        mode = torch.randint(0, 4, (32,), generator=generator)
        loss = part.loss(given(mode // 2), Values(modes[mode], torch.ones(32, dtype=torch.bool))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    labels = torch.arange(2).repeat_interleave(50)
    drawn = part.eval().generate(given(labels), RowNoise(range(100)), Sampling(steps=20, guidance=1.5))
    distances, nearest = (drawn[:, None] - modes[None]).square().flatten(2).mean(2).min(1)
    assert distances.median() < 0.1
    assert (nearest // 2 == labels).float().mean() > 0.95
    assert torch.bincount(nearest, minlength=4).min() >= 8, "both modes of each label are drawn"
