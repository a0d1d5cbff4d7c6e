"""Pretrained networks as modules: with their own weights, or with random ones to be loaded from a run."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from omnifuse.core.errors import OmnifuseError, first_line
from omnifuse.model.pretrained.architecture import Description, describe
from omnifuse.model.pretrained.config import PretrainedConfig
from omnifuse.model.pretrained.place import Place, need, quiet

WEIGHTS = "model.safetensors"
# What only a summary of the whole input goes through, which is made here by pooling: by class, for the names say different things.
SUMMARIES = {"CLIPVisionModel": "post_layernorm", "SiglipVisionModel": "head", "Siglip2VisionModel": "head"}
SUMMARIES |= {"ConvNextModel": "layernorm", "ConvNextV2Model": "layernorm"}
READS = {"text": ("input_ids",), "causal_lm": ("input_ids",), "vision": ("pixel_values",), "audio": ("input_values", "input_features")}
TIMM_HEADS = ("head", "head_dist", "head_drop", "fc", "fc_norm", "classifier", "attn_pool", "global_pool")


def load_backbone(config: PretrainedConfig) -> nn.Module:
    """The network of a part, float32, on the current device.

    - options as they were written: the weights are read, or stay random where `weights` says so;
    - options that are `resolved()`, or where tensors hold no values (meta device, fake tensors): built from `architecture`
      alone, with random weights.

    Of a network that reads two kinds of data (CLIP) it is the half for `config.kind`, of one that reads and writes (T5,
    Whisper) the one that reads; layers that only a summary or a classification goes through are left out. It has the
    interface of its library: a `PreTrainedModel` of transformers (with `generate` where `kind` is `causal_lm`), or a
    network of timm with `forward_features`.

    Raises:
        OmnifuseError: no such folder or name, no safetensors in it, weights of another network, a package that is missing.
    """
    where = f"{config.name}.model"
    random = config.architecture is not None or config.weights == "random" or not tensors_hold_values()
    architecture = config.architecture or describe(config)
    place = None if random else Place.find(config.model, where)
    if place is not None:
        place.check_weights()
    if architecture.get("library") == "timm":
        return _timm(architecture, place, where).float()
    made = _transformers(architecture, place, config)
    if made.main_input_name not in READS[config.kind]:
        raise OmnifuseError(f"{where}: a {type(made).__name__} reads {made.main_input_name}, so it is of no use for {config.name}")
    return made.float()


def tensors_hold_values() -> bool:
    """Whether a tensor that is made here and now has numbers in it, and not only a shape."""
    made = torch.empty(0)
    return type(made) is torch.Tensor and not made.is_meta


def _transformers(architecture: Description, place: Place | None, config: PretrainedConfig) -> Any:
    where = f"{config.name}.architecture"
    library = need("transformers", where)
    auto = library.AutoModelForCausalLM if config.kind == "causal_lm" else library.AutoModel
    with quiet():
        try:
            network = library.AutoConfig.for_model(**architecture["config"])
            if place is None:
                drawn = nullcontext() if tensors_hold_values() else need("transformers.initialization", where).no_init_weights()
                with drawn:  # drawing some weights looks at what was drawn
                    return _reading_half(auto.from_config(network, dtype=torch.float32))
        except Exception as error:  # whatever options lead to that another version wrote
            raise OmnifuseError(f"{where}: no network of transformers {library.__version__} ({first_line(error)})") from None
        try:
            model, told = auto.from_pretrained(
                place.name,
                config=network,
                dtype=torch.float32,
                trust_remote_code=False,
                use_safetensors=True,
                local_files_only=place.is_folder,
                output_loading_info=True,
            )
        except Exception as error:  # whatever damaged files, or no answer, lead to
            place.refuse(error)
    absent = {name: parameter for name, parameter in model.named_parameters() if name in told["missing_keys"]}
    model = _reading_half(model)
    used = {id(parameter) for parameter in model.parameters()}
    if lacking := [name for name, parameter in absent.items() if id(parameter) in used]:
        raise OmnifuseError(
            f"{place.where}: {place.name} lacks {len(lacking)} weights of a {type(model).__name__} ({lacking[0]}, …);"
            " is it of another kind?"
        )
    return model


def _reading_half(model: Any) -> Any:
    """Without the half that writes, and without what only a summary goes through."""
    if getattr(model.config, "is_encoder_decoder", False):
        model = model.get_encoder()
    for name in ("pooler", SUMMARIES.get(type(model).__name__, "pooler")):
        if isinstance(getattr(model, name, None), nn.Module):
            setattr(model, name, nn.Identity())
    return model


def _timm(architecture: Description, place: Place | None, where: str) -> nn.Module:
    library = need("timm", where)
    options = {"pretrained": False, "num_classes": 0, **architecture.get("options", {})}
    if place is not None:
        options |= {"pretrained": True, "pretrained_cfg_overlay": {"file": str(_timm_weights(place)), "source": "file"}}
        options |= {"pretrained_cfg": _timm_source(place)}
    try:
        model = library.create_model(architecture["name"], **{**options, "num_classes": 0})
    except Exception as error:  # whatever options lead to that another version wrote, or weights of another network
        if place is not None:
            place.refuse(error)
        raise OmnifuseError(f"{where}: no network of timm {library.__version__} ({first_line(error)})") from None
    for name in TIMM_HEADS:
        if isinstance(getattr(model, name, None), nn.Module):
            setattr(model, name, nn.Identity())
    return model


def _timm_weights(place: Place) -> Path:
    """The safetensors of a folder, of a network on the hub, or of the one that a name of timm stands for."""
    if not place.is_folder and "/" not in place.name:
        about = _timm_source(place)
        if not about.get("hf_hub_id"):
            raise OmnifuseError(f"{place.where}: timm has no safetensors of {place.name}; name one with a tag, such as resnet18.a1_in1k")
        place = Place(about["hf_hub_id"], place.where)
    found = place.file(WEIGHTS)
    if found is None:
        raise OmnifuseError(f"{place.where}: {place.name} holds no {WEIGHTS}")
    return found


def _timm_source(place: Place) -> dict[str, Any]:
    """What timm knows of the weights: which layers come first and last, and what they were trained to tell."""
    if place.is_folder or "/" in place.name:
        said = place.read("config.json") or {}
        return {**said.get("pretrained_cfg", {}), "num_classes": said.get("num_classes", 1000), "architecture": said.get("architecture")}
    about = need("timm", place.where).get_pretrained_cfg(place.name, allow_unregistered=True)
    return {} if about is None else about.to_dict()
