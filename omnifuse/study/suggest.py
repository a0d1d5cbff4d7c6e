"""What a trained pipeline says about rows: suggestions for annotators, probabilities and embeddings for choosing rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import torch

from omnifuse.data.annotate.tasks import Suggest, Suggestion
from omnifuse.data.loader import RawRows
from omnifuse.pipeline.features import ask_heads, chunks, encode_rows
from omnifuse.pipeline.pipeline import CHUNK, Pipeline


@dataclass(frozen=True)
class Said:
    """Answers of a model to N rows.

    Attributes:
        answers: by target, the decoded answers; of targets that are retrieved from candidates there are none.
        scores: by target, probabilities (N, K) of a category, or standardised values (N,) of a number; others have none.
        embeddings: (N, D) what fusion made of each row, pooled.
    """

    answers: dict[str, list[Any]]
    scores: dict[str, np.ndarray]
    embeddings: np.ndarray


@torch.inference_mode()
def ask(pipeline: Pipeline, rows: RawRows, batch_size: int = 256) -> Said:
    """Answers, probabilities and embeddings of some rows; they are held in memory, the rows' values are not.

    A column of role `both` is hidden when it is asked for; what is drawn has no answer.
    """
    loader = pipeline.loader(rows)
    tells = {name: pipeline.head_config(name).tells for name in pipeline.schema.targets}
    answering = [name for name in tells if tells[name] != "embedding" and pipeline.model.head(name).predicts]
    answers: dict[str, list[Any]] = {name: [] for name in answering}
    scores: dict[str, list[torch.Tensor]] = {name: [] for name in answering if tells[name] in ("label", "number", "quantiles")}
    embeddings: list[torch.Tensor] = []
    with pipeline.evaluating():
        for part in chunks(len(rows), CHUNK):
            encoded = encode_rows(pipeline.model, loader, part, pipeline.device, batch_size)
            for some, outputs in ask_heads(pipeline.model, pipeline.schema, encoded, answering, batch_size):
                embeddings.append(pipeline.model.fuse(encoded.select(some)).pooled.float().cpu())
                predictions = pipeline.model.answers(outputs)
                for name in answering:
                    answer = pipeline.model.head(name).answer(predictions[name].cpu())
                    answers[name] += pipeline.processors[name].decode(answer)
                    if name in scores:
                        scores[name].append(predictions[name].cpu() if tells[name] == "label" else answer)
    joined = {name: torch.cat(parts).numpy() for name, parts in scores.items() if parts}
    pooled = torch.cat(embeddings).numpy() if embeddings else np.empty((0, 0), dtype=np.float32)
    return Said(answers, joined, pooled)


def suggestions(pipeline: Pipeline) -> Suggest:
    """A function that tells what the pipeline would answer, for `export_tasks`."""

    def suggest(rows: RawRows) -> list[Mapping[str, Suggestion]]:
        said = ask(pipeline, rows)
        unsure = dict.fromkeys(said.answers, [nan] * len(rows))
        surest = unsure | {name: each.max(axis=1).tolist() for name, each in said.scores.items() if each.ndim == 2}
        return [
            {name: Suggestion(answers[place], surest[name][place]) for name, answers in said.answers.items()} for place in range(len(rows))
        ]

    return suggest
