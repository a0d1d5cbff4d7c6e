"""What is said of scores: chosen on validation, told on test, and nothing claimed that chance would give."""

from __future__ import annotations

import numpy as np
import pytest

from omnifuse.evaluation.statistics import Rows
from omnifuse.model.encoders.config import ENCODERS
from omnifuse.model.fusion.config import FUSIONS
from omnifuse.study.compare.contenders import Contender
from omnifuse.study.compare.judging import Measure, Scores
from omnifuse.study.compare.standing import Field, Outcome, outcome_of

ACCURACY, ERROR = Measure("accuracy", False, ""), Measure("mae", True, "kg")


def contender(key: str) -> Contender:
    single = key.startswith("only")
    columns = (key.removeprefix("only-"),) if single else ("image", "text")
    encoder = ENCODERS.parse("embedding")
    name = f"{columns[0]} alone" if single else key
    return Contender(key, name, "single" if single else "fusion", columns, FUSIONS.parse("concat"), {columns[0]: encoder})


def scores(test: np.ndarray, validation: float | None = None) -> Scores:
    places = np.arange(len(test))
    return Scores(float(test.mean()) if validation is None else validation, Rows(np.asarray(test, dtype=np.float64), places), places)


def right(random: np.random.Generator, share: float, rows: int, alike: np.ndarray | None = None, differ: float = 1.0) -> np.ndarray:
    """Right or wrong by chance; like `alike` but for a share of the rows."""
    fresh = (random.random(rows) < share).astype(np.float64)
    return fresh if alike is None else np.where(random.random(rows) < differ, fresh, alike)


def told(by: dict[str, list[Scores]], measure: Measure = ACCURACY, overlap: float = 0.0) -> Outcome:
    return outcome_of("answer", measure, Field([contender(key) for key in by], by, overlap))


def test_fusion_that_helps_is_said_to_help_and_by_how_much():
    random = np.random.default_rng(0)
    by = {
        key: [scores(right(random, share, 2000)) for _ in range(3)]
        for key, share in [("only-image", 0.8), ("only-text", 0.6), ("concat", 0.9), ("product", 0.7)]
    }
    outcome = told(by)
    assert (outcome.verdict, outcome.single, outcome.fusion) == ("helps", "only-image", "concat")
    assert outcome.sentence.startswith("fusion helps: +")
    assert outcome.sentence.endswith(" points over the best single modality (image)")
    gain = outcome.of("concat").gain
    assert gain is not None
    assert gain.interval.low < 0.1 < gain.interval.high
    assert gain.interval.low == min(gain.over_seeds.low, gain.over_rows.low)
    assert [each.contender.key for each in outcome.standings] == ["concat", "only-image", "product", "only-text"]


def test_fusion_that_gains_nothing_on_many_rows_does_not_help():
    random = np.random.default_rng(1)
    base = [right(random, 0.9, 20_000) for _ in range(4)]
    by = {
        "only-image": [scores(each) for each in base],
        "only-text": [scores(right(random, 0.5, 20_000)) for _ in base],
        "concat": [scores(right(random, 0.9, 20_000, each, 0.02)) for each in base],
    }
    outcome = told(by)
    assert outcome.verdict == "does not help"
    assert outcome.sentence.startswith("fusion does not help: ")


def test_fusion_that_is_worse_does_not_help_and_the_sign_says_so():
    random = np.random.default_rng(2)
    by = {key: [scores(right(random, share, 3000)) for _ in range(3)] for key, share in [("only-image", 0.9), ("concat", 0.8)]}
    outcome = told(by)
    assert outcome.verdict == "does not help"
    assert "−" in outcome.sentence
    assert "points against the best single modality (image)" in outcome.sentence


def test_few_rows_cannot_tell():
    random = np.random.default_rng(3)
    by = {key: [scores(right(random, share, 40)) for _ in range(3)] for key, share in [("only-image", 0.8), ("concat", 0.83)]}
    outcome = told(by)
    assert outcome.verdict == "cannot be told"
    assert outcome.sentence.startswith("it cannot be told with 3 seeds and 40 test rows whether fusion helps: ")


def test_equal_models_on_few_rows_are_not_said_to_be_equal():
    every = np.ones(40)
    outcome = told({"only-image": [scores(every)] * 3, "concat": [scores(every)] * 3})
    assert outcome.verdict == "cannot be told", "3 of 40 rows are still open"
    many = np.ones(1000)
    assert told({"only-image": [scores(many)] * 3, "concat": [scores(many)] * 3}).verdict == "does not help"


