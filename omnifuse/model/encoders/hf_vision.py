"""Image networks of transformers."""

from __future__ import annotations

from inspect import signature

from torch import nn

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.config import HFVisionConfig
from omnifuse.model.encoders.pretrained import PretrainedEncoder, all_there, map_states

CLASS_TOKENS = ("cls_token", "class_embedding")
OTHER_TOKENS = ("distillation_token", "register_tokens")


class HFVision(PretrainedEncoder):
    """Image (B, C, S, S) → tokens (B, T, D), one for each patch or cell of the last feature map, one for their mean or for all.

    x = W·norm(h) + b, with h the last hidden states: those of patches (`tokens`), their mean, or that of the class token
    (`first`). Of CLIP and SigLIP the network is the half that sees. Size, channels and normalisation of the images are those
    of the network's preprocessor, and dictated to the column.

    Source: transformers (Wolf et al. 2020, arXiv 1910.03771). Images are scaled to the size, not cropped from a larger one.
    Cost: that of the network; with `frozen` no gradients of it, and nothing at all where its features are kept.
    Absent: masked tokens; the running averages of batch norms never move.
    Errors: an `OmnifuseError` for an unknown name or folder, weights that are no safetensors, `first` for a network without
    class token, or where transformers is not installed.
    """

    def __init__(self, config: HFVisionConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: shape (C, S, S) of the images; dim: width D of the tokens."""
        super().__init__(config, dim)
        network = self.backbone.config
        before = _tokens_before(self.backbone)
        if config.pool == "first" and not before:
            raise OmnifuseError("hf_vision.pool: first is the class token, and this network has none; use mean")
        self.before = 0 if config.pool == "first" else before
        # A network whose learned positions are those of another size can be told to interpolate them.
        other = getattr(network, "image_size", spec.shape[1]) not in (spec.shape[1], list(spec.shape[1:]), tuple(spec.shape[1:]))
        named = "interpolate_pos_encoding" in signature(self.backbone.forward).parameters
        self.named = {"interpolate_pos_encoding": True} if other and named else {}
        width = getattr(network, "hidden_sizes", None) or [network.hidden_size]
        self.finish(spec, width[-1], dim)

    def states(self, values: Values) -> Tokens:
        """Last hidden states."""
        states = self.backbone(pixel_values=values.data, **self.named).last_hidden_state
        return all_there(map_states(states) if states.ndim == 4 else states[:, self.before :])


def _tokens_before(network: nn.Module) -> int:
    """How many tokens stand before those of the patches."""
    learned = [(name.rpartition(".")[2], parameter) for name, parameter in network.named_parameters()]
    if not any(name in CLASS_TOKENS for name, _ in learned):
        return 0
    return 1 + sum(parameter.shape[-2] for name, parameter in learned if name in OTHER_TOKENS)
