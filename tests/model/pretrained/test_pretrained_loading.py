"""Networks that were trained elsewhere come in whole, quietly, without pickles, and without asking anyone about a folder."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.model.encoders.config import ENCODERS, HFAudioConfig, HFTextConfig, HFVisionConfig, TimmConfig
from omnifuse.model.encoders.encoder import Encoder
from omnifuse.model.fusion.config import LLMConfig
from omnifuse.model.pretrained.config import PretrainedConfig
from omnifuse.model.pretrained.loading import load_backbone
from omnifuse.pipeline.pipeline import write_tensors
from tests.model.pretrained.tiny_models import folder_of

DIM = 8
PARTS: dict[str, tuple[type[PretrainedConfig], ...]] = {
    "timm_vit": (TimmConfig,),
    "timm_resnet": (TimmConfig,),
    "vit": (HFVisionConfig,),
    "dinov2": (HFVisionConfig,),
    "resnet": (HFVisionConfig,),
    "convnext": (HFVisionConfig,),
    "siglip": (HFVisionConfig,),
    "clip": (HFVisionConfig, HFTextConfig),
    "bert": (HFTextConfig,),
    "roberta": (HFTextConfig,),
    "modernbert": (HFTextConfig,),
    "t5": (HFTextConfig,),
    "llama": (HFTextConfig, LLMConfig),
    "llama_tied": (LLMConfig,),
    "wav2vec2": (HFAudioConfig,),
    "hubert": (HFAudioConfig,),
    "wavlm": (HFAudioConfig,),
    "whisper": (HFAudioConfig,),
    "ast": (HFAudioConfig,),
}
CASES = [(kind, config) for kind, configs in PARTS.items() for config in configs]
every_network = pytest.mark.parametrize(("kind", "part"), CASES, ids=[f"{k}-{c.model_fields['name'].default}" for k, c in CASES])
every_encoder = pytest.mark.parametrize(
    ("kind", "part"), [case for case in CASES if case[1] is not LLMConfig], ids=[f"{k}-{c.kind}" for k, c in CASES if c is not LLMConfig]
)


def values_for(config: Any, seed: int = 0) -> tuple[ValueSpec, Values]:
    """Three rows such as the column of this encoder holds; of sequences the second is shorter."""
    generator = torch.Generator().manual_seed(seed)
    demands = config.input_spec()
    there = torch.ones(3, dtype=torch.bool)
    if config.kind in ("vision", "timm"):
        shape = (demands.channels, demands.size, demands.size)
        return ValueSpec(modality="image", shape=shape), Values(torch.randn(3, *shape, generator=generator), there)
    length = 20 if config.kind == "text" else 5000
    mask = torch.arange(length) < torch.tensor([length, length // 2, length]).unsqueeze(1)
    if config.kind == "text":
        ids = torch.randint(3, 120, (3, length), generator=generator) * mask
        return ValueSpec(modality="text", shape=(None,), size=120, max_length=demands.max_length), Values(ids, there, mask)
    spec = ValueSpec(modality="audio", shape=(1, None), max_length=16000, rate_hz=demands.rate_hz)
    return spec, Values(torch.randn(3, 1, length, generator=generator) * mask.unsqueeze(1), there, mask)


def encoder_of(config: Any, seed: int = 0) -> Encoder:
    torch.manual_seed(seed)
    return ENCODERS.build(config, values_for(config)[0], DIM)


def copy_of(kind: str, place: Path) -> Path:
    return Path(shutil.copytree(folder_of(kind), place / kind))


@every_network
def test_the_weights_are_those_of_the_folder(kind: str, part: type[PretrainedConfig]) -> None:
    network = load_backbone(part(model=str(folder_of(kind))))
    found = {tuple(tensor.shape): tensor for tensor in load_file(folder_of(kind) / "model.safetensors").values()}
    saved = list(load_file(folder_of(kind) / "model.safetensors").values())
    assert found
    for name, tensor in network.state_dict().items():
        assert any(tensor.shape == other.shape and torch.equal(tensor, other) for other in saved), f"{name} is not in the file"
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())


@every_encoder
def test_a_run_needs_neither_folder_nor_hub(kind: str, part: type[PretrainedConfig], tmp_path: Path) -> None:
    folder = copy_of(kind, tmp_path)
    config = part(model=str(folder))
    encoder, values = encoder_of(config).eval(), values_for(config)[1]
    write_tensors(encoder.state_dict(), tmp_path / "weights.safetensors")
    options = json.loads(json.dumps(config.resolved().model_dump(mode="json")))
    spec = values_for(config)[0]
    shutil.rmtree(folder)

    again = ENCODERS.build(ENCODERS.parse(options), spec, DIM).eval()
    again.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    expected, found = encoder(values), again(values)
    assert torch.equal(expected.values, found.values)
    assert torch.equal(expected.mask, found.mask)
    assert str(tmp_path) not in json.dumps(options["architecture"]), "the architecture names no folder of the machine"


def test_a_tied_language_model_is_saved_and_stays_tied(tmp_path: Path) -> None:
    config = LLMConfig(model=str(folder_of("llama_tied")))
    network, ids = load_backbone(config).eval(), torch.tensor([[5, 6, 7, 8, 9]])
    write_tensors(network.state_dict(), tmp_path / "weights.safetensors")
    again: Any = load_backbone(config.resolved()).eval()
    again.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(network(ids).logits, again(ids).logits)
    assert again.lm_head.weight is again.model.embed_tokens.weight


def test_options_that_are_resolved_build_random_weights_and_ask_no_folder(tmp_path: Path) -> None:
    folder = copy_of("bert", tmp_path)
    config = HFTextConfig(model=str(folder)).resolved()
    shutil.rmtree(folder)
    first, second = load_backbone(config), load_backbone(config)
    name = "embeddings.word_embeddings.weight"
    assert not torch.equal(first.state_dict()[name], second.state_dict()[name])
    assert config.resolved() is config


@every_network
def test_the_architecture_is_known_without_weights(kind: str, part: type[PretrainedConfig], tmp_path: Path) -> None:
    folder = copy_of(kind, tmp_path)
    (folder / "model.safetensors").unlink()
    config = part(model=str(folder), weights="random")
    with torch.device("meta"):
        sized = load_backbone(config.resolved())
    assert all(parameter.is_meta for parameter in sized.parameters())
    built = load_backbone(config)
    assert {n: t.shape for n, t in sized.state_dict().items()} == {n: t.shape for n, t in built.state_dict().items()}


def test_on_the_meta_device_nothing_is_read(tmp_path: Path) -> None:
    folder = copy_of("bert", tmp_path)
    (folder / "model.safetensors").write_bytes(b"not read")
    with torch.device("meta"):
        assert all(p.is_meta for p in load_backbone(HFTextConfig(model=str(folder))).parameters())


def test_random_weights_are_random_and_follow_the_seed() -> None:
    config = HFTextConfig(model=str(folder_of("bert")), weights="random")
    torch.manual_seed(1)
    first = load_backbone(config).state_dict()
    torch.manual_seed(1)
    second = load_backbone(config).state_dict()
    read = load_backbone(HFTextConfig(model=str(folder_of("bert")))).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["embeddings.word_embeddings.weight"], read["embeddings.word_embeddings.weight"])


def test_a_network_of_timm_is_known_by_its_name() -> None:
    config = TimmConfig(model="test_vit", weights="random")
    assert config.input_spec().size == 160
    assert load_backbone(config).num_features == 64
    assert load_backbone(config.resolved()).num_features == 64


def test_nobody_is_asked_about_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(*given: Any) -> None:
        asked.append(given)
        raise OSError("the network is closed")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for part, kind in ((HFTextConfig, "bert"), (HFVisionConfig, "vit"), (HFAudioConfig, "wav2vec2"), (TimmConfig, "timm_vit")):
        config = part(model=str(folder_of(kind)))
        encoder_of(config)
        config.resolved()
    assert not asked


def test_loading_is_quiet_and_leaves_the_switches_of_others_alone(capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    folder_of("vit"), folder_of("clip")
    capfd.readouterr()
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_info()
    try:
        encoder_of(HFVisionConfig(model=str(folder_of("clip"))))
        encoder_of(HFVisionConfig(model=str(folder_of("vit"))))
        assert logging.get_verbosity() == logging.INFO
        assert logging.is_progress_bar_enabled() == before[1]
    finally:
        logging.set_verbosity(before[0])
    assert capfd.readouterr() == ("", "")


# What cannot be loaded


def refused(config: Any) -> str:
    """The one line that is said."""
    with pytest.raises(OmnifuseError) as caught:
        load_backbone(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_network_has_to_be_named() -> None:
    assert "hf_text.model: name a network" in refused(HFTextConfig())


@pytest.mark.parametrize("path", ["./nowhere", "/nowhere/at/all", "~/nowhere-at-all", "a/b/c"])
def test_a_folder_that_is_not_there(path: str) -> None:
    assert refused(HFTextConfig(model=path)) == f"hf_text.model: there is no folder {path}"


def test_a_file_is_no_folder() -> None:
    assert "is a file; name the folder" in refused(HFTextConfig(model=str(folder_of("bert") / "config.json")))


def test_a_name_the_hub_does_not_answer_to(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for config in (HFTextConfig(model="nobody/nothing"), TimmConfig(model="nobody/nothing")):
        said = refused(config)
        assert 'there is no folder "nobody/nothing", and the Hugging Face hub did not give' in said
        assert "hf download nobody/nothing --local-dir FOLDER" in said


def test_a_name_that_timm_does_not_know() -> None:
    assert 'no folder "no_such_net" and no network of that name in timm' in refused(TimmConfig(model="no_such_net"))


def test_pickles_are_not_read(tmp_path: Path) -> None:
    for kind, part in (("bert", HFTextConfig), ("timm_vit", TimmConfig)):
        folder = copy_of(kind, tmp_path)
        torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
        said = refused(part(model=str(folder)))
        assert "as a pickle, which could run code" in said
        assert "save_pretrained" in said


def test_a_folder_without_weights(tmp_path: Path) -> None:
    folder = copy_of("bert", tmp_path)
    (folder / "model.safetensors").unlink()
    assert "use weights: random for the architecture alone" in refused(HFTextConfig(model=str(folder)))


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    assert "holds no config.json" in refused(HFTextConfig(model=str(tmp_path)))
    assert "names no architecture of timm" in refused(TimmConfig(model=str(folder_of("vit"))))
    assert "it is one of timm, for the encoder timm" in refused(HFVisionConfig(model=str(folder_of("timm_vit"))))
    assert "a Wav2Vec2Model reads input_values, so it is of no use for hf_text" in refused(HFTextConfig(model=str(folder_of("wav2vec2"))))
    assert "low-rank additions to another network" in refused(
        HFTextConfig(model=str(_with(copy_of("bert", tmp_path), "adapter_config.json", {})))
    )


def test_a_damaged_folder(tmp_path: Path) -> None:
    for name, told in (("config.json", "/config.json cannot be read"), ("model.safetensors", " cannot be loaded")):
        folder = copy_of("bert", tmp_path / name)
        (folder / name).write_bytes(b"{ damaged")
        assert f"{folder}{told}" in refused(HFTextConfig(model=str(folder)))


def test_weights_that_lack_a_part_of_the_network_are_told(tmp_path: Path) -> None:
    folder = copy_of("bert", tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.attention.self.query.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert "lacks 1 weights of a BertModel (encoder.layer.1.attention.self.query.weight" in refused(HFTextConfig(model=str(folder)))
    assert "lacks" in refused(LLMConfig(model=str(_relabelled(folder_of("llama"), tmp_path / "other"))))


def test_a_pooler_that_is_not_there_is_not_missed(tmp_path: Path) -> None:
    folder = copy_of("bert", tmp_path)
    weights = {name: tensor for name, tensor in load_file(folder / "model.safetensors").items() if not name.startswith("pooler")}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    network = load_backbone(HFTextConfig(model=str(folder)))
    assert isinstance(network.pooler, nn.Identity)


def test_a_network_that_hears_nothing_is_no_network_for_sounds() -> None:
    assert 'is a "bert"; sounds are read by networks of the kinds wav2vec2' in refused(HFAudioConfig(model=str(folder_of("bert"))))


def test_code_that_lies_in_a_folder_is_not_run(tmp_path: Path) -> None:
    for kind in ("bert", "of_its_own"):
        folder = Path(shutil.copytree(folder_of("bert"), tmp_path / kind))
        options = json.loads((folder / "config.json").read_text())
        code = {"AutoConfig": "code.Config", "AutoModel": "code.Model"}
        _with(folder, "config.json", {**options, "model_type": kind, "auto_map": code})
        (folder / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').write('run')\n")
        if kind == "bert":
            load_backbone(HFTextConfig(model=str(folder)))
        else:
            refused(HFTextConfig(model=str(folder)))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("package", "part", "kind"), [("transformers", HFTextConfig, "bert"), ("timm", TimmConfig, "timm_vit")])
def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, package: str, part: type[PretrainedConfig], kind: str) -> None:
    config = part(model=str(folder_of(kind)))
    monkeypatch.setitem(sys.modules, package, None)
    assert refused(config) == f"{part(model='x').name}.model: needs {package}; pip install 'omnifuse[pretrained]'"


def _with(folder: Path, name: str, value: Any) -> Path:
    (folder / name).write_text(json.dumps(value), encoding="utf-8")
    return folder


def _relabelled(folder: Path, place: Path) -> Path:
    """The weights of a network under names of another one."""
    place = Path(shutil.copytree(folder, place))
    weights = {f"other.{name}": tensor for name, tensor in load_file(place / "model.safetensors").items()}
    save_file(weights, place / "model.safetensors", metadata={"format": "pt"})
    return place
