"""Text networks of transformers."""

from __future__ import annotations

import torch

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.config import HFTextConfig
from omnifuse.model.encoders.pretrained import PretrainedEncoder


class HFText(PretrainedEncoder):
    """Token ids (B, T) → tokens (B, T, D), one for each token of the text, one for their mean or for the first of them.

    x = W·norm(h) + b, with h the last hidden states, those of marks such as [CLS] among them; their masked mean is what
    sentence-transformers takes for many networks, before it is brought to length 1. Tokenizer and length are dictated to the
    column. Of CLIP the network is the half that reads, of T5 the encoder; a causal language model reads from the left.

    Source: transformers (Wolf et al. 2020, arXiv 1910.03771); the mean as in Reimers & Gurevych 2019, arXiv 1908.10084.
    Cost: that of the network; with `frozen` no gradients of it, and nothing at all where its features are kept.
    Absent: masked tokens. Padding is masked in the attention, and holds the id that the network itself pads with.
    Errors: an `OmnifuseError` for an unknown name or folder, weights that are no safetensors, the vocabulary of another
    network, or where transformers is not installed.
    """

    def __init__(self, config: HFTextConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: vocabulary and longest text; dim: width D of the tokens."""
        super().__init__(config, dim)
        known = self.backbone.get_input_embeddings().num_embeddings
        if spec.size > known:
            raise OmnifuseError(f"hf_text.model: the column has {spec.size} different tokens, but the network knows {known}")
        self.padding = self.backbone.config.pad_token_id or 0
        self.finish(spec, self.backbone.config.hidden_size, dim)

    def states(self, values: Values) -> Tokens:
        """Last hidden states."""
        mask_BT = values.mask
        assert mask_BT is not None, "texts have a mask"
        ids_BT = torch.where(mask_BT, values.data, self.padding)
        begins_T = torch.arange(mask_BT.shape[1], device=mask_BT.device) == 0
        seen_BT = mask_BT | (begins_T & ~mask_BT.any(1, keepdim=True))  # attention over nothing would give NaN
        states_BTH = self.backbone(input_ids=ids_BT, attention_mask=seen_BT.long()).last_hidden_state
        return Tokens(states_BTH, mask_BT)