def test_with_one_seed_the_interval_is_over_rows():
    random = np.random.default_rng(4)
    by = {key: [scores(right(random, share, 1000))] for key, share in [("only-image", 0.7), ("concat", 0.9)]}
    outcome = told(by)
    gain = outcome.of("concat").gain
    assert gain is not None
    assert (outcome.verdict, gain.over_seeds, gain.interval) == ("helps", None, gain.over_rows)


def test_the_two_that_are_compared_were_chosen_on_validation_and_not_on_test():
    random = np.random.default_rng(5)
    by = {
        "only-image": [scores(right(random, 0.7, 1000), validation=0.75)],
        "only-text": [scores(right(random, 0.8, 1000), validation=0.7)],
        "concat": [scores(right(random, 0.85, 1000), validation=0.9)],
        "product": [scores(right(random, 0.95, 1000), validation=0.8)],
    }
    outcome = told(by)
    assert (outcome.single, outcome.fusion) == ("only-image", "concat")
    assert outcome.standings[0].contender.key == "product", "the ranking is by the test figure all the same"
    assert "(image)" in outcome.sentence


def test_a_gain_over_the_wrong_column_is_no_help():
    random = np.random.default_rng(10)
    by = {
        "only-image": [scores(right(random, 0.6, 1000), validation=0.8)],
        "only-text": [scores(right(random, 0.8, 1000), validation=0.79)],
        "concat": [scores(right(random, 0.8, 1000), validation=0.9)],
    }
    outcome = told(by)
    assert (outcome.single, outcome.verdict) == ("only-image", "cannot be told")
    assert outcome.rival is not None
    assert outcome.rival.key == "only-text"
    assert "points over the best single modality (image), but " in outcome.sentence
    assert outcome.sentence.endswith(" against text alone")


def test_the_best_of_many_that_are_equal_is_seldom_said_to_help():
    random = np.random.default_rng(6)
    claims = 0
    for _ in range(40):
        names = ["only-image", "only-text", *(f"fusion{number}" for number in range(5))]
        by = {name: [scores(right(random, 0.8, 150), validation=float(random.normal(0.8, 0.03)))] for name in names}
        claims += told(by).verdict == "helps"
    assert claims <= 3, "at most one in forty is to be expected"


def test_an_error_is_better_when_it_is_less_and_is_told_in_its_unit():
    random = np.random.default_rng(7)
    base = np.abs(random.normal(0, 2, 800))
    by = {
        "only-image": [scores(base * f) for f in (1.0, 1.02, 0.98)],
        "concat": [scores(base * f) for f in (0.7, 0.71, 0.69)],
        "product": [scores(base * f) for f in (1.3, 1.3, 1.31)],
    }
    outcome = told(by, ERROR)
    assert (outcome.verdict, outcome.fusion) == ("helps", "concat")
    assert outcome.sentence.startswith("fusion helps: mae −0.4")
    assert " kg against the best single modality (image)" in outcome.sentence
    assert [each.contender.key for each in outcome.standings] == ["concat", "only-image", "product"]


def test_p_of_the_table_is_corrected_for_all_that_are_compared():
    random = np.random.default_rng(8)
    by = {key: [scores(right(random, 0.8, 300))] for key in ("only-image", "concat", "product", "joint")}
    outcome = told(by)
    gains = [each.gain for each in outcome.standings if each.gain is not None]
    assert len(gains) == 3
    assert min(gain.p_holm for gain in gains) == pytest.approx(min(1.0, 3 * min(gain.p for gain in gains)))


def test_without_a_single_column_nothing_can_be_told():
    outcome = told({"concat": [scores(np.ones(50))]})
    assert (outcome.verdict, outcome.single) == ("cannot be told", None)
    assert outcome.sentence == "it cannot be told whether fusion helps: no single column could be trained"


def test_seeds_with_rows_of_their_own_are_compared_within_each_seed():
    random = np.random.default_rng(9)

    def other_rows(share: float, seed: int) -> Scores:
        values = right(random, share, 400)
        places = np.arange(400) + 1000 * seed
        return Scores(float(values.mean()), Rows(values, places), places)

    by = {key: [other_rows(share, seed) for seed in range(3)] for key, share in [("only-image", 0.7), ("concat", 0.9)]}
    sure, unsure = told(by).of("concat").gain, told(by, overlap=0.3).of("concat").gain
    assert sure is not None
    assert unsure is not None
    assert unsure.over_seeds.half > sure.over_seeds.half
    assert sure.over_rows == unsure.over_rows
