"""Rows that a source sets aside, in the words of the quarantine table."""

from __future__ import annotations

from typing import Any

from omnifuse.core.errors import OmnifuseError

HOPELESS = 1000


class BadRows:
    """Collects what one reading sets aside; a table that is mostly bad stops the reading."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self.notes: dict[str, int] = {}
        self.read = 0

    def begin(self) -> None:
        """Forget the reading before."""
        self.found, self.notes, self.read = [], {}, 0

    def add(self, source: object, row: int | str, value: object, reason: str, column: str = "") -> None:
        """Set a row aside; `value` is shown shortened.

        Raises:
            OmnifuseError: more than a thousand, and more than half of all rows so far, are bad.
        """
        self.found.append({"source": str(source), "row": row, "column": column, "value": str(value)[:200], "reason": reason})
        if len(self.found) > max(HOPELESS, self.read):
            first = self.found[0]
            raise OmnifuseError(f"{source}: most rows are bad; the first: {first['row']}: {first['reason']}")

    def all(self) -> list[dict[str, Any]]:
        """What was set aside."""
        return list(self.found)

    def counts(self) -> dict[str, int]:
        """Counts worth a report."""
        return dict(self.notes)
