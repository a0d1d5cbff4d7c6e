"""What drawing through the head `flow` costs beside the same network in a raw loop.

    python -m benchmarks.flow_sampling [--rounds 9]

64 pictures of 28×28 in 25 steps of Euler, without guidance and with it. A round is one draw through the head and one by a loop of a few
lines around the head's own network, one after the other, so that a drifting machine hits both alike. Prints medians and quartiles of the
paired ratios, and checks that both draw the same pictures. Keeps them in results/flow_sampling.jsonl.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch import Tensor

from benchmarks.fusion_costs import ratios
from benchmarks.results import keep
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Fused
from omnifuse.model import HEADS
from omnifuse.model.heads.flow import FlowHead
from omnifuse.model.heads.sampling import RowNoise, Sampling

ROWS, STEPS, DIM, SIDE = 64, 25, 64, 28
SEEDS = range(ROWS)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.manual_seed(0)
    head: FlowHead = HEADS.build(HEADS.parse("flow"), ValueSpec(modality="image", shape=(1, SIDE, SIDE)), DIM).eval()
    fused = Fused(torch.randn(ROWS, 4, DIM), torch.ones(ROWS, 4, dtype=torch.bool), torch.randn(ROWS, DIM))
    weights = sum(weight.numel() for weight in head.parameters())
    result: dict[str, Any] = {"rows": ROWS, "steps": STEPS, "weights": weights, "rounds": rounds}
    for guidance in (1.0, 2.5):
        result[f"guidance {guidance:g}"] = beside(head, fused, guidance, rounds)
    keep("flow_sampling", result)


def beside(head: FlowHead, fused: Fused, guidance: float, rounds: int) -> dict[str, Any]:
    """Time of the head / time of the loop, and how far their pictures are apart at most."""
    sampling = Sampling(steps=STEPS, guidance=guidance)

    def through_head() -> Tensor:
        return head.generate(head(fused), RowNoise(SEEDS), sampling)

    def in_a_loop() -> Tensor:
        return raw(head, fused, guidance)

    apart = float((through_head() - in_a_loop()).abs().max())
    return {"apart": apart, "time": ratios(through_head, in_a_loop, rounds)}


@torch.no_grad()
def raw(head: FlowHead, fused: Fused, guidance: float) -> Tensor:
    """The network in a loop, and nothing else."""
    x = torch.stack([torch.randn(1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) for seed in SEEDS])
    known = torch.ones(ROWS, dtype=torch.bool)
    twice = Fused(fused.tokens.repeat(2, 1, 1), fused.mask.repeat(2, 1), fused.pooled.repeat(2, 1))
    for step in range(STEPS):
        t = torch.full((ROWS,), step / STEPS)
        if guidance == 1:
            v = head.network(x, t, fused, known)
        else:
            told, empty = head.network(torch.cat([x, x]), t.repeat(2), twice, torch.cat([known, ~known])).chunk(2)
            v = empty + guidance * (told - empty)
        x = x + v / STEPS
    return x


if __name__ == "__main__":
    main()
