"""Options of every fusion, and the table of fusions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.registry import PartConfig, Registry
from omnifuse.model.pretrained.config import TunedConfig

Count = Annotated[int, Field(ge=1)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
MOST_WEIGHTS = 200_000_000  # of a tensor fusion; more is a mistake, low_rank does the same with a thousandth


class FusionConfig(PartConfig):
    """Options of a fusion."""

    def check(self, columns: Sequence[str], dim: int) -> None:
        """Raise an `OmnifuseError` where the method cannot fuse these input columns at width `dim`."""


class ConcatConfig(FusionConfig):
    """Concatenation: W·[z₁; …; z_M] + b."""

    name: str = "concat"


class WeightedSumConfig(FusionConfig):
    """Weighted sum: Σ w_m·P_m·z_m with learned weights.

    Attributes:
        normalise: `softmax` over the modalities that are present, `none` for free weights, `gate` for weights that
            depend on the row.
        project: apply P_m; without it and with `none` this is w₁x₁ + w₂x₂.
    """

    name: str = "weighted_sum"
    normalise: Literal["none", "softmax", "gate"] = "softmax"
    project: bool = True


class ProductConfig(FusionConfig):
    """Elementwise product: ⊙ P_m·z_m over the modalities that are present.

    Attributes:
        project: apply P_m; without it and without activation this is x₁ ⊙ x₂.
        activation: applied to each factor.
    """

    name: str = "product"
    project: bool = True
    activation: Literal["none", "relu"] = "none"


class JointConfig(FusionConfig):
    """Joint self-attention over the tokens of all columns, read out by latents.

    Attributes:
        latents: number of learned tokens that the result is read from.
        depth, heads, dropout: of the transformer.
    """

    name: str = "joint"
    latents: Count = 4
    depth: Count = 2
    heads: Count = 4
    dropout: Dropout = 0.0


class StackConfig(FusionConfig):
    """The tokens of all columns side by side, unmixed: what reads them does the mixing."""

    name: str = "stack"


class CoAttentionConfig(FusionConfig):
    """Two streams and more: each column's tokens read those of the others, then their own.

    Attributes:
        depth, heads, dropout: of each stream.
    """

    name: str = "co_attention"
    depth: Count = 2
    heads: Count = 4
    dropout: Dropout = 0.0


class MultConfig(FusionConfig):
    """Crossmodal attention for every ordered pair of columns.

    Attributes:
        depth: blocks of each pair, in which one column reads another.
        memory_depth: blocks of self-attention over what a column has read.
        heads, dropout: of both.
    """

    name: str = "mult"
    depth: Count = 2
    memory_depth: Count = 1
    heads: Count = 4
    dropout: Dropout = 0.0


class BottleneckConfig(FusionConfig):
    """Columns attend to themselves and exchange all they have to say through a few shared tokens.

    Attributes:
        tokens: number of shared tokens B.
        depth: blocks in all.
        fuse_from: block from which on columns share tokens, counted from 0; before it each is alone.
        heads, dropout: of the blocks.
    """

    name: str = "bottleneck"
    tokens: Count = 4
    depth: Count = 2
    fuse_from: Annotated[int, Field(ge=0)] = 0
    heads: Count = 4
    dropout: Dropout = 0.0

    def check(self, columns: Sequence[str], dim: int) -> None:
        """The columns must meet in some block."""
        if self.fuse_from >= self.depth:
            raise OmnifuseError(f"model.fusion.fuse_from: {self.fuse_from} is behind the last of {self.depth} blocks; columns never meet")


class PerceiverConfig(FusionConfig):
    """Learned latents read all tokens, then each other; costs grow in proportion to the number of tokens.

    Attributes:
        latents: how many.
        depth: how often they read; each time followed by `blocks` of self-attention.
        blocks: of self-attention between the latents.
        heads, dropout: of all of them.
    """

    name: str = "perceiver"
    latents: Count = 16
    depth: Count = 2
    blocks: Count = 1
    heads: Count = 4
    dropout: Dropout = 0.0


class TensorConfig(FusionConfig):
    """The outer product of all columns, each with a 1 appended: every product of their components.

    Attributes:
        width: each column is first brought to this width; by default it keeps its own.
    """

    name: str = "tensor"
    width: Count | None = None

    def check(self, columns: Sequence[str], dim: int) -> None:
        """The weights grow with the number of columns as an exponent."""
        weights = ((self.width or dim) + 1) ** len(columns) * dim
        if weights > MOST_WEIGHTS:
            raise OmnifuseError(
                f"model.fusion: tensor fusion of {len(columns)} columns at width {self.width or dim} has {weights:.1e} weights;"
                " use low_rank, or a smaller model.fusion.width"
            )


class LowRankConfig(FusionConfig):
    """Tensor fusion with a weight tensor of low rank, never written out.

    Attributes:
        rank: number of products that are added up.
    """

    name: str = "low_rank"
    rank: Count = 16


class BilinearConfig(FusionConfig):
    """Bilinear pooling of every pair of columns.

    Attributes:
        kind: `mlb`, one product of two projections, or `mutan`, a sum of `rank` of them.
        activation: of the projections.
        width: of the projections; by default that of the tokens.
        rank: number of products in `mutan`.
    """

    name: str = "bilinear"
    kind: Literal["mlb", "mutan"] = "mlb"
    activation: Literal["none", "relu"] = "relu"
    width: Count | None = None
    rank: Count = 5


class FilmConfig(FusionConfig):
    """One column scales and shifts the tokens of the others.

    Attributes:
        condition: the column that does; by default the last input.
    """

    name: str = "film"
    condition: str | None = None

    def check(self, columns: Sequence[str], dim: int) -> None:
        """The condition is one of the inputs."""
        if self.condition is not None and self.condition not in columns:
            raise unknown("input column", self.condition, columns, where="model.fusion.condition")


class GatedConfig(FusionConfig):
    """A gate for each component decides how much of each column passes, looking at all of them."""

    name: str = "gated"


class CrossConfig(FusionConfig):
    """Cross layers: each multiplies the columns with themselves once more, so L layers hold products of up to L + 1 components.

    Attributes:
        layers: how many.
        rank: of their matrices; by default full.
    """

    name: str = "cross"
    layers: Count = 2
    rank: Count | None = None

    def check(self, columns: Sequence[str], dim: int) -> None:
        """A matrix of N rows has no rank above N."""
        if self.rank is not None and self.rank > len(columns) * dim:
            raise OmnifuseError(
                f"model.fusion.rank: {self.rank} is above the full rank of the cross layers of {len(columns)} columns,"
                f" {len(columns) * dim}; leave it out for full rank"
            )


class FactorizationConfig(FusionConfig):
    """A factorization machine: a linear map, and the sum of the elementwise products of all pairs of columns.

    Attributes:
        order: 2 for pairs; 3 and more add the products of as many columns.
    """

    name: str = "factorization"
    order: Annotated[int, Field(ge=2)] = 2

    def check(self, columns: Sequence[str], dim: int) -> None:
        """There are as many columns as factors."""
        if self.order > len(columns):
            raise OmnifuseError(
                f"model.fusion.order: a product of {self.order} columns needs as many inputs, but there "
                + (f"are {len(columns)}" if len(columns) > 1 else "is 1; factorization fuses two and more")
            )


class LLMConfig(FusionConfig, TunedConfig):
    """A causal language model reads the tokens of all columns; its hidden states are what is fused.

    Attributes:
        model, weights, tune, lora_rank, lora_alpha, architecture: which language model, and how it is trained.
        projector: brings tokens to its width: a perceptron with one hidden layer (`mlp`), or learned queries that read each
            column's tokens (`resampler`).
        latents: queries of the resampler for each column.
        heads: of the resampler's attention.
    """

    name: str = "llm"
    projector: Literal["mlp", "resampler"] = "mlp"
    latents: Count = 16
    heads: Count = 4

    def check(self, columns: Sequence[str], dim: int) -> None:
        """A language model has to be named."""
        if not self.model and self.architecture is None:
            raise OmnifuseError("model.fusion.model: name a causal language model, by its folder or its name on the hub")


FUSIONS = Registry(
    "fusion",
    {
        ConcatConfig: "omnifuse.model.fusion.concat:Concat",
        WeightedSumConfig: "omnifuse.model.fusion.weighted_sum:WeightedSum",
        ProductConfig: "omnifuse.model.fusion.product:Product",
        JointConfig: "omnifuse.model.fusion.joint:Joint",
        StackConfig: "omnifuse.model.fusion.stack:Stack",
        CoAttentionConfig: "omnifuse.model.fusion.co_attention:CoAttention",
        MultConfig: "omnifuse.model.fusion.mult:Mult",
        BottleneckConfig: "omnifuse.model.fusion.bottleneck:Bottleneck",
        PerceiverConfig: "omnifuse.model.fusion.perceiver:Perceiver",
        TensorConfig: "omnifuse.model.fusion.tensor:TensorFusion",
        LowRankConfig: "omnifuse.model.fusion.low_rank:LowRank",
        BilinearConfig: "omnifuse.model.fusion.bilinear:Bilinear",
        FilmConfig: "omnifuse.model.fusion.film:Film",
        GatedConfig: "omnifuse.model.fusion.gated:Gated",
        CrossConfig: "omnifuse.model.fusion.cross:Cross",
        FactorizationConfig: "omnifuse.model.fusion.factorization:Factorization",
        LLMConfig: "omnifuse.model.fusion.llm:LLM",
    },
)
