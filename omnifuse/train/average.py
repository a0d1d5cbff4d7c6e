"""The average of the weights over the last steps, which is better than the last step where losses are noisy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """θ̄ ← d·θ̄ + (1 − d)·θ after each step k, with d = min(decay, (1 + k)/(10 + k)), so that the beginning is forgotten soon.

    Weights that are trained and statistics such as those of a batch norm are averaged; frozen weights stay with the model, and
    whole numbers are taken as they are. Source: Polyak & Juditsky 1992; with exponential decay as in Ho et al. 2020, arXiv 2006.11239.
    Memory: one more copy of what is trained.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Begin with the weights as they are. Args: model: whose; decay: the highest d."""
        self.model, self.decay = model, decay
        self.weights = {name: tensor.detach().clone() for name, tensor in self._moving().items()}

    def _moving(self) -> dict[str, Tensor]:
        frozen = {name for name, parameter in self.model.named_parameters() if not parameter.requires_grad}
        return {name: tensor for name, tensor in self.model.state_dict().items() if name not in frozen}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after the step with this number, counted from 0."""
        now = self._moving()
        floating = [name for name, tensor in now.items() if tensor.is_floating_point()]
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_([self.weights[name] for name in floating], [now[name] for name in floating], share)  # pyright: ignore[reportPrivateImportUsage]
        for name in now.keys() - set(floating):
            self.weights[name].copy_(now[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model with the average as its weights, and back as it was."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Go on from an average that was kept."""
        for name, tensor in self.weights.items():
            tensor.copy_(weights[name])

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, tensor in self._moving().items():
            kept = tensor.clone()
            tensor.copy_(self.weights[name])
            self.weights[name].copy_(kept)
