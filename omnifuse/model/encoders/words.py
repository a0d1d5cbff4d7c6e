"""Words of a text, as a causal language model embeds them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.config import WordsConfig
from omnifuse.model.encoders.encoder import Encoder
from omnifuse.model.pretrained.language import LanguageModel, WordTable


class Words(Encoder):
    """Token ids (B, T) → tokens (B, T, D), E[id] with the table E of a causal language model; W·E[id] where its width is not D.

    At `model.dim` equal to the width of the network nothing is learned here, and projectors of the same width begin by leaving
    tokens as they are: so a fusion `llm` or a head `causal_lm` reads the text as it reads texts anywhere, as in LLaVA.

    Source: LLaVA (Liu et al. 2023, arXiv 2304.08485). Cost: a look-up; the table is there once where fusion or head name the
    same network. Absent: masked tokens; marks for beginning and end that the tokenizer writes are masked too.
    Errors: an `OmnifuseError` for an unknown name or folder, the vocabulary of another network, or where transformers is not
    installed.
    """

    language: LanguageModel | WordTable

    def __init__(self, config: WordsConfig, spec: ValueSpec, dim: int, language: LanguageModel | None = None) -> None:
        """Args: config: options; spec: vocabulary; dim: width D; language: the network, where fusion or head have the same."""
        super().__init__()
        if language is None:
            self.language = WordTable(config)
        else:
            object.__setattr__(self, "language", language)  # its weights belong to the whole model
        known, width = self.language.embedding.num_embeddings, self.language.word_width
        if spec.size > known:
            raise OmnifuseError(f"words.model: the column has {spec.size} different tokens, but the network knows {known}")
        self.projection = nn.Identity() if width == dim else nn.Linear(width, dim, bias=False)

    def encode(self, values: Values) -> Tokens:
        """Look the words up."""
        assert values.mask is not None, "texts have a mask"
        mask_BT = values.mask & ~self.language.is_mark(values.data)
        words_BTD: Tensor = self.projection(self.language.embedding(torch.where(mask_BT, values.data, 0)))
        return Tokens(torch.where(mask_BT.unsqueeze(-1), words_BTD, 0), mask_BT)
