"""A table labelled by a file of rules, from reading it to the report."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omnifuse.core.errors import OmnifuseError, unknown
from omnifuse.data.annotate.combine import combine_votes
from omnifuse.data.annotate.combined_page import write_combined, write_rules
from omnifuse.data.annotate.rules import RuleFacts, Rules, apply_functions, label_word, rule_facts
from omnifuse.data.annotate.votes import write_votes
from omnifuse.data.table import iterate_rows, read_table


@dataclass(frozen=True)
class Labelled:
    """What came out: rows that were read and labelled, facts of each rule, and the page."""

    rows: int
    labelled: int
    facts: list[RuleFacts]
    report: Path


def label_by_rules(file: Path, source: Any, out: Path, method: str = "dawid-skene") -> Labelled:
    """Write `labels.csv` (every labelled row with its cells), `votes.csv`, `rules.csv`, `annotators.csv` and the page.

    Where the table has the column already, its cells are taken as the truth that rules are judged by.

    Args:
        file: the rules.
        source: the table, as `read_table` takes it.
        out: the folder.
        method: how votes are combined.

    Raises:
        OmnifuseError: a rule looks at a column that the table does not have, or no rule ever votes.
    """
    rules = Rules.load(file)
    table = read_table(source)
    for number, rule in enumerate(rules.rules):
        if rule.when not in table.column_names:
            raise unknown("column", rule.when, table.column_names, where=f"{file}: rules.{number}.when")
    cells: dict[str, Mapping[str, Any]] = {}
    votes, ids = apply_functions(_keyed(iterate_rows(table), cells), rules.functions(), rules.column)
    if not votes:
        raise OmnifuseError(f"{file}: none of the {len(rules.rules)} rules votes on any of {len(ids)} rows")
    truth = {row: label_word(value) for row, each in cells.items() if (value := each.get(rules.column)) not in (None, "")}
    facts = rule_facts(votes, rules.functions(), len(ids), truth)
    combined = combine_votes(votes, method)
    write_votes(votes, out / "votes.csv")
    write_combined({rules.column: combined}, out, cells)
    report = write_rules(facts, combined, rules.column, len(ids), out)
    return Labelled(len(ids), len(combined.labels), facts, report)


def _keyed(rows: Iterator[dict[str, Any]], cells: dict[str, Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Rows with an id made of their content, equal rows once; their cells are kept but for bytes."""
    for row in rows:
        key = hashlib.blake2b(repr(sorted(row.items())).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
        if key not in cells:
            cells[key] = {name: value for name, value in row.items() if not isinstance(value, bytes)}
            yield key, row
