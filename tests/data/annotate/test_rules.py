"""Labelling functions: what they look at, when they abstain, what is told about them."""

from __future__ import annotations

import csv
from math import isnan
from pathlib import Path
from typing import Any

import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.annotate.by_rules import label_by_rules
from omnifuse.data.annotate.rules import Rule, Rules, apply_functions, rule_facts

RULES = """\
column: sentiment
rules:
  - {name: praise, when: text, contains: [love, great], label: good}
  - {name: complaint, when: text, matches: "return(ed|ing)?", label: bad}
  - {when: stars, at_least: 4, label: good}
  - {when: stars, below: 3, label: bad}
  - {name: never, when: text, equals: nothing at all, label: bad}
"""
ROWS = [
    {"text": "I love it", "stars": "5", "sentiment": "good"},
    {"text": "Great, but I returned it", "stars": "2", "sentiment": "bad"},
    {"text": "beloved by all", "stars": "3", "sentiment": ""},
    {"text": "", "stars": "", "sentiment": "bad"},
]


def write_table(path: Path, rows: list[dict[str, str]] = ROWS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("conditions", "cell", "holds"),
    [
        ({"contains": "love"}, "I LOVE it", True),
        ({"contains": "love"}, "beloved", False),
        ({"contains": ["so-so", "c++"]}, "c++ it is", True),
        ({"matches": "^a.c$"}, "ABC", True),
        ({"matches": "b"}, "ace", False),
        ({"equals": 3}, "3", True),
        ({"equals": 3}, 3.0, True),
        ({"equals": ["x", "y"]}, " y ", True),
        ({"above": 2, "at_most": 3}, 3, True),
        ({"above": 2}, "2", False),
        ({"below": 2}, "many", False),
        ({"absent": True}, "", True),
        ({"absent": True}, None, True),
        ({"absent": False}, "here", True),
        ({"matches": ".*"}, None, False),
        ({"matches": "x", "above": 1}, "5", False),
    ],
)
def test_when_a_rule_holds(conditions: dict[str, Any], cell: Any, holds: bool):
    rule = Rule.parse({"when": "c", "label": "yes", **conditions})
    assert (rule({"c": cell}) is not None) == holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("column: c\nrules: []", "at least 1"),
        ("column: c\nrules: [{when: a, label: x}]", "needs a condition"),
        ("column: c\nrules: [{when: a, matchs: b, label: x}]", 'unknown option "matchs"'),
        ("column: c\nrules: [{when: a, matches: '(', label: x}]", "not a regular expression"),
        ("column: c\nrules: [{when: a, matches: b, label: true}]", "put it in quotes"),
        ("column: c\nrules: [{when: a, equals: [b, false], label: x}]", "put it in quotes"),
        ("column: &c c\nrules: [{when: a, matches: b, label: *c}]", "aliases"),
        ("column: c\nrules: [{when: a, matches: b, label: 2024-13-45}]", "cannot be read"),
        ("column: c\nrules: [{when: a, absent: true, above: 2, label: x}]", "nothing that `above`"),
        ("column: [", "cannot be read"),
        ("just words", "mapping"),
    ],
)
def test_a_mistake_in_the_rules_is_one_line_that_names_the_file(tmp_path: Path, text: str, message: str):
    (tmp_path / "rules.yaml").write_text(text)
    with pytest.raises(OmnifuseError, match=r"rules\.yaml") as caught:
        Rules.load(tmp_path / "rules.yaml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_functions_in_python_vote_abstain_and_are_counted():
    rows = [("a", {"n": 1}), ("b", {"n": 5}), ("c", {"n": 9}), ("d", {"n": None})]
    functions = {
        "small": lambda row: "low" if row["n"] is not None and row["n"] < 6 else None,
        "large": lambda row: "high" if (row["n"] or 0) > 3 else None,
    }
    votes, ids = apply_functions(rows, functions, "size")
    assert ids == ["a", "b", "c", "d"]
    assert [(v.row, v.annotator, v.label) for v in votes] == [
        ("a", "small", "low"),
        ("b", "small", "low"),
        ("b", "large", "high"),
        ("c", "large", "high"),
    ]
    small, large = rule_facts(votes, functions, 4, {"a": "low", "b": "high"})
    assert (small.coverage, small.overlaps, small.conflicts, small.accuracy) == (0.5, 0.25, 0.25, 0.5)
    assert (large.coverage, large.accuracy) == (0.5, 1.0)
    assert isnan(rule_facts(votes, functions, 4)[0].accuracy)


def test_a_function_that_fails_is_named_with_its_row():
    with pytest.raises(OmnifuseError, match=r"labelling function length, row r7: TypeError"):
        apply_functions([("r7", {"text": None})], {"length": lambda row: len(row["text"])}, "c")


def test_a_table_is_labelled_with_facts_of_each_rule(tmp_path: Path):
    (tmp_path / "rules.yaml").write_text(RULES)
    done = label_by_rules(tmp_path / "rules.yaml", write_table(tmp_path / "rows.csv"), tmp_path / "out", "majority")
    assert (done.rows, done.labelled) == (4, 2), "rows no rule speaks about get no label"
    facts = {each.name: each for each in done.facts}
    assert facts["praise"].labels == {"good": 2}
    assert facts["praise"].conflicts == 0.25
    assert facts["complaint"].accuracy == 1.0
    assert facts["never"].coverage == 0
    assert facts["stars at least 4.0"].labels == {"good": 1}
    labels = {row["text"]: row for row in read(tmp_path / "out" / "labels.csv")}
    assert labels["I love it"]["sentiment"] == "good"
    assert labels["Great, but I returned it"]["sentiment"] == "bad", "two against one"
    assert labels["Great, but I returned it"]["sentiment_votes"] == "3"
    page = done.report.read_text()
    assert "never never voted" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_a_rule_about_a_column_that_is_not_there(tmp_path: Path):
    (tmp_path / "rules.yaml").write_text("column: c\nrules: [{when: txt, contains: a, label: x}]")
    with pytest.raises(OmnifuseError, match=r'rules\.0\.when: unknown column "txt"; did you mean "text"'):
        label_by_rules(tmp_path / "rules.yaml", write_table(tmp_path / "rows.csv"), tmp_path / "out")


def test_yes_and_no_are_words_as_in_recipes(tmp_path: Path):
    (tmp_path / "rules.yaml").write_text(
        "column: c\nrules: [{when: text, equals: [no, on], label: yes}, {when: text, absent: true, label: off}]"
    )
    rules = Rules.load(tmp_path / "rules.yaml")
    assert [rule.label for rule in rules.rules] == ["yes", "off"]
    assert [rules.rules[0]({"text": cell}) for cell in ("no", "on", "False", "x")] == ["yes", "yes", None, None]


def test_cells_stand_beside_their_labels_with_all_digits(tmp_path: Path):
    (tmp_path / "rules.yaml").write_text("column: c\nrules: [{when: price, above: 1, label: dear}]")
    label_by_rules(tmp_path / "rules.yaml", [{"price": 1234567.891}, {"price": 3.0}], tmp_path / "out", "majority")
    assert [row["price"] for row in read(tmp_path / "out" / "labels.csv")] == ["1234567.891", "3"]
    assert {row["c_probability"] for row in read(tmp_path / "out" / "labels.csv")} == {"1"}
