"""Beginning with what an earlier run has learned."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.registry import PartConfig
from omnifuse.core.schema import Schema
from omnifuse.data.modalities.fitting import Processors
from omnifuse.data.modalities.processor import Processor
from omnifuse.model.config import ModelConfig
from omnifuse.model.pretrained.tuning import ADDED, adapted_names, merged
from omnifuse.pipeline.pipeline import Pipeline


class EarlierRun:
    """A finished run whose weights another one begins with.

    - Inputs with the same options are read as that run read them: the same vocabulary, the same scale.
    - Weights are taken where the part is of the same kind, and name and shape are the same. Low-rank additions of that run are
      added into the weights they belong to, so that what was learned stays and new additions begin at nothing.
    - Weights of a column with another vocabulary than there are not taken, for its ids mean something else.
    """

    def __init__(self, run: str) -> None:
        """Args: run: its folder.

        Raises:
            OmnifuseError: there is none, or it has not finished.
        """
        self.name = run
        try:
            self.pipeline = Pipeline.load(Path(run).expanduser(), "cpu")
        except OmnifuseError as error:
            raise OmnifuseError(f"train.init: {error}") from None

    def processors(self, schema: Schema, fitted: Processors) -> dict[str, Processor[Any]]:
        """The processors of that run for inputs with the same options, newly fitted ones for all others."""
        chosen = dict(fitted)
        for name in schema.inputs:
            known = self.pipeline.processors.get(name)
            if known is not None and known.config == fitted[name].config:
                known.optional_ = known.optional_ or fitted[name].optional_
                chosen[name] = known
        return chosen

    def hand_on(self, pipeline: Pipeline) -> str:
        """Put the weights into another pipeline; returns in a sentence which ones.

        Raises:
            OmnifuseError: none of them fits.
        """
        model = pipeline.model
        here, barred = model.state_dict(), self._barred(pipeline)
        known = {name: tensor for name, tensor in adapted_names(merged(self.pipeline.model), model).items() if ADDED not in name}
        fits = {n: t for n, t in known.items() if n in here and t.shape == here[n].shape and not n.startswith(barred)}
        if not fits:
            raise OmnifuseError(f"train.init: no weight of {self.name} fits this model; are model.dim and the columns the same?")
        model.load_state_dict({**here, **fits})
        return _told(self.name, fits, [name for name in here if ADDED not in name], known)

    def _barred(self, pipeline: Pipeline) -> tuple[str, ...]:
        """How the names of weights begin that mean something else here: of parts of another kind, and of other vocabularies."""
        theirs, ours, model = self.pipeline, pipeline, pipeline.model
        strange = {n for n, p in ours.processors.items() if n in theirs.processors and not _means_the_same(theirs.processors[n], p)}
        barred = ["unimodal."] if strange else []
        barred += ["fusion."] if theirs.config.fusion.name != ours.config.fusion.name else []
        for kind, modules, part_of in (("encoders", model.encoders, ModelConfig.encoder_of), ("heads", model.heads, ModelConfig.head_of)):
            for name in modules:
                alike = name in theirs.schema and _is_alike(theirs, ours, name, part_of)
                barred += [] if alike and name not in strange else [f"{kind}.{modules.key(name)}."]
        return tuple(barred)


def _is_alike(theirs: Pipeline, ours: Pipeline, name: str, part_of: Callable[[ModelConfig, str, str], PartConfig]) -> bool:
    """Whether a column has a part of the same kind in both."""
    if theirs.schema[name].modality != ours.schema[name].modality:
        return False
    return part_of(theirs.config, name, theirs.schema[name].modality).name == part_of(ours.config, name, ours.schema[name].modality).name


def _means_the_same(one: Processor[Any], other: Processor[Any]) -> bool:
    if one.spec.modality != other.spec.modality:
        return False
    states = [{key: value for key, value in processor.state().items() if key != "optional"} for processor in (one, other)]
    return other.spec.size == 0 or states[0] == states[1]


def _told(run: str, taken: Collection[str], here: Collection[str], known: Collection[str]) -> str:
    """Which parts of the model begin with what."""
    counts = {part: [0, 0] for part in map(_part, here)}
    for name in here:
        counts[_part(name)][0] += name in taken
        counts[_part(name)][1] += 1
    lists = {
        "": [part for part, (have, all_) in counts.items() if have == all_],
        "in part ": [f"{part} ({have} of {all_} tensors)" for part, (have, all_) in counts.items() if 0 < have < all_],
        "new ": [part for part, (have, _) in counts.items() if have == 0],
        "not there any more ": list(dict.fromkeys(part for part in map(_part, known) if part not in counts)),
    }
    return f"begins with the weights of {run}: " + "; ".join(word + ", ".join(parts) for word, parts in lists.items() if parts)


def _part(name: str) -> str:
    first, second, *_ = [*name.split("."), ""]
    kinds = {"encoders": "encoder of", "heads": "head of"}
    return f"{kinds[first]} {unquote(second.removeprefix('@'))}" if first in kinds else first.replace("languages", "language model")
