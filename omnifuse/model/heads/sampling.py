"""How something is drawn: options, and noise that each row has of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from omnifuse.core.errors import OmnifuseError


@dataclass(frozen=True)
class Sampling:
    """How a head draws; `None` leaves it to the options of the head.

    Attributes:
        steps, solver, guidance: of a flow.
        temperature: probabilities are raised to 1/temperature before one is drawn; `None` takes the most probable.
        top_k: draw among so many of the most probable.
        top_p: draw among the most probable that have this share of the probability together.
        beams: answers that are followed up at the same time, where the most probable one is sought.
    """

    steps: int | None = None
    solver: Literal["euler", "heun"] | None = None
    guidance: float | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    beams: int | None = None

    def __post_init__(self) -> None:
        """Raise where an option is out of its bounds."""
        for name, least in (("steps", 1), ("top_k", 1), ("beams", 1), ("guidance", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise OmnifuseError(f"{name}: {value} is too small; at least {least}")
        if self.solver not in (None, "euler", "heun"):
            raise OmnifuseError(f'solver: "{self.solver}" is none; use euler or heun')
        if self.temperature is not None and not 0 < self.temperature < float("inf"):
            raise OmnifuseError(f"temperature: {self.temperature} is not above 0; leave it out for the most probable answer")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise OmnifuseError(f"top_p: {self.top_p} is no share of the probability; between 0 and 1")
        if self.temperature is not None and (self.beams or 1) > 1:
            raise OmnifuseError("beams: look for the most probable answer, and a temperature draws one by chance; give either")
        if self.temperature is None and (self.top_k is not None or self.top_p is not None):
            raise OmnifuseError("top_k and top_p: say among which answers one is drawn; give a temperature too, such as 1")


class RowNoise:
    """Random numbers for the rows of a batch, each from a generator of its own: what a row is given depends on its seed alone,
    not on its company, and the numbers come from the CPU, so they are the same on every device.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        """Args: seeds: one a row."""
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __len__(self) -> int:
        return len(self.generators)

    def normal(self, *shape: int) -> Tensor:
        """(B, *shape) from the standard normal distribution."""
        return torch.stack([torch.randn(shape, generator=generator) for generator in self.generators])

    def uniform(self, *shape: int) -> Tensor:
        """(B, *shape) from [0, 1)."""
        return torch.stack([torch.rand(shape, generator=generator) for generator in self.generators])


def draw_one(probabilities_BK: Tensor, noise: RowNoise, sampling: Sampling) -> Tensor:
    """(B,) one of K for each row, by the temperature (1 where there is none), the `top_k` and the `top_p` of the options.

    Inverse transform: the first of the sorted candidates whose cumulated probability passes a uniform number. Source of `top_p`:
    Holtzman et al. 2020, arXiv 1904.09751.
    """
    logits_BK = probabilities_BK.double().log() / (sampling.temperature or 1.0)
    sorted_BK, order_BK = logits_BK.softmax(1).sort(dim=1, descending=True, stable=True)
    if sampling.top_k is not None:
        sorted_BK[:, sampling.top_k :] = 0
    if sampling.top_p is not None:
        before_BK = sorted_BK.cumsum(1) - sorted_BK
        sorted_BK = torch.where(before_BK < sampling.top_p * sorted_BK.sum(1, keepdim=True), sorted_BK, 0)
    passed_BK = sorted_BK.cumsum(1)
    wanted_B1 = noise.uniform().to(passed_BK)[:, None] * passed_BK[:, -1:]
    place_B1 = torch.searchsorted(passed_BK, wanted_B1, right=True).clamp(max=passed_BK.shape[1] - 1)
    return order_BK.gather(1, place_B1).squeeze(1)
