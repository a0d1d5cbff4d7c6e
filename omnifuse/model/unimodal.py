"""Heads behind each column alone, for training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from omnifuse.core.values import Batch, Fused, Tokens
from omnifuse.model.heads.head import Loss
from omnifuse.model.layers.columns import ColumnModules


class UnimodalHeads(nn.Module):
    """A head for each target t behind each column m: L_t + λ·mean over the columns that are there of L_tm.

    So every encoder has to tell by itself what it can, and none is left behind by one that learns faster. L_tm is the loss
    of a head that reads the tokens of column m and their mean z_m, before any modality dropout. In use they are not asked.

    Source: losses of single modalities beside the fused one as in Wang et al. 2020, arXiv 1905.12681, with one fixed weight
    in place of estimated ones. Shapes: losses (B,). Absent: a column that is absent in a row adds nothing there.
    """

    def __init__(self, heads: Mapping[str, Mapping[str, nn.Module]], weight: float) -> None:
        """Args: heads: by column, by target; weight: λ."""
        super().__init__()
        self.weight = weight
        self.columns = ColumnModules({column: ColumnModules(each) for column, each in heads.items()})

    def add(self, losses: Mapping[str, Loss], tokens: Mapping[str, Tokens], batch: Batch) -> dict[str, Loss]:
        """The losses with those of the columns alone."""
        count_B = torch.stack([tokens[column].present for column in self.columns]).sum(0).clamp(min=1)
        added = dict(losses)
        for column in self.columns:
            alone = Fused(tokens[column].values, tokens[column].mask, tokens[column].pool())
            heads: Any = self.columns[column]
            for name in heads:
                loss_B = torch.where(tokens[column].present, heads[name].loss(heads[name](alone), batch[name]), 0)
                added[name] = added[name]._replace(per_row=added[name].per_row + self.weight * loss_B / count_B)
        return added
