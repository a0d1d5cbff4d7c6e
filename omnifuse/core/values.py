"""The three tensors of omnifuse: values of a column, tokens of a column, and all columns fused.

Shapes: B rows, T tokens of one column, M tokens of all columns, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Values:
    """A batch of one column, as its processor made it.

    Attributes:
        data: (B, …) numbers; rows that are absent hold zeros, never NaN.
        present: (B,) bool, whether the row has a value.
        mask: (B, T) bool, which positions of a sequence are real; `None` where values have no length.
    """

    data: Tensor
    present: Tensor
    mask: Tensor | None = None

    def __len__(self) -> int:
        return len(self.data)

    def to(self, device: torch.device) -> Values:
        """The same values on another device."""
        mask = None if self.mask is None else self.mask.to(device, non_blocking=True)
        return replace(self, data=self.data.to(device, non_blocking=True), present=self.present.to(device, non_blocking=True), mask=mask)

    def select(self, index: Tensor | slice) -> Values:
        """The rows that `index` picks."""
        mask = None if self.mask is None else self.mask[index]
        return replace(self, data=self.data[index], present=self.present[index], mask=mask)

    def keep(self, present: Tensor) -> Values:
        """The values with the rows where `present` (B,) is false made absent: zeros, as if they had never been there."""
        here = self.present & present
        mask = None if self.mask is None else self.mask & here.unsqueeze(1)
        return replace(self, data=torch.where(here.view(-1, *[1] * (self.data.ndim - 1)), self.data, 0), present=here, mask=mask)


@dataclass(frozen=True)
class Features(Values):
    """A batch of one column as the frozen part of its encoder made it: data (B, T, H), mask (B, T).

    They stand in for the values wherever a batch goes, so what a frozen encoder has computed once is not computed again.
    """


Batch = Mapping[str, Values]


@dataclass(frozen=True)
class Tokens:
    """One column as tokens.

    Attributes:
        values: (B, T, D) token vectors, zero where masked.
        mask: (B, T) bool; a row with no true entry is a row whose value is absent.
    """

    values: Tensor
    mask: Tensor

    @property
    def present(self) -> Tensor:
        """(B,) bool, whether the row has at least one token."""
        return self.mask.any(dim=1)

    def pool(self) -> Tensor:
        """(B, D) mean over the tokens that are there; zeros for an absent row."""
        weight = self.mask.unsqueeze(-1).to(self.values.dtype)
        return (self.values * weight).sum(1) / weight.sum(1).clamp(min=1)

    def keep(self, present: Tensor) -> Tokens:
        """The tokens with the rows where `present` (B,) is false masked and zeroed."""
        mask = self.mask & present.unsqueeze(1)
        return Tokens(torch.where(mask.unsqueeze(-1), self.values, 0), mask)

    def select(self, index: Tensor | slice) -> Tokens:
        """The rows that `index` picks, without the positions behind the last one that is used."""
        mask = self.mask[index]
        used = mask.any(dim=0).nonzero()
        longest = int(used[-1]) + 1 if len(used) else 1
        return Tokens(self.values[:, :longest][index], mask[:, :longest])

    @staticmethod
    def concatenate(parts: Sequence[Tokens]) -> Tokens:
        """Several batches one after another, (ΣB, max T, D), padded to the longest."""
        longest = max(part.values.shape[1] for part in parts)
        padded = [part.pad(longest) for part in parts]
        return Tokens(torch.cat([p.values for p in padded]), torch.cat([p.mask for p in padded]))

    def pad(self, length: int) -> Tokens:
        """The tokens with masked ones added until there are `length`."""
        extra = length - self.values.shape[1]
        if extra == 0:
            return self
        values = torch.nn.functional.pad(self.values, (0, 0, 0, extra))
        return Tokens(values, torch.nn.functional.pad(self.mask, (0, extra), value=False))


@dataclass(frozen=True)
class Fused:
    """All columns of a batch, fused.

    Attributes:
        tokens: (B, M, D) tokens that heads may attend to.
        mask: (B, M) bool.
        pooled: (B, D) one vector a row.
    """

    tokens: Tensor
    mask: Tensor
    pooled: Tensor
