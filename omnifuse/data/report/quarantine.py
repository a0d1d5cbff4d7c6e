"""What was set aside: the reasons counted, the first rows named."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.report.described import Finding
from omnifuse.page.blocks import Block, Cell, Table
from omnifuse.page.words import counted, listed, percent, shorten

ROWS_SHOWN, REASONS = 50, 15
FIELDS = ("source", "row", "column", "value", "reason")
_PARTICULAR = re.compile(r"\d[\d.,×]*|“[^”]*”|\"[^\"]*\"|'[^']*'")


class Quarantine:
    """`quarantine.csv` of a dataset, read once: counts of everything, the first rows kept."""

    def __init__(self, path: Path) -> None:
        """Read the file; without one nothing was set aside."""
        self.count = 0
        self.first: list[dict[str, str]] = []
        self.reasons: Counter[tuple[str, str]] = Counter()
        if not path.exists():
            return
        try:
            with open(path, encoding="utf-8", newline="") as lines:
                for row in csv.DictReader(lines):
                    self.count += 1
                    if self.count <= ROWS_SHOWN:
                        self.first.append({name: row.get(name) or "" for name in FIELDS})
                    self.reasons[row.get("column") or "", _PARTICULAR.sub("…", row.get("reason") or "")] += 1
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise OmnifuseError(f"{path}: the list of rows set aside cannot be read ({error}); prepare the data again") from None

    def blocks(self) -> list[Block]:
        """Reasons with counts, and the first rows."""
        if not self.count:
            return []
        most = self.reasons.most_common(REASONS)
        reasons = [(column, shorten(reason, 200), Cell(f"{count:,}", count)) for (column, reason), count in most]
        rows = [
            (
                shorten(row["source"], 80),
                Cell(row["row"], float(row["row"]) if row["row"].isdigit() else None),
                row["column"],
                shorten(row["value"], 80),
                shorten(row["reason"], 200),
            )
            for row in self.first
        ]
        note = f"the first {len(rows)} of {self.count:,}; all are in quarantine.csv" if self.count > len(rows) else "all of them"
        more = f"the {REASONS} most frequent" if len(self.reasons) > REASONS else ""
        return [
            Table("Reasons", more, ("column", "reason", "values"), reasons, (2,)),
            Table("Rows", note, FIELDS, rows, (1,)),
        ]

    def findings(self, rows: int, bad_values: str = "quarantine") -> list[Finding]:
        """How many values could not be read, and mostly why."""
        if not self.count:
            return [Finding("good", "every value could be read; nothing was set aside")]
        (column, reason), _ = self.reasons.most_common(1)[0]
        columns = listed(sorted({column for column, _ in self.reasons if column}))
        if bad_values == "absent":
            text = f"{counted(self.count, 'value')} of {columns} could not be read and count as absent"
        else:
            share = percent(self.count, rows + self.count)
            text = f"{counted(self.count, 'row')} ({share}) set aside because of values of {columns} that cannot be read"
        return [Finding("look", f"{text}; mostly {column}: {shorten(reason, 120)}", "quarantine")]
