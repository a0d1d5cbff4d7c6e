"""Options of every encoder, and the table of encoders."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

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
    """A learned vector for each label."""

    modalities = ("category",)
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


ENCODERS = Registry(
    "encoder",
    {
        CNNConfig: "omnifuse.model.encoders.cnn:CNN",
        ViTConfig: "omnifuse.model.encoders.vit:ViT",
        TextTransformerConfig: "omnifuse.model.encoders.text_transformer:TextTransformer",
        NgramConfig: "omnifuse.model.encoders.ngram:Ngram",
        EmbeddingConfig: "omnifuse.model.encoders.embedding:LabelEmbedding",
        PeriodicConfig: "omnifuse.model.encoders.periodic:Periodic",
    },
)
DEFAULT_ENCODERS: dict[str, PartConfig] = {
    "image": CNNConfig(),
    "text": TextTransformerConfig(),
    "category": EmbeddingConfig(),
    "number": PeriodicConfig(),
}
