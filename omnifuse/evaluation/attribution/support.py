"""How strongly a prediction supports an answer: one number a row, of whatever kind the target is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.values import Values
from omnifuse.evaluation.answers import Candidates
from omnifuse.pipeline.pipeline import Pipeline

NAMES = {
    "label": "probability",
    "labels": "log-probability",
    "number": "value",
    "quantiles": "value",
    "ranking": "score",
    "embedding": "similarity",
    "text": "log-probability of a token",
}
SURE, SMALL = 1e-12, 1e-3


class Support:
    """The answers to N rows, and how strongly what the model says of a changed row still supports the answer to the whole one.

    - a label: its probability
    - several labels: Σ log p of those that were answered; of none, Σ log(1 − p) of all
    - a number, or the middle quantile: the answer itself, in the user's unit
    - a ranking: the score of the item that came first
    - an embedding: the cosine to the value that the row has of the target, or else to the nearest of those that other rows have
    - a text: the mean log-probability of its tokens and its end

    Attributes:
        name: of this number.
        answers: to the rows, decoded.
    """

    def __init__(self, pipeline: Pipeline, target: str, output: Any, towards: Sequence[Any], candidates: Candidates | None = None) -> None:
        """Take the answers.

        Args:
            pipeline: whose head it is.
            target: of the answers.
            output: of the head, for the N whole rows.
            towards: canonical values of the target in the rows, `None` where there is none; looked at where candidates are.
            candidates: of an embedding.
        """
        self.head, self.processor, self.tells = pipeline.model.head(target), pipeline.processors[target], pipeline.head_config(target).tells
        self.name = NAMES[self.tells]
        prediction = self.head.predict(output)
        if self.tells == "embedding":
            assert candidates is not None, "an embedding is compared with candidates"
            vectors, own = torch.from_numpy(candidates.vectors).to(prediction), torch.from_numpy(candidates.places(list(towards)))
            places = torch.where(own.to(prediction.device) >= 0, own.to(prediction.device), (prediction @ vectors.T).argmax(1))
            self.answers: list[Any] = [candidates.values[place] for place in places.tolist()]
            self.chosen = vectors[places]
            return
        answer = self.head.answer(prediction)
        self.answers = self.processor.decode(answer.cpu())
        self.chosen = answer

    def of(self, output: Any, rows: Tensor) -> Tensor:
        """(B,) of outputs of the head for changed rows; `rows` (B,) says whose they are. Gradients flow through it."""
        chosen = self.chosen[rows]
        if self.tells == "text":
            return -self.head.loss(output, Values(chosen.clamp(min=0), torch.ones_like(rows, dtype=torch.bool), chosen >= 0))
        prediction = self.head.predict(output)
        if self.tells in ("label", "ranking"):
            return prediction.gather(1, chosen.unsqueeze(1)).squeeze(1)
        if self.tells == "labels":
            return _of_set(prediction, chosen > 0)
        if self.tells == "embedding":
            return (prediction * chosen).sum(1)
        return self._in_unit(self.head.answer(prediction))

    def _in_unit(self, number_B: Tensor) -> Tensor:
        """Standardised → the user's unit, with the slope there as its gradient."""
        at = number_B.detach().double()
        here, above, below = (self._decoded(at + step) for step in (0.0, SMALL, -SMALL))
        return here + (above - below) / (2 * SMALL) * (number_B.double() - at)

    def _decoded(self, number_B: Tensor) -> Tensor:
        return torch.tensor(self.processor.decode(number_B.cpu()), dtype=torch.float64, device=number_B.device)


def explainable(pipeline: Pipeline, target: str | None) -> str:
    """The target whose answers are explained.

    Raises:
        OmnifuseError: no such target, several and none is named, or it is drawn and has no one answer.
    """
    schema = pipeline.schema
    able = [name for name in schema.targets if pipeline.model.head(name).predicts]
    if target is not None and target not in schema.targets:
        raise unknown("target", target, schema.targets)
    if target is not None and target not in able:
        raise OmnifuseError(f'target "{target}": samples of it are drawn, and a draw is no answer to explain')
    if not able:
        raise OmnifuseError("this model only draws samples; there is no answer to explain")
    if target is None and len(able) > 1:
        raise OmnifuseError(f"the targets {', '.join(able)} can be explained; name one of them")
    return target or able[0]


def _of_set(shares_BK: Tensor, chosen_BK: Tensor) -> Tensor:
    shares_BK = shares_BK.double().clamp(SURE, 1 - SURE)
    there_B = torch.where(chosen_BK, shares_BK.log(), 0).sum(1)
    return torch.where(chosen_BK.any(1), there_B, torch.log1p(-shares_BK).sum(1))
