"""Tiny networks with random weights, saved as Hugging Face and timm save theirs: config, safetensors, tokenizer, preprocessor.

`folder_of("bert")` builds one when it is first asked for; it is the same folder for the whole run of the tests.
"""

from __future__ import annotations

import atexit
import json
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = (
    "a small red circle on the left",
    "is there a blue triangle? yes, it is big",
    "what colour is the shape? no, it is green",
    "one two three four five six seven eight nine ten",
    "naïve 🙂 这是什么颜色？",
)
WIDTH = 32
SHAPE = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
EYES = {**SHAPE, "image_size": 16, "patch_size": 8}
EARS = {
    **SHAPE,
    "conv_dim": (16, 16, 16),
    "conv_kernel": (10, 8, 4),
    "conv_stride": (5, 8, 4),
    "num_feat_extract_layers": 3,
}
EARS |= {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, "vocab_size": 8}
PIXELS = {"do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255}
PIXELS |= {"size": {"height": 16, "width": 16}, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


@cache
def _root() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="tiny-models-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def place_of(kind: str) -> Path:
    """Where the network will lie once it is built."""
    assert kind in KINDS, f"known: {', '.join(KINDS)}"
    return _root() / kind


def folder_of(kind: str) -> Path:
    """The folder of a tiny network, built when it is first asked for; its weights come from a seed."""
    folder = place_of(kind)
    if not folder.is_dir():
        with torch.random.fork_rng():
            torch.manual_seed(list(KINDS).index(kind))
            KINDS[kind](folder)
    return folder


def wordpiece(texts: Sequence[str] = TEXTS, vocabulary: int = 300) -> Tokenizer:
    """As BERT's: lower case, WordPiece, `[CLS] … [SEP]`."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=vocabulary, special_tokens=special, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def bytelevel(texts: Sequence[str] = TEXTS, vocabulary: int = 320, marks: bool = True) -> Tokenizer:
    """Byte-level BPE with `<s>` 0, `<pad>` 1, `</s>` 2; texts stand between the marks where `marks` says so."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<s>", "<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if marks:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
        )
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, longest: int) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`."""
    from transformers import PreTrainedTokenizerFast

    names: Any = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]"}
    if tokenizer.token_to_id("<s>") is not None:
        names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=longest, **names).save_pretrained(folder)


def write_json(value: Any, path: Path) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def save_causal_lm(folder: Path, tokenizer: Tokenizer, longest: int = 256, **options: Any) -> Path:
    """A Llama-shaped language model for this tokenizer, of hidden size 32 and two layers unless `options` say otherwise."""
    from transformers import LlamaConfig, LlamaForCausalLM

    ids: dict[str, Any] = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    shape: dict[str, Any] = {**SHAPE, **ids, "initializer_range": 0.2, **options}  # wide enough that what it reads decides what it says
    config = LlamaConfig(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=longest, **shape)
    LlamaForCausalLM(config).save_pretrained(folder)
    save_tokenizer(tokenizer, folder, longest)
    return folder


def teach(folder: Path, texts: Sequence[str], steps: int = 60) -> Path:
    """Train the language model of a folder on texts, each ended by its mark, so that it speaks."""
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = [torch.tensor([0, *tokenizer.encode(text).ids, 2]) for text in texts]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        model(input_ids=ids.clamp(min=0), attention_mask=(ids >= 0).long(), labels=ids).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    return folder


def _bert(folder: Path) -> None:
    from transformers import BertConfig, BertModel

    tokenizer = wordpiece()
    BertModel(BertConfig(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=24, **SHAPE)).save_pretrained(folder)
    save_tokenizer(tokenizer, folder, 24)


def _roberta(folder: Path) -> None:
    from transformers import RobertaConfig, RobertaModel

    tokenizer = bytelevel()
    ids: dict[str, Any] = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "type_vocab_size": 1}
    config = RobertaConfig(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=34, **SHAPE, **ids)
    RobertaModel(config).save_pretrained(folder)
    save_tokenizer(tokenizer, folder, 10**20)  # as folders do that do not say


def _modernbert(folder: Path) -> None:
    from transformers import ModernBertConfig, ModernBertModel

    tokenizer = wordpiece()
    ids: dict[str, Any] = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    config = ModernBertConfig(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=64, local_attention=8, **SHAPE, **ids)
    ModernBertModel(config).save_pretrained(folder)
    save_tokenizer(tokenizer, folder, 64)


def _t5(folder: Path) -> None:
    from transformers import T5Config, T5Model

    tokenizer = bytelevel()
    shape: dict[str, Any] = {"d_model": WIDTH, "d_kv": 16, "d_ff": 48, "num_layers": 2, "num_heads": 2}
    T5Model(
        T5Config(vocab_size=tokenizer.get_vocab_size(), pad_token_id=1, eos_token_id=2, decoder_start_token_id=0, **shape)
    ).save_pretrained(folder)
    save_tokenizer(tokenizer, folder, 64)


def _clip(folder: Path) -> None:
    from transformers import CLIPConfig, CLIPModel

    tokenizer = bytelevel()
    ids: dict[str, Any] = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    text = {**SHAPE, **ids, "vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 40}
    CLIPModel(CLIPConfig(text_config=text, vision_config=EYES, projection_dim=16)).save_pretrained(folder)
    save_tokenizer(tokenizer, folder, 40)
    write_json({**PIXELS, "size": {"shortest_edge": 20}, "do_center_crop": True, "crop_size": 16}, folder / "preprocessor_config.json")


def _siglip(folder: Path) -> None:
    from transformers import SiglipConfig, SiglipModel

    tokenizer = bytelevel()
    ids: dict[str, Any] = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    text = {**SHAPE, **ids, "vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 40}
    SiglipModel(SiglipConfig(text_config=text, vision_config=EYES)).save_pretrained(folder)
    save_tokenizer(tokenizer, folder, 40)
    write_json({**PIXELS, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}, folder / "preprocessor_config.json")


def _vit(folder: Path) -> None:
    from transformers import ViTConfig, ViTModel

    ViTModel(ViTConfig(**EYES)).save_pretrained(folder)
    write_json(PIXELS, folder / "preprocessor_config.json")


def _dinov2(folder: Path) -> None:
    from transformers import Dinov2Config, Dinov2Model

    Dinov2Model(Dinov2Config(**{**EYES, "image_size": 32})).save_pretrained(folder)  # trained on larger images than it is shown
    crop = {"size": {"shortest_edge": 20}, "crop_size": {"height": 16, "width": 16}, "do_center_crop": True}
    write_json({**PIXELS, **crop}, folder / "preprocessor_config.json")


def _resnet(folder: Path) -> None:
    from transformers import ResNetConfig, ResNetModel

    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, WIDTH], depths=[1, 1], layer_type="basic")
    ResNetModel(config).save_pretrained(folder)
    write_json({**PIXELS, "size": {"shortest_edge": 16}}, folder / "preprocessor_config.json")


def _convnext(folder: Path) -> None:
    from transformers import ConvNextConfig, ConvNextModel

    config = ConvNextConfig(hidden_sizes=[8, WIDTH], depths=[1, 1], num_stages=2, image_size=16, layer_scale_init_value=0.1)
    ConvNextModel(config).save_pretrained(folder)
    write_json({**PIXELS, "size": {"shortest_edge": 16}}, folder / "preprocessor_config.json")


def _ears(config: str, model: str, **options: Any) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        import transformers

        made = getattr(transformers, config)(**{**EARS, **options})
        getattr(transformers, model)(made).save_pretrained(folder)
        write_json({"do_normalize": True, "sampling_rate": 16000, "feature_size": 1}, folder / "preprocessor_config.json")

    return build


def _whisper(folder: Path) -> None:
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    layers: dict[str, Any] = {
        f"{half}_{what}": n for half in ("encoder", "decoder") for what, n in {"layers": 1, "attention_heads": 2, "ffn_dim": 48}.items()
    }
    ids: dict[str, Any] = {"vocab_size": 64, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 0}
    WhisperModel(WhisperConfig(d_model=WIDTH, num_mel_bins=16, max_source_positions=50, **layers, **ids)).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=16, chunk_length=1).save_pretrained(folder)


def _ast(folder: Path) -> None:
    from transformers import ASTConfig, ASTFeatureExtractor, ASTModel

    config = ASTConfig(**{**SHAPE, "patch_size": 8, "num_mel_bins": 16, "max_length": 48, "frequency_stride": 4, "time_stride": 4})
    ASTModel(config).save_pretrained(folder)
    ASTFeatureExtractor(num_mel_bins=16, max_length=48).save_pretrained(folder)


def _timm(name: str, **options: Any) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        import timm
        from timm.models import save_for_hf

        model = timm.create_model(name, pretrained=False, num_classes=5, **options)
        save_for_hf(model, str(folder), model_args=options or None, safe_serialization=True)

    return build


KINDS: dict[str, Callable[[Path], Any]] = {
    "bert": _bert,
    "roberta": _roberta,
    "modernbert": _modernbert,
    "t5": _t5,
    "clip": _clip,
    "siglip": _siglip,
    "vit": _vit,
    "dinov2": _dinov2,
    "resnet": _resnet,
    "convnext": _convnext,
    "wav2vec2": _ears("Wav2Vec2Config", "Wav2Vec2Model"),  # its first layer is normalised over time
    "hubert": _ears("HubertConfig", "HubertModel", feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True),
    "wavlm": _ears("WavLMConfig", "WavLMModel", feat_extract_norm="layer", do_stable_layer_norm=True),
    "whisper": _whisper,
    "ast": _ast,
    "timm_vit": _timm("test_vit", img_size=32),
    "timm_resnet": _timm("test_resnet"),
    "llama": lambda folder: save_causal_lm(folder, bytelevel(marks=False)),
    "llama_tied": lambda folder: save_causal_lm(folder, bytelevel(marks=False), tie_word_embeddings=True),
}
