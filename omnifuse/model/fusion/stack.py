"""Fusion by putting tokens side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from omnifuse.core.values import Tokens
from omnifuse.model.fusion.config import StackConfig
from omnifuse.model.fusion.streams import StreamFusion


class Stack(StreamFusion):
    """The tokens [X_1, …, X_M] as they are; z is the mean over the columns that are there of the means of their tokens.

    Nothing is mixed: that is left to what reads the tokens, such as a language model. It has no weights but the empty
    vector.

    Shapes: tokens (B, T_m, D) → (B, 1 + Σ T_m, D); the first place is that of the empty vector, masked in every row that
    has a column. Absent: no tokens, and left out of the mean; a row without any column gets the empty vector.
    """

    def __init__(self, config: StackConfig, columns: Mapping[str, bool], dim: int) -> None:
        """Args: config: no options; columns: whether each may be absent; dim: width D."""
        super().__init__(columns, dim)

    def mix(self, parts: Sequence[Tokens]) -> list[Tensor]:
        """As they came."""
        return [part.values for part in parts]
