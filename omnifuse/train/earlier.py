"""Beginning with what an earlier run has learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data.modalities.fitting import Processors
from omnifuse.data.modalities.processor import Processor
from omnifuse.model.pretrained.tuning import ADDED, adapted_names, merged
from omnifuse.pipeline.pipeline import Pipeline


class EarlierRun:
    """A finished run whose weights another one begins with.

    - Inputs with the same options are read as that run read them: the same vocabulary, the same scale.
    - Weights are taken where name and shape are the same. Low-rank additions of that run are added into the weights they belong
      to, so that what was learned stays and new additions begin at nothing.
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
        here, strange = model.state_dict(), self._strange(pipeline)
        known = {name: tensor for name, tensor in adapted_names(merged(self.pipeline.model), model).items() if ADDED not in name}
        fits = {n: t for n, t in known.items() if n in here and t.shape == here[n].shape and not strange & set(n.split("."))}
        if not fits:
            raise OmnifuseError(f"train.init: no weight of {self.name} fits this model; are model.dim and the columns the same?")
        model.load_state_dict({**here, **fits})
        return _told(self.name, set(fits), {name for name in here if ADDED not in name}, set(known))

    def _strange(self, pipeline: Pipeline) -> set[str]:
        """What the modules of columns are called that have another vocabulary here than there."""
        theirs, ours = self.pipeline.processors, pipeline.processors
        different = {name for name in ours if name in theirs and not _means_the_same(theirs[name], ours[name])}
        columns = [pipeline.model.encoders, pipeline.model.heads]
        return {modules.key(name) for modules in columns for name in modules if name in different}


def _means_the_same(one: Processor[Any], other: Processor[Any]) -> bool:
    if one.spec.modality != other.spec.modality:
        return False
    states = [{key: value for key, value in processor.state().items() if key != "optional"} for processor in (one, other)]
    return other.spec.size == 0 or states[0] == states[1]


def _told(run: str, taken: set[str], here: set[str], known: set[str]) -> str:
    parts = {_part(name): [0, 0] for name in here}
    for name in here:
        parts[_part(name)][0] += name in taken
        parts[_part(name)][1] += 1
    whole = [part for part, (have, want) in parts.items() if have == want]
    some = [f"{part} ({have} of {want} tensors)" for part, (have, want) in parts.items() if 0 < have < want]
    new = [part for part, (have, _) in parts.items() if have == 0]
    left = sorted({_part(name) for name in known - taken} - set(whole) - set(new) - {entry.partition(" (")[0] for entry in some})
    lists = {"": whole, "in part ": some, "new ": new, "not used ": left}
    return f"begins with the weights of {run}: " + "; ".join(word + ", ".join(names) for word, names in lists.items() if names)


def _part(name: str) -> str:
    first, second, *_ = [*name.split("."), ""]
    kinds = {"encoders": "encoder of", "heads": "head of"}
    return f"{kinds[first]} {unquote(second.removeprefix('@'))}" if first in kinds else first.replace("languages", "language model")
