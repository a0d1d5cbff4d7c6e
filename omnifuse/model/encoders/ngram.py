"""Hashed n-grams for texts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.config import NgramConfig
from omnifuse.model.encoders.encoder import Encoder

PRIME = 1_000_003
SMALL = 0.01  # a word that was hardly seen should say nothing, not something random


class Ngram(Encoder):
    """Token ids (B, T) → tokens (B, T, D): x_t = E₁[id_t] + Σ_{n=2}^{order} E₂[hash(id_{t−n+1} … id_t)].

    The mean over t is the bag of n-grams of fastText. Source: Joulin et al. 2016, arXiv 1607.01759; here over
    byte-pair tokens, and the sum is kept for each position so that fusions may attend to it.
    Absent: masked tokens.
    """

    def __init__(self, config: NgramConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: vocabulary of the texts; dim: width D of the tokens."""
        super().__init__()
        self.order, self.buckets = config.order, config.buckets
        self.words = nn.Embedding(spec.size, dim)
        self.ngrams = nn.Embedding(config.buckets, dim) if config.order > 1 else None
        for table in [self.words, self.ngrams]:
            if table is not None:
                nn.init.normal_(table.weight, std=SMALL)
        self.drop = config.dropout

    def encode(self, values: Values) -> Tokens:
        """Ids → tokens; in training some tokens are dropped, never all of a text."""
        assert values.mask is not None, "texts have a mask"
        tokens_BTD = self.words(values.data)
        if self.ngrams is not None:
            for hashes_BT in self._hashes(values.data):
                tokens_BTD = tokens_BTD + self.ngrams(hashes_BT)
        mask_BT = values.mask
        if self.training and self.drop:
            kept_BT = mask_BT & (torch.rand(mask_BT.shape, device=mask_BT.device) >= self.drop)
            mask_BT = torch.where(kept_BT.any(1, keepdim=True), kept_BT, mask_BT)
        return Tokens(tokens_BTD, mask_BT)

    def _hashes(self, ids_BT: Tensor) -> list[Tensor]:
        """Bucket of the n-gram that ends at each position, for n = 2 … order; ids before the text are 0."""
        result, hash_BT, earlier_BT = [], ids_BT, ids_BT
        for _ in range(1, self.order):
            earlier_BT = torch.nn.functional.pad(earlier_BT, (1, 0))[:, :-1]
            hash_BT = (hash_BT * PRIME + earlier_BT) & 0x7FFFFFFF
            result.append((hash_BT * PRIME >> 7) % self.buckets)
        return result
