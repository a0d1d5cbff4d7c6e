"""Drawing values: what a model makes of the columns that are given, as often as is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.seeds import seed_of
from omnifuse.core.values import Fused
from omnifuse.data.loader import RawRows
from omnifuse.data.memory import MemoryRows
from omnifuse.data.modalities.audio import AudioProcessor
from omnifuse.data.modalities.points import PointsProcessor
from omnifuse.data.modalities.series import SeriesProcessor
from omnifuse.model.heads.sampling import RowNoise, Sampling
from omnifuse.pipeline.features import chunks, encode_rows
from omnifuse.pipeline.kept_features import value_key

if TYPE_CHECKING:
    from omnifuse.pipeline.pipeline import Pipeline

CHUNK = 2048
USED_BY = {
    "sample": {"steps", "solver", "guidance"},
    "text": {"temperature", "top_k", "top_p", "beams"},
    "label": {"temperature", "top_k", "top_p"},
    "labels": {"temperature"},
    "quantiles": {"temperature"},
}


class Seeds:
    """A seed for every answer: a function of the one that was asked for, of what the row holds, and of how many equal rows came before.

    So a row is answered alike in any company, and two equal rows differently.
    """

    def __init__(self, seed: int, num_samples: int) -> None:
        """Args: seed: the user's; num_samples: answers to a row."""
        self.seed, self.num_samples = seed, num_samples
        self.seen: Counter[bytes] = Counter()

    def take(self, raws: Mapping[str, Sequence[Any]], count: int) -> list[str]:
        """A word for each answer to some rows, given by their canonical values, row by row."""
        words = []
        for row in range(count):
            key = value_key(tuple((name, values[row]) for name, values in raws.items() if values[row] is not None))
            words += [f"{key.hex()} {self.seen[key]} {sample}" for sample in range(self.num_samples)]
            self.seen[key] += 1
        return words

    def noise(self, target: str, words: Sequence[str]) -> RowNoise:
        """The noise of a target in these answers."""
        return RowNoise([seed_of(self.seed, target, word) for word in words])


def generation_targets(pipeline: Pipeline, targets: Sequence[str] | None, given: MemoryRows) -> list[str]:
    """The targets that are asked for; by default those that no row has.

    Raises:
        OmnifuseError: no such target, one that is retrieved, or none at all.
    """
    schema = pipeline.schema
    if isinstance(targets, str):
        targets = [targets]
    if targets is None:
        raws = given.take(range(len(given)), schema.inputs)
        free = [name for name in schema.targets if name not in raws or all(value is None for value in raws[name])]
        targets = [name for name in free if pipeline.head_config(name).tells != "embedding"]
        if not targets:
            raise OmnifuseError(f"every column that can be generated is given; name one as target: {', '.join(schema.targets)}")
    for name in targets:
        if name not in schema.targets:
            raise unknown("target", name, schema.targets)
        if pipeline.head_config(name).tells == "embedding":
            raise OmnifuseError(f"{name} is found among candidates, not made; use `Pipeline.retrieve`")
    return list(dict.fromkeys(targets))


def check_sampling(pipeline: Pipeline, targets: Sequence[str], sampling: Sampling) -> None:
    """Raise where an option means nothing to any of the targets."""
    used = set[str]().union(*(USED_BY.get(pipeline.head_config(name).tells, set()) for name in targets))
    for option in ("steps", "solver", "guidance", "temperature", "top_k", "top_p", "beams"):
        if getattr(sampling, option) is not None and option not in used:
            can = ", ".join(sorted(used)) or "none"
            raise OmnifuseError(f"{option}: means nothing to {', '.join(targets)}; options of how they are made: {can}")


