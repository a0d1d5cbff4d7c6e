"""Models in the shape of well-known ones: `model: {preset: …}` fills in what is not written.

A preset is a function of its options and of the columns to the sections `fusion`, `encoders` and `heads` of `model`, so it
adds no parts and no weights: it says which of the parts that are there make such a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.registry import PartConfig, Registry
from omnifuse.core.schema import Schema

Section = dict[str, Any]


class ViLBERTConfig(PartConfig):
    """Two streams and more, each with layers of its own, that read each other."""

    name: str = "vilbert"


class VLBERTConfig(PartConfig):
    """One stream: the words of texts and the cells of pictures side by side in one transformer."""

    name: str = "vl_bert"


class LLaVAConfig(PartConfig):
    """A projector into a causal language model, which is trained by low-rank additions.

    Attributes:
        model: folder of the language model, or its name on the Hugging Face hub.
    """

    name: str = "llava"
    model: str


class CLIPConfig(PartConfig):
    """An encoder for the input and one for the target, which meet in one space."""

    name: str = "clip"


def fill_in(model: Mapping[str, Any], schema: Schema) -> Section:
    """The `model` section with the parts of its preset; what is written wins, option by option.

    Where a part is written by another name than the preset's, nothing of the preset's part is left.

    Raises:
        OmnifuseError: an unknown preset or option, or columns that such a model cannot have.

    >>> schema = Schema.parse({"photo": "image", "note": {"modality": "text", "role": "target"}})
    >>> filled = fill_in({"preset": "clip", "heads": {"note": {"loss": "sigmoid"}}}, schema)
    >>> filled["fusion"], filled["heads"]
    ({'name': 'stack'}, {'note': {'name': 'contrastive', 'loss': 'sigmoid'}})
    """
    own = {name: value for name, value in model.items() if name != "preset"}
    if model.get("preset") is None or not schema.targets:  # without a target there is data to prepare and no model
        return own
    for name, parts in PRESETS.build(PRESETS.parse(model["preset"], "model.preset"), schema).items():
        own[name] = _part(parts, own.get(name)) if name == "fusion" else _by_column(parts, own.get(name))
    return own


def _by_column(parts: Section, own: Any) -> Any:
    if not isinstance(own, Mapping | None):
        return own  # the recipe says what is wrong with it
    own = own or {}
    return {column: _part(parts.get(column), own.get(column)) for column in dict.fromkeys([*own, *parts])}


def _part(part: Section | None, own: Any) -> Any:
    """What is written of a part, completed by the preset's."""
    own = {"name": own} if isinstance(own, str) else own
    if part is None or own is None:
        return own if part is None else part
    if not isinstance(own, Mapping) or own.get("name", part["name"]) != part["name"]:
        return own
    return {**part, **own}


def vilbert(config: ViLBERTConfig, schema: Schema) -> Section:
    """Texts through layers of their own, then streams that read each other; pictures join at the second step.

    Source: Lu et al. 2019, arXiv 1908.02265; pictures as cells of a small convolutional network instead of detected regions,
    two layers of each kind instead of six.
    """
    if len(schema.inputs) < 2:
        raise OmnifuseError(
            f"model.preset: vilbert has a stream for each input and needs two, but there is only {schema.inputs[0]};"
            " add an input column, or leave the preset out"
        )
    encoders = _encoders(schema, schema.inputs, text={"name": "transformer", "depth": 2})
    return {"fusion": {"name": "co_attention", "depth": 2}, "encoders": encoders}


def vl_bert(config: VLBERTConfig, schema: Schema) -> Section:
    """Words only embedded, with their places, then one transformer over everything, read out at one learned token.

    Source: Su et al. 2020, arXiv 1908.08530; pictures as cells of a small convolutional network instead of detected regions,
    four layers instead of twelve.
    """
    encoders = _encoders(schema, schema.inputs, text={"name": "transformer", "depth": 0})
    return {"fusion": {"name": "joint", "depth": 4, "latents": 1}, "encoders": encoders}


def llava(config: LLaVAConfig, schema: Schema) -> Section:
    """A text target is written by the language model, other targets are read off its states; where there are both, it is there once.

    Texts among the inputs go through its own table of words, and are read as it reads texts anywhere where `model.dim` is its
    width.

    Source: Liu et al. 2023, arXiv 2304.08485. Differs in that the encoders are whatever the recipe says; there, pictures go
    through CLIP's.
    """
    language = {"model": config.model, "tune": "lora"}
    texts = [name for name in schema.targets if schema[name].modality == "text"]
    reads = {"name": "llm", **language} if len(texts) < len(schema.targets) else {"name": "stack"}
    return {
        "fusion": reads,
        "encoders": _encoders(schema, schema.inputs, text={"name": "words", "model": config.model}),
        "heads": {name: {"name": "causal_lm", **language} for name in texts},
    }


def clip(config: CLIPConfig, schema: Schema) -> Section:
    """One input and one target, each with an encoder, brought near to each other where they belong together.

    Source: Radford et al. 2021, arXiv 2103.00020; much smaller.
    """
    for kind, names in (("input", schema.inputs), ("target", schema.targets)):
        if len(names) != 1:
            raise OmnifuseError(
                f"model.preset: clip compares one input with one target, but there are {len(names)} {kind}s ({', '.join(names)});"
                " keep one and give the others `role: ignore`"
            )
    (target,) = schema.targets
    encoders = _encoders(schema, [*schema.inputs, target], text={"name": "transformer", "depth": 2})
    return {"fusion": {"name": "stack"}, "encoders": encoders, "heads": {target: {"name": "contrastive"}}}


def _encoders(schema: Schema, columns: list[str], text: Section) -> Section:
    """Encoders of texts and pictures; columns of other modalities keep the usual one."""
    chosen = {"text": text, "image": {"name": "cnn"}}
    return {name: dict(chosen[schema[name].modality]) for name in columns if schema[name].modality in chosen}


PRESETS = Registry(
    "preset",
    {
        ViLBERTConfig: "omnifuse.model.presets:vilbert",
        VLBERTConfig: "omnifuse.model.presets:vl_bert",
        LLaVAConfig: "omnifuse.model.presets:llava",
        CLIPConfig: "omnifuse.model.presets:clip",
    },
)
