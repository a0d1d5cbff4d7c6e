"""The average of the weights is what is judged and kept; training goes on with the weights themselves."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from training import colour_rows, furthest, make_trainer, weights_of

from omnifuse.train.average import WeightAverage


def test_the_average_follows_its_formula() -> None:
    model = nn.Linear(2, 1, bias=False)
    average, expected = WeightAverage(model, 0.5), model.weight.detach().clone()
    for step in range(20):
        with torch.no_grad():
            model.weight.copy_(torch.randn(1, 2))
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.weight.detach()
    torch.testing.assert_close(average.weights["weight"], expected)


def test_it_is_applied_and_taken_off_again() -> None:
    model = nn.BatchNorm1d(2)
    average = WeightAverage(model, 0.9)
    model(torch.randn(8, 2))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    average.update(0)
    kept = {name: tensor.clone() for name, tensor in average.weights.items()}
    with average.applied():
        assert all(torch.equal(tensor, kept[name]) for name, tensor in model.state_dict().items())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert int(kept["num_batches_tracked"]) == 1


def test_frozen_weights_are_not_copied() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    assert set(WeightAverage(model, 0.9).weights) == {"1.weight", "1.bias"}


def test_a_run_ends_with_the_average(tmp_path: Path) -> None:
    rows = colour_rows(tmp_path / "pictures", 60, absent=0.1)
    plain = make_trainer(tmp_path / "plain", rows, pictures=tmp_path / "pictures", epochs=2, split={"validation": 0.0, "test": 0})
    averaged = make_trainer(
        tmp_path / "averaged", rows, pictures=tmp_path / "pictures", epochs=2, ema=0.9, split={"validation": 0.0, "test": 0}
    )
    plain.run()
    averaged.run()
    assert averaged.average is not None
    [checkpoint] = (averaged.run_folder / "checkpoints").glob("step-*")
    last, kept, plainly = load_file(checkpoint / "last.safetensors"), weights_of(checkpoint), dict(plain.pipeline.model.state_dict())
    assert furthest(kept, dict(averaged.pipeline.model.state_dict())) == 0
    assert furthest(last, plainly) == 0, "the average changes nothing about how weights are trained"
    assert furthest(kept, plainly) > 1e-4
