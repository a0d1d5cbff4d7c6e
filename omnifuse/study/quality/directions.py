"""From what to what: the directions in which a model is tried."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.core.schema import Schema
from omnifuse.pipeline.pipeline import Pipeline

NOTHING = "nothing"
DRAWN = ("sample", "text")
TRIED = (*DRAWN, "label")


@dataclass(frozen=True)
class Direction:
    """Columns that are given, and the one that is made.

    >>> Direction(("image", "sound"), "word").name
    'image + sound -> word'
    """

    given: tuple[str, ...]
    target: str

    @property
    def name(self) -> str:
        """As it is written."""
        return f"{' + '.join(self.given) or NOTHING} -> {self.target}"


def usual_directions(pipeline: Pipeline) -> list[Direction]:
    """To every column that is drawn or written: from each other input alone, and from all of them."""
    found: list[Direction] = []
    for target in pipeline.schema.targets:
        if pipeline.head_config(target).tells in DRAWN:
            others = [name for name in pipeline.schema.inputs if name != target]
            found += [_whole(pipeline.schema, given, target) for given in [*([name] for name in others), others]]
    return list(dict.fromkeys(found))


def parse_directions(text: str, pipeline: Pipeline) -> list[Direction]:
    """Directions as a user writes them: `word->image, image + sound->word, nothing->image`.

    Raises:
        OmnifuseError: another form, an unknown column, or a target that is not made.
    """
    found = []
    for part in filter(str.strip, text.split(",")):
        left, arrow, right = part.partition("->")
        target = right.strip()
        if not arrow:
            raise OmnifuseError(f"--directions {part.strip()}: write it as GIVEN->TARGET, such as word->image or image+sound->word")
        makes = [name for name in pipeline.schema.targets if pipeline.head_config(name).tells in TRIED]
        if target not in makes:
            raise unknown("target", target, makes, where="--directions")
        given = [] if left.strip() in ("", NOTHING) else [word.strip() for word in left.split("+")]
        inputs = [name for name in pipeline.schema.inputs if name != target]
        for name in given:
            if name not in inputs:
                raise unknown("input column", name, inputs, where="--directions")
        found.append(_whole(pipeline.schema, given, target))
    if not found:
        raise OmnifuseError("--directions: names no direction; write it as GIVEN->TARGET, such as word->image")
    return list(dict.fromkeys(found))


def _whole(schema: Schema, given: Iterable[str], target: str) -> Direction:
    """With every column that reads the same cell as one that is given: whoever gives a film gives its sound."""
    sources = {schema.sources[name] for name in given}
    return Direction(tuple(name for name in schema.inputs if name != target and schema.sources[name] in sources), target)
