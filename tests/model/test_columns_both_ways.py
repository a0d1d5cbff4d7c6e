"""What a column that is read and answered has to be, its encoder and its head say together."""

from __future__ import annotations

import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.model.config import ModelConfig
from tests.model.pretrained.tiny_models import folder_of

SCHEMA = Schema.parse({"photo": "image", "words": {"modality": "text", "role": "both"}})


def model(encoder: str, kind: str, head: str) -> ModelConfig:
    parts = {
        "encoders": {"words": {"name": encoder, "model": str(folder_of(kind))}},
        "heads": {"words": {"name": "causal_lm", "model": str(folder_of(head))}},
    }
    return ModelConfig.parse(parts, "model")


def test_an_encoder_and_a_head_of_one_network_agree() -> None:
    assert "llama" in str(model("words", "llama", "llama").demands(SCHEMA)["words"].tokenizer)


def test_those_of_two_networks_are_refused() -> None:
    with pytest.raises(OmnifuseError, match=r"model\.heads\.words: its tokenizer is .* name parts that agree"):
        model("hf_text", "bert", "llama").demands(SCHEMA)
