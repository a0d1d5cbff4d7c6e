"""Image networks of timm."""

from __future__ import annotations

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.config import TimmConfig
from omnifuse.model.encoders.pretrained import PretrainedEncoder, all_there, map_states


class TimmImage(PretrainedEncoder):
    """Image (B, C, S, S) → tokens (B, T, D), one for each patch or cell of the last feature map, or one for their mean.

    x = W·norm(network(image)) + b, with the network's features before its classifier; class and register tokens are left
    out. Size, channels and normalisation of the images are those the network was trained on, and dictated to the column.

    Source: timm (Wightman 2019, doi 10.5281/zenodo.4414861). Images are scaled to the size, not cropped from a larger one.
    Cost: that of the network; with `frozen` no gradients of it, and nothing at all where its features are kept.
    Absent: masked tokens; the running averages of batch norms never move.
    Errors: an `OmnifuseError` for an unknown name or folder, weights that are no safetensors, or where timm is not installed.
    """

    def __init__(self, config: TimmConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: shape (C, S, S) of the images; dim: width D of the tokens."""
        super().__init__(config, dim)
        self.finish(spec, self.backbone.num_features, dim)

    def states(self, values: Values) -> Tokens:
        """Features of patches or cells."""
        states = self.backbone.forward_features(values.data)
        if states.ndim == 4:
            last = getattr(self.backbone, "output_fmt", "NCHW") == "NHWC"
            return all_there(states.flatten(1, 2) if last else map_states(states))
        return all_there(states[:, getattr(self.backbone, "num_prefix_tokens", 0) :])
