"""Texts from a decoder of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Fused, Tokens, Values
from omnifuse.model.heads.config import DecoderHeadConfig
from omnifuse.model.heads.text import TextHead, asked_words
from omnifuse.model.layers.decoder import Decoder, Reading
from omnifuse.model.layers.writing import Writer


class DecoderHead(TextHead):
    """h = Decoder([begin; √D·E[w_1] … √D·E[w_L]] | memory), p(w_{l+1} | fused, w_1 … w_l) = softmax(E·h_l + b).

    The memory is [pooled + mark; fused tokens], and w_{L+1} the end of the text, a class of its own. The loss of a row is
    −1/(L+1)·Σ_l log p(w_{l+1} | …), with `label_smoothing` ε against (1 − ε)·w + ε/V. Answers are the most probable words one
    after another, the best text of several beams, or drawn, from a cache of keys and values.

    Source: Vaswani et al. 2017, arXiv 1706.03762, normalised before each sub-layer; E is the same at both ends (Press & Wolf 2017,
    arXiv 1608.05859).
    Absent: masked tokens are not read; the pooled vector always is. A row whose target is absent has the loss of an empty text.
    A text that was cut at the longest the column allows is not taught to end there. Marks that a tokenizer writes around a text
    are words like others, which the processor leaves out again.
    """

    def __init__(self, config: DecoderHeadConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: vocabulary and longest text; dim: width D, a multiple of the attention heads."""
        super().__init__()
        self.words = nn.Embedding(spec.size + 1, dim)  # the last is the end
        nn.init.normal_(self.words.weight, std=dim**-0.5)
        self.bias = nn.Parameter(torch.zeros(spec.size + 1))
        self.begin, self.mark = nn.Parameter(torch.randn(dim)), nn.Parameter(torch.randn(dim))
        self.dropout = nn.Dropout(config.dropout)
        self.decoder = Decoder(dim, config.depth, config.heads, config.dropout)
        self.end, self.cut, self.label_smoothing = spec.size, spec.max_length, config.label_smoothing
        self.longest, self.beams = config.max_new_tokens or spec.max_length, config.beams

    def forward(self, fused: Fused) -> Tokens:
        """What it reads before it writes, (B, 1 + M, D)."""
        pooled_B1D = (fused.pooled + self.mark).unsqueeze(1)
        return Tokens(torch.cat([pooled_B1D, fused.tokens], dim=1), F.pad(fused.mask, (1, 0), value=True))

    def loss(self, output: Tokens, target: Values) -> Tensor:
        """Mean cross-entropy (B,) over the tokens of the text and its end."""
        assert target.mask is not None, "texts have a mask"
        words_BL, asked_BL = asked_words(target.data, target.mask, target.mask.sum(1) >= self.cut, self.end)
        read_BTD = torch.cat([self._beginning(len(words_BL)), self._read(torch.where(target.mask, target.data, 0))], dim=1)
        states_ND = self.decoder(read_BTD, self.reading(output))[asked_BL]
        losses_N = F.cross_entropy(
            self.logits(states_ND).float(), words_BL[asked_BL], reduction="none", label_smoothing=self.label_smoothing
        )
        losses_BL = losses_N.new_zeros(asked_BL.shape).masked_scatter(asked_BL, losses_N)
        return losses_BL.sum(1) / asked_BL.sum(1)

    def writer(self, output: Tokens) -> Writer:
        """What writes its texts."""
        return _DecoderWriter(self, self.reading(output), len(output.values))

    def reading(self, output: Tokens) -> Reading:
        """The decoder before the first word."""
        return self.decoder.begin(output.values, output.mask)

    def logits(self, states: Tensor) -> Tensor:
        """States (…, D) → logits (…, V + 1) of the words and the end."""
        return F.linear(states, self.words.weight, self.bias)

    def begun(self, reading: Reading, rows: int) -> Tensor:
        """Logits (B, V + 1) of the first word."""
        return self.logits(self.decoder(self._beginning(rows), reading)[:, -1])

    def after(self, reading: Reading, words_B: Tensor) -> Tensor:
        """Logits (B, V + 1) of what follows these words."""
        return self.logits(self.decoder(self._read(words_B.unsqueeze(1)), reading)[:, -1])

    def _beginning(self, rows: int) -> Tensor:
        return self.dropout(self.begin.expand(rows, 1, -1))

    def _read(self, ids_BL: Tensor) -> Tensor:
        return self.dropout(self.words(ids_BL) * self.words.embedding_dim**0.5)


class _DecoderWriter(Writer):
    """Texts as a decoder goes through them."""

    def __init__(self, head: DecoderHead, reading: Reading, rows: int) -> None:
        self.head, self.reading, self.rows, self.ends = head, reading, rows, [head.end]

    def first(self) -> Tensor:
        return self.head.begun(self.reading, self.rows)

    def next(self, words_B: Tensor) -> Tensor:
        return self.head.after(self.reading, words_B)

    def take(self, rows: Tensor) -> None:
        self.reading.take(rows)
