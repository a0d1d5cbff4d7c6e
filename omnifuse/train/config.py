"""The `train` section of a recipe, and the table of optimizers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PlainValidator, SerializeAsAny, model_validator

from omnifuse.core.config import Config
from omnifuse.core.errors import OmnifuseError
from omnifuse.core.registry import PartConfig, Registry

Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]


class AdamWConfig(PartConfig):
    """Adam with decoupled weight decay; matrices decay, vectors (biases, norms) do not.

    Attributes:
        lr: learning rate at its highest.
        weight_decay: share of a weight that is taken off per step, times lr.
        betas: decay of the averages of gradient and squared gradient.
        eps: gradients well below it move a weight in proportion to their size, as in plain descent; with the tiny
            default a rare word moves as far as a common one, so 1e-4 and more serve large vocabularies better.
    """

    name: str = "adamw"
    lr: Rate = 2e-3
    weight_decay: Weight = 0.01
    betas: tuple[Share, Share] = (0.9, 0.999)
    eps: Rate = 1e-8


class SGDConfig(PartConfig):
    """Plain gradient descent: θ ← θ − η·∂L/∂θ, with momentum and decay when asked for.

    Attributes:
        lr: learning rate η at its highest.
        momentum: share of the last step that is kept.
        weight_decay: L2 penalty.
    """

    name: str = "sgd"
    lr: Rate = 0.1
    momentum: Share = 0.0
    weight_decay: Weight = 0.0


OPTIMIZERS = Registry(
    "optimizer",
    {AdamWConfig: "omnifuse.train.optimizers:adamw", SGDConfig: "omnifuse.train.optimizers:sgd"},
)
Optimizer = Annotated[SerializeAsAny[PartConfig], PlainValidator(lambda value: OPTIMIZERS.parse(value, default="adamw"))]


class DirectionsConfig(Config):
    """How often a row's columns of role `both` are split in which way, in proportion to each other.

    Attributes:
        all_but_one: one is asked for, all others are given.
        one_to_all: one is given, all others are asked for.
        none_to_all: all are asked for.
        random: each is given or asked for by chance.
    """

    all_but_one: Weight = 1.0
    one_to_all: Weight = 1.0
    none_to_all: Weight = 0.1
    random: Weight = 0.5

    @model_validator(mode="after")
    def _some(self) -> DirectionsConfig:
        if not self.all_but_one + self.one_to_all + self.none_to_all + self.random > 0:
            raise OmnifuseError("give at least one pattern a weight above 0")
        return self


class TrainConfig(Config):
    """How the model learns.

    Attributes:
        init: folder of a finished run whose weights this one begins with, as far as they fit.
        epochs: passes over the training split.
        batch_size: rows in a step, over all ranks and accumulated parts together.
        accumulate: parts that a step is computed in, to save memory.
        optimizer: its name, or a mapping with its options.
        warmup: share of the steps in which the learning rate rises.
        schedule: how it falls afterwards: `cosine` to zero, or `constant`.
        clip: largest norm of the gradient; `null` for no clipping.
        precision: `fp32`, or mixed precision `bf16` or `fp16`.
        device: `auto` (an accelerator if there is one) or `cpu`.
        monitor: what chooses the best epoch on the validation split: `loss`, or `TARGET.METRIC`.
        patience: stop after this many validations without improvement; `null` to go on.
        target_weights: weight of a target in the loss; 1 where it is not named.
        directions: how columns of role `both` are split into what is given and what is asked for.
        ema: decay of the average of the weights that is judged and kept; 0 keeps the last weights themselves. By default 0.999 where
            samples are drawn, else 0.
        validate_steps: steps between validations; by default one epoch.
        checkpoint_steps: steps between checkpoints; by default at each validation.
        log_steps: steps between entries in `history.jsonl`.
        tracking: also log to these: `tensorboard`.
    """

    init: str | None = None
    epochs: Annotated[float, Field(gt=0)] = 10
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 128
    accumulate: Count = 1
    optimizer: Optimizer = AdamWConfig()
    warmup: Share = 0.05
    schedule: Literal["cosine", "constant"] = "cosine"
    clip: Rate | None = 1.0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    device: Literal["auto", "cpu"] = "auto"
    monitor: str = "loss"
    patience: Count | None = None
    target_weights: dict[str, Weight] = {}
    directions: DirectionsConfig = DirectionsConfig()
    ema: Share | None = None
    validate_steps: Count | None = None
    checkpoint_steps: Count | None = None
    log_steps: Count = 50
    tracking: list[Literal["tensorboard"]] = []

    @model_validator(mode="after")
    def _divides(self) -> TrainConfig:
        if self.batch_size % self.accumulate:
            raise OmnifuseError(f"accumulate: {self.accumulate} parts do not divide the batch of {self.batch_size}")
        return self
