"""Votes of several columns: what a label of each is, and how far its annotators agree."""

from __future__ import annotations

from collections.abc import Sequence

from omnifuse.core.errors import unknown
from omnifuse.data.annotate.agreement import Agreement, Level, measure_agreement
from omnifuse.data.annotate.combine import Kind
from omnifuse.data.annotate.tasks import Exported
from omnifuse.data.annotate.votes import Vote, of_column

KINDS: dict[Kind, Level] = {"category": "nominal", "set": "jaccard", "number": "interval"}


def by_column(votes: Sequence[Vote], column: str | None = None) -> dict[str, list[Vote]]:
    """Votes by column: of the one that is named, or of all."""
    names = [column] if column else list(dict.fromkeys(vote.column for vote in votes))
    return {name: of_column(votes, name) for name in names}


def kind_of(column: str, votes: Sequence[Vote], given: str | None = None, exported: Exported | None = None) -> Kind:
    """What a label is: as the user says, as the export says, or a set where all labels are lists.

    Raises:
        OmnifuseError: the user says something else.
    """
    if given is not None:
        for kind in KINDS:
            if kind == given:
                return kind
        raise unknown("kind", given, KINDS, where="--kind")
    if exported and column in exported.schema:
        modality = exported.schema[column].modality
        return modality if modality in ("set", "number") else "category"
    return "set" if all(vote.label.startswith("[") for vote in votes) else "category"


def measure_columns(
    votes: Sequence[Vote], column: str | None = None, kind: str | None = None, exported: Exported | None = None
) -> dict[str, Agreement]:
    """Agreement by column."""
    return {name: measure_agreement(each, KINDS[kind_of(name, each, kind, exported)]) for name, each in by_column(votes, column).items()}
