"""One file a modality: raw value ↔ tensor. `MODALITIES` lists them without loading PyTorch."""

from omnifuse.data.modalities.config import MODALITIES as MODALITIES
