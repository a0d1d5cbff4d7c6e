"""Texts from a causal language model."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Fused, Tokens, Values
from omnifuse.model.heads.config import CausalLMHeadConfig
from omnifuse.model.heads.text import TextHead, asked_words
from omnifuse.model.layers.projector import Projector
from omnifuse.model.layers.writing import Writer
from omnifuse.model.pretrained.language import LanguageModel, hold
from omnifuse.model.pretrained.writing import LanguageWriter


class CausalLMHead(TextHead):
    """LM([begin; P(fused tokens); cue; w_1 … w_L]); loss −1/(L+1)·Σ_l log p(w_{l+1} | fused, w_1 … w_l), w_{L+1} the end of the text.

    A projector P brings what is fused to the width of the language model, which reads it as the beginning of its sentence; a
    learned cue stands before the answer. Behind the fusion `stack` it reads the tokens of all columns side by side, as LLaVA
    does. Answers are the most probable words, one after another (or the best of several beams), from a cache of keys and values.

    Source: LLaVA (Liu et al. 2023, arXiv 2304.08485); the projector of LLaVA-1.5 (arXiv 2310.03744). Differs in that the
    question is a column like others, read by its encoder.
    Absent: masked tokens are neither read nor counted. A row whose target is absent has the loss of an empty text.
    A text that was cut at the longest the column allows is not taught to end there.
    Errors: an `OmnifuseError` for an unknown name or folder, a network that cannot read vectors or whose texts do not end, a
    column with another vocabulary, more tokens than the network has positions, or where transformers is not installed.
    """

    language: LanguageModel

    def __init__(self, config: CausalLMHeadConfig, spec: ValueSpec, dim: int, language: LanguageModel | None = None) -> None:
        """Args: config: options; spec: vocabulary and longest text; dim: width D; language: where another part has the same."""
        super().__init__()
        hold(self, config, language, speaks=True)
        known = self.language.embedding.num_embeddings
        if spec.size > known:
            raise OmnifuseError(f"causal_lm.model: the column has {spec.size} different tokens, but the network knows {known}")
        width, length = self.language.word_width, self.language.word_length()
        self.projector = Projector(dim, width, length)
        self.cue = nn.Parameter(torch.randn(width) * length)
        self.longest, self.beams, self.cut = config.max_new_tokens, config.beams, spec.max_length

    def forward(self, fused: Fused) -> Tokens:
        """What the language model reads before the answer, (B, S, H)."""
        return self.language.opening(self.projector(Tokens(fused.tokens, fused.mask)), self.cue)

    def loss(self, output: Tokens, target: Values) -> Tensor:
        """Mean cross-entropy (B,) over the tokens of the text and its end."""
        assert target.mask is not None, "texts have a mask"
        ids_BL, mask_BL = self._words(target.data, target.mask)
        logits_BLV = self.language.next_words(output, ids_BL, mask_BL)
        wanted_BL, asked_BL = asked_words(ids_BL, mask_BL, target.mask.sum(1) >= self.cut, self.language.ends[0])
        losses_BL = F.cross_entropy(logits_BLV.float().transpose(1, 2), wanted_BL, reduction="none")
        return torch.where(asked_BL, losses_BL, 0).sum(1) / asked_BL.sum(1).clamp(min=1)

    def _words(self, ids_BL: Tensor, mask_BL: Tensor) -> tuple[Tensor, Tensor]:
        """A text without the marks that its tokenizer may write before and behind it, and zeros where nothing is."""
        mask_BL = mask_BL & ~self.language.is_mark(ids_BL)
        order_BL = (~mask_BL).long().argsort(dim=1, stable=True)
        mask_BL = mask_BL.gather(1, order_BL)
        return torch.where(mask_BL, ids_BL.gather(1, order_BL), 0), mask_BL

    def writer(self, output: Tokens) -> Writer:
        """What writes its texts."""
        return LanguageWriter(self.language, output, self.longest)
