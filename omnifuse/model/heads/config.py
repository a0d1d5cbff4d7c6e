"""Options of every head, and the table of heads."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from omnifuse.core.registry import PartConfig, Registry


class HeadConfig(PartConfig):
    """Options of a head; `modalities` are the targets it answers."""

    modalities: ClassVar[tuple[str, ...]] = ()
    hidden: Annotated[int, Field(ge=0)] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class CategoryHeadConfig(HeadConfig):
    """One of K labels, by softmax.

    Attributes:
        hidden: width of its hidden layer; by default twice the width of the tokens, 0 for a linear head.
        dropout: in training, before the last layer.
        label_smoothing: share of the probability that is spread over all labels.
    """

    modalities = ("category",)
    name: str = "category"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class NumberHeadConfig(HeadConfig):
    """A number, by regression to its mean or median.

    Attributes:
        hidden, dropout: as in the category head.
        loss: `mse` estimates the mean, `mae` the median, `huber` lies between.
    """

    modalities = ("number",)
    name: str = "number"
    loss: Literal["mse", "mae", "huber"] = "mse"


HEADS = Registry(
    "head",
    {
        CategoryHeadConfig: "omnifuse.model.heads.category:CategoryHead",
        NumberHeadConfig: "omnifuse.model.heads.number:NumberHead",
    },
)
DEFAULT_HEADS: dict[str, PartConfig] = {"category": CategoryHeadConfig(), "number": NumberHeadConfig()}
