"""Options of every encoder, and the table of encoders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.registry import PartConfig, Registry
from omnifuse.core.spec import InputSpec
from omnifuse.model.pretrained.config import PretrainedConfig, TunedConfig

Dropout = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class EncoderConfig(PartConfig):
    """Options of an encoder; `modalities` are the ones it reads."""

    modalities: ClassVar[tuple[str, ...]] = ()

    def input_spec(self) -> InputSpec:
        """What it dictates to the processor of its column; nothing by default."""
        return InputSpec()

    def inner(self, dim: int) -> int:
        """The width that its attention heads share; that of the tokens by default."""
        return dim


class NativeConfig(EncoderConfig):
    """Options of an encoder that learns from nothing but the table.

    Attributes:
        capacity: how much it can learn and costs: fills in the options of the encoder that are not written, for
            `tiny` and `base`; `small` is what their defaults say. A saved recipe holds the numbers too.

    It is not called a size, which is the side of the pictures of an image column, nor a scale, which is that of `periodic`.
    """

    capacities: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    capacity: Literal["tiny", "small", "base"] = "small"

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, options: Any) -> Any:
        """What is written wins."""
        word = options.get("capacity") if isinstance(options, dict) else None
        return {**cls.capacities.get(word, {}), **options} if isinstance(word, str) else options


class CNNConfig(NativeConfig):
    """A convolutional network: patches, then halvings down to a small grid of tokens.

    Attributes:
        width: channels after the first layer; they double with each halving.
        patch: side of the first, strided convolution in pixels.
        grid: the image is halved until the grid of tokens is at most this wide.
        dropout: share of the output channels dropped in training.
    """

    modalities = ("image",)
    capacities = {"tiny": {"width": 16}, "base": {"width": 128}}
    name: str = "cnn"
    width: Count = 32
    patch: Count = 4
    grid: Count = 8
    dropout: Dropout = 0.0


class ViTConfig(NativeConfig):
    """A vision transformer: each patch is a token with a learned position.

    Attributes:
        image_size: side of the image in pixels; positions are tied to it, so it is dictated to the column.
        patch: side of a patch in pixels.
        width: of the transformer; by default that of the tokens, to which another is brought at the end.
        depth, heads, dropout: of the transformer.
    """

    modalities = ("image",)
    capacities = {"tiny": {"width": 32}, "base": {"width": 128, "depth": 4}}
    name: str = "vit"
    image_size: Count = 64
    patch: Count = 8
    width: Count | None = None
    depth: Count = 2
    heads: Count = 4
    dropout: Dropout = 0.0

    def input_spec(self) -> InputSpec:
        """The image size."""
        return InputSpec(size=self.image_size)

    def inner(self, dim: int) -> int:
        """The width of the transformer."""
        return self.width or dim


class TextTransformerConfig(NativeConfig):
    """A transformer over the tokens of a text.

    Attributes:
        width: of the transformer; by default that of the tokens, to which another is brought at the end.
        depth, heads, dropout: of the transformer; of depth 0, words and their places alone.
    """

    modalities = ("text",)
    capacities = {"tiny": {"width": 32}, "base": {"width": 128, "depth": 4}}
    name: str = "transformer"
    width: Count | None = None
    depth: Annotated[int, Field(ge=0)] = 1
    heads: Count = 4
    dropout: Dropout = 0.0

    def inner(self, dim: int) -> int:
        """The width of the transformer."""
        return self.width or dim


class NgramConfig(NativeConfig):
    """Embedded n-grams: each token with its predecessors. Strong on short data, and very fast.

    Attributes:
        order: longest n-gram in tokens.
        buckets: hash table for n-grams of two and more tokens.
        dropout: share of the tokens dropped in training.
    """

    modalities = ("text",)
    capacities = {"tiny": {"buckets": 4096}, "base": {"order": 3, "buckets": 131_072}}
    name: str = "ngram"
    order: Annotated[int, Field(ge=1, le=5)] = 2
    buckets: Annotated[int, Field(ge=16, le=100_000_000)] = 16384
    dropout: Dropout = 0.1


class EmbeddingConfig(NativeConfig):
    """A learned vector for each label or id.

    Attributes:
        hidden: width of the labels' vectors, which a layer then brings to that of the token; by default they have it.
    """

    modalities = ("category", "id")
    capacities = {"tiny": {"hidden": 16}, "base": {"hidden": 256}}
    name: str = "embedding"
    hidden: Count | None = None


class PeriodicConfig(NativeConfig):
    """A number as learned sines and cosines, then a linear layer.

    Attributes:
        frequencies: how many.
        scale: deviation of the initial frequencies; larger values tell near numbers apart.
    """

    modalities = ("number",)
    capacities = {"tiny": {"frequencies": 8}, "base": {"frequencies": 64}}
    name: str = "periodic"
    frequencies: Count = 16
    scale: Annotated[float, Field(gt=0)] = 0.3


class MelCNNConfig(NativeConfig):
    """A convolutional network over log-mel spectrograms of a sound.

    Attributes:
        mels: bands of the spectrogram, evenly spaced in mel from 0 to half the rate.
        window_s: length of a frame in seconds.
        hop_s: from one frame to the next in seconds.
        normalise: each clip has mean 0 and deviation 1 (`clip`), or a fixed scale, so that loudness is kept (`fixed`).
        halvings: of bands and frames; a token stands for hop_s · 2^halvings seconds.
        width: channels after the first halving; they double with each further one.
        dropout: share of the output channels dropped in training.
    """

    modalities = ("audio",)
    capacities = {"tiny": {"mels": 32, "width": 16}, "base": {"mels": 80, "width": 64}}
    name: str = "mel_cnn"
    mels: Annotated[int, Field(ge=4, le=512)] = 40
    window_s: Annotated[float, Field(gt=0, le=1)] = 0.025
    hop_s: Annotated[float, Field(gt=0, le=1)] = 0.01
    normalise: Literal["clip", "fixed"] = "clip"
    halvings: Annotated[int, Field(ge=1, le=10)] = 3
    width: Count = 32
    dropout: Dropout = 0.0


class Conv1dConfig(NativeConfig):
    """Residual convolutions over the steps of a series.

    Attributes:
        width: channels.
        kernel: steps that one convolution sees, odd.
        halvings: of the number of steps, one in each block; a token stands for 2^halvings steps.
        dropout: share of the channels dropped within a block in training.
    """

    modalities = ("series",)
    capacities = {"tiny": {"width": 32}, "base": {"width": 128}}
    name: str = "conv1d"
    width: Count = 64
    kernel: Annotated[int, Field(ge=1, le=255)] = 5
    halvings: Annotated[int, Field(ge=1, le=20)] = 3
    dropout: Dropout = 0.0

    @field_validator("kernel")
    @classmethod
    def _odd(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError(f"{kernel} is even; a kernel has as many steps before its middle as behind it")
        return kernel


class PointNetConfig(NativeConfig):
    """The same layers for each point, their maximum, and learned queries that read the points.

    Attributes:
        width: of the layers that every point goes through.
        queries: tokens that read the points by attention, beside the one that stands for the whole cloud.
        heads, dropout: of that attention.
    """

    modalities = ("points",)
    capacities = {"tiny": {"width": 32, "queries": 2}, "base": {"width": 256, "queries": 8}}
    name: str = "pointnet"
    width: Annotated[int, Field(ge=2)] = 64
    queries: Count = 4
    heads: Count = 4
    dropout: Dropout = 0.0


class FramesConfig(NativeConfig):
    """The image network for each frame of a film, a look at the neighbouring frames, and a transformer over all.

    Attributes:
        width, patch, grid: of the `cnn` for a frame.
        depth, heads, dropout: of the transformer.
    """

    modalities = ("video",)
    capacities = {"tiny": {"width": 16, "grid": 2}, "base": {"width": 64, "depth": 2}}
    name: str = "frames"
    width: Count = 32
    patch: Count = 4
    grid: Count = 4
    depth: Count = 1
    heads: Count = 4
    dropout: Dropout = 0.0


class BagConfig(NativeConfig):
    """The learned vectors of a set's labels, added up; an empty set has one of its own.

    Attributes:
        pool: the `sum` of the vectors, so that the number of labels shows, or their `mean`.
        hidden: width of the labels' vectors, whose sum a layer then brings to that of the token; by default they have it.
    """

    modalities = ("set",)
    capacities = {"tiny": {"hidden": 16}, "base": {"hidden": 256}}
    name: str = "bag"
    pool: Literal["sum", "mean"] = "sum"
    hidden: Count | None = None


class MLPConfig(NativeConfig):
    """A perceptron over a fixed number of numbers.

    Attributes:
        hidden: width of its hidden layer; by default twice the width of the token, 0 for a linear layer.
        activation: of the token; the hidden layer always has ReLU.
        dropout: share of the hidden layer dropped in training.
    """

    modalities = ("vector", "datetime")
    capacities = {"tiny": {"hidden": 32}, "base": {"hidden": 512}}
    name: str = "mlp"
    hidden: Annotated[int, Field(ge=0)] | None = None
    activation: Literal["none", "relu"] = "none"
    dropout: Dropout = 0.0


class PretrainedImageConfig(EncoderConfig, TunedConfig):
    """Options of an image network that was trained elsewhere."""

    def input_spec(self) -> InputSpec:
        """Size, channels and normalisation of the images it was trained on."""
        return InputSpec.parse(_facts(self))


class TimmConfig(PretrainedImageConfig):
    """An image network of timm, by name or from a local folder.

    Attributes:
        model, weights, tune, lora_rank, lora_alpha, architecture: which network, and how it is trained.
        pool: every cell or patch is a token (`tokens`), or their mean is one (`mean`).
    """

    modalities = ("image",)
    kind = "timm"
    name: str = "timm"
    pool: Literal["tokens", "mean"] = "tokens"


class HFVisionConfig(PretrainedImageConfig):
    """An image network of transformers (ViT, DINOv2, ResNet, CLIP's and SigLIP's image half, …).

    Attributes:
        model, weights, tune, lora_rank, lora_alpha, architecture: which network, and how it is trained.
        pool: every patch is a token (`tokens`), their mean is one (`mean`), or the first, the class token, is (`first`).
    """

    modalities = ("image",)
    kind = "vision"
    name: str = "hf_vision"
    pool: Literal["tokens", "mean", "first"] = "tokens"


class HFTextConfig(EncoderConfig, TunedConfig):
    """A text network of transformers (BERT, MiniLM, ModernBERT, CLIP's text half, …) with its tokenizer.

    Attributes:
        model, weights, tune, lora_rank, lora_alpha, architecture: which network, and how it is trained.
        pool: every token of the text is one (`tokens`), their mean is one (`mean`), or the first is (`first`).
        max_length: longer texts are cut after so many tokens; by default after as many as the network can read, 512 at most.
    """

    modalities = ("text",)
    kind = "text"
    name: str = "hf_text"
    pool: Literal["tokens", "mean", "first"] = "tokens"
    max_length: Count | None = None

    def input_spec(self) -> InputSpec:
        """The tokenizer of the network, and how long a text may be."""
        from omnifuse.model.pretrained.architecture import tokenizer_path

        facts, path = _facts(self), tokenizer_path(self)
        limit = facts.get("limit")
        if self.max_length is not None and limit is not None and self.max_length > limit:
            raise OmnifuseError(f"hf_text.max_length: {self.max_length}, but the network can read {limit} tokens at most")
        return InputSpec(tokenizer=None if path is None else str(path), max_length=self.max_length or facts.get("max_length"))


class WordsConfig(EncoderConfig, PretrainedConfig):
    """The words of a text as a causal language model embeds them, which a fusion `llm` or a head `causal_lm` of it reads as they are.

    Its tokenizer is dictated to the column. Where fusion or head name the same network, it is there once and trained as they
    say; else its words are, and stay as they were.

    Attributes:
        model, weights, architecture: which language model.
    """

    modalities = ("text",)
    name: str = "words"

    def input_spec(self) -> InputSpec:
        """The tokenizer of the network."""
        from omnifuse.model.pretrained.architecture import tokenizer_path

        path = tokenizer_path(self)
        return InputSpec(tokenizer=None if path is None else str(path))


class HFAudioConfig(EncoderConfig, TunedConfig):
    """A sound network of transformers (wav2vec 2.0, HuBERT, WavLM, the half of Whisper that listens, AST).

    Attributes:
        model, weights, tune, lora_rank, lora_alpha, architecture: which network, and how it is trained.
        pool: every step of its output is a token (`tokens`), or their mean is one (`mean`).
    """

    modalities = ("audio",)
    kind = "audio"
    name: str = "hf_audio"
    pool: Literal["tokens", "mean"] = "tokens"

    def input_spec(self) -> InputSpec:
        """The rate it was trained on, and one channel."""
        return InputSpec(rate_hz=_facts(self).get("rate_hz", 16_000), channels=1)


def _facts(config: PretrainedConfig) -> dict[str, Any]:
    """What a pretrained network wants to be given."""
    architecture = config.resolved().architecture
    assert architecture is not None, "resolved() fills it in"
    return architecture.get("input", {})


ENCODERS = Registry(
    "encoder",
    {
        CNNConfig: "omnifuse.model.encoders.cnn:CNN",
        ViTConfig: "omnifuse.model.encoders.vit:ViT",
        TextTransformerConfig: "omnifuse.model.encoders.text_transformer:TextTransformer",
        NgramConfig: "omnifuse.model.encoders.ngram:Ngram",
        EmbeddingConfig: "omnifuse.model.encoders.embedding:LabelEmbedding",
        PeriodicConfig: "omnifuse.model.encoders.periodic:Periodic",
        MelCNNConfig: "omnifuse.model.encoders.mel_cnn:MelCNN",
        FramesConfig: "omnifuse.model.encoders.frames:Frames",
        Conv1dConfig: "omnifuse.model.encoders.conv1d:Conv1d",
        PointNetConfig: "omnifuse.model.encoders.pointnet:PointNet",
        BagConfig: "omnifuse.model.encoders.bag:Bag",
        MLPConfig: "omnifuse.model.encoders.mlp:MLP",
        TimmConfig: "omnifuse.model.encoders.timm_image:TimmImage",
        HFVisionConfig: "omnifuse.model.encoders.hf_vision:HFVision",
        HFTextConfig: "omnifuse.model.encoders.hf_text:HFText",
        WordsConfig: "omnifuse.model.encoders.words:Words",
        HFAudioConfig: "omnifuse.model.encoders.hf_audio:HFAudio",
    },
)
DEFAULT_ENCODERS: dict[str, PartConfig] = {
    "image": CNNConfig(),
    "text": TextTransformerConfig(),
    "category": EmbeddingConfig(),
    "number": PeriodicConfig(),
    "audio": MelCNNConfig(),
    "video": FramesConfig(),
    "series": Conv1dConfig(),
    "points": PointNetConfig(),
    "set": BagConfig(),
    "datetime": MLPConfig(),
    "id": EmbeddingConfig(),
    "vector": MLPConfig(),
}
