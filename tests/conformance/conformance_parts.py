"""What the conformance tests feed to registered parts: example values by modality, and every variant of the options."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from omnifuse.core.registry import PartConfig, Registry
from omnifuse.core.schema import Column
from omnifuse.core.spec import InputSpec
from omnifuse.core.values import Fused, Tokens, Values
from omnifuse.data.modalities import MODALITIES
from omnifuse.data.modalities.config import column_config
from omnifuse.data.modalities.processor import Processor
from omnifuse.model.pretrained.config import PretrainedConfig
from tests.model.pretrained.tiny_models import folder_of, place_of

DIM = 16
ROWS = 8


def _picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _tone(seed: int) -> tuple[np.ndarray, int]:
    """A tone of its own pitch and length, with its rate."""
    time_s = np.arange(1200 + 400 * seed) / 8000
    return np.sin(2 * np.pi * (300 + 150 * seed) * time_s).astype(np.float32) / 2, 8000


def _film(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (3 + 2 * seed, 16, 16, 3), dtype=np.uint8)


def _walk(seed: int) -> dict[str, list[float | None]]:
    """Two channels that wander, of its own length; one value is missing."""
    steps = np.random.default_rng(seed).normal(size=(2, 12 + 5 * seed)).cumsum(axis=1)
    return {"left": [None, *steps[0, 1:].tolist()], "right": (100 * steps[1]).tolist()}


def _cloud(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(10 + 7 * seed, 4)) * [30, 20, 2, 1]


# Raw values of every modality, all different. A new modality adds a line here and needs no other test.
RAWS: dict[str, list[Any]] = {
    "text": ["a", "one red circle", "这是什么颜色？", "a much longer text, so that others are padded", "naïve 🙂", "two"],
    "image": [_picture(seed) for seed in range(6)],
    "category": ["red", "green", "blue", "black", "white", "颜色"],
    "number": [-3.5, 0.0, 1.25, 7.0, 1e3, 42.0],
    "audio": [_tone(seed) for seed in range(6)],
    "video": [_film(seed) for seed in range(6)],
    "series": [_walk(seed) for seed in range(6)],
    "points": [_cloud(seed) for seed in range(6)],
    "set": [["red", "big"], "red|small", [], ["颜色"], {"small", "big", "red"}, '["blue"]'],
    "datetime": ["2024-05-31", "2024-05-31T23:59:59", "1999-01-01 12:00+09:00", "1969-07-20T20:17:40Z", "2030-12-31", "2024-02-29 06:30"],
    "id": ["u7", "u12", 4, "颜色", "a-b", "9"],
    "vector": [[1, 2, 3], "[4, 5, 6]", "0 0 1", (-1.5, 2.5, 1e3), np.array([0.25, 0.5, 0.75]), "7;8;9"],
}
SMALL: dict[str, dict[str, Any]] = {
    "text": {"vocabulary": 300},
    "id": {"min_count": 1},
    "category": {"order": ["black", "blue", "green", "red", "white", "颜色"]},
}
# Tiny networks for every part that holds one trained elsewhere; the first is put through all options, the others as they are.
TINY = {
    "timm": ("timm_vit", "timm_resnet"),
    "hf_vision": ("vit", "dinov2", "clip", "siglip", "resnet", "convnext"),
    "hf_text": ("bert", "roberta", "modernbert", "t5", "clip", "llama"),
    "words": ("llama", "llama_tied"),
    "hf_audio": ("wav2vec2", "hubert", "wavlm", "whisper", "ast"),
    "llm": ("llama", "llama_tied"),
    "causal_lm": ("llama", "llama_tied"),
}
# Options that keep a part of its own weights quick.
QUICK = {"flow": {"width": 32, "depth": 1}}


def raws_of(modality: str) -> list[Any]:
    """Canonical example values."""
    assert modality in RAWS, f"add example values of the modality {modality} to RAWS in {__file__}"
    return [unfitted(modality).canonical(raw) for raw in RAWS[modality]]


def unfitted(modality: str, demands: InputSpec | None = None) -> Processor[Any]:
    """A processor that has learned nothing; small where it may choose."""
    return MODALITIES.build(column_config(Column("x", modality, **SMALL.get(modality, {})), demands))


def fitted(modality: str, demands: InputSpec | None = None) -> Processor[Any]:
    """A processor that has learned from the examples; small where it may choose."""
    processor = unfitted(modality, demands)
    processor.fit(raws_of(modality))
    processor.optional_ = True
    return processor


def batch_of(processor: Processor[Any], modality: str) -> Values:
    """The examples, with absent rows in the second and the last place."""
    raws = raws_of(modality)
    return processor.encode([raws[0], None, *raws[1:], None])


def variants(registry: Registry) -> Iterator[PartConfig]:
    """Every registered part with its default options, and with each other choice of its options that are words or switches."""
    for entry in registry.values():
        networks = networks_for(entry.config)
        default = entry.config.parse(networks[0])
        yield default
        for name, field in entry.config.model_fields.items():
            if field.annotation is bool:
                choices: tuple[Any, ...] = (True, False)
            elif get_origin(field.annotation) is Literal:
                choices = get_args(field.annotation)
            else:
                continue
            for choice in choices:
                if choice != getattr(default, name):
                    yield entry.config.parse({**networks[0], name: choice})
        yield from (entry.config.parse(network) for network in networks[1:])


def networks_for(config: type[PartConfig]) -> list[dict[str, Any]]:
    """Options that name the tiny networks of a part; of one without, those that keep it quick."""
    name = config.model_fields["name"].default
    if not issubclass(config, PretrainedConfig):
        return [QUICK.get(name, {})]
    assert name in TINY, f"name tiny networks for the part {name} in TINY in {__file__}"
    return [{"model": str(place_of(kind))} for kind in TINY[name]]


def ready(config: Any) -> Any:
    """The same options, once the tiny network they name is there."""
    if isinstance(config, PretrainedConfig):
        folder_of(Path(config.model).name)
    return config


def label(config: PartConfig) -> str:
    """The name of a variant in test reports."""
    quick = QUICK.get(config.name, {})
    changed = {n: v for n, v in config.model_dump().items() if n != "name" and n in config.model_fields_set and n not in quick}
    network = [Path(changed.pop("model")).name] if "model" in changed else []
    return "-".join([config.name, *network, *(f"{n}={v}" for n, v in changed.items())])


def token_columns(seed: int = 0) -> dict[str, Tokens]:
    """Tokens of three columns, of 1, 3 and 5 positions, in every pattern of presence (2³ = 8 rows)."""
    generator = torch.Generator().manual_seed(seed)
    columns = {}
    patterns = torch.tensor(list(product([True, False], repeat=3)))
    for m, (name, length) in enumerate({"one": 1, "few": 3, "many": 5}.items()):
        mask = torch.zeros(ROWS, length, dtype=torch.bool)
        for row in range(ROWS):
            mask[row, : 1 + row % length] = patterns[row, m]
        values = torch.randn(ROWS, length, DIM, generator=generator) * mask.unsqueeze(-1)
        columns[name] = Tokens(values, mask)
    return columns


def fused_rows(seed: int = 0) -> Fused:
    """Something fused: 8 rows of up to 4 tokens."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(4) <= torch.arange(ROWS).unsqueeze(1) % 4
    tokens = torch.randn(ROWS, 4, DIM, generator=generator) * mask.unsqueeze(-1)
    return Fused(tokens, mask, torch.randn(ROWS, DIM, generator=generator))


def some_loss(*outputs: Tensor) -> Tensor:
    """A number that depends on every entry of the outputs, each in its own way."""
    total = torch.zeros(())
    for output in outputs:
        weights = torch.linspace(-1, 1, output.numel()).cos().reshape(output.shape)
        total = total + (output.float() * weights).sum() + (output.float() ** 2).mean()
    return total


def assert_every_parameter_learns(module: nn.Module) -> None:
    """Every parameter that is trained has a finite gradient, and none is zero throughout; frozen ones have none.

    Only A of a low-rank addition B·A has a gradient of zero, as long as B is zero.
    """
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None, f"{name} is frozen and has a gradient"
            continue
        assert parameter.grad is not None, f"{name} has no gradient"
        assert torch.isfinite(parameter.grad).all(), f"the gradient of {name} is not finite"
        assert parameter.grad.abs().sum() > 0 or ".lora_A." in name, f"the gradient of {name} is zero"
