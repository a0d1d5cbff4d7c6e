"""Text: byte-level BPE tokens, learned on the training split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities.config import TextConfig
from omnifuse.data.modalities.processor import Processor, checked_text, is_absent, padded

PAD, BEGIN, END = "[PAD]", "[BEGIN]", "[END]"
ARRAYS = ("__array__", "__array_interface__")  # what tensors and pictures have


class TextProcessor(Processor[TextConfig]):
    """A text ↔ token ids, by byte-level byte-pair encoding (Sennrich et al. 2016, arXiv 1508.07909).

    Bytes are the smallest tokens, so every language and every symbol has a spelling and nothing is unknown.
    Id 0 pads. Absent: empty or blank, `None`; a row of zeros with an all-false mask.
    """

    stored_as = "string"

    def __init__(self, config: TextConfig) -> None:
        """Start without a vocabulary; `fit` learns it."""
        super().__init__(config)
        self.tokenizer_: Tokenizer | None = None

    def canonical(self, value: Any) -> str | None:
        """The text as it stands, or `None` where nothing is written; several words in order become one text."""
        if is_absent(value):
            return None
        if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim == 1):
            value = " ".join(checked_text(word) for word in value if not is_absent(word))
        if not isinstance(value, str | np.generic) and any(hasattr(value, mark) for mark in ARRAYS):
            raise BadValue(f"{type(value).__name__} is not text")
        text = checked_text(value)
        return text if text.strip() else None

    def fit(self, raws: Iterable[Any]) -> None:
        """Learn the merges, or load the tokenizer that the options or the encoder name."""
        if self.config.tokenizer:
            try:
                self.tokenizer_ = Tokenizer.from_str(Path(self.config.tokenizer).read_text(encoding="utf-8"))
            except Exception as error:
                raise OmnifuseError(f"{self.config.tokenizer}: not a readable tokenizer.json ({error})") from None
        else:
            self.tokenizer_ = _train(raws, self.config)
        self._limit()

    def item(self, raw: Any) -> np.ndarray:
        """(T,) int64."""
        assert self.tokenizer_ is not None, "fit first"
        return np.array(self.tokenizer_.encode(raw).ids, dtype=np.int64)

    def collate(self, items: Sequence[np.ndarray | None]) -> Values:
        """(B, T) int64 with a mask, padded to the longest of the batch (at least one position)."""
        return padded(items, (), np.int64)

    def decode(self, data: torch.Tensor) -> list[str]:
        """(B, T) ids → texts; marks, and ids below zero, where nothing is, are left out."""
        assert self.tokenizer_ is not None, "fit first"
        ids = [[token for token in row if token >= 0] for row in data.tolist()]
        texts = self.tokenizer_.decode_batch(ids, skip_special_tokens=True)
        return [text.removeprefix(" ") for text in texts]  # the blank that every text is given before it is cut

    @property
    def spec(self) -> ValueSpec:
        """`size` is the vocabulary."""
        assert self.tokenizer_ is not None, "fit first"
        size = self.tokenizer_.get_vocab_size()
        return ValueSpec(modality="text", shape=(None,), size=size, max_length=self.config.max_length, optional=self.optional_)

    def state(self) -> dict[str, Any]:
        """The tokenizer, in the format of `tokenizer.json`."""
        assert self.tokenizer_ is not None, "fit first"
        return {"tokenizer": self.tokenizer_.to_str(), "optional": self.optional_}

    def load_state(self, state: dict[str, Any]) -> None:
        """The tokenizer."""
        self.tokenizer_ = Tokenizer.from_str(state["tokenizer"])
        self.optional_ = state["optional"]
        self._limit()

    def _limit(self) -> None:
        assert self.tokenizer_ is not None
        self.tokenizer_.encode_special_tokens = True  # a user's "[PAD]" is five letters like any others
        self.tokenizer_.no_padding()
        self.tokenizer_.enable_truncation(self.config.max_length)


def _train(texts: Iterable[str], config: TextConfig) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    steps = [normalizers.NFC()] + ([normalizers.Lowercase()] if config.lowercase else [])
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary,
        special_tokens=[PAD, BEGIN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
