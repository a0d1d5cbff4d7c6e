"""Optimizers."""

from __future__ import annotations

import math

import torch
from torch import nn

from omnifuse.train.config import AdamWConfig, SGDConfig, TrainConfig


def adamw(config: AdamWConfig, model: nn.Module) -> torch.optim.Optimizer:
    """AdamW. Source: Loshchilov & Hutter 2019, arXiv 1711.05101."""
    weights = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.lr, betas=config.betas, eps=config.eps, fused=True)


def sgd(config: SGDConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Gradient descent: θ ← θ − η·∂L/∂θ (Robbins & Monro 1951)."""
    weights = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.SGD(weights, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)


def rate_at(step: int, total: int, config: TrainConfig) -> float:
    """Share of the highest learning rate at a step: rises over the warm-up, then falls as half a cosine.

    (s+1)/w for s < w; then ½(1 + cos π(s−w)/(S−w)), or 1. Source: Loshchilov & Hutter 2017, arXiv 1608.03983.
    """
    warm = round(config.warmup * total)
    if step < warm:
        return (step + 1) / warm
    if config.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))
