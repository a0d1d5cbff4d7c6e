"""Fake tensors know shapes, and the values of masks and ids; never those of weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.values import Values
from omnifuse.study.plan.fake import fake_batch, fake_tensors


def decide_by_weights() -> bool:
    with fake_tensors():
        return bool(nn.Linear(4, 4).weight.sum() > 0)


def test_a_decision_by_weights_is_refused_in_one_line() -> None:
    with pytest.raises(OmnifuseError, match="a part decides by values"):
        decide_by_weights()


def test_decisions_by_masks_come_out_as_they_are() -> None:
    mask = torch.tensor([[True, True, False], [True, False, False]])
    batch = {"text": Values(torch.arange(6).reshape(2, 3), torch.tensor([True, False]), mask)}
    with fake_tensors() as mode:
        text = fake_batch(mode, batch)["text"]
        assert text.mask is not None
        assert int(text.mask.sum()) == 3
        assert text.data[text.mask].shape == (3,)
        assert not bool(text.present.all())
        assert int(text.mask.any(0).nonzero()[-1]) == 1
        embedded = nn.Embedding(6, 4)(text.data)
        assert embedded[text.mask].shape == (3, 4)


def test_nothing_is_allocated_and_types_can_be_changed() -> None:
    with fake_tensors():
        layer = nn.Linear(1 << 17, 1 << 17).to(torch.bfloat16)
        assert layer.weight.nbytes == 1 << 35
        assert layer(torch.zeros(2, 1 << 17, dtype=torch.bfloat16)).shape == (2, 1 << 17)


def test_a_few_rows_of_a_batch_take_no_more_than_they_are() -> None:
    values = Values(torch.zeros(100, 10), torch.ones(100, dtype=torch.bool)).select(slice(0, 10))
    with fake_tensors() as mode:
        assert fake_batch(mode, {"x": values})["x"].data.untyped_storage().nbytes() == 400
