"""Agreement, against cases worked out by hand or in the papers."""

from __future__ import annotations

from math import isnan

import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.annotate.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha, measure_agreement
from omnifuse.data.annotate.votes import Vote, of_column, write_set

# Krippendorff (2011), "Computing Krippendorff's alpha-reliability", example C: four observers, twelve units, some missing.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
UNITS = [[str(value) for value in unit if value is not None] for unit in zip(*OBSERVERS, strict=True)]
# Fleiss (1971) as retold with ten subjects, fourteen raters and five categories.
FLEISS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def votes_of(table: dict[str, dict[str, str]], column: str = "answer") -> list[Vote]:
    return [Vote(row, column, who, label) for row, said in table.items() for who, label in said.items()]


def test_krippendorffs_alpha_is_that_of_his_paper():
    assert krippendorff_alpha(UNITS, "nominal") == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(UNITS, "interval") == pytest.approx(0.849, abs=5e-4)


def test_fleiss_kappa_is_that_of_the_worked_table():
    answers = [[str(label) for label, count in enumerate(row) for _ in range(count)] for row in FLEISS]
    assert fleiss_kappa(answers) == pytest.approx(0.210, abs=5e-4)


def test_cohens_kappa_by_hand():
    """20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: observed 0.7, chance 0.5·0.6 + 0.5·0.4 = 0.5, κ = 0.4."""
    first, second = ["yes"] * 25 + ["no"] * 25, ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    assert isnan(cohen_kappa(["a", "a"], ["a", "a"]))


def test_perfect_chance_and_worse_than_chance():
    assert krippendorff_alpha([["a", "a"], ["b", "b"]]) == pytest.approx(1.0)
    assert krippendorff_alpha([["a", "b"], ["b", "a"]]) < 0
    assert isnan(krippendorff_alpha([["a", "a"], ["a", "a"]])), "nothing varies, so it is not defined"
    assert isnan(krippendorff_alpha([["a"], ["b"]])), "no row has two votes"


def test_sets_that_share_labels_agree_in_part():
    """{a,b} and {a}: one of two shared. D_o = ½·(½+½)/…: by hand, coincidences of 4 values, two rows of two votes."""
    rows = [[write_set(["a", "b"]), write_set(["a"])], [write_set(["c"]), write_set(["c"])]]
    # observed: (1/4)·(½ + ½) = 0.25; expected: pairs of ab, a, c, c: 2·(½ + 1 + 1 + 1 + 1 + 0) / 12 = 0.75
    assert krippendorff_alpha(rows, "jaccard") == pytest.approx(1 - 0.25 / 0.75)
    assert measure_agreement(votes_of({"r": {"x": rows[0][0], "y": rows[0][1]}}), "jaccard").percent == pytest.approx(0.5)


def test_a_row_with_one_vote_is_counted_but_says_nothing():
    table = {"1": {"ann": "yes", "bob": "yes"}, "2": {"ann": "yes", "bob": "no"}, "3": {"ann": "no"}}
    measured = measure_agreement(votes_of(table))
    assert (measured.rows, measured.shared, measured.votes) == (3, 2, 5)
    assert measured.percent == pytest.approx(0.5)
    assert [row.row for row in measured.by_row] == ["2", "1", "3"], "rows to talk about come first"


def test_each_annotator_beside_the_others():
    table = {str(i): {"ann": "yes", "bob": "yes", "cy": "no" if i < 3 else "yes"} for i in range(4)}
    measured = measure_agreement(votes_of(table))
    by_name = {each.name: each for each in measured.annotators}
    assert measured.annotators[0].name == "cy"
    assert by_name["cy"].agreement == pytest.approx(0.25)
    assert by_name["ann"].agreement == pytest.approx((3 * 0.5 + 1) / 4)
    assert by_name["cy"].labels == {"no": 3, "yes": 1}
    pair = next(each for each in measured.pairs if (each.first, each.second) == ("ann", "bob"))
    assert (pair.rows, pair.agreement) == (4, 1.0)


def test_a_later_vote_of_the_same_annotator_counts():
    votes = [Vote("1", "c", "ann", "no"), Vote("1", "c", "bob", "yes"), Vote("1", "c", "ann", "yes")]
    assert measure_agreement(votes).percent == 1.0


def test_words_are_no_numbers():
    with pytest.raises(OmnifuseError, match=r"red.*not a number.*nominal"):
        measure_agreement([Vote("1", "c", "ann", "red"), Vote("1", "c", "bob", "2")], "interval")


def test_one_number_or_set_written_in_two_ways_is_one_label():
    table = {"a": {"ann": "1", "bob": "1.0"}, "b": {"ann": "2", "bob": "2"}, "c": {"ann": "1.50", "bob": "1.5"}}
    numbers = measure_agreement(votes_of(table), "interval")
    assert (numbers.percent, numbers.alpha) == (1.0, 1.0)
    assert isnan(numbers.pairs[0].kappa), "nominal, so not for numbers"
    assert {row.row: row.labels for row in numbers.by_row} == {"a": {"1": 2}, "b": {"2": 2}, "c": {"1.5": 2}}
    sets = measure_agreement(votes_of({"a": {"ann": '["x","y"]', "bob": '["y", "x"]'}, "b": {"ann": "z", "bob": '["z"]'}}), "jaccard")
    assert (sets.alpha, sets.fleiss, sets.pairs[0].kappa) == (1.0, 1.0, 1.0)


def test_a_vote_that_is_no_number_names_an_option_that_exists():
    with pytest.raises(OmnifuseError, match="--kind category"):
        measure_agreement([Vote("1", "c", "ann", "red")], "interval")


def test_a_column_that_no_vote_is_about():
    votes = [Vote("1", "colour", "ann", "red"), Vote("1", "size", "ann", "2")]
    assert of_column(votes, "size") == votes[1:]
    with pytest.raises(OmnifuseError, match='unknown column of votes "color"; did you mean "colour"'):
        of_column(votes, "color")
