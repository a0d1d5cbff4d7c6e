"""The model: every column becomes tokens, fusion brings them together, heads answer.

values ──encoders──▶ tokens ──fusion──▶ fused ──heads──▶ losses · predictions
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Batch, Fused, Tokens
from omnifuse.model.config import ModelConfig
from omnifuse.model.encoders.config import ENCODERS
from omnifuse.model.fusion.config import FUSIONS
from omnifuse.model.heads.config import HEADS
from omnifuse.model.heads.head import Head, Loss
from omnifuse.model.layers.columns import ColumnModules
from omnifuse.model.layers.modality_dropout import ModalityDropout
from omnifuse.model.pretrained.language import shared_languages
from omnifuse.model.unimodal import UnimodalHeads


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
        dropped = config.dropped(inputs)
        modalities = [{name: spec.modality for name, spec in specs.items()} for specs in (inputs, targets)]
        shared = shared_languages(config.parts(*modalities))
        self.languages = nn.ModuleList(dict.fromkeys(language for [language] in shared.values()))
        self.encoders = ColumnModules({name: _encoder(config, name, spec, shared) for name, spec in inputs.items()})
        self.modality_dropout = ModalityDropout(dropped) if any(dropped.values()) else None
        self.may_lack = {n: spec.optional or dropped[n] > 0 or n in targets for n, spec in inputs.items()}
        self.fusion = FUSIONS.build(config.fusion, self.may_lack, config.dim, *shared.get("model.fusion", []))
        self.heads = ColumnModules({name: _head(config, name, spec, shared) for name, spec in targets.items()})
        self.fusion.pooled_only = not any(self.head(name).reads_tokens for name in self.heads)
        self.unimodal = _unimodal(config, inputs, targets) if config.unimodal else None

    def encode(self, batch: Batch) -> dict[str, Tokens]:
        """Each column becomes tokens."""
        return {name: self.encoders[name](batch[name]) for name in self.encoders}

    def fuse(self, tokens: Mapping[str, Tokens]) -> Fused:
        """The tokens of all columns are brought together; in training some of them may be left out by chance."""
        return self.fusion(tokens if self.modality_dropout is None else self.modality_dropout(tokens))

    def outputs(self, fused: Fused, targets: Iterable[str] | None = None) -> dict[str, Any]:
        """Each head reads what is fused; only those of some targets, where they are named."""
        return {name: self.heads[name](fused) for name in (self.heads if targets is None else targets)}

    def answers(self, outputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """What each head says that has one answer: probabilities (B, K) or values (B,), or whatever its kind of target wants."""
        return {name: self.head(name).predict(output) for name, output in outputs.items() if self.head(name).predicts}

    def losses(self, outputs: Mapping[str, Any], batch: Batch) -> dict[str, Loss]:
        """How wrong each head is, by row."""
        return {name: Loss(self.head(name).loss(output, batch[name]), batch[name].present) for name, output in outputs.items()}

    def forward(self, inputs: Batch, targets: Batch | None = None) -> dict[str, Loss]:
        """Training: encode, fuse, and compare with the targets, which one batch may hold as well; and so for each column alone, where
        that is asked for.
        """
        targets = inputs if targets is None else targets
        tokens = self.encode(inputs)
        losses = self.losses(self.outputs(self.fuse(tokens)), targets)
        return losses if self.unimodal is None else self.unimodal.add(losses, tokens, targets)

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """Use: encode, fuse, answer."""
        return self.answers(self.outputs(self.fuse(self.encode(batch))))

    def head(self, name: str) -> Head:
        """The head of a target."""
        head = self.heads[name]
        assert isinstance(head, Head)
        return head


def _encoder(config: ModelConfig, name: str, spec: ValueSpec, shared: Mapping[str, list[Any]]) -> nn.Module:
    return ENCODERS.build(config.encoder_of(name, spec.modality), spec, config.dim, *shared.get(f"model.encoders.{name}", []))


def _head(config: ModelConfig, name: str, spec: ValueSpec, shared: Mapping[str, list[Any]]) -> nn.Module:
    chosen = config.head_of(name, spec.modality)
    own = [_encoder(config, name, spec, shared)] if chosen.encodes_target else []
    return HEADS.build(chosen, spec, config.dim, *own, *shared.get(f"model.heads.{name}", []))


def _unimodal(config: ModelConfig, inputs: Mapping[str, ValueSpec], targets: Mapping[str, ValueSpec]) -> UnimodalHeads:
    """One more head behind each column, for each target that may have several."""
    repeated = {name: spec for name, spec in targets.items() if config.head_repeats(name, spec)}
    heads = {column: {name: _head(config, name, spec, {}) for name, spec in repeated.items() if name != column} for column in inputs}
    return UnimodalHeads(heads, config.unimodal)
