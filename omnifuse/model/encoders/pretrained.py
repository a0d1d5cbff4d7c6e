"""What encoders have in common that hold a network trained elsewhere."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import nullcontext
from importlib.metadata import version
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Features, Tokens, Values
from omnifuse.model.encoders.encoder import Encoder
from omnifuse.model.pretrained.config import TunedConfig
from omnifuse.model.pretrained.loading import load_backbone, tensors_hold_values
from omnifuse.model.pretrained.tuning import freeze_unused, tune


class Options(Protocol):
    """What the options of these encoders have in common."""

    name: str
    pool: Any
    tune: Any


class PretrainedEncoder(Encoder):
    """tokens = W·norm(pool(network(values))) + b, with a norm over the H features of each state and W (D × H) of its own.

    A subclass prepares values for its network and gives the states; this class pools, projects, and sees to what is trained:
    `norm` and `projection` always, the network as `tune` says. States of a frozen network are the `features` that may be kept.
    """

    def __init__(self, config: TunedConfig, dim: int) -> None:
        """Args: config: options; dim: width D of the tokens."""
        super().__init__()
        self.options: Options = config  # type: ignore[assignment]  # pool is an option of each of them
        self.architecture: dict[str, Any] = config.resolved().architecture or {}
        self.backbone: Any = tune(load_backbone(config), config)
        self.norm: nn.LayerNorm
        self.projection: nn.Linear

    def finish(self, spec: ValueSpec, width: int, dim: int) -> None:
        """Make what is behind the network, of H = `width` features, and try the whole once on a row of zeros."""
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, dim)
        if not tensors_hold_values():
            return
        self.backbone.eval()
        with torch.enable_grad():
            states_BTH = self.states(_zeros(spec)).values
        self.backbone.train()
        if states_BTH.shape[2] != width:
            found = states_BTH.shape[2]
            raise OmnifuseError(f"{self.options.name}.model: the network gives {found} features, though it tells of {width}")
        if not self.is_frozen:
            freeze_unused(self.backbone, states_BTH)

    @abstractmethod
    def states(self, values: Values) -> Tokens:
        """What the network makes of values, (B, T, H); where `pool` is `first` that state comes first. Absent rows hold anything."""

    @property
    def is_frozen(self) -> bool:
        """Whether the network is not trained at all."""
        return self.options.tune == "frozen"

    def features(self, values: Values) -> Features:
        """States of the network, pooled as `pool` says; zeros where nothing is. No gradient is kept of a frozen one."""
        with torch.no_grad() if self.is_frozen else nullcontext():
            states = self.states(values)
            states = Tokens(states.values.float(), states.mask)
            if self.options.pool == "mean":
                states = Tokens(states.pool().unsqueeze(1), states.mask.any(1, keepdim=True))
            elif self.options.pool == "first":
                states = Tokens(states.values[:, :1], states.mask[:, :1])
            states = states.keep(values.present)
        return Features(states.values, values.present, states.mask)

    def frozen_part(self) -> tuple[dict[str, Any], nn.Module]:
        """The network, and how its states are pooled."""
        library = self.architecture["library"]
        return {"architecture": self.architecture, library: version(library), "pool": self.options.pool}, self.backbone

    def project(self, features: Features) -> Tokens:
        """States → tokens of width D."""
        assert features.mask is not None, "features have a mask"
        return Tokens(self.projection(self.norm(features.data)), features.mask)

    def encode(self, values: Values) -> Tokens:
        """Network, pooling, projection."""
        return self.project(self.features(values))


def all_there(states_BTH: Tensor) -> Tokens:
    """States of which each stands for something."""
    return Tokens(states_BTH, torch.ones(states_BTH.shape[:2], dtype=torch.bool, device=states_BTH.device))


def map_states(map_BHRC: Tensor) -> Tensor:
    """A feature map of R rows and C columns → its cells, row by row (B, R·C, H)."""
    return map_BHRC.flatten(2).transpose(1, 2)


def _zeros(spec: ValueSpec) -> Values:
    """One row of zeros as a column holds it: a short text, or at most a second of sound."""
    steps = max(1, min(spec.max_length or 1, round(spec.rate_hz) or 4))
    shape = [1, *(steps if side is None else side for side in spec.shape)]
    data = torch.zeros(shape, dtype=torch.long if spec.size else torch.float32)
    mask = torch.ones(1, steps, dtype=torch.bool) if None in spec.shape else None
    return Values(data, torch.ones(1, dtype=torch.bool), mask)
