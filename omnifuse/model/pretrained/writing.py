"""Texts that a causal language model writes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from omnifuse.core.values import Tokens
from omnifuse.model.layers.writing import Writer
from omnifuse.model.pretrained.language import LanguageModel


class LanguageWriter(Writer):
    """Texts behind what a language model has read, from its cache of keys and values."""

    def __init__(self, language: LanguageModel, opening: Tokens, longest: int) -> None:
        """Args: language: the network; opening: what it reads first; longest: most words that will be asked for.

        Raises:
            OmnifuseError: more than the network has positions for.
        """
        language.check_length(opening.values.shape[1] + longest)
        self.language, self.opening, self.ends = language, opening, language.ends
        self.mask_BS, self.cache = opening.mask, language.cache()

    def first(self) -> Tensor:
        """Logits (B, V) behind the opening, whose last vector is there in every row."""
        return self.language.go_on(self.opening.values, self.mask_BS, self.cache)

    def next(self, words_B: Tensor) -> Tensor:
        """Logits (B, V) behind one word more."""
        self.mask_BS = F.pad(self.mask_BS, (0, 1), value=True)
        words_B1H = self.language.embedding(words_B).unsqueeze(1).to(self.opening.values.dtype)
        return self.language.go_on(words_B1H, self.mask_BS, self.cache)

    def take(self, rows: Tensor) -> None:
        """Go on with these rows."""
        self.mask_BS = self.mask_BS[rows]
        self.cache.reorder_cache(rows)
