"""Encoded rows: each different value goes through its encoder once, and fusion is run on what came out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from omnifuse.core.schema import Schema
from omnifuse.core.values import Tokens
from omnifuse.data.loader import Loader
from omnifuse.model.multimodal import MultimodalModel


@dataclass(frozen=True)
class EncodedRows:
    """Tokens of some rows.

    Attributes:
        tokens: by column, tokens of its different values (U, T, D).
        index: by column, (N,) which of them each row has.
    """

    tokens: Mapping[str, Tokens]
    index: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.index.values())))

    def select(self, rows: slice) -> dict[str, Tokens]:
        """Tokens of these rows, by column."""
        return {name: self.tokens[name].select(self.index[name][rows]) for name in self.tokens}

    def without(self, columns: Collection[str]) -> EncodedRows:
        """The same rows with the values of these columns absent: one masked token stands for all, so that fusion does no work for them."""
        tokens = {
            name: Tokens(each.values[:1, :1], each.mask[:1, :1] & False) if name in columns else each for name, each in self.tokens.items()
        }
        index = {name: torch.zeros_like(each) if name in columns else each for name, each in self.index.items()}
        return EncodedRows(tokens, index)

    def first(self, count: int) -> EncodedRows:
        """The first so many of the rows."""
        return EncodedRows(self.tokens, {name: index[:count] for name, index in self.index.items()})

    def repeated(self, count: int) -> EncodedRows:
        """Each row `count` times, one after another."""
        return EncodedRows(self.tokens, {name: index.repeat_interleave(count) for name, index in self.index.items()})

    def shuffled(self, column: str, generator: torch.Generator) -> EncodedRows:
        """The same rows with the values of one column dealt out anew among them."""
        index = self.index[column]
        order = torch.randperm(len(index), generator=generator).to(index.device)
        return EncodedRows(self.tokens, {**self.index, column: index[order]})


@torch.inference_mode()
def encode_rows(
    model: MultimodalModel,
    loader: Loader,
    rows: np.ndarray,
    device: torch.device,
    batch_size: int,
    columns: Collection[str] | None = None,
) -> EncodedRows:
    """Run the encoders over the different values of each column.

    Args:
        model: in evaluation mode.
        loader: gives the values of the columns.
        rows: which rows, (N,).
        device: where the model is.
        batch_size: values at a time.
        columns: only these, where they are named.
    """
    names = [name for name in model.encoders if columns is None or name in columns]
    raws = loader.rows.take(rows, names)
    tokens, index = {}, {}
    for name in names:
        places: dict[object, int] = {}
        where = [places.setdefault(raw, len(places)) for raw in raws[name]]
        different = list(places)
        parts = [
            model.encoders[name](loader.encode(name, different[at : at + batch_size]).to(device))
            for at in range(0, len(different), batch_size)
        ]
        tokens[name] = Tokens.concatenate(parts)
        index[name] = torch.tensor(where, device=device)
    loader.flush()
    return EncodedRows(tokens, index)


def ask_heads(
    model: MultimodalModel, schema: Schema, encoded: EncodedRows, targets: Collection[str], batch_size: int
) -> Iterator[tuple[slice, dict[str, Any]]]:
    """What the heads of some targets make of encoded rows, a few at a time, with which of the rows they are.

    A column of role `both` is hidden when it is asked for.
    """
    questions = [
        (names, encoded.without(hidden))
        for together, hidden in schema.questions
        if (names := [name for name in together if name in targets])
    ]
    for start in range(0, len(encoded), batch_size):
        rows, outputs = slice(start, start + batch_size), {}
        with torch.inference_mode():
            for names, given in questions:
                outputs |= model.outputs(model.fuse(given.select(rows)), names)
        yield rows, outputs


def chunks(total: int, size: int) -> Iterator[np.ndarray]:
    """Row numbers 0 … total−1, `size` at a time."""
    for start in range(0, total, size):
        yield np.arange(start, min(start + size, total))
