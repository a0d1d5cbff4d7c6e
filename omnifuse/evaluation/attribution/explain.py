"""Row by row, which column and which part of its value decided the answer (`of.explain`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from omnifuse.core.errors import unknown
from omnifuse.core.values import Tokens
from omnifuse.data.dataset import Dataset
from omnifuse.data.loader import Loader, RawRows
from omnifuse.evaluation.answers import Candidates
from omnifuse.evaluation.attribution.explanation import Explanation, Method
from omnifuse.evaluation.attribution.given import given_targets
from omnifuse.evaluation.attribution.maps import Map
from omnifuse.evaluation.attribution.parts import Parts, parts_of
from omnifuse.evaluation.attribution.support import Support, explainable
from omnifuse.evaluation.subsets import coalitions, shapley
from omnifuse.pipeline.features import EncodedRows, chunks, encode_rows
from omnifuse.pipeline.pipeline import Pipeline

LIGHT = 2_000_000


def explain(
    pipeline: Pipeline,
    rows: Any,
    *,
    target: str | None = None,
    method: Method = "occlusion",
    columns: Sequence[str] | None = None,
    root: str | Path | None = None,
    batch_size: int = 256,
) -> list[Explanation]:
    """Tell for every row which column, and which part of it, decided the answer.

        explanation = of.explain(pipeline, [{"photo": "photo.png", "question": "what color is the circle?"}])[0]
        explanation.contributions  # {"photo": 0.41, "question": 0.47}
        explanation.maps["question"].pieces  # (("what", 0.0), (" color", 0.05), …)

    `occlusion` takes each part of a value away and asks again (Zeiler & Fergus 2014, arXiv 1311.2901): it needs no gradient and works for
    every encoder; a row takes some hundred variants of it, whose untouched columns are encoded once. `gradient` is (value − what
    occlusion would put there) × gradient, the same fall to first order, in one backward pass (Simonyan et al. 2013, arXiv 1312.6034);
    columns that hold no numbers, such as texts, and those with a frozen network are occluded.

    Args:
        pipeline: trained.
        rows: as for `Pipeline.predict`, or a prepared `Dataset`. What they hold of the target is looked at only by a retrieval.
        target: which one, where the model answers several. A column of role `both` is hidden when it is asked for.
        method: `occlusion` or `gradient`.
        columns: of which there shall be maps; by default all inputs. Contributions are of all.
        root: folder of relative media paths; the folder of the table, or the working directory.
        batch_size: variants at a time.

    Returns:
        One explanation a row, in order. What its numbers measure depends on the kind of target, see `Support`.

    Raises:
        OmnifuseError: no such target, method or column, a target that is drawn, a retrieval whose rows hold no value of the target, or
            a value that cannot be read.
    """
    parts = explain_each(pipeline, rows, target=target, method=method, columns=columns, root=root, batch_size=batch_size)
    return [each for _, explained in parts for each in explained]


def explain_each(
    pipeline: Pipeline,
    rows: Any,
    *,
    target: str | None = None,
    method: Method = "occlusion",
    columns: Sequence[str] | None = None,
    root: str | Path | None = None,
    batch_size: int = 256,
) -> Iterator[tuple[RawRows, list[Explanation]]]:
    """As `explain`, a few thousand rows at a time in memory, each time with the rows themselves."""
    target = explainable(pipeline, target)
    known = pipeline.schema.inputs_for(target)
    if method not in get_args(Method):
        raise unknown("method", method, get_args(Method))
    for name in columns or ():
        if name not in known:
            raise unknown("input column", name, known, where="columns")
    towards, candidates = None, None
    if pipeline.head_config(target).tells == "embedding":
        towards, candidates = given_targets(pipeline, rows, target, root, batch_size)
    done = 0
    for part in [rows] if isinstance(rows, Dataset) else pipeline.read(rows, root):
        near = None if towards is None else towards[done : done + len(part)]
        explained = explain_rows(
            pipeline,
            part,
            np.arange(len(part)),
            target,
            method=method,
            columns=columns,
            batch_size=batch_size,
            towards=near,
            candidates=candidates,
        )
        yield part, explained
        done += len(part)


def explain_rows(
    pipeline: Pipeline,
    rows: RawRows,
    index: Sequence[int] | np.ndarray,
    target: str,
    *,
    method: Method = "occlusion",
    columns: Sequence[str] | None = None,
    batch_size: int = 256,
    towards: Sequence[Any] | None = None,
    candidates: Candidates | None = None,
) -> list[Explanation]:
    """Explain the rows at `index` of rows that are canonical already; `towards` are their values of a target that is retrieved among
    `candidates`, and all names are right.
    """
    loader = pipeline.loader(rows)
    places, explained = np.asarray(index, dtype=np.int64), []
    with pipeline.evaluating():
        for part in chunks(len(places), batch_size):
            near = [None] * len(part) if towards is None else [towards[place] for place in part]
            explained += _Asked(pipeline, loader, places[part], target, near, candidates, batch_size).explanations(method, columns)
    return explained


@dataclass(frozen=True)
class _Variant:
    """A row (by its place among the N) with another item in one column."""

    row: int
    item: np.ndarray | None


class _Asked:
    """Some rows, encoded once, and what the model says about a target when they are changed."""

    def __init__(
        self,
        pipeline: Pipeline,
        loader: Loader,
        index: np.ndarray,
        target: str,
        towards: Sequence[Any],
        candidates: Candidates | None,
        batch_size: int,
    ) -> None:
        """Encode the rows and take the answers."""
        self.model, self.device, self.loader, self.batch_size = pipeline.model, pipeline.device, loader, batch_size
        self.target, self.names = target, pipeline.schema.inputs_for(target)
        hidden = [name for name in pipeline.schema.inputs if name not in self.names]
        self.asked, self.raws = coalitions(self.names), loader.rows.take(index, self.names)
        self.encoded: EncodedRows = encode_rows(self.model, loader, index, self.device, batch_size).without(hidden)
        every = torch.arange(len(index), device=self.device)
        with torch.inference_mode():
            output = self._output(self._tokens(every))
            self.support = Support(pipeline, target, output, towards, candidates)
            self.intact = self.support.of(output, every).double().cpu().numpy()

    def explanations(self, method: Method, columns: Sequence[str] | None) -> list[Explanation]:
        """All there is to say about the rows."""
        worths = self._of_subsets()
        shares = shapley(worths, self.asked)
        wanted = [name for name in self.names if columns is None or name in columns]
        parts = {name: self._parts(name) for name in wanted}
        smooth = [name for name in wanted if method == "gradient" and self._is_smooth(name)]
        maps = {name: self._occluded(name, parts[name]) for name in wanted if name not in smooth}
        maps |= self._gradients({name: parts[name] for name in smooth})
        return [
            Explanation(
                self.target,
                answer,
                self.support.name,
                float(self.intact[row]),
                float(worths[frozenset()][row]),
                {name: float(shares[name][row]) for name in self.names},
                {name: maps[name].get(row) for name in wanted},
                {name: "gradient" if name in smooth else "occlusion" for name in wanted if row in maps[name]},
                len(self.asked.known) + sum(len(parts[name][row]) for name in wanted if name not in smooth and row in parts[name]),
            )
            for row, answer in enumerate(self.support.answers)
        ]

    @torch.inference_mode()
    def _of_subsets(self) -> dict[frozenset[str], np.ndarray]:
        """(N,) support by the columns that are there."""
        known, count, found = self.asked.known, len(self.intact), []
        there = torch.tensor([[name in some for name in self.names] for some in known], device=self.device)
        for start in range(0, len(known) * count, self.batch_size):
            place = torch.arange(start, min(start + self.batch_size, len(known) * count), device=self.device)
            tokens = self._tokens(place % count)
            kept = {name: tokens[name].keep(there[place // count, column]) for column, name in enumerate(self.names)}
            found.append(self.support.of(self._output({**tokens, **kept}), place % count).double().cpu().numpy())
        return dict(zip(known, np.concatenate(found).reshape(len(known), count), strict=True))

    def _parts(self, name: str) -> dict[int, Parts]:
        """The parts of a column by row, where it is there and has some."""
        processor, items = self.loader.processors[name], self.loader.items(name, self.raws[name])
        is_fine = self.device.type != "cpu" or sum(weights.numel() for weights in self.model.encoders[name].parameters()) <= LIGHT
        different = {raw: parts_of(processor, raw, item, is_fine) for raw, item in items.items()}
        found = {row: different[raw] for row, raw in enumerate(self.raws[name]) if raw is not None}
        return {row: parts for row, parts in found.items() if parts is not None}

    @torch.inference_mode()
    def _occluded(self, name: str, parts: Mapping[int, Parts]) -> dict[int, Map]:
        """By row, the map of how far the support falls without each part."""
        variants = (_Variant(row, each.without(part)) for row, each in parts.items() for part in range(len(each)))
        processor, supports = self.loader.processors[name], []
        while batch := list(islice(variants, self.batch_size)):
            rows = torch.tensor([variant.row for variant in batch], device=self.device)
            changed = self.model.encoders[name](processor.collate([variant.item for variant in batch]).to(self.device))
            supports.append(self.support.of(self._output({**self._tokens(rows, but=name), name: changed}), rows).double().cpu().numpy())
        found, maps, done = np.concatenate(supports) if supports else np.empty(0), {}, 0
        for row, each in parts.items():
            maps[row] = each.drawn(self.intact[row] - found[done : done + len(each)])
            done += len(each)
        return maps

    def _is_smooth(self, name: str) -> bool:
        """Whether the support has a gradient in a column."""
        is_frozen = getattr(self.model.encoders[name], "is_frozen", False)
        return not is_frozen and self.loader.processors[name].collate([None]).data.is_floating_point()

    def _gradients(self, parts: Mapping[str, Mapping[int, Parts]]) -> dict[str, dict[int, Map]]:
        """By column and row, the map of (value − blank) × gradient."""
        named = {name: each for name, each in parts.items() if each}
        if not named:
            return {name: {} for name in parts}
        every = torch.arange(len(self.intact), device=self.device)
        tokens, data = self._tokens(every), {}
        for name in named:
            items = self.loader.items(name, self.raws[name])
            values = self.loader.processors[name].collate([None if raw is None else items[raw] for raw in self.raws[name]]).to(self.device)
            data[name] = values.data.requires_grad_()
            tokens[name] = self.model.encoders[name](values)
        slopes = torch.autograd.grad(self.support.of(self._output(tokens), every).sum(), list(data.values()), allow_unused=True)
        maps: dict[str, dict[int, Map]] = {name: {} for name in parts}
        for (name, values), slope in zip(data.items(), slopes, strict=True):
            blank = next(iter(named[name].values())).blank(values)
            products = ((values - blank) * (0 if slope is None else slope)).detach().double().cpu().numpy()
            for row, each in named[name].items():
                drawn = each.summed(products[row])
                if drawn is not None:
                    maps[name][row] = drawn
        return maps

    def _tokens(self, rows: Tensor, but: str = "") -> dict[str, Tokens]:
        """Tokens of these rows, of all columns but one."""
        tokens, index = self.encoded.tokens, self.encoded.index
        return {name: tokens[name].select(index[name][rows]) for name in tokens if name != but}

    def _output(self, tokens: Mapping[str, Tokens]) -> Any:
        """What the head makes of them; columns in the order of the model."""
        ordered = {name: tokens[name] for name in self.model.encoders}
        return self.model.heads[self.target](self.model.fuse(ordered))