def draw_rows(
    pipeline: Pipeline, rows: MemoryRows, targets: Sequence[str], seeds: Seeds, sampling: Sampling, batch_size: int
) -> Iterator[dict[str, Any]]:
    """The answers to some rows, those to one row after another."""
    model, loader = pipeline.model, pipeline.loader(rows)
    given = [name for name in pipeline.schema.inputs if name not in targets]
    with pipeline.evaluating():
        for part in chunks(len(rows), CHUNK):
            encoded = encode_rows(model, loader, part, pipeline.device, batch_size).without(targets).repeated(seeds.num_samples)
            words = seeds.take(rows.take(part, given) if given else {}, len(part))
            for start in range(0, len(encoded), batch_size):
                place = slice(start, start + batch_size)
                with torch.inference_mode():
                    fused = model.fuse(encoded.select(place))
                    made = {name: _draw(pipeline, name, fused, seeds.noise(name, words[place]), sampling) for name in targets}
                yield from (dict(zip(made, row, strict=True)) for row in zip(*made.values(), strict=True))


def draw_between(
    pipeline: Pipeline, ends: MemoryRows, target: str, count: int, seed: int, sampling: Sampling, batch_size: int
) -> list[Any]:
    """`count` values on the way between what fusion makes of two rows, all from the same noise."""
    model = pipeline.model
    with pipeline.evaluating(), torch.inference_mode():
        encoded = encode_rows(model, pipeline.loader(ends), next(chunks(2, 2)), pipeline.device, 2).without([target])
        fused = model.fuse(encoded.select(slice(0, 2)))
        share_N = torch.linspace(0, 1, count, device=fused.pooled.device)
        made: list[Any] = []
        for share_B in share_N.split(batch_size):
            noise = RowNoise([seed_of(seed, target, "between")] * len(share_B))
            made += _draw(pipeline, target, _between(fused, share_B), noise, sampling)
    return made


def given_rows(pipeline: Pipeline, rows: RawRows, target: str, most: int) -> list[dict[str, Any]]:
    """What the first rows give that differ in it, as `Pipeline.generate` takes it, without the target; in alphabetical order of texts."""
    names = [name for name in pipeline.schema.inputs if name != target]
    values = rows.take(range(min(len(rows), CHUNK)), names) if names else {}
    different = dict.fromkeys(zip(*values.values(), strict=True))
    chosen = sorted(list(different)[:most], key=str)
    files: dict[Any, bytes] = {}
    for place, name in enumerate(names):
        if pipeline.processors[name].is_media:
            keys = list(dict.fromkeys(row[place] for row in chosen if row[place] is not None))
            files |= dict(zip(keys, rows.media(keys), strict=True))
    return [dict(zip(names, (files.get(value, value) for value in row), strict=True)) for row in chosen] or [{}]


def _between(ends: Fused, share_B: Tensor) -> Fused:
    """(1 − s)·first + s·second, of the pooled vectors and of each token; a token that one end lacks counts as zeros there."""
    tokens_2MD = torch.where(ends.mask.unsqueeze(-1), ends.tokens, 0)
    mixed = [x_2[0] + share_B.view(-1, *[1] * (x_2.ndim - 1)) * (x_2[1] - x_2[0]) for x_2 in (tokens_2MD, ends.pooled)]
    return Fused(tokens=mixed[0], mask=ends.mask.any(dim=0).expand(len(share_B), -1), pooled=mixed[1])


def _draw(pipeline: Pipeline, name: str, fused: Fused, noise: RowNoise, sampling: Sampling) -> list[Any]:
    """Values of one target as the pipeline reads them too, cut where they end."""
    head, processor = pipeline.model.head(name), pipeline.processors[name]
    drawn = head.generate(head(fused), noise, sampling).cpu()
    lengths = head.lengths(drawn)
    if lengths is None:
        values = processor.decode(drawn)
    else:
        axis = processor.spec.shape.index(None) + 1
        values = [processor.decode(drawn[row : row + 1].narrow(axis, 0, length))[0] for row, length in enumerate(lengths)]
    if isinstance(processor, AudioProcessor):
        return [{"array": wave, "sampling_rate": processor.config.rate_hz} for wave in values]
    if isinstance(processor, SeriesProcessor | PointsProcessor):
        return [dict(zip(processor.channels, value.T, strict=True)) for value in values]
    return values
