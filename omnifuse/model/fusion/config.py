"""Options of every fusion, and the table of fusions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from omnifuse.core.registry import PartConfig, Registry

Count = Annotated[int, Field(ge=1)]


class ConcatConfig(PartConfig):
    """Concatenation: W·[z₁; …; z_M] + b."""

    name: str = "concat"


class WeightedSumConfig(PartConfig):
    """Weighted sum: Σ w_m·P_m·z_m with learned weights.

    Attributes:
        normalise: `softmax` over the modalities that are present, `none` for free weights, `gate` for weights that
            depend on the row.
        project: apply P_m; without it and with `none` this is w₁x₁ + w₂x₂.
    """

    name: str = "weighted_sum"
    normalise: Literal["none", "softmax", "gate"] = "softmax"
    project: bool = True


class ProductConfig(PartConfig):
    """Elementwise product: ⊙ P_m·z_m over the modalities that are present.

    Attributes:
        project: apply P_m; without it and without activation this is x₁ ⊙ x₂.
        activation: applied to each factor.
    """

    name: str = "product"
    project: bool = True
    activation: Literal["none", "relu"] = "none"


class JointConfig(PartConfig):
    """Joint self-attention over the tokens of all columns, read out by latents.

    Attributes:
        latents: number of learned tokens that the result is read from.
        depth, heads, dropout: of the transformer.
    """

    name: str = "joint"
    latents: Count = 4
    depth: Count = 2
    heads: Count = 4
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


FUSIONS = Registry(
    "fusion",
    {
        ConcatConfig: "omnifuse.model.fusion.concat:Concat",
        WeightedSumConfig: "omnifuse.model.fusion.weighted_sum:WeightedSum",
        ProductConfig: "omnifuse.model.fusion.product:Product",
        JointConfig: "omnifuse.model.fusion.joint:Joint",
    },
)
