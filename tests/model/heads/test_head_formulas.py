"""Every head computes its formula, worked out by hand or in a loop."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import mean_pinball_loss
from torch import Tensor, nn

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Features, Fused, Tokens, Values
from omnifuse.model.heads.config import HEADS
from omnifuse.model.layers.row_hash import row_hash

DIM = 8


def fused(rows: int, seed: int = 0) -> Fused:
    pooled = torch.randn(rows, DIM, generator=torch.Generator().manual_seed(seed))
    return Fused(pooled.unsqueeze(1), torch.ones(rows, 1, dtype=torch.bool), pooled)


def head(spec: ValueSpec, name: str, *own: nn.Module, **options: object) -> nn.Module:
    torch.manual_seed(0)
    return HEADS.build(HEADS.parse({"name": name, **options}), spec, DIM, *own)


def there(data: Tensor, present: list[bool] | None = None) -> Values:
    return Values(data, torch.tensor(present or [True] * len(data)))


def test_quantiles_never_cross_and_their_loss_is_the_pinball_loss() -> None:
    levels = (0.1, 0.5, 0.9)
    part = head(ValueSpec(modality="number"), "number", loss="quantile", quantiles=levels)
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.mul_(5)
    output, truth = part(fused(40)), torch.randn(40)
    assert (output.diff(dim=1) >= 0).all()
    loss = part.loss(output, there(truth)).mean().item()
    expected = sum(mean_pinball_loss(truth, output[:, q].detach(), alpha=level) for q, level in enumerate(levels)) / 3
    assert loss == pytest.approx(expected, rel=1e-5)
    assert torch.equal(part.answer(part.predict(output)), output[:, 1])


def test_quantiles_that_are_learned_cover_the_share_of_the_truth_they_name() -> None:
    part = head(ValueSpec(modality="number"), "number", loss="quantile", quantiles=(0.1, 0.5, 0.9), hidden=0)
    nothing = Fused(torch.zeros(2000, 1, DIM), torch.ones(2000, 1, dtype=torch.bool), torch.zeros(2000, DIM))
    truth = torch.randn(2000, generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.Adam(part.parameters(), lr=0.05)
    for _ in range(300):
        loss = part.loss(part(nothing), there(truth)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = part.predict(part(nothing))[0]
    assert [(truth <= level).float().mean().item() for level in found] == pytest.approx([0.1, 0.5, 0.9], abs=0.03)


def ratings(labels: int) -> ValueSpec:
    return ValueSpec(modality="category", size=labels, ordered=True)


def test_an_ordinal_head_begins_without_an_opinion() -> None:
    part = head(ratings(5), "ordinal", hidden=0)
    with torch.no_grad():
        part.layers[-1].weight.zero_()
        part.layers[-1].bias.zero_()
    shares = part.predict(part(fused(3)))
    torch.testing.assert_close(shares, torch.full((3, 5), 0.2))


@pytest.mark.parametrize("labels", [2, 3, 7])
def test_an_ordinal_head_is_one_scale_cut_in_places(labels: int) -> None:
    part = head(ratings(labels), "ordinal")
    output, truth = part(fused(6)), torch.arange(6) % labels
    scale = part.layers(fused(6).pooled).squeeze(1)
    places = part._places()
    assert (places.diff() > 0).all()
    above = torch.sigmoid(scale.unsqueeze(1) - places)  # P(y > k)
    for row in range(6):
        cumulative = [1.0, *above[row].tolist(), 0.0]
        shares = [cumulative[k] - cumulative[k + 1] for k in range(labels)]
        assert part.predict(output)[row].tolist() == pytest.approx(shares, abs=1e-6)
        assert part.loss(output, there(truth))[row].item() == pytest.approx(-math.log(shares[truth[row]]), rel=1e-4)
        median = next(k for k in range(labels) if sum(shares[: k + 1]) >= 0.5)
        assert part.answer(part.predict(output))[row].item() == median


def test_an_ordinal_head_is_finite_however_far_off_it_is() -> None:
    part = head(ratings(4), "ordinal")
    output = torch.tensor([[1e4] * 3, [-1e4] * 3, [200.0] * 3], requires_grad=True)
    loss = part.loss(output, there(torch.tensor([0, 3, 1])))
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(output.grad).all()
    assert torch.isfinite(part.steps.grad).all()


def test_an_ordinal_head_refuses_labels_without_an_order() -> None:
    with pytest.raises(OmnifuseError, match="option `order` of the target's column"):
        head(ValueSpec(modality="category", size=3), "ordinal")


def test_a_set_head_is_one_coin_for_each_label() -> None:
    part = head(ValueSpec(modality="set", shape=(3,)), "set", threshold=0.25)
    output, truth = part(fused(4)), torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
    share = output.sigmoid()
    expected = -(truth * share.log() + (1 - truth) * (1 - share).log()).sum(1)
    torch.testing.assert_close(part.loss(output, there(truth)), expected)
    assert part.answer(torch.tensor([[0.2, 0.25, 0.9]])).tolist() == [[0, 1, 1]]


def test_a_ranking_head_scores_every_item_it_was_taught_and_no_other() -> None:
    spec = ValueSpec(modality="id", size=6, shares_last=True)
    part = head(spec, "ranking")
    scores = part.predict(part(fused(4)))
    assert scores.shape == (4, 5), "the place that rare items share is none"
    truth = torch.tensor([0, 4, 2, 2])
    torch.testing.assert_close(part.loss(part(fused(4)), there(truth)), F.cross_entropy(scores, truth, reduction="none"))


def test_bpr_is_the_mean_over_other_items() -> None:
    part = head(ValueSpec(modality="id", size=5), "ranking", loss="bpr", negatives=2000)
    scores = part.predict(part(fused(3))).detach()
    truth = torch.tensor([0, 4, 2])
    pairs = [[math.log1p(math.exp(float(scores[i, j] - scores[i, truth[i]]))) for j in range(5) if j != truth[i]] for i in range(3)]
    expected = [sum(each) / 4 for each in pairs]
    assert part.eval().loss(part(fused(3)), there(truth)).tolist() == pytest.approx(expected, rel=1e-5)
    drawn = part.train().loss(part(fused(3)), there(truth)).tolist()
    assert drawn == pytest.approx(expected, rel=0.05)
    assert drawn != pytest.approx(expected, rel=1e-6)


class Table(nn.Module):
    """Label → token."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors = nn.Embedding(9, DIM)

    def forward(self, values: Values) -> Tokens:
        return Tokens(self.vectors(values.data).unsqueeze(1), values.present.unsqueeze(1)).keep(values.present)


