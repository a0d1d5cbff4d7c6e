"""What fusions cost beside each other: low_rank and tensor, bottleneck and joint, perceiver with four times the tokens.

    python -m benchmarks.fusion_costs [--rounds 9]

A round is a forward and a backward pass of each of the two, one after the other, so that a drifting machine hits both
alike. Prints medians and quartiles of the paired ratios, the ratios of weights and of the work of attention, and how far
low_rank of full rank is from the tensor fusion whose weights it was given. Keeps them in results/fusion_costs.jsonl.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from itertools import product
from statistics import median, quantiles
from typing import Any

import torch
from torch import Tensor

from benchmarks.results import keep
from omnifuse.core.values import Tokens
from omnifuse.model import FUSIONS
from omnifuse.model.fusion.fusion import Fusion
from omnifuse.study.plan.flop import flop_counter

ROWS, DIM = 128, 64
LONG, WIDTHS = 2048, (64, 128, 256)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    result: dict[str, Any] = {"rounds": rounds, "low_rank": low_rank_and_tensor(rounds), "full_rank": full_rank()}
    result |= {"bottleneck": {str(dim): bottleneck_and_joint(dim, rounds) for dim in WIDTHS}, "perceiver": perceiver(rounds)}
    keep("fusion_costs", result)


def low_rank_and_tensor(rounds: int) -> dict[str, Any]:
    """Tensor fusion of three vectors of 64 against low_rank of rank 16: how many times the weights and the time."""
    tensor, low = built("tensor", 3, DIM), built({"name": "low_rank", "rank": 16}, 3, DIM)
    given = columns([1, 1, 1], DIM, ROWS)
    weights = [sum(weight.numel() for weight in part.parameters()) for part in (tensor, low)]
    return {"weights": round(weights[0] / weights[1], 1), "time": ratios(training(tensor, given), training(low, given), rounds)}


def full_rank() -> float:
    """How far low_rank of full rank is at most from any tensor fusion of three vectors of 3, in float64.

    A weight tensor W is Σ_ij e_i ⊗ e_j ⊗ W_ij: one rank for each choice of components of the first two columns.
    """
    size = 4
    tensor, low = built("tensor", 3, 3).double(), built({"name": "low_rank", "rank": size**2}, 3, 3).double()
    weights: dict[str, Tensor] = dict(low.named_parameters())
    with torch.no_grad():
        for weight in weights.values():
            weight.zero_()
        weights["weight"].fill_(1)
        for r, (i, j) in enumerate(product(range(size), repeat=2)):
            weights["factors"][0, i, r] = weights["factors"][1, j, r] = 1
            weights["factors"][2, :, r] = dict(tensor.named_parameters())["weight"].view(size, size, size, 3)[i, j]
        given = {name: Tokens(part.values.double(), part.mask) for name, part in columns([1, 1, 1], 3, 1000).items()}
        return float((low(given).pooled - tensor(given).pooled).abs().max())


def bottleneck_and_joint(dim: int, rounds: int) -> dict[str, Any]:
    """Bottleneck with 4 shared tokens against joint with 4 latents, two columns of 2,048 tokens: which share of the work and time."""
    parts = [built({"name": name, "depth": 2}, 2, dim) for name in ("bottleneck", "joint")]
    given = columns([LONG, LONG], dim, 1)
    work = [attention_flop(part, given) for part in parts]
    first, second = (training(part, given) for part in parts)
    return {"attention_flop": round(work[0] / work[1], 4), "time": ratios(first, second, rounds)}


def perceiver(rounds: int) -> dict[str, Any]:
    """Perceiver with two columns of 2,048 tokens against the same with 512: how many times the time."""
    part = built("perceiver", 2, DIM)
    many, few = (training(part, columns([length, length], DIM, 4)) for length in (LONG, LONG // 4))
    return {"time": ratios(many, few, rounds)}


def built(options: Any, count: int, dim: int) -> Fusion:
    """A fusion of columns that are always there."""
    torch.manual_seed(0)
    return FUSIONS.build(FUSIONS.parse(options), {f"c{m}": False for m in range(count)}, dim)


def columns(lengths: list[int], dim: int, rows: int) -> dict[str, Tokens]:
    """Noise of these numbers of tokens."""
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(rows, length, dim, generator=generator) for length in lengths]
    return {f"c{m}": Tokens(x_BTD, torch.ones(x_BTD.shape[:2], dtype=torch.bool)) for m, x_BTD in enumerate(values)}


def attention_flop(part: Fusion, given: Mapping[str, Tokens]) -> int:
    """The work of queries times keys and of weights times values, of a forward pass."""
    with flop_counter() as counter:
        part(given)
    return sum(count for operation, count in counter.get_flop_counts()["Global"].items() if "attention" in str(operation))


def training(part: Fusion, given: Mapping[str, Tokens]) -> Callable[[], None]:
    """A forward and a backward pass, down to what encoders would go on with."""
    given = {name: Tokens(column.values.requires_grad_(), column.mask) for name, column in given.items()}

    def step() -> None:
        part(given).pooled.square().mean().backward()
        part.zero_grad()
        for column in given.values():
            column.values.grad = None

    return step


def ratios(first: Callable[[], object], second: Callable[[], object], rounds: int) -> dict[str, Any]:
    """Median and quartiles of time of the first / time of the second, and the median times in milliseconds."""
    pairs = [(seconds(first), seconds(second)) for _ in range(rounds + 1)][1:]
    quotients = [one / other for one, other in pairs]
    low, _, high = quantiles(quotients, n=4)
    times = [round(1e3 * median(column), 2) for column in zip(*pairs, strict=True)]
    return {"median": round(median(quotients), 3), "quartiles": [round(low, 3), round(high, 3)], "milliseconds": times}


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
