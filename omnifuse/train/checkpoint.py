"""Checkpoints: everything a run needs to go on as if nothing had happened. Safetensors and JSON, nothing pickled."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from omnifuse.core.atomic import read_json, replacing, write_json
from omnifuse.core.errors import OmnifuseError, first_line
from omnifuse.model.multimodal import MultimodalModel
from omnifuse.pipeline.pipeline import load_weights, save_weights, write_tensors
from omnifuse.train.average import WeightAverage

LAST = "last.safetensors"


@dataclass
class Progress:
    """Where a run stands. The order of samples and all noise are functions of the step, so there is no more to keep.

    Attributes:
        step: steps done.
        seconds: time spent on them.
        best_step, best_score: the best validation so far, and its score.
        stale: validations since then.
        scaler: state of the loss scale of fp16; empty in other precisions.
    """

    step: int = 0
    seconds: float = 0.0
    best_step: int = 0
    best_score: float | None = None
    stale: int = 0
    scaler: dict[str, float] = field(default_factory=dict)


class Checkpoints:
    """`checkpoints/step-00000123/` with `model.safetensors`, `optimizer.safetensors` and `progress.json`.

    Where weights are averaged, `model.safetensors` holds the average, and `last.safetensors` the weights that training goes on with.
    A folder appears only when it is complete. The last and the best are kept, older ones removed after that.
    """

    def __init__(self, run: Path) -> None:
        """Args: run: the run directory."""
        self.folder = run / "checkpoints"

    def at(self, step: int) -> Path:
        """Folder of the checkpoint at a step."""
        return self.folder / f"step-{step:08d}"

    def save(
        self, model: MultimodalModel, optimizer: torch.optim.Optimizer, progress: Progress, average: WeightAverage | None = None
    ) -> None:
        """Write a checkpoint, then remove those that are neither the last nor the best."""
        with replacing(self.at(progress.step)) as folder:
            folder.mkdir(parents=True)
            if average is not None:
                save_weights(model, folder / LAST)
            with nullcontext() if average is None else average.applied():
                save_weights(model, folder / "model.safetensors")
            write_tensors(_optimizer_tensors(model, optimizer), folder / "optimizer.safetensors")
            write_json(folder / "progress.json", asdict(progress))
        for old in self.all():
            if old not in (self.at(progress.step), self.at(progress.best_step)):
                shutil.rmtree(old, ignore_errors=True)

    def all(self) -> list[Path]:
        """Complete checkpoints, oldest first."""
        return sorted(self.folder.glob("step-*"))

    def restore(self, model: MultimodalModel, optimizer: torch.optim.Optimizer, average: WeightAverage | None = None) -> Progress:
        """Load the last checkpoint into model and optimizer; a run without any starts at step 0.

        Raises:
            OmnifuseError: the checkpoint is damaged or belongs to another model.
        """
        folders = self.all()
        if not folders:
            return Progress()
        last = folders[-1]
        load_weights(model, last / "model.safetensors")
        if average is not None:
            average.load(model.state_dict())
            load_weights(model, last / LAST)
        try:
            tensors = load_file(last / "optimizer.safetensors")
        except (SafetensorError, OSError) as error:
            raise OmnifuseError(f"{last}: the optimizer state is damaged ({first_line(error)})") from None
        _load_optimizer(model, optimizer, tensors)
        return Progress(**read_json(last / "progress.json", "checkpoint"))

    def load_best(self, model: MultimodalModel, progress: Progress) -> None:
        """Load the weights of the best validation."""
        load_weights(model, self.at(progress.best_step) / "model.safetensors")


def _names(model: nn.Module) -> dict[torch.Tensor, str]:
    return {parameter: name for name, parameter in model.named_parameters()}


def _optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """State of the optimizer as named tensors: `exp_avg:encoders.@image.…`."""
    names = _names(model)
    tensors = {}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if value is not None:
                tensor = value if isinstance(value, torch.Tensor) else torch.tensor(value)
                tensors[f"{key}:{names[parameter]}"] = tensor.detach().cpu().contiguous()
    return tensors


def _load_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    parameters: dict[str, nn.Parameter] = dict(model.named_parameters())
    for full, tensor in tensors.items():
        key, _, name = full.partition(":")
        if name not in parameters:
            raise OmnifuseError(f"the optimizer state belongs to another model (it knows {name})")
        parameter = parameters[name]
        if tensor.shape == parameter.shape and tensor.ndim:  # in the memory layout of the weights, as fused steps demand
            value = torch.empty_like(parameter.detach(), dtype=tensor.dtype).copy_(tensor)
        else:
            value = tensor.to(parameter.device) if parameter.is_cuda else tensor
        optimizer.state[parameter][key] = value
