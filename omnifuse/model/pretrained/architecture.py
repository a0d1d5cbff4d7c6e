"""What a pretrained network is made of and what it wants to be given, read from its small files, without PyTorch.

The description is a JSON mapping that suffices to build the network with random weights:

- `{"library": "transformers", "config": {"model_type": …}, "input": {…}}`
- `{"library": "timm", "name": …, "options": {…}, "input": {…}}`

`input` holds what encoders dictate to their columns, and for sounds how a waveform is brought into shape.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omnifuse.core.errors import OmnifuseError
from omnifuse.model.pretrained.config import PretrainedConfig
from omnifuse.model.pretrained.place import Place, need, quiet

Description = dict[str, Any]
# No output, no weight and no step may depend on chance that torch's generator does not govern, or drop out of a step that
# other ranks take: so layers are never skipped and spans never masked. What is put behind the network to make its output
# shorter for a decoder is left out, and states of earlier calls are of no use to an encoder.
SETTLED = {"layerdrop": 0.0, "encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0, "apply_spec_augment": False}
SETTLED |= {"mask_time_prob": 0.0, "mask_feature_prob": 0.0, "add_adapter": False}
FORGETTABLE = ("_name_or_path", "transformers_version", "architectures", "torch_dtype", "dtype")
WAVEFORM = ("wav2vec2", "hubert", "wavlm", "data2vec-audio", "unispeech", "unispeech-sat")
# Positions of these begin behind the id that pads.
LATE_POSITIONS = ("roberta", "xlm-roberta", "xlm-roberta-xl", "roberta-prelayernorm", "camembert", "mpnet", "data2vec-text", "esm", "xmod")
LONGEST_TEXT = 512


def describe(config: PretrainedConfig) -> Description:
    """What the network of a part is made of; neither weights nor PyTorch are needed for it.

    Raises:
        OmnifuseError: no such folder, nothing of that name on the hub, or a network that this part cannot hold.
    """
    place = Place.find(config.model, f"{config.name}.model")
    if config.kind == "timm":
        return _timm(place)
    facts: dict[str, Callable[[Place, Description], Description]] = {"text": _text, "causal_lm": _text, "vision": _image, "audio": _sound}
    network = _network(place, config.kind)
    return {"library": "transformers", "config": network, "input": facts[config.kind](place, network)}


def tokenizer_path(config: PretrainedConfig) -> Path | None:
    """A `tokenizer.json` for the column that a network reads; `None` where no network is named.

    Where there is only a vocabulary in an older format, it is converted, and kept in a folder for such things.

    Raises:
        OmnifuseError: the network has no tokenizer, or it is in a format that cannot be converted.
    """
    if not config.model:
        return None
    place = Place.find(config.model, f"{config.name}.model")
    return place.file("tokenizer.json") or _converted_tokenizer(place)


def _network(place: Place, kind: str) -> Description:
    """The options of the network, or of the half of it that reads this kind of data."""
    said = place.read("config.json")
    if said is None:
        raise OmnifuseError(f"{place.where}: {place.name} holds no config.json, so it is no network of transformers")
    if "model_type" not in said:
        hint = "; it is one of timm, for the encoder timm" if "architecture" in said else ""
        raise OmnifuseError(f"{place.where}: the config.json of {place.name} names no model_type of transformers{hint}")
    auto = need("transformers", place.where).AutoConfig
    with quiet():
        try:
            whole = auto.from_pretrained(place.name, trust_remote_code=False, local_files_only=place.is_folder)
        except Exception as error:  # whatever an unknown or damaged configuration leads to
            place.refuse(error)
        half = getattr(whole, f"{kind}_config", None)
        made = json.loads((whole if half is None else half).to_json_string(use_diff=False))
    for name in FORGETTABLE:
        made.pop(name, None)
    if kind != "causal_lm":
        made |= {name: value for name, value in {**SETTLED, "use_cache": False}.items() if name in made}
    return made


def _text(place: Place, network: Description) -> Description:
    """How many tokens the network can read at most, where that is limited, and how many it is given unless more are asked for."""
    limit = network.get("max_position_embeddings")
    limit = limit if isinstance(limit, int) and limit > 0 else None
    if limit is not None and network.get("model_type") in LATE_POSITIONS:
        limit -= int(network.get("pad_token_id") or 0) + 1
    trained = (place.read("tokenizer_config.json") or {}).get("model_max_length") or LONGEST_TEXT
    return {"max_length": int(min(limit or LONGEST_TEXT, trained, LONGEST_TEXT)), "limit": limit}


def _image(place: Place, network: Description) -> Description:
    """Size and normalisation of pixels in [0, 1]; what is not said is left out."""
    said = _preprocessor(place, "image_processor")
    size = said.get("crop_size") if said.get("do_center_crop") else None
    side = _side(size or said.get("size") or network.get("image_size"), place)
    facts: Description = {"channels": _channels(network.get("num_channels") or 3, place)} | ({"size": side} if side else {})
    if said.get("do_normalize") is False:
        mean, std = [0.0], [1.0]
    elif "image_mean" in said and "image_std" in said:
        mean, std = list(said["image_mean"]), list(said["image_std"])
    else:
        return facts
    most = 255 * float(said.get("rescale_factor", 1 / 255)) if said.get("do_rescale", True) else 255.0
    return facts | {"mean": [round(value / most, 9) for value in mean], "std": [round(value / most, 9) for value in std]}


def _side(size: Any, place: Place) -> int | None:
    if isinstance(size, dict):
        size = [size[name] for name in ("height", "width") if name in size] or size.get("shortest_edge") or size.get("longest_edge")
    if isinstance(size, list | tuple):
        if len(set(size)) > 1:
            raise OmnifuseError(f"{place.where}: {place.name} wants images of {size[0]}×{size[1]} pixels, but image columns are square")
        size = size[0]
    return None if size is None else int(size)


def _channels(count: Any, place: Place) -> int:
    if count not in (1, 3):
        raise OmnifuseError(f"{place.where}: {place.name} wants images of {count} channels, but image columns have 1 or 3")
    return int(count)


def _sound(place: Place, network: Description) -> Description:
    said, kind = _preprocessor(place, "feature_extractor"), str(network.get("model_type"))
    facts: Description = {"rate_hz": int(said.get("sampling_rate", 16_000))}
    if kind in WAVEFORM:
        return facts | {"reads": "waveform", "normalise": bool(said.get("do_normalize", True))}
    if kind == "whisper":
        bands, hop = int(network["num_mel_bins"]), int(said.get("hop_length", 160))
        return facts | {"reads": "whisper", "bands": bands, "hop": hop, "window": int(said.get("n_fft", 400))}
    if kind == "audio-spectrogram-transformer":
        mean, std = (said.get("mean", -4.2677393), said.get("std", 4.5689974)) if said.get("do_normalize", True) else (0.0, 0.5)
        return facts | {"reads": "kaldi", "bands": int(network["num_mel_bins"]), "mean": float(mean), "std": float(std)}
    known = ", ".join((*WAVEFORM, "whisper", "audio-spectrogram-transformer"))
    raise OmnifuseError(f'{place.where}: {place.name} is a "{kind}"; sounds are read by networks of the kinds {known}')


def _preprocessor(place: Place, part: str) -> Description:
    """What the folder says of preprocessing, in a file of its own or in that of all processors."""
    return place.read("preprocessor_config.json") or (place.read("processor_config.json") or {}).get(part) or {}


def _timm(place: Place) -> Description:
    timm = need("timm", place.where)
    if place.is_folder or "/" in place.name:
        said = place.read("config.json")
        if said is None or "architecture" not in said:
            raise OmnifuseError(f"{place.where}: the config.json of {place.name} names no architecture of timm; is it for hf_vision?")
        name, options, about = said["architecture"], dict(said.get("model_args") or {}), said.get("pretrained_cfg", said)
    else:
        name, options = place.name.partition(".")[0], {}
        about = timm.get_pretrained_cfg(place.name, allow_unregistered=True) if timm.is_model(name) else None
        about = {} if about is None else about.to_dict()
    if not timm.is_model(name):
        raise OmnifuseError(f'{place.where}: there is no folder "{name}" and no network of that name in timm {timm.__version__}')
    wanted = need("timm.data", place.where).resolve_data_config(pretrained_cfg=about)
    size, channels = options.get("img_size", wanted["input_size"][1:]), options.get("in_chans", wanted["input_size"][0])
    levels = {"mean": list(wanted["mean"]), "std": list(wanted["std"])}
    facts = {"channels": _channels(channels, place), "size": _side(size, place), **levels}
    return {"library": "timm", "name": name, "options": options, "input": facts}


def _converted_tokenizer(place: Place) -> Path:
    import hashlib
    import os

    from omnifuse.core.atomic import write_text

    auto = need("transformers", place.where).AutoTokenizer
    with quiet():
        try:
            made = auto.from_pretrained(place.name, trust_remote_code=False, local_files_only=place.is_folder)
            text = made.backend_tokenizer.to_str()
        except Exception as error:  # whatever a missing vocabulary or converter leads to
            place.refuse(error)
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "omnifuse" / "tokenizers"
    path = kept / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
    if not path.is_file():
        write_text(path, text)
    return path
