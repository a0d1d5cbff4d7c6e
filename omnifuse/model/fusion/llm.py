"""Fusion by a causal language model."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from omnifuse.core.values import Fused, Tokens
from omnifuse.model.fusion.config import LLMConfig
from omnifuse.model.fusion.fusion import Fusion
from omnifuse.model.layers.projector import Projector, Resampler
from omnifuse.model.pretrained.language import LanguageModel, hold


class LLM(Fusion):
    """[h_1; …; h_M; r] = LM([begin; P(X_1 + c_1); …; P(X_M + c_M); cue]); tokens W·norm(h) + b, pooled W·norm(r) + b.

    A projector P brings tokens to the width of the language model, which reads them in the place of words; learned c_m tell the
    columns apart. The state r at the learned cue, which comes last and so has read everything, is the pooled vector and the last
    token. With `resampler` each column is first read by learned queries, so that it costs the same however long it is.

    Source: LLaVA (Liu et al. 2023, arXiv 2304.08485) with the projector of LLaVA-1.5 (arXiv 2310.03744); the resampler of
    Flamingo (Alayrac et al. 2022, arXiv 2204.14198). Differs in that no prompt surrounds the tokens, and that the states are
    handed on to heads of any kind.
    Cost: that of the network over all tokens; with `frozen` gradients pass through it without being computed for it.
    Absent: no tokens. Masked positions are neither read nor counted; the cue is always there, so a row without any column has
    a vector that was learned for it.
    Errors: an `OmnifuseError` for an unknown name or folder, a network that cannot read vectors, more tokens than it has
    positions, or where transformers is not installed.
    """

    language: LanguageModel

    def __init__(self, config: LLMConfig, columns: Mapping[str, bool], dim: int, language: LanguageModel | None = None) -> None:
        """Args: config: options; columns: whether each may be absent; dim: width D; language: the network, where a head has the same."""
        super().__init__()
        self.columns = list(columns)
        hold(self, config, language, speaks=False)
        width, length = self.language.word_width, self.language.word_length()
        self.column = nn.Parameter(torch.zeros(len(columns), dim))
        self.resampler = Resampler(self.columns, dim, config.latents, config.heads) if config.projector == "resampler" else None
        self.projector = Projector(dim, width, length)
        self.cue = nn.Parameter(torch.randn(width) * length)
        self.norm, self.back = nn.LayerNorm(self.language.width), nn.Linear(self.language.width, dim)

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Project, read, and bring the states back to width D."""
        read = tokens if self.resampler is None else self.resampler(tokens)
        parts = [self.projector(Tokens(read[name].values + self.column[m], read[name].mask)) for m, name in enumerate(self.columns)]
        given = Tokens(torch.cat([part.values for part in parts], dim=1), torch.cat([part.mask for part in parts], dim=1))
        opening = self.language.opening(given, self.cue)
        start = len(self.language.begin)
        mask_BM = opening.mask[:, start:]
        states_BMH = self.language.states(opening)[:, start:]
        fused_BMD = torch.where(mask_BM.unsqueeze(-1), self.back(self.norm(states_BMH)), 0)
        return Fused(fused_BMD, mask_BM, fused_BMD[:, -1])
