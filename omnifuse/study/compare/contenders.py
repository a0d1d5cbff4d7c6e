"""Who takes part: every fusion that is named, each input column alone, other encoders, fewer columns."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any, Literal

from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.registry import PartConfig
from omnifuse.model.encoders.config import ENCODERS
from omnifuse.model.fusion.config import FUSIONS, FusionConfig
from omnifuse.model.pretrained.config import PretrainedConfig
from omnifuse.train.recipe import Recipe

HANDFUL = ("concat", "weighted_sum", "product", "low_rank", "gated", "joint")
LONGEST = 48  # letters of a word in the name of a folder


@dataclass(frozen=True)
class Contender:
    """A model that takes part.

    Attributes:
        key: names its files.
        name: is shown.
        kind: `fusion` of several columns, or one column alone (`single`).
        columns: the input columns that it reads.
        fusion: how they are brought together.
        encoders: of its columns, where one is named.
    """

    key: str
    name: str
    kind: Literal["fusion", "single"]
    columns: tuple[str, ...]
    fusion: PartConfig
    encoders: Mapping[str, PartConfig]

    def recipe(self, recipe: Recipe, seed: int) -> Recipe:
        """The recipe that trains it: the columns it does not read are ignored, and all else is as it was.

        Raises:
            OmnifuseError: the fusion or an encoder cannot be used with these columns.
        """
        value = recipe.dump()
        for name in recipe.columns.inputs:
            if name not in self.columns:
                value["columns"][name]["role"] = "ignore"
        value["model"]["fusion"] = self.fusion.model_dump(mode="json")
        value["model"]["encoders"] = {name: encoder.model_dump(mode="json") for name, encoder in self.encoders.items()}
        return Recipe.make({**value, "seed": seed})

    def fault(self, recipe: Recipe) -> str | None:
        """Why it cannot be trained, as far as the recipe tells it; `None` where it can."""
        try:
            self.recipe(recipe, recipe.seed)
            if isinstance(self.fusion, FusionConfig):
                self.fusion.check(self.columns, recipe.model.dim)
        except OmnifuseError as error:
            return str(error)
        return None


@dataclass(frozen=True)
class Field:
    """All who take part, and who does not with the reason."""

    contenders: list[Contender]
    left_out: dict[str, str]


def gather(
    recipe: Recipe,
    fusions: Sequence[str | Mapping[str, Any] | PartConfig] | None = None,
    encoders: Mapping[str, Sequence[str | Mapping[str, Any] | PartConfig]] | None = None,
    subsets: Sequence[Sequence[str]] = (),
) -> Field:
    """The contenders of a comparison: each column alone first, then every fusion.

    Args:
        recipe: whose model is compared with others.
        fusions: names or options; `all` for every registered one that needs no pretrained model; by default the recipe's
            own and a handful that suit most data.
        encoders: by column, others to try beside the recipe's own; all combinations take part, in every fusion.
        subsets: input columns that are fused without the others.

    Raises:
        OmnifuseError: an unknown name, a fusion by name that cannot fuse these columns, or fewer than two input columns.
    """
    inputs = recipe.columns.inputs
    if len(inputs) < 2:
        raise OmnifuseError(f"compare: the recipe has one input column ({inputs[0]}); there is nothing to fuse")
    chosen, demanded = _fusions(recipe, fusions)
    others = _others(recipe, encoders or {})
    left_out: dict[str, str] = {}
    found = [contender for column in inputs for contender in _alone(recipe, column, chosen, others)]
    for columns in dict.fromkeys([tuple(inputs), *(_subset(recipe, subset) for subset in subsets)]):
        for fusion in chosen if len(columns) > 1 else ():
            plain = _contender("fusion", columns, fusion, recipe, {})
            fault = plain.fault(recipe)
            if fault and demanded and len(columns) == len(inputs):
                raise OmnifuseError(f"--fusion {fusion.name}: {fault}")
            if fault:
                left_out[plain.name] = fault
            else:
                found += [_contender("fusion", columns, fusion, recipe, each) for each in _combinations(others, columns)]
    for contender in found:
        if fault := contender.fault(recipe):
            raise OmnifuseError(fault)
    return Field(list({contender.key: contender for contender in found}.values()), left_out)


def _fusions(recipe: Recipe, given: Sequence[Any] | None) -> tuple[list[PartConfig], bool]:
    """The fusions to try, and whether the user named them."""
    own = recipe.model.fusion
    words = [own, *HANDFUL] if given is None else list(given)
    demanded = given is not None and "all" not in words
    if given is not None and "all" in words:
        every = [name for name in FUSIONS if not issubclass(FUSIONS[name].config, PretrainedConfig)]
        words = [word for word in [own, *words, *every] if word != "all"]
    parsed = [own if word == own.name else FUSIONS.parse(word, "--fusion") for word in words]
    if not parsed:
        raise OmnifuseError(f"--fusion: name at least one fusion, or all; known: {', '.join(FUSIONS)}")
    return list({_label(fusion): fusion for fusion in parsed}.values()), demanded


def _subset(recipe: Recipe, columns: Sequence[str]) -> tuple[str, ...]:
    inputs = recipe.columns.inputs
    for name in columns:
        if name not in inputs:
            raise unknown("input column", name, inputs, where="--columns")
    if len(set(columns)) < 2:
        raise OmnifuseError(f"--columns {', '.join(columns)}: name at least two input columns; each one alone takes part anyway")
    return tuple(name for name in inputs if name in columns)


def _others(recipe: Recipe, encoders: Mapping[str, Sequence[Any]]) -> dict[str, list[PartConfig]]:
    """By column, the encoders that are named, without the recipe's own."""
    inputs = recipe.columns.inputs
    others: dict[str, list[PartConfig]] = {}
    for column, values in encoders.items():
        if column not in inputs:
            raise unknown("input column", column, inputs, where="--encoder")
        own = recipe.model.encoder_of(column, recipe.columns[column].modality)
        parsed = [ENCODERS.parse(value, f"--encoder {column}") for value in values if value != own.name]
        others[column] = [encoder for encoder in parsed if encoder != own]
    return others


