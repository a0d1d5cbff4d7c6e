"""What each encoder can tell apart after a short training, on made-up and on real data."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.model.config import ModelConfig
from omnifuse.model.multimodal import MultimodalModel

Rows = Callable[[Tensor], Values]


def values(data: Tensor, mask: Tensor | None = None) -> Values:
    return Values(data, torch.ones(len(data), dtype=torch.bool), mask)


def whole(data: Tensor) -> Values:
    return values(data, torch.ones(data.shape[:2], dtype=torch.bool))


def padded(waves: list[Tensor]) -> Values:
    """Waveforms (1, T) of different lengths → (B, 1, T)."""
    lengths = torch.tensor([wave.shape[1] for wave in waves])
    longest = int(lengths.max())
    data = torch.stack([torch.nn.functional.pad(wave, (0, longest - wave.shape[1])) for wave in waves])
    return values(data, torch.arange(longest) < lengths.unsqueeze(1))


def accuracy(
    options: Any,
    spec: ValueSpec,
    train: tuple[Rows, Tensor],
    test: tuple[Values, Tensor],
    steps: int,
    rows: int = 32,
    fusion: str = "joint",
) -> float:
    """Train a model of one column for some steps, as `of.fit` would, and ask it about the test rows."""
    torch.manual_seed(0)
    target = ValueSpec(modality="category", size=int(train[1].max()) + 1)
    model = MultimodalModel(ModelConfig.parse({"encoders": {"x": options}, "fusion": fusion}), {"x": spec}, {"y": target})
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.002, weight_decay=0.01)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.002 * min((step + 1) / (0.05 * steps), 0.5 * (1 + math.cos(math.pi * step / steps)))
        index = torch.randint(len(train[1]), (rows,))
        loss = model({"x": train[0](index), "y": values(train[1][index])})["y"].per_row.mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    with torch.no_grad():
        answers = [model.predict({"x": test[0].select(slice(at, at + 64))})["y"].argmax(1) for at in range(0, len(test[1]), 64)]
    return (torch.cat(answers) == test[1]).float().mean().item()


def made_up(make: Callable[[int, torch.Generator], Tensor], classes: int, rows: int, wrap: Callable[[Tensor], Values]) -> Any:
    """Rows of each class in turn: the training rows by index with their classes, and the test rows with theirs."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(rows) % classes
    data = torch.stack([make(int(label), generator) for label in labels])
    half = rows // 2
    return (lambda index: wrap(data[:half][index]), labels[:half]), (wrap(data[half:]), labels[half:])


def film(leftwards: int, generator: torch.Generator) -> Tensor:
    """A bright square that moves right or left; a single frame does not tell which."""
    frames, start = torch.zeros(4, 1, 16, 16), int(torch.randint(16, (1,), generator=generator))
    top = int(torch.randint(12, (1,), generator=generator))
    for frame in range(4):
        place = (start + (-4 if leftwards else 4) * frame) % 16
        columns = (torch.arange(place, place + 4)) % 16
        frames[frame, 0, top : top + 4, columns] = 1
    return frames


@pytest.mark.parametrize("fusion", ["joint", "concat"])
def test_frames_tell_in_which_direction_something_moves(fusion: str) -> None:
    train, test = made_up(film, 2, 500, values)
    spec = ValueSpec(modality="video", shape=(4, 1, 16, 16))
    assert accuracy({"name": "frames", "width": 16}, spec, train, test, steps=80, rows=24, fusion=fusion) > 0.9


def cloud(shape: int, generator: torch.Generator) -> Tensor:
    """48 points on a sphere, on a cube, or in a ball, turned and scaled at random."""
    points = torch.randn(48, 3, generator=generator)
    if shape == 1:
        points = points.uniform_(-1, 1, generator=generator)
        side = torch.randint(3, (48, 1), generator=generator)
        points = points.scatter(1, side, points.gather(1, side).sign())
    else:
        points = points / points.norm(dim=1, keepdim=True)
    if shape == 2:
        points = points * torch.rand(48, 1, generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator))
    return points @ turn * (0.9 + 0.2 * torch.rand(1, generator=generator))


def test_pointnet_tells_shapes_apart_however_they_are_turned() -> None:
    train, test = made_up(cloud, 3, 900, whole)
    spec = ValueSpec(modality="points", shape=(None, 3), max_length=48)
    assert accuracy("pointnet", spec, train, test, steps=80) > 0.9


def melody(falling: int, generator: torch.Generator) -> Tensor:
    """Two tones after another, the higher one last or first."""
    low = 200 + 200 * torch.rand(1, generator=generator)
    notes = [2.0 * low, low] if falling else [low, 2.0 * low]
    time_s = torch.arange(1200) / 8000
    wave = torch.cat([torch.sin(2 * math.pi * note * time_s) for note in notes])
    return (wave + 0.05 * torch.randn(2400, generator=generator)).unsqueeze(0)


def test_mel_cnn_tells_which_tone_came_first() -> None:
    (train, labels), (test, answers) = made_up(melody, 2, 240, lambda waves: padded(list(waves)))
    spec = ValueSpec(modality="audio", shape=(1, None), rate_hz=8000, max_length=8000)
    assert accuracy({"name": "mel_cnn", "width": 8}, spec, (train, labels), (test, answers), steps=60, rows=16) > 0.95


def motions(path: Path) -> tuple[Tensor, list[str]]:
    """Series (rows, 100 steps, 6 channels) and activities of a `.ts` file."""
    lines = [line.strip().split(":") for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] not in "#@"]
    data = torch.tensor([[[float(word) for word in channel.split(",")] for channel in line[:-1]] for line in lines])
    return data.transpose(1, 2), [line[-1] for line in lines]


def test_conv1d_tells_activities_of_a_smart_watch(shared_data: Path) -> None:
    folder = shared_data / "sensors" / "basicmotions"
    if not folder.is_dir():
        pytest.skip(f"no basicmotions in {shared_data}")
    (train, given), (test, asked) = (motions(folder / f"BasicMotions_{split}.ts") for split in ("TRAIN", "TEST"))
    mean, deviation = train.mean((0, 1)), train.std((0, 1))
    train, test = (train - mean) / deviation, (test - mean) / deviation
    names = sorted(set(given))
    labels, answers = (torch.tensor([names.index(word) for word in words]) for words in (given, asked))
    spec = ValueSpec(modality="series", shape=(None, 6), max_length=100)
    assert accuracy("conv1d", spec, (lambda index: whole(train[index]), labels), (whole(test), answers), steps=60, rows=16) >= 0.9


@pytest.mark.slow
def test_mel_cnn_understands_spoken_digits(shared_data: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    files = sorted((shared_data / "fsdd" / "recordings").glob("*.wav"))
    if not files:
        pytest.skip(f"no spoken digits in {shared_data}")
    waves = [torch.from_numpy(soundfile.read(file, dtype="float32")[0]).unsqueeze(0) for file in files]
    labels = torch.tensor([int(file.name[0]) for file in files])
    held_out = torch.tensor([int(file.stem.rpartition("_")[2]) < 5 for file in files])
    train, test = (~held_out).nonzero().flatten(), held_out.nonzero().flatten()
    spec = ValueSpec(modality="audio", shape=(1, None), rate_hz=8000, max_length=24_000)

    def rows(index: Tensor) -> Values:
        return padded([waves[int(i)] for i in index])

    assert len(test) == 300
    found = accuracy("mel_cnn", spec, (lambda index: rows(train[index]), labels[train]), (rows(test), labels[test]), steps=600)
    assert found >= 0.95
