"""From what to what: each row's columns are split into those that are given and those that are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from omnifuse.core.schema import Schema
from omnifuse.core.values import Batch
from omnifuse.model.heads.head import Loss
from omnifuse.train.config import DirectionsConfig

MOST_NAMED = 6


class Directions:
    """Splits the columns of role `both` that a row has, anew in every step, by a pattern drawn for the row.

    - `all_but_one`: one column is asked for, all others are given. Where a row has columns of role `target`, they take part as one.
    - `one_to_all`: one is given, all others are asked for.
    - `none_to_all`: all are asked for.
    - `random`: each is given or asked for, with the same chance.

    Something is asked for in every row that has anything to ask for. What is asked for is absent among the inputs, as if the row
    had never had it: no encoder sees it. Columns of role `input` are always given, those of role `target` always asked for.

    Source: training on all directions between modalities as in UniDiffuser (Bao et al. 2023, arXiv 2303.06555) and 4M (Mizrahi et
    al. 2023, arXiv 2312.06647), by whole columns. Shapes: B rows, M columns of role `both`.
    """

    def __init__(self, schema: Schema, config: DirectionsConfig) -> None:
        """Args: schema: which columns; config: how often each pattern comes."""
        self.inputs, self.targets = schema.inputs, schema.targets
        self.columns = [name for name in schema.inputs if name in schema.targets]
        weights = torch.tensor([config.all_but_one, config.one_to_all, config.none_to_all, config.random])
        self.shares = weights / weights.sum()

    def split(self, batch: Batch) -> tuple[Batch, Batch]:
        """The inputs and the targets of a batch; without columns of role `both` it is both."""
        if not self.columns:
            return batch, batch
        asked = torch.stack(
            [batch[name].present for name in self.targets if name not in self.columns] or [batch[self.columns[0]].present & False]
        )
        given_BM = self.draw(torch.stack([batch[name].present for name in self.columns], dim=1).cpu(), asked.any(dim=0).cpu())
        given_BM = given_BM.to(asked.device)
        inputs, targets = dict(batch), dict(batch)
        for m, name in enumerate(self.columns):
            inputs[name], targets[name] = batch[name].keep(given_BM[:, m]), batch[name].keep(~given_BM[:, m])
        return inputs, targets

    def draw(self, present_BM: Tensor, asked_B: Tensor) -> Tensor:
        """(B, M) which of the columns that are present are given; `asked_B` says which rows have a column of role `target`."""
        rows, columns = present_BM.shape
        pattern_B1 = torch.multinomial(self.shares, rows, replacement=True).unsqueeze(1)
        one_BM = _one_of(present_BM)
        but_one_BM = ~_one_of(torch.cat([present_BM, asked_B.unsqueeze(1)], dim=1))[:, :columns]
        given_BM = torch.where(pattern_B1 == 0, but_one_BM, one_BM & (pattern_B1 == 1))
        given_BM = torch.where(pattern_B1 == 3, torch.rand(rows, columns) < 0.5, given_BM) & present_BM
        asks_B1 = (present_BM & ~given_BM).any(dim=1, keepdim=True) | asked_B.unsqueeze(1)
        return given_BM & (asks_B1 | ~one_BM)


def _one_of(present_BM: Tensor) -> Tensor:
    """(B, M) true for one of those that are present, each with the same chance; of a row without any, for the first."""
    drawn_B1 = torch.rand(present_BM.shape).masked_fill(~present_BM, -1.0).argmax(dim=1, keepdim=True)
    return drawn_B1 == torch.arange(present_BM.shape[1])


class Tally:
    """Mean loss by direction, gathered on the device between two entries of the history."""

    def __init__(self, directions: Directions, device: torch.device) -> None:
        """Nothing is gathered yet; of more than six columns, only how many were given is told apart."""
        self.directions, self.named = directions, len(directions.columns) <= MOST_NAMED
        count = 2 ** len(directions.columns) if self.named else len(directions.columns) + 1
        self.sums = torch.zeros(2, len(directions.targets), count, device=device)

    def add(self, losses: Mapping[str, Loss], inputs: Batch) -> None:
        """The losses of some rows, and what was given in them."""
        columns = self.directions.columns
        if not columns:
            return
        given_BM = torch.stack([inputs[name].present for name in columns], dim=1).long()
        weights = 2 ** torch.arange(len(columns), device=given_BM.device) if self.named else torch.ones_like(given_BM[0])
        place_B = (given_BM * weights).sum(1)
        for row, name in enumerate(self.directions.targets):
            loss = losses[name]
            self.sums[0, row].index_add_(0, place_B, torch.where(loss.present, loss.per_row.detach().float(), 0))
            self.sums[1, row].index_add_(0, place_B, loss.present.float())

    def take(self) -> dict[str, float]:
        """`{"image + word -> sound": loss}` over all ranks since the last time, without directions that did not come."""
        if not self.directions.columns:
            return {}
        if dist.is_initialized():
            dist.all_reduce(self.sums)
        (sums, counts), found = self.sums.tolist(), {}
        for row, target in enumerate(self.directions.targets):
            for place, count in enumerate(counts[row]):
                if count:
                    found[f"{self._given(place)} -> {target}"] = sums[row][place] / count
        self.sums.zero_()
        return found

    def _given(self, place: int) -> str:
        columns: Sequence[str] = self.directions.columns
        if not self.named:
            return f"{place} columns"
        return " + ".join(name for m, name in enumerate(columns) if place >> m & 1) or "nothing"
