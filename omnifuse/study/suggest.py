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
from omnifuse.pipeline.features import chunks, encode_rows
from omnifuse.pipeline.pipeline import CHUNK, Pipeline


@dataclass(frozen=True)
class Said:
    """Answers of a model to N rows.

    Attributes:
        answers: by target, the decoded answers.
        scores: by target, probabilities (N, K), or standardised values (N,).
        embeddings: (N, D) what fusion made of each row, pooled.
    """

    answers: dict[str, list[Any]]
    scores: dict[str, np.ndarray]
    embeddings: np.ndarray


@torch.inference_mode()
def ask(pipeline: Pipeline, rows: RawRows, batch_size: int = 256) -> Said:
    """Answers, probabilities and embeddings of some rows; they are held in memory, the rows' values are not."""
    loader = pipeline.loader(rows)
    scores: dict[str, list[torch.Tensor]] = {name: [] for name in pipeline.schema.targets}
    embeddings: list[torch.Tensor] = []
    with pipeline.evaluating():
        for part in chunks(len(rows), CHUNK):
            encoded = encode_rows(pipeline.model, loader, part, pipeline.device, batch_size)
            for start in range(0, len(encoded), batch_size):
                fused = pipeline.model.fuse(encoded.select(slice(start, start + batch_size)))
                embeddings.append(fused.pooled.float().cpu())
                for name, answer in pipeline.model.answers(pipeline.model.outputs(fused)).items():
                    scores[name].append(answer.cpu())
    joined = {name: torch.cat(parts) for name, parts in scores.items() if parts}
    decoded = {name: pipeline.processors[name].decode(pipeline.model.head(name).answer(each)) for name, each in joined.items()}
    pooled = torch.cat(embeddings).numpy() if embeddings else np.empty((0, 0), dtype=np.float32)
    return Said(decoded, {name: each.numpy() for name, each in joined.items()}, pooled)


def suggestions(pipeline: Pipeline) -> Suggest:
    """A function that tells what the pipeline would answer, for `export_tasks`."""

    def suggest(rows: RawRows) -> list[Mapping[str, Suggestion]]:
        said = ask(pipeline, rows)
        surest = {name: each.max(axis=1).tolist() if each.ndim == 2 else [nan] * len(rows) for name, each in said.scores.items()}
        return [
            {name: Suggestion(answers[place], surest[name][place]) for name, answers in said.answers.items()} for place in range(len(rows))
        ]

    return suggest
