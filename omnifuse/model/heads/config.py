"""Options of every head, and the table of heads."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.registry import PartConfig, Registry
from omnifuse.core.spec import InputSpec
from omnifuse.model.pretrained.config import TunedConfig

Dropout = Annotated[float, Field(ge=0, lt=1)]
Tells = Literal["label", "labels", "number", "quantiles", "ranking", "embedding", "text", "sample"]


class HeadConfig(PartConfig):
    """Options of a head; `modalities` are the targets it answers.

    `tells` is the kind of its predictions, which says how they are shown and judged: probabilities (B, K) of one `label`
    or of several `labels`, a `number` (B,), its `quantiles` (B, Q), scores (B, K) for a `ranking`, an `embedding` (B, E)
    to be compared with those of candidates, the ids (B, L) of a `text`, or a `sample` that is drawn when it is asked for: such a head
    has no best answer.
    """

    modalities: ClassVar[tuple[str, ...]] = ()
    encodes_target: ClassVar[bool] = False

    @property
    def tells(self) -> Tells:
        """The kind of its predictions."""
        raise NotImplementedError

    def input_spec(self) -> InputSpec:
        """What it dictates to the processor of its target; nothing by default."""
        return InputSpec()

    def check(self, where: str, dim: int) -> None:
        """Raise an `OmnifuseError` where options do not fit each other or the width D; `where` is their place in the recipe."""


class PerceptronConfig(HeadConfig):
    """Options of a head that is a perceptron on the pooled vector."""

    hidden: Annotated[int, Field(ge=0)] | None = None
    dropout: Dropout = 0.0


class CategoryHeadConfig(PerceptronConfig):
    """One of K labels, by softmax.

    Attributes:
        hidden: width of its hidden layer; by default twice the width of the tokens, 0 for a linear head.
        dropout: in training, before the last layer.
        label_smoothing: share of the probability that is spread over all labels.
    """

    modalities = ("category",)
    name: str = "category"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @property
    def tells(self) -> Tells:
        """Probabilities of the labels."""
        return "label"


class NumberHeadConfig(PerceptronConfig):
    """A number, by regression to its mean, its median or several quantiles.

    Attributes:
        hidden, dropout: as in the category head.
        loss: `mse` estimates the mean, `mae` the median, `huber` lies between, `quantile` estimates all of `quantiles`.
        quantiles: the levels, rising; the answer is the one nearest to the median.
    """

    modalities = ("number",)
    name: str = "number"
    loss: Literal["mse", "mae", "huber", "quantile"] = "mse"
    quantiles: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.05, 0.5, 0.95)

    @field_validator("quantiles")
    @classmethod
    def _rising(cls, quantiles: tuple[float, ...]) -> tuple[float, ...]:
        if not quantiles or any(low >= high for low, high in pairwise(quantiles)):
            raise OmnifuseError(f"quantiles: {list(quantiles)} do not rise; write them as [0.05, 0.5, 0.95]")
        return quantiles

    @property
    def tells(self) -> Tells:
        """A number, or its quantiles."""
        return "quantiles" if self.loss == "quantile" else "number"


class OrdinalHeadConfig(PerceptronConfig):
    """One of K labels that have an order, such as ratings: one scale, cut in K − 1 places.

    Numbers are ordered by size; other labels as the column's option `order` says. The answer is the median label.

    Attributes:
        hidden, dropout: as in the category head.
    """

    modalities = ("category",)
    name: str = "ordinal"

    @property
    def tells(self) -> Tells:
        """Probabilities of the labels."""
        return "label"


class SetHeadConfig(PerceptronConfig):
    """Several labels at once, each by itself.

    Attributes:
        hidden, dropout: as in the category head.
        threshold: labels at least so probable are answered.
    """

    modalities = ("set",)
    name: str = "set"
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5

    @property
    def tells(self) -> Tells:
        """Probabilities of the labels."""
        return "labels"


class RankingHeadConfig(HeadConfig):
    """Which of many items come first: items and rows lie in one space, and near ones score high.

    Attributes:
        loss: `softmax` over all items, or `bpr`, the chosen item before others drawn at random.
        negatives: items drawn for a row in `bpr`.
    """

    modalities = ("id", "category")
    name: str = "ranking"
    loss: Literal["softmax", "bpr"] = "softmax"
    negatives: Annotated[int, Field(ge=1)] = 32

    @property
    def tells(self) -> Tells:
        """Scores of the items."""
        return "ranking"


class ContrastiveHeadConfig(HeadConfig):
    """Inputs and target in one space: what belongs together is near, what other rows hold is far. For retrieval.

    The target column has an encoder of its own, chosen as those of the inputs are.

    Attributes:
        loss: `infonce`, softmax over the batch both ways, or `sigmoid`, each pair by itself.
        width: of the space; by default that of the tokens.
        temperature: similarities are divided by it; learned from here on, within 0.01 and 10.
    """

    modalities = ("text", "image", "audio", "video", "series", "points", "category", "number", "set", "datetime", "id", "vector")
    encodes_target = True
    name: str = "contrastive"
    loss: Literal["infonce", "sigmoid"] = "infonce"
    width: Annotated[int, Field(ge=2)] | None = None
    temperature: Annotated[float, Field(ge=0.01, le=10)] = 0.07

    @property
    def tells(self) -> Tells:
        """An embedding to compare candidates with."""
        return "embedding"


class CausalLMHeadConfig(HeadConfig, TunedConfig):
    """Text from a causal language model that reads what is fused as the beginning of its sentence.

    Its tokenizer is dictated to the column, which says by `max_length` how long a text may be.

    Attributes:
        model, weights, tune, lora_rank, lora_alpha, architecture: which language model, and how it is trained.
        max_new_tokens: longest answer.
        beams: answers that are followed up at the same time; 1 is greedy.
    """

    modalities = ("text",)
    name: str = "causal_lm"
    max_new_tokens: Annotated[int, Field(ge=1, le=100_000)] = 32
    beams: Annotated[int, Field(ge=1, le=64)] = 1

    @property
    def tells(self) -> Tells:
        """The ids of a text."""
        return "text"

    def input_spec(self) -> InputSpec:
        """The tokenizer of the language model."""
        from omnifuse.model.pretrained.architecture import tokenizer_path

        path = tokenizer_path(self)
        return InputSpec(tokenizer=None if path is None else str(path))

    def check(self, where: str, dim: int) -> None:
        """A language model has to be named."""
        if not self.model and self.architecture is None:
            raise OmnifuseError(f"{where}.model: name a causal language model, by its folder or its name on the hub")


class DecoderHeadConfig(HeadConfig):
    """Text from a transformer of its own that reads what is fused, trained from scratch with the column's tokens.

    Attributes:
        depth: number of blocks.
        heads: attention heads.
        dropout: in training, in every block.
        label_smoothing: share of the probability that is spread over all tokens.
        max_new_tokens: longest answer; by default as long as the column allows.
        beams: answers that are followed up at the same time; 1 is greedy.
    """

    modalities = ("text",)
    name: str = "decoder"
    depth: Annotated[int, Field(ge=1, le=200)] = 2
    heads: Annotated[int, Field(ge=1)] = 4
    dropout: Dropout = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    max_new_tokens: Annotated[int, Field(ge=1, le=100_000)] | None = None
    beams: Annotated[int, Field(ge=1, le=64)] = 1

    @property
    def tells(self) -> Tells:
        """The ids of a text."""
        return "text"

    def check(self, where: str, dim: int) -> None:
        """Its attention heads share the width."""
        if dim % self.heads:
            raise OmnifuseError(f"{where}.heads: {self.heads} attention heads do not divide model.dim = {dim}")


class FlowHeadConfig(HeadConfig):
    """Pictures, sounds, series and points, drawn by following a flow from noise to data.

    Attributes:
        network: which network tells the velocity: `unet`, convolutions that halve and double, `dit`, a transformer over patches, or
            `auto`: `dit` for points and for pictures of more than 4,096 pixels, else `unet`.
        width: channels of the U-Net at full size, which double at each halving, or width of the transformer; by default 32, or 256.
        depth: halvings of the U-Net, or blocks of the transformer; by default 2, or 6.
        heads: attention heads.
        patch: places along each side that a network takes as one; by default 1 in a U-Net, and in a transformer the smallest power of two
            that leaves at most 1,024 patches. Points are one by one.
        unconditional: share of the rows that learn without what is fused, so that guidance has something to push away from.
        guidance: how far samples are pushed towards what is fused; 1 leaves them as they are.
        steps: from noise to data.
        solver: `euler`, one look at the velocity a step, or `heun`, two.
        mels, hop_s, window_s: bands and frames of the spectrogram that stands for a sound.
        max_s: longest sound that is made; by default the longest the column allows.
    """

    modalities = ("image", "audio", "series", "points")
    name: str = "flow"
    network: Literal["auto", "unet", "dit"] = "auto"
    width: Annotated[int, Field(ge=8, le=65536)] | None = None
    depth: Annotated[int, Field(ge=1, le=200)] | None = None
    heads: Annotated[int, Field(ge=1)] = 4
    patch: Annotated[int, Field(ge=1, le=256)] | None = None
    unconditional: Annotated[float, Field(ge=0, lt=1)] = 0.1
    guidance: Annotated[float, Field(ge=0, le=100)] = 2.5
    steps: Annotated[int, Field(ge=1, le=10_000)] = 25
    solver: Literal["euler", "heun"] = "euler"
    mels: Annotated[int, Field(ge=8, le=512)] = 40
    hop_s: Annotated[float, Field(gt=0, le=1)] = 0.016
    window_s: Annotated[float, Field(gt=0, le=4)] = 0.032
    max_s: Annotated[float, Field(gt=0)] | None = None

    @property
    def tells(self) -> Tells:
        """Samples."""
        return "sample"


HEADS = Registry(
    "head",
    {
        CategoryHeadConfig: "omnifuse.model.heads.category:CategoryHead",
        NumberHeadConfig: "omnifuse.model.heads.number:NumberHead",
        OrdinalHeadConfig: "omnifuse.model.heads.ordinal:OrdinalHead",
        SetHeadConfig: "omnifuse.model.heads.set:SetHead",
        RankingHeadConfig: "omnifuse.model.heads.ranking:RankingHead",
        ContrastiveHeadConfig: "omnifuse.model.heads.contrastive:ContrastiveHead",
        CausalLMHeadConfig: "omnifuse.model.heads.causal_lm:CausalLMHead",
        DecoderHeadConfig: "omnifuse.model.heads.decoder:DecoderHead",
        FlowHeadConfig: "omnifuse.model.heads.flow:FlowHead",
    },
)
DEFAULT_HEADS: dict[str, PartConfig] = {
    "category": CategoryHeadConfig(),
    "number": NumberHeadConfig(),
    "set": SetHeadConfig(),
    "id": RankingHeadConfig(),
    "text": DecoderHeadConfig(),
    "image": FlowHeadConfig(),
    "audio": FlowHeadConfig(),
    "series": FlowHeadConfig(),
    "points": FlowHeadConfig(),
}
