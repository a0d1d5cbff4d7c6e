"""Pictures, sounds, series and points, drawn by following a flow from noise to data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Fused, Values
from omnifuse.model.heads.canvas import Canvas, PictureCanvas, canvas_of
from omnifuse.model.heads.config import FlowHeadConfig
from omnifuse.model.heads.head import Head
from omnifuse.model.heads.sampling import RowNoise, Sampling
from omnifuse.model.layers.dit import DiT
from omnifuse.model.layers.row_hash import row_hash
from omnifuse.model.layers.unet import UNet
from omnifuse.model.layers.velocity import Velocity

MOST_PLACES = 4096  # of a picture for a U-Net, where nobody chose
MOST_TOKENS = 1024  # of a transformer, where nobody chose the patch
LOOKS = 4  # times at which the loss of a row is taken when nothing is learned


class FlowHead(Head):
    """dx/dt = v(x, t | fused) leads from noise ε at t = 0 to data at t = 1: x_t = (1 − t)·ε + t·x, loss ‖v(x_t, t) − (x − ε)‖² / size.

    Training draws t = σ(n), n from the standard normal distribution; the draws of a batch are spread evenly over it. A share
    `unconditional` of the rows sees neither pooled vector nor tokens, but a learned vector. Samples follow
    v_u + w·(v_c − v_u), w the `guidance` and v_u what rows without condition see, in equal steps of Euler or Heun; with w = 1 v_c alone
    is asked for. Values become an array and back on a `Canvas`.

    Source: rectified flow (Liu et al. 2022, arXiv 2209.03003); times, Esser et al. 2024, arXiv 2403.03206, spread as in Kingma et al.
    2021, arXiv 2107.00630; guidance, Ho & Salimans 2022, arXiv 2207.12598. There is no coupling of noise and data but chance.
    When nothing is learned the loss of a row is its mean at four times in the middle of equal parts of that distribution, with noise
    that is a function of its target alone: the same row always has the same loss, in any company.

    Shapes: fused (B, M, D), target as its processor makes it. Absent: masked tokens are not read; a row without any condition is
    drawn all the same. Rows whose target is absent cost nothing and have a loss of zero.
    Errors: a width that the heads of the attention do not divide, more bands than a sound has room for; there is no `predict`.
    """

    predicts = False

    def __init__(self, config: FlowHeadConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: of the target; dim: width D."""
        super().__init__()
        self.config, self.spec = config, spec
        self.canvas = canvas_of(config, spec)
        self.network = _network(config, self.canvas, dim)

    def forward(self, fused: Fused) -> Fused:
        """The condition: what is fused."""
        return fused

    def loss(self, output: Fused, target: Values) -> Tensor:
        """(B,) mean squared error of the velocity."""
        if self.training:
            self.canvas.observe(target)
        place_R = target.present.nonzero().squeeze(1)
        if len(place_R) == 0:  # every rank's network has to run
            place_R = torch.zeros_like(target.present[:1], dtype=torch.long)
        shown, rows = _rows(output, place_R), target.select(place_R)
        with torch.autocast(output.pooled.device.type, enabled=False):
            x_RCHW = self.canvas.paint(rows)
        losses_R = self._drawn(x_RCHW, shown) if self.training else self._certain(x_RCHW, shown, row_hash(rows, self.spec))
        losses_B = torch.zeros_like(target.present, dtype=torch.float32).index_put((place_R,), losses_R)
        return torch.where(target.present, losses_B, 0)

    def _drawn(self, x_RCHW: Tensor, fused: Fused) -> Tensor:
        """(R,) at a time and with a noise of chance."""
        count, device = len(x_RCHW), x_RCHW.device
        even_R = (torch.rand(1, device=device) + torch.arange(count, device=device) / count) % 1
        known_R = torch.rand(count, device=device) >= self.config.unconditional
        return self._error(x_RCHW, torch.randn_like(x_RCHW), logit_normal(even_R), fused, known_R)

    def _certain(self, x_RCHW: Tensor, fused: Fused, hash_R: Tensor) -> Tensor:
        """(R,) the mean over `LOOKS` times, always the same for the same row."""
        noise = RowNoise(hash_R.tolist())
        known_R = torch.ones(len(x_RCHW), dtype=torch.bool, device=x_RCHW.device)
        total_R = x_RCHW.new_zeros(len(x_RCHW))
        for look in range(LOOKS):
            t_R = logit_normal(torch.full_like(total_R, (look + 0.5) / LOOKS))
            total_R += self._error(x_RCHW, noise.normal(*x_RCHW.shape[1:]).to(x_RCHW.device), t_R, fused, known_R)
        return total_R / LOOKS

    def _error(self, x_RCHW: Tensor, noise_RCHW: Tensor, t_R: Tensor, fused: Fused, known_R: Tensor) -> Tensor:
        velocity_RCHW = self.network(mixed(noise_RCHW, x_RCHW, t_R), t_R, fused, known_R).float()
        return (velocity_RCHW - (x_RCHW - noise_RCHW)).square().flatten(1).mean(1)

    def predict(self, output: Fused) -> Tensor:
        """There is none.

        Raises:
            OmnifuseError: always.
        """
        raise OmnifuseError("a flow has no best answer, it draws samples: use `Pipeline.generate`")

    def answer(self, prediction: Tensor) -> Tensor:
        """There is none.

        Raises:
            OmnifuseError: always.
        """
        return self.predict(prediction)  # pyright: ignore[reportArgumentType]

    @torch.no_grad()
    def generate(self, output: Fused, noise: RowNoise, sampling: Sampling) -> Tensor:
        """(B, …) a sample for each row, as the processor decodes it; zeros behind its end (see `lengths`)."""
        guidance = self.config.guidance if sampling.guidance is None else sampling.guidance
        steps, solver = sampling.steps or self.config.steps, sampling.solver or self.config.solver
        x_BCHW = noise.normal(*self.canvas.shape).to(output.pooled.device)
        return self.canvas.read(follow(self._guided(output, guidance), x_BCHW, steps, SOLVERS[solver]))

    def lengths(self, generated: Tensor) -> list[int] | None:
        """How many positions of each row of what `generate` gave are there; `None` where all rows are of one size."""
        return self.canvas.lengths(generated)

    def _guided(self, fused: Fused, guidance: float) -> Flow:
        """v_u + w·(v_c − v_u), both from one batch of twice the rows."""
        count, device = len(fused.pooled), fused.pooled.device
        known_B = torch.full((count,), guidance != 0, device=device)
        if guidance in (0, 1):
            return lambda x_BCHW, t: self.network(x_BCHW, x_BCHW.new_full((count,), t), fused, known_B).float()
        twice = Fused(*(torch.cat([part, part]) for part in (fused.tokens, fused.mask, fused.pooled)))
        known_N = torch.cat([known_B, ~known_B])

        def velocity(x_BCHW: Tensor, t: float) -> Tensor:
            told_NCHW = self.network(torch.cat([x_BCHW, x_BCHW]), x_BCHW.new_full((2 * count,), t), twice, known_N).float()
            known_BCHW, empty_BCHW = told_NCHW.chunk(2)
            return torch.lerp(empty_BCHW, known_BCHW, guidance)

        return velocity


