"""The model: every column becomes tokens, fusion brings them together, heads answer.

values ──encoders──▶ tokens ──fusion──▶ fused ──heads──▶ losses · predictions
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Batch, Fused, Tokens
from omnifuse.model.config import ModelConfig
from omnifuse.model.encoders.config import ENCODERS
from omnifuse.model.fusion.config import FUSIONS
from omnifuse.model.heads.config import HEADS
from omnifuse.model.heads.head import Head
from omnifuse.model.layers.columns import ColumnModules


class Loss(NamedTuple):
    """The loss of one target: (B,) by row, and which rows have the target."""

    per_row: Tensor
    present: Tensor


class MultimodalModel(nn.Module):
    """Encoders, a fusion and heads.

    Every encoder and every head runs on every batch, whatever is absent: absent rows are masked, never skipped, so
    that all ranks of a distributed run call the same modules.

    Args:
        config: which parts.
        inputs: what the processors promise about the columns that are read.
        targets: what they promise about the columns that are answered.
    """

    def __init__(self, config: ModelConfig, inputs: Mapping[str, ValueSpec], targets: Mapping[str, ValueSpec]) -> None:
        """Build every part from the recipe and the specs."""
        super().__init__()
        self.encoders = ColumnModules(
            {name: ENCODERS.build(config.encoder_of(name, spec.modality), spec, config.dim) for name, spec in inputs.items()}
        )
        self.fusion = FUSIONS.build(config.fusion, {name: spec.optional for name, spec in inputs.items()}, config.dim)
        self.heads = ColumnModules(
            {name: HEADS.build(config.head_of(name, spec.modality), spec, config.dim) for name, spec in targets.items()}
        )

    def encode(self, batch: Batch) -> dict[str, Tokens]:
        """Each column becomes tokens."""
        return {name: self.encoders[name](batch[name]) for name in self.encoders}

    def fuse(self, tokens: Mapping[str, Tokens]) -> Fused:
        """The tokens of all columns are brought together."""
        return self.fusion(tokens)

    def outputs(self, fused: Fused) -> dict[str, Tensor]:
        """Each head reads what is fused."""
        return {name: self.heads[name](fused) for name in self.heads}

    def answers(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What each head says: probabilities (B, K) or values (B,)."""
        return {name: self.head(name).predict(output) for name, output in outputs.items()}

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> dict[str, Loss]:
        """How wrong each head is, by row."""
        return {name: Loss(self.head(name).loss(output, batch[name]), batch[name].present) for name, output in outputs.items()}

    def forward(self, batch: Batch) -> dict[str, Loss]:
        """Training: encode, fuse, and compare with the targets in the batch."""
        return self.losses(self.outputs(self.fuse(self.encode(batch))), batch)

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """Use: encode, fuse, answer."""
        return self.answers(self.outputs(self.fuse(self.encode(batch))))

    def head(self, name: str) -> Head:
        """The head of a target."""
        head = self.heads[name]
        assert isinstance(head, Head)
        return head