def _combinations(others: Mapping[str, Sequence[PartConfig]], columns: tuple[str, ...]) -> list[dict[str, PartConfig]]:
    """By column, which encoder takes the place of the recipe's: nowhere first, then every combination."""
    choices = [[None, *((column, encoder) for encoder in encoders)] for column, encoders in others.items() if column in columns]
    return [dict(pair for pair in each if pair) for each in product(*choices)]


def _alone(recipe: Recipe, column: str, fusions: Sequence[PartConfig], others: Mapping[str, Sequence[PartConfig]]) -> list[Contender]:
    """The models that read one column alone."""
    readers = _readers(recipe, column, fusions)
    each = [(reader, encoders) for reader in readers for encoders in _combinations(others, (column,))]
    return [_contender("single", (column,), reader, recipe, encoders, len(readers) > 1) for reader, encoders in each]


def _readers(recipe: Recipe, column: str, fusions: Sequence[PartConfig]) -> list[PartConfig]:
    """How one column alone is read: by a pooled fusion where one takes part, by attention over its tokens where that does.

    So what is won by attending to the tokens of one column is not taken for what is won by fusing several. Each time it is
    the recipe's own fusion where it is of that kind and can read one column, else `concat` or `joint`.
    """
    own = recipe.model.fusion
    readers = []
    for attends, usual in ((False, "concat"), (True, "joint")):
        alike = [fusion for fusion in fusions if attends_to_tokens(fusion) == attends]
        tried = [fusion for fusion in (own, FUSIONS.parse(usual), *alike) if attends_to_tokens(fusion) == attends]
        fits = (fusion for fusion in tried if not _contender("single", (column,), fusion, recipe, {}).fault(recipe))
        readers += islice(fits, 1) if alike else ()
    return readers


def attends_to_tokens(fusion: PartConfig) -> bool:
    """Whether a fusion sees the single tokens of a column, and not only their mean."""
    from omnifuse.model.fusion.fusion import PooledFusion

    home = FUSIONS[fusion.name].load()
    return not (isinstance(home, type) and issubclass(home, PooledFusion))


def _contender(
    kind: Literal["fusion", "single"],
    columns: tuple[str, ...],
    fusion: PartConfig,
    recipe: Recipe,
    encoders: Mapping[str, PartConfig],
    several: bool = True,
) -> Contender:
    """A contender with its names; `encoders` are those that differ from the recipe's."""
    label = _label(fusion)
    if kind == "single":
        key, name = f"only-{_word(columns[0])}-{_word(label)}", f"{columns[0]} alone" + (f" ({label})" if several else "")
    elif len(columns) == len(recipe.columns.inputs):
        key, name = _word(label), label
    else:
        key, name = "-".join([_word(label), "of", *map(_word, columns)]), f"{label} of {' + '.join(columns)}"
    if encoders:
        words = [f"{column}: {_label(encoder)}" for column, encoder in encoders.items()]
        key, name = "-".join([key, "with", *map(_word, words)]), f"{name}, {', '.join(words)}"
    ignored = set(recipe.columns.inputs) - set(columns)  # a target may have an encoder too
    chosen = {column: part for column, part in {**recipe.model.encoders, **encoders}.items() if column not in ignored}
    return Contender(key, name, kind, columns, fusion, chosen)


def _label(part: PartConfig) -> str:
    """Its name, and the options that are not the usual ones.

    >>> _label(FUSIONS.parse({"name": "low_rank", "rank": 4})), _label(FUSIONS.parse("concat"))
    ('low_rank (rank 4)', 'concat')
    """
    told = part.model_dump(mode="json", exclude_defaults=True, exclude={"name", "architecture"})
    return part.name + (f" ({', '.join(f'{name} {value}' for name, value in told.items())})" if told else "")


def _word(text: str) -> str:
    """A text as a part of the name of a folder; what is changed by that gets a hash, so that two do not become one.

    >>> _word("image"), _word("low_rank (rank 4)"), _word("größe") != _word("grüße")
    ('image', 'low_rank-rank-4', True)
    """
    word = re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")
    harmless = re.fullmatch(r"[A-Za-z0-9_]+( \([A-Za-z0-9_., ]+\))?", text)
    if harmless and len(word) <= LONGEST:
        return word
    return f"{word[:LONGEST]}-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"
