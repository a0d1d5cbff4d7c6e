"""How a pretrained network is trained: not at all, by low-rank additions, or as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from types import MethodType

from torch import Tensor, nn

from omnifuse.model.pretrained.config import TunedConfig
from omnifuse.model.pretrained.place import need

ADDED, BASE = ".lora_", ".base_layer."


def tune(module: nn.Module, config: TunedConfig) -> nn.Module:
    """Make a network learn as `config.tune` says; it is changed in place and returned.

    - `frozen`: no weight asks for a gradient, and the network stays in evaluation mode (no dropout) even when the model
      around it is put into training. Gradients still pass through it to what feeds it.
    - `lora`: W·x becomes W·x + α/r · B·A·x in every linear layer, with A (r × in) drawn and B (out × r) zero, so that
      the network begins as it was; A and B alone are trained. A network without linear layers gets them in its convolutions.
    - `full`: all weights are trained.

    Running averages of batch norms stay as they were in all three: batches here hold absent rows, and are often small.

    Source: Hu et al. 2021, arXiv 2106.09685; there only attention is adapted, all linear layers as in Dettmers et al. 2023,
    arXiv 2305.14314. The output layer of a language model and layers that are read past (WavLM's attention) are left alone.
    Errors: an `OmnifuseError` where peft is not installed.
    """
    if config.tune == "lora":
        _add_low_rank(module, config)
    else:
        module.requires_grad_(config.tune == "full")
    module.train = MethodType(_stay_in_evaluation if config.tune == "frozen" else _keep_statistics, module)
    return module.train(config.tune != "frozen")


def freeze_unused(module: nn.Module, output: Tensor) -> None:
    """Parameters of `module` that `output` does not depend on stop asking for gradients, which would never come."""
    used, seen, waiting = set(), set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        used.add(id(getattr(node, "variable", None)))
        waiting.extend(following for following, _ in node.next_functions)
    for parameter in module.parameters():
        if id(parameter) not in used:
            parameter.requires_grad_(False)


def adapted_names(state: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Weights that were saved before low-rank additions were made, as a module with additions names them.

    `x.weight` becomes `x.base_layer.weight` where the module has the latter, and additions that `state` does not know are
    taken from the module as they are. All other names stay, so weights that were saved with additions pass unchanged.
    """
    here = module.state_dict()
    renamed = {name.replace(BASE, "."): name for name in here if BASE in name}
    added = {name: tensor for name, tensor in here.items() if ADDED in name and name not in state}
    return {renamed.get(name, name): tensor for name, tensor in state.items()} | added


def merged(module: nn.Module) -> dict[str, Tensor]:
    """The weights of a module without low-rank additions, which are added into the weights they belong to; `module` is changed."""
    for layer in module.modules():
        if hasattr(layer, "base_layer") and isinstance(merge := getattr(layer, "merge", None), MethodType):
            merge()
    return {name.replace(BASE, "."): tensor for name, tensor in module.state_dict().items() if ADDED not in name}


def _add_low_rank(module: nn.Module, config: TunedConfig) -> None:
    peft = need("peft", f"{config.name}.tune")
    options = peft.LoraConfig(r=config.lora_rank, lora_alpha=config.lora_alpha, target_modules=_adaptable(module))
    peft.inject_adapter_in_model(options, module)


def _adaptable(module: nn.Module) -> list[str]:
    """Names of the layers that get additions."""
    from transformers.pytorch_utils import Conv1D

    past = {id(child) for layer in module.modules() if _is_read_past(layer) for child in layer.modules()}
    output = module.get_output_embeddings() if hasattr(module, "get_output_embeddings") else None  # pyright: ignore[reportCallIssue]
    named = [(name, layer) for name, layer in module.named_modules() if id(layer) not in past and layer is not output]
    linear = [name for name, layer in named if isinstance(layer, nn.Linear | Conv1D)]
    return linear or [name for name, layer in named if isinstance(layer, nn.Conv2d) and layer.groups == 1]


def _is_read_past(layer: nn.Module) -> bool:
    """Whether a layer takes the weights of its parts without running them, so that additions to them would do nothing."""
    return isinstance(layer, nn.MultiheadAttention) or type(layer).__name__ == "WavLMAttention"


def _stay_in_evaluation(self: nn.Module, mode: bool = True) -> nn.Module:
    return type(self).train(self, False)


def _keep_statistics(self: nn.Module, mode: bool = True) -> nn.Module:
    type(self).train(self, mode)
    for layer in self.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.eval()
    return self
