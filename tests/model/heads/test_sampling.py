"""One of several, drawn as often as its probability says; each row from noise of its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Fused
from omnifuse.model.heads.config import HEADS, NumberHeadConfig, SetHeadConfig
from omnifuse.model.heads.number import NumberHead
from omnifuse.model.heads.sampling import RowNoise, Sampling, draw_one
from omnifuse.model.heads.set import SetHead

ROWS = 4000


def shares(sampling: Sampling, probabilities: tuple[float, ...] = (0.5, 0.3, 0.2)) -> list[float]:
    drawn = draw_one(torch.tensor(probabilities).expand(ROWS, -1), RowNoise(range(ROWS)), sampling)
    return (torch.bincount(drawn, minlength=len(probabilities)) / ROWS).tolist()


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(temperature=1.0), [0.5, 0.3, 0.2]),
        (Sampling(temperature=0.5), [25 / 38, 9 / 38, 4 / 38]),
        (Sampling(temperature=1.0, top_k=2), [5 / 8, 3 / 8, 0]),
        (Sampling(temperature=1.0, top_p=0.6), [5 / 8, 3 / 8, 0]),
        (Sampling(temperature=1.0, top_p=0.4), [1, 0, 0]),
        (Sampling(temperature=0.01), [1, 0, 0]),
    ],
)
def test_labels_come_as_often_as_the_options_say(sampling: Sampling, expected: list[float]) -> None:
    assert shares(sampling) == pytest.approx(expected, abs=0.03)


def test_what_is_impossible_stays_so_at_any_temperature() -> None:
    assert shares(Sampling(temperature=100.0), (0.6, 0.4, 0.0))[2] == 0


def test_the_noise_of_a_row_does_not_depend_on_its_company() -> None:
    together, alone = RowNoise([5, 6, 7]), RowNoise([6])
    assert torch.equal(together.normal(2, 3)[1], alone.normal(2, 3)[0])
    assert torch.equal(together.uniform()[1], alone.uniform()[0])


def test_numbers_are_drawn_between_their_quantiles() -> None:
    head = NumberHead(NumberHeadConfig(loss="quantile", quantiles=(0.25, 0.5, 0.75)), ValueSpec(modality="number"), 4)
    quantiles = torch.tensor([[0.0, 1.0, 3.0]]).expand(ROWS, -1)
    drawn = head.draw(quantiles, RowNoise(range(ROWS)), Sampling(temperature=1.0))
    assert float((drawn == 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert float((drawn < 1).float().mean()) == pytest.approx(0.5, abs=0.03)
    assert float((drawn == 3).float().mean()) == pytest.approx(0.25, abs=0.03)


def test_each_label_of_a_set_is_drawn_by_itself() -> None:
    head = SetHead(SetHeadConfig(), ValueSpec(modality="set", shape=(3,)), 4)
    drawn = head.draw(torch.tensor([[0.1, 0.5, 0.9]]).expand(ROWS, -1), RowNoise(range(ROWS)), Sampling(temperature=1.0))
    assert drawn.mean(0).tolist() == pytest.approx([0.1, 0.5, 0.9], abs=0.03)


@pytest.mark.parametrize(("name", "ordered"), [("category", False), ("ordinal", True)])
def test_without_a_temperature_the_answer_is_told(name: str, ordered: bool) -> None:
    head = HEADS.build(HEADS[name].config.parse({}), ValueSpec(modality="category", size=3, ordered=ordered), 8)
    pooled: Tensor = torch.randn(5, 8)
    output = head(Fused(pooled[:, None], torch.ones(5, 1, dtype=torch.bool), pooled))
    assert torch.equal(head.generate(output, RowNoise(range(5)), Sampling()), head.answer(head.predict(output)))


@pytest.mark.parametrize(
    "options", [{"steps": 0}, {"guidance": -1}, {"temperature": 0}, {"top_p": 1.5, "temperature": 1.0}, {"solver": "rk4"}]
)
def test_options_out_of_bounds_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(OmnifuseError, match=next(iter(options))):
        Sampling(**options)  # pyright: ignore[reportArgumentType]
