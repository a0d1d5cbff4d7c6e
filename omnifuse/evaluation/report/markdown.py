"""The report as Markdown: the same answers in words and tables, to be read in a terminal or pasted into a pull request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omnifuse.core.atomic import write_text
from omnifuse.evaluation.evaluation import Evaluation
from omnifuse.evaluation.report.names import metric_name
from omnifuse.page.words import counted, figure, span


def write_markdown(run: Path, name: str, evaluation: Evaluation) -> Path:
    """Write `report.md` beside `report.html`; of other rows than the test split, `report-NAME.md`. Returns its path."""
    lines = [f"# {_safe(name)}", "", f"{_safe(evaluation.split)}: {counted(evaluation.rows, 'row')}.", ""]
    lines += [f"- {_safe(sentence)}" for sentence in evaluation.sentences()]
    for target, metrics in evaluation.metrics.items():
        details = {key: each[target] for key, each in evaluation.details.items() if target in each}
        lines += ["", f"## {_safe(target)}", ""]
        rows = [[metric_name(key), figure(value), span(details["intervals"].get(key))] for key, value in metrics.items()]
        lines += _table(["metric", evaluation.split, "95 % interval"], rows)
        if found := details.get("subsets"):
            lines += ["", "Known columns:", ""]
            rows = [[" + ".join(each["known"]) or "none", figure(each["value"]), span(each["interval"])] for each in found["subsets"]]
            lines += _table(["known", metric_name(found["metric"]), "95 % interval"], rows)
            lines += ["", "Shares of the columns:", ""]
            rows = [[column, figure(each["value"]), span(each["interval"])] for column, each in found["contributions"].items()]
            lines += _table(["column", "contribution", "95 % interval"], rows)
    path = run / evaluation.file_name("report", "md")
    write_text(path, "\n".join(lines) + "\n")
    return path


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(_safe(str(cell)) for cell in line) + " |" for line in lines]


def _safe(text: str) -> str:
    """A name that does not break a table, on one line."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
