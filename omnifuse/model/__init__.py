"""Step 2, design: encoders, fusion and heads. The tables list their names without loading PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omnifuse.model.encoders.config import ENCODERS
from omnifuse.model.fusion.config import FUSIONS
from omnifuse.model.heads.config import HEADS

if TYPE_CHECKING:
    from omnifuse.model.multimodal import MultimodalModel

__all__ = ["ENCODERS", "FUSIONS", "HEADS", "MultimodalModel"]


def __getattr__(name: str) -> object:
    if name == "MultimodalModel":
        from omnifuse.model.multimodal import MultimodalModel

        return MultimodalModel
    raise AttributeError(f"module 'omnifuse.model' has no attribute {name!r}")
