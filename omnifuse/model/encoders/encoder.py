"""What every encoder does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import nn

from omnifuse.core.values import Features, Tokens, Values


class Encoder(nn.Module, ABC):
    """Values of one column → tokens (B, T, D).

    A subclass is built as `Class(config, spec, dim)`, with the options, what the processor promises, and the width.
    Rows whose value is absent come out masked and zero, whatever `encode` made of their zeros.

    One with a frozen part writes `features(values) -> Features` and `project(features) -> Tokens`, so that features may
    be computed once and kept: without noise, in training as in evaluation, for each row as if it were alone. Kept are the
    states that the mask says are there, in their order. `frozen_part` tells what they depend on.
    """

    @abstractmethod
    def encode(self, values: Values) -> Tokens:
        """Turn values into tokens; absent rows hold zeros and are masked afterwards."""

    def forward(self, values: Values) -> Tokens:
        """Encode, and mask what is absent; `Features` are only projected."""
        tokens = self.project(values) if isinstance(values, Features) else self.encode(values)
        return tokens.keep(values.present)

    @property
    def is_frozen(self) -> bool:
        """Whether `features` depend on nothing that is trained, so that they may be kept."""
        return False

    def features(self, values: Values) -> Features:
        """What the frozen part makes of values."""
        raise NotImplementedError(f"{type(self).__name__} has no frozen part")

    def frozen_part(self) -> tuple[dict[str, Any], nn.Module]:
        """What `features` depend on beside the values: options that JSON can hold, and the module that has the weights."""
        raise NotImplementedError(f"{type(self).__name__} has no frozen part")

    def project(self, features: Features) -> Tokens:
        """What the trained part makes of features."""
        raise NotImplementedError(f"{type(self).__name__} has no frozen part")