Flow = Callable[[Tensor, float], Tensor]


def mixed(noise_BCHW: Tensor, x_BCHW: Tensor, t_B: Tensor) -> Tensor:
    """x_t = (1 − t)·ε + t·x."""
    t_B111 = t_B[:, None, None, None]
    return (1 - t_B111) * noise_BCHW + t_B111 * x_BCHW


def logit_normal(even_B: Tensor) -> Tensor:
    """Times that are logit-normal when the numbers in (0, 1) they are made of are uniform: t = σ(Φ⁻¹(u))."""
    return torch.special.ndtri(even_B.clamp(1e-6, 1 - 1e-6)).sigmoid()


def euler(flow: Flow, x: Tensor, t: float, step: float) -> Tensor:
    """One step x + h·v(x, t), of first order."""
    return torch.add(x, flow(x, t), alpha=step)


def heun(flow: Flow, x: Tensor, t: float, step: float) -> Tensor:
    """One step x + ½h·(v(x, t) + v(x + h·v(x, t), t + h)), of second order."""
    first = flow(x, t)
    second = flow(torch.add(x, first, alpha=step), t + step)
    return torch.add(x, first + second, alpha=step / 2)


SOLVERS = {"euler": euler, "heun": heun}


def follow(flow: Flow, x: Tensor, steps: int, solver: Callable[[Flow, Tensor, float, float], Tensor]) -> Tensor:
    """Where x at t = 0 is at t = 1, in equal steps."""
    for step in range(steps):
        x = solver(flow, x, step / steps, 1 / steps)
    return x


def _rows(fused: Fused, place_R: Tensor) -> Fused:
    if len(place_R) == len(fused.pooled):
        return fused
    return replace(fused, tokens=fused.tokens[place_R], mask=fused.mask[place_R], pooled=fused.pooled[place_R])


def _network(config: FlowHeadConfig, canvas: Canvas, dim: int) -> Velocity:
    if chosen_network(config, canvas) == "unet":
        return UNet(canvas.channels, config.width or 32, config.depth or 2, dim, config.heads, canvas.flat, config.patch or 1)
    width, sides = config.width or 256, 1 if canvas.flat else 2
    if width % config.heads:
        raise OmnifuseError(f"heads: {config.heads} does not divide the width {width} of the transformer")
    if not canvas.ordered and config.patch not in (None, 1):
        raise OmnifuseError("patch: points have no neighbours to share a patch with; leave it out")
    few = 1 << max(0, math.ceil(math.log2(canvas.longest / MOST_TOKENS) / sides))
    patch = config.patch or (few if canvas.ordered else 1)
    return DiT(canvas.channels, width, config.depth or 6, dim, config.heads, patch, canvas.flat, canvas.ordered)


def chosen_network(config: FlowHeadConfig, canvas: Canvas) -> Literal["unet", "dit"]:
    """The network of the options; where they leave it open, the transformer for points and for large pictures."""
    if config.network != "auto":
        return config.network
    is_large = isinstance(canvas, PictureCanvas) and canvas.longest > MOST_PLACES
    return "dit" if is_large or not canvas.ordered else "unet"
