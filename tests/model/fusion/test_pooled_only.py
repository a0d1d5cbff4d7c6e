"""Where no head reads what is fused token by token, `joint` makes the pooled vector alone, and the same one."""

from __future__ import annotations

import torch

from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens
from omnifuse.model import FUSIONS, MultimodalModel
from omnifuse.model.config import ModelConfig


def test_the_pooled_vector_is_the_same() -> None:
    torch.manual_seed(0)
    fusion = FUSIONS.build(FUSIONS.parse({"name": "joint"}), {"a": True, "b": False}, 16).eval()
    tokens = {"a": Tokens(torch.randn(5, 7, 16), torch.rand(5, 7) < 0.7), "b": Tokens(torch.randn(5, 3, 16), torch.ones(5, 3) > 0)}
    whole = fusion(tokens)
    fusion.pooled_only = True
    alone = fusion(tokens)
    torch.testing.assert_close(alone.pooled, whole.pooled)
    assert alone.tokens.shape[1] == alone.mask.shape[1] < whole.tokens.shape[1]


def test_it_is_so_where_no_head_reads_tokens() -> None:
    inputs = {"x": ValueSpec(modality="number"), "y": ValueSpec(modality="number")}
    label, text = ValueSpec(modality="category", size=3), ValueSpec(modality="text", shape=(None,), size=20, max_length=8)
    config = ModelConfig(dim=16)
    assert MultimodalModel(config, inputs, {"label": label}).fusion.pooled_only
    assert not MultimodalModel(config, inputs, {"label": label, "words": text}).fusion.pooled_only
