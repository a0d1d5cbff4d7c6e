"""What every encoder does."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn

from omnifuse.core.values import Tokens, Values


class Encoder(nn.Module, ABC):
    """Values of one column → tokens (B, T, D).

    A subclass is built as `Class(config, spec, dim)`, with the options, what the processor promises, and the width.
    Rows whose value is absent come out masked and zero, whatever `encode` made of their zeros.
    """

    @abstractmethod
    def encode(self, values: Values) -> Tokens:
        """Turn values into tokens; absent rows hold zeros and are masked afterwards."""

    def forward(self, values: Values) -> Tokens:
        """Encode, and mask what is absent."""
        return self.encode(values).keep(values.present)