LABELS = ValueSpec(modality="category", size=9)
TARGET = there(torch.tensor([3, 5, 3, 7, 8]), [True, True, True, True, False])


def rivals(row: int) -> list[int]:
    """The rows that are compared with a row: itself, and those that are there and have another target."""
    return [j for j in range(5) if j == row or (TARGET.present[j] and TARGET.data[j] != TARGET.data[row])]


@pytest.mark.parametrize("mode", [True, False])
def test_infonce_compares_both_ways_and_leaves_equal_and_absent_targets_out(mode: bool) -> None:
    part = head(LABELS, "contrastive", Table(), temperature=0.5).train(mode)
    rows, targets = part(fused(5)), part.embed(TARGET)
    near = (rows @ targets.T) / 0.5
    found = part.loss(rows, TARGET)
    for row in range(4):
        there_ = rivals(row)
        forth = -near[row, there_].log_softmax(0)[there_.index(row)]
        back = -near[there_, row].log_softmax(0)[there_.index(row)]
        torch.testing.assert_close(found[row], (forth + back) / 2)
    assert rivals(0) == [0, 1, 3], "row 2 has the same target, row 4 has none"


def test_sigmoid_takes_each_pair_by_itself() -> None:
    part = head(LABELS, "contrastive", Table(), loss="sigmoid", temperature=0.5)
    rows, targets = part(fused(5)), part.embed(TARGET)
    logits = (rows @ targets.T) / 0.5 - 10
    found = part.loss(rows, TARGET)
    for row in range(4):
        expected = -sum(F.logsigmoid(logits[row, j] if j == row else -logits[row, j]) for j in rivals(row))
        torch.testing.assert_close(found[row], expected)


def test_the_temperature_stays_in_its_range_and_comes_back() -> None:
    part = head(LABELS, "contrastive", Table()).train()
    with torch.no_grad():
        part.log_scale.fill_(100.0)
    loss = part.loss(part(fused(5)), TARGET).sum()
    loss.backward()
    assert part.log_scale.exp().item() == pytest.approx(100, rel=1e-4)
    assert part.log_scale.grad.item() != 0


def test_equal_values_are_told_by_their_numbers_however_they_are_padded() -> None:
    ids = torch.tensor([[5, 6, 0], [5, 6, 0], [6, 5, 0], [5, 6, 7]])
    mask = ids > 0
    text = ValueSpec(modality="text", shape=(None,), size=9)
    one, same, turned, longer = row_hash(Values(ids, torch.ones(4, dtype=torch.bool), mask), text).tolist()
    assert one == same
    assert len({one, turned, longer}) == 3
    short = row_hash(Values(ids[:1, :2], torch.ones(1, dtype=torch.bool), mask[:1, :2]), text)
    assert short.tolist() == [one]
    sound = torch.randn(1, 2, 6)
    padded = F.pad(sound, (0, 4), value=9.0)
    spec = ValueSpec(modality="audio", shape=(2, None))
    hashes = [
        row_hash(Values(data, torch.ones(1, dtype=torch.bool), torch.arange(data.shape[2]).unsqueeze(0) < 6), spec).item()
        for data in (sound, padded, sound + 1e-6)
    ]
    assert hashes[0] == hashes[1] != hashes[2]
    kept = Features(sound.transpose(1, 2), torch.tensor([True]), torch.ones(1, 6, dtype=torch.bool))
    assert row_hash(kept, spec).item() == hashes[0]
    assert row_hash(there(torch.tensor([4]), [False]), LABELS).tolist() == [0]
