"""Options of every encoder, and the table of encoders."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from omnifuse.core.registry import PartConfig, Registry
from omnifuse.core.spec import InputSpec

Dropout = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class EncoderConfig(PartConfig):
    """Options of an encoder; `modalities` are the ones it reads."""

    modalities: ClassVar[tuple[str, ...]] = ()

    def input_spec(self) -> InputSpec:
        """What it dictates to the processor of its column; nothing by default."""
        return InputSpec()


class CNNConfig(EncoderConfig):
    """A convolutional network: patches, then halvings down to a small grid of tokens.

    Attributes:
        width: channels after the first layer; they double with each halving.
        patch: side of the first, strided convolution in pixels.
        grid: the image is halved until the grid of tokens is at most this wide.
        dropout: share of the output channels dropped in training.
    """

    modalities = ("image",)
    name: str = "cnn"
    width: Count = 32
    patch: Count = 4
    grid: Count = 8
    dropout: Dropout = 0.0


class ViTConfig(EncoderConfig):
    """A vision transformer: each patch is a token with a learned position.

    Attributes:
        image_size: side of the image in pixels; positions are tied to it, so it is dictated to the column.
        patch: side of a patch in pixels.
        depth, heads, dropout: of the transformer.
    """

    modalities = ("image",)
    name: str = "vit"
    image_size: Count = 64
    patch: Count = 8
    depth: Count = 2
    heads: Count = 4
    dropout: Dropout = 0.0

    def input_spec(self) -> InputSpec:
        """The image size."""
        return InputSpec(size=self.image_size)


class TextTransformerConfig(EncoderConfig):
    """A transformer over the tokens of a text.

    Attributes:
        depth, heads, dropout: of the transformer.
    """

    modalities = ("text",)
    name: str = "transformer"
    depth: Count = 1
    heads: Count = 4
    dropout: Dropout = 0.0


class NgramConfig(EncoderConfig):
    """Embedded n-grams: each token with its predecessors. Strong on short data, and very fast.

    Attributes:
        order: longest n-gram in tokens.
        buckets: hash table for n-grams of two and more tokens.
        dropout: share of the tokens dropped in training.
    """

    modalities = ("text",)
    name: str = "ngram"
    order: Annotated[int, Field(ge=1, le=5)] = 2
    buckets: Annotated[int, Field(ge=16, le=100_000_000)] = 16384
    dropout: Dropout = 0.1


class EmbeddingConfig(EncoderConfig):
    """A learned vector for each label or id."""

    modalities = ("category", "id")
    name: str = "embedding"


class PeriodicConfig(EncoderConfig):
    """A number as learned sines and cosines, then a linear layer.

    Attributes:
        frequencies: how many.
        scale: deviation of the initial frequencies; larger values tell near numbers apart.
    """

    modalities = ("number",)
    name: str = "periodic"
    frequencies: Count = 16
    scale: Annotated[float, Field(gt=0)] = 0.3


class MelCNNConfig(EncoderConfig):
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
    name: str = "mel_cnn"
    mels: Annotated[int, Field(ge=4, le=512)] = 40
    window_s: Annotated[float, Field(gt=0, le=1)] = 0.025
    hop_s: Annotated[float, Field(gt=0, le=1)] = 0.01
    normalise: Literal["clip", "fixed"] = "clip"
    halvings: Annotated[int, Field(ge=1, le=10)] = 3
    width: Count = 32
    dropout: Dropout = 0.0


class Conv1dConfig(EncoderConfig):
    """Residual convolutions over the steps of a series.

    Attributes:
        width: channels.
        kernel: steps that one convolution sees, odd.
        halvings: of the number of steps, one in each block; a token stands for 2^halvings steps.
        dropout: share of the channels dropped within a block in training.
    """

    modalities = ("series",)
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


class PointNetConfig(EncoderConfig):
    """The same layers for each point, their maximum, and learned queries that read the points.

    Attributes:
        width: of the layers that every point goes through.
        queries: tokens that read the points by attention, beside the one that stands for the whole cloud.
        heads, dropout: of that attention.
    """

    modalities = ("points",)
    name: str = "pointnet"
    width: Annotated[int, Field(ge=2)] = 64
    queries: Count = 4
    heads: Count = 4
    dropout: Dropout = 0.0


class FramesConfig(EncoderConfig):
    """The image network for each frame of a film, a look at the neighbouring frames, and a transformer over all.

    Attributes:
        width, patch, grid: of the `cnn` for a frame.
        depth, heads, dropout: of the transformer.
    """

    modalities = ("video",)
    name: str = "frames"
    width: Count = 32
    patch: Count = 4
    grid: Count = 4
    depth: Count = 1
    heads: Count = 4
    dropout: Dropout = 0.0


class BagConfig(EncoderConfig):
    """The learned vectors of a set's labels, added up; an empty set has one of its own.

    Attributes:
        pool: the `sum` of the vectors, so that the number of labels shows, or their `mean`.
    """

    modalities = ("set",)
    name: str = "bag"
    pool: Literal["sum", "mean"] = "sum"


class MLPConfig(EncoderConfig):
    """A perceptron over a fixed number of numbers.

    Attributes:
        hidden: width of its hidden layer; by default twice the width of the token, 0 for a linear layer.
        dropout: share of the hidden layer dropped in training.
    """

    modalities = ("vector", "datetime")
    name: str = "mlp"
    hidden: Annotated[int, Field(ge=0)] | None = None
    dropout: Dropout = 0.0


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
