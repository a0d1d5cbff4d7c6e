"""Rows and candidates in one space: what belongs to what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.data.loader import Loader
from omnifuse.data.memory import MemoryRows
from omnifuse.data.sources import source_base
from omnifuse.data.table import iterate_rows, read_table
from omnifuse.model.heads.contrastive import ContrastiveHead
from omnifuse.pipeline.features import chunks, encode_rows

if TYPE_CHECKING:
    from omnifuse.pipeline.pipeline import Pipeline

CHUNK = 2048


def embed_rows(pipeline: Pipeline, rows: MemoryRows, target: str | None, batch_size: int) -> np.ndarray:
    """(N, E) rows in the space of a contrastive head, or without a target (N, D) what fusion makes of them, pooled."""
    loader = pipeline.loader(rows)
    parts = []
    with pipeline.evaluating(), torch.inference_mode():
        for part in chunks(len(rows), CHUNK):
            encoded = encode_rows(pipeline.model, loader, part, pipeline.device, batch_size)
            for start in range(0, len(encoded), batch_size):
                fused = pipeline.model.fuse(encoded.select(slice(start, start + batch_size)))
                made = fused.pooled if target is None else pipeline.model.head(target)(fused)
                parts.append(made.float().cpu().numpy())
    return np.concatenate(parts)


@torch.inference_mode()
def embed_values(pipeline: Pipeline, loader: Loader, target: str, values: Sequence[Any], batch_size: int) -> np.ndarray:
    """(C, E) canonical values of a target in the space of its contrastive head, each of length 1; the model is in evaluation mode."""
    head = pipeline.model.head(target)
    assert isinstance(head, ContrastiveHead)
    parts = [
        head.embed(loader.encode(target, values[at : at + batch_size]).to(pipeline.device)).cpu().numpy()
        for at in range(0, len(values), batch_size)
    ]
    return np.concatenate(parts) if parts else np.empty((0, 0), dtype=np.float32)


def embed_candidates(
    pipeline: Pipeline, candidates: Any, target: str, root: str | Path | None = None, batch_size: int = 256
) -> tuple[list[Any], np.ndarray]:
    """Candidates as the user gave them, and their vectors (C, E).

    Args:
        pipeline: the target has a contrastive head.
        candidates: raw values of the target, rows that hold it, or a table (or the path of one) with its column.
        target: name of the target.
        root: folder of relative media paths.
        batch_size: values at a time.

    Raises:
        OmnifuseError: there is no candidate, or one that is absent, cannot be read, or is a label that training did not hold.
    """
    source = pipeline.schema.sources[target]
    base = Path(root) if root else source_base(candidates, Path.cwd()) if isinstance(candidates, str | Path) else Path.cwd()
    each, given, vectors = _given(candidates, source), [], []
    with pipeline.evaluating():
        while part := list(islice(each, CHUNK)):
            first, most = len(given) + 1, int(pipeline.max_file_mb * 1e6)
            rows = [{source: value} for value in part]
            memory = MemoryRows(rows, pipeline.processors, [target], sources={target: source}, root=base, max_bytes=most, first=first)
            values = memory.take(range(len(part)), [target])[target]
            for number, value in enumerate(values, start=first):
                if not pipeline.processors[target].is_known(value):
                    fault = "is absent" if value is None else f"is {value!r}, which training did not hold"
                    raise OmnifuseError(f"candidate {number}, column {target}: {fault}; leave it out")
            vectors.append(embed_values(pipeline, pipeline.loader(memory, [target]), target, values, batch_size))
            given += part
    if not given:
        raise OmnifuseError("retrieval: there is no candidate to choose from")
    return given, np.concatenate(vectors)


def closest(rows: np.ndarray, candidates: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The places (N, k) of the candidates most similar to each row, the nearest first, and their similarities (N, k)."""
    similar = rows @ candidates.T
    order = np.argsort(-similar, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(similar, order, axis=1)


def retrieval_target(pipeline: Pipeline, target: str | None) -> str:
    """The target whose candidates are ranked.

    Raises:
        OmnifuseError: there is none, there are several and none is named, or the named one has no contrastive head.
    """
    able = [name for name in pipeline.schema.targets if pipeline.head_config(name).tells == "embedding"]
    if not able:
        raise OmnifuseError("retrieval: no target of this model has the head `contrastive`, so there is nothing to retrieve")
    if target is None and len(able) > 1:
        raise OmnifuseError(f"retrieval: the targets {', '.join(able)} can be retrieved; name one of them")
    if target is not None and target not in able:
        raise unknown("target to retrieve", target, able)
    return target or able[0]


def _given(candidates: Any, source: str) -> Iterator[Any]:
    """Raw values of the candidates, one after another."""
    if isinstance(candidates, Sequence) and not isinstance(candidates, str):
        for each in candidates:
            yield each[source] if isinstance(each, Mapping) and source in each else each
        return
    table = read_table(candidates)
    if source not in table.column_names:
        raise unknown("column", source, table.column_names, where="candidates")
    for row in iterate_rows(table, [source]):
        yield row[source]
