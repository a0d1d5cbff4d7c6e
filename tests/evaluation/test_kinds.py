"""Sets, quantiles, rankings, retrieval and texts are judged by the textbook's measures."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from omnifuse.evaluation.answers import Answers, Candidates
from omnifuse.evaluation.kinds import KINDS, kind_of
from omnifuse.evaluation.kinds.embedding import Embedding
from omnifuse.evaluation.kinds.kind import Kind, ranks_of
from omnifuse.evaluation.kinds.label import OrderedLabel
from omnifuse.evaluation.kinds.labels import Labels
from omnifuse.evaluation.kinds.quantiles import Quantiles
from omnifuse.evaluation.kinds.ranking import Ranking
from omnifuse.evaluation.kinds.sample import Sample
from omnifuse.evaluation.kinds.text import Text
from omnifuse.model.heads.config import HEADS

EXACT = {"rel": 0, "abs": 1e-9}
LABELS = ["a", "b", "c", "d"]


def sets(rows: int = 40, seed: int = 0) -> Answers:
    random = np.random.default_rng(seed)
    ones = random.random((rows, 4)) < 0.4
    scores = random.random((rows, 4)).round(1)  # with ties
    truth = [tuple(label for label, there in zip(LABELS, row, strict=True) if there) for row in ones]
    said = [tuple(label for label, share in zip(LABELS, row, strict=True) if share >= 0.5) for row in scores]
    return Answers(truth=truth, predicted=said, scores=scores, labels=LABELS)


def test_sets_equal_scikit_learn() -> None:
    given = sets()
    truth = np.array([[label in row for label in LABELS] for row in given.truth])
    said = np.array([[label in row for label in LABELS] for row in given.predicted])
    found, some = Labels().metrics(given), truth.any(axis=1)
    expected = {
        "label_map": sk.average_precision_score(truth, given.scores, average="macro"),
        "micro_f1": sk.f1_score(truth, said, average="micro"),
        "macro_f1": sk.f1_score(truth, said, average="macro"),
        "exact_match": sk.accuracy_score(truth, said),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, **EXACT)
    by_row = Labels().row_scores(given)
    assert by_row[some].mean() == pytest.approx(sk.label_ranking_average_precision_score(truth[some], given.scores[some]), **EXACT)
    assert [by_row[i] for i in np.flatnonzero(~some)] == [float(not given.predicted[i]) for i in np.flatnonzero(~some)]
    assert found["map"] == pytest.approx(by_row.mean(), **EXACT)


def test_a_label_of_a_set_that_the_model_does_not_know_is_never_found() -> None:
    given = Answers(truth=[("a", "new")], predicted=[("a",)], scores=np.array([[0.9, 0.1, 0.0, 0.0]]), labels=LABELS)
    found = Labels().metrics(given)
    assert found["map"] == pytest.approx(1 / 2, **EXACT)
    assert found["micro_f1"] == pytest.approx(2 / 3, **EXACT)
    assert found["exact_match"] == 0


def test_the_floor_of_sets_ranks_by_frequency() -> None:
    given = Answers(truth=[("a",), ("a", "b"), ("b",), ("a",)], predicted=[()] * 4, scores=np.zeros((4, 4)), labels=LABELS)
    floor = Labels().floor(given)
    assert floor["map"] == pytest.approx((1 + 1 + 1 / 2 + 1) / 4, **EXACT)
    assert floor["answer"].startswith("a, b")


def test_labels_in_order_are_told_by_the_weighted_kappa() -> None:
    random = np.random.default_rng(0)
    truth, said = random.integers(0, 4, 60), random.integers(0, 4, 60)
    shares = np.full((60, 4), 0.25)
    given = Answers(truth=[LABELS[i] for i in truth], predicted=[LABELS[i] for i in said], scores=shares, labels=LABELS)
    expected = sk.cohen_kappa_score(truth, said, weights="quadratic")
    assert OrderedLabel().metrics(given)["qwk"] == pytest.approx(expected, **EXACT)
    same = Answers(truth=["a"] * 3, predicted=["a"] * 3, scores=shares[:3], labels=LABELS)
    assert "qwk" not in OrderedLabel().metrics(same)


def test_quantiles_by_hand() -> None:
    given = Answers(truth=[1.0, 5.0], predicted=[2.0, 4.0], scores=np.array([[0.0, 2.0, 3.0], [3.0, 4.0, 4.5]]))
    found = Quantiles((0.1, 0.5, 0.9)).metrics(given)
    assert found["mae"] == pytest.approx(1, **EXACT)
    assert found["coverage"] == pytest.approx(1 / 2, **EXACT)
    pinball = [0.1 * 1, 0.5 * 1, 0.1 * 2, 0.1 * 2, 0.5 * 1, 0.9 * 0.5]
    assert found["pinball"] == pytest.approx(sum(pinball) / 6, **EXACT)
    assert tuple(found) == Quantiles().names


def test_ranks_share_ties_and_find_nothing_in_what_is_no_number() -> None:
    scores = np.array([[3.0, 2, 1], [1, 1, 1], [3, 2, 1], [np.nan, 1, 1]])
    ranks = ranks_of(scores, np.array([1, 0, -1, 1]))
    assert ranks[:3].tolist() == [2, 2, 0]
    assert np.isnan(ranks[3])


def test_rankings_by_hand() -> None:
    items = [f"item {i}" for i in range(20)]
    scores = -np.arange(20.0)[None].repeat(4, 0)
    truth = ["item 0", "item 2", "item 15", "unknown"]
    kept = Ranking().keep(scores, truth, items)
    assert kept.tolist() == [1, 3, 16, 0]
    given = Answers(truth=truth, predicted=["item 0"] * 4, scores=kept, labels=items)
    expected = {"ndcg@10": (1 + 1 / 2) / 4, "recall@10": 2 / 4, "mrr": (1 + 1 / 3 + 1 / 16) / 4}
    assert Ranking().metrics(given) == pytest.approx(expected, **EXACT)
    assert Ranking().row_scores(given).mean() == pytest.approx(expected["ndcg@10"], **EXACT)
    relevance = np.eye(20)[[0, 2, 15]]
    assert expected["ndcg@10"] * 4 / 3 == pytest.approx(sk.ndcg_score(relevance, scores[:3], k=10), **EXACT)


def test_the_floor_of_a_ranking_is_what_is_popular() -> None:
    given = Answers(truth=["b", "b", "a"], predicted=["a"] * 3, scores=np.ones(3), labels=["a", "b", "c"])
    assert Ranking().floor(given)["ndcg@10"] == pytest.approx((1 + 1 + 1 / math.log2(3)) / 3, **EXACT)


def retrieval() -> Answers:
    """Twelve candidates on the axes; rows 0 and 1 belong to the first."""
    values = [f"value {i}" for i in range(12)]
    rows = np.eye(12)[[0, 1, 2, 3, *range(4, 12)]]
    truth = ["value 0", "value 0", *values[2:], "value 1"]
    rows = np.concatenate([rows, np.eye(12)[[1]]])
    return Answers(truth=truth, predicted=truth, scores=rows, candidates=Candidates(values, np.eye(12)))


def test_retrieval_both_ways_by_hand() -> None:
    given = retrieval()
    found = Embedding().metrics(given)
    assert tuple(found) == Embedding.names
    # row 1 stands where value 1 is: before its own value 0 comes value 1, and ten others are equally far
    assert found["recall@1"] == pytest.approx(12 / 13, **EXACT)
    assert found["mrr"] == pytest.approx((12 + 1 / 7) / 13, **EXACT)
    assert found["recall@10"] == pytest.approx(1, **EXACT)
    # back, value 1 has its own row and row 1 equally near: ranks 1 and 2, one and a half
    assert found["back_mrr"] == pytest.approx((11 + 1 / 1.5) / 12, **EXACT)
    assert found["back_recall@1"] == pytest.approx(11 / 12, **EXACT)
    assert found["back_recall@5"] == 1
    assert Embedding().floor(given)["recall@10"] == pytest.approx(10 / 12, **EXACT)


def test_a_model_that_places_all_alike_finds_by_chance() -> None:
    given = retrieval()
    blind = replace(given, scores=np.ones_like(given.scores) / 12**0.5)
    found = Embedding().metrics(blind)
    assert found["recall@1"] == found["recall@5"] == 0, "the middle rank of all"
    assert found["mrr"] == pytest.approx(1 / 6.5, **EXACT)


def test_texts_are_compared_without_case_and_spaces() -> None:
    given = Answers(truth=["A  red circle", "blue"], predicted=["a red Circle ", "green"])
    assert Text().metrics(given)["accuracy"] == 0.5
    assert Text().floor(given) == {"answer": "A  red circle", "accuracy": 0.5}


def test_characters_of_texts_are_compared_by_sacrebleu() -> None:
    chrf = pytest.importorskip("sacrebleu.metrics.chrf")
    truth, said = ["a red circle", "blue"], ["a red square", "blue"]
    expected = chrf.CHRF().corpus_score(said, [truth]).score / 100
    assert Text().metrics(Answers(truth=truth, predicted=said))["chrf"] == pytest.approx(expected, **EXACT)


@pytest.mark.parametrize("kind", [*KINDS.values(), OrderedLabel], ids=lambda kind: kind.__name__)
def test_every_kind_names_its_metrics_the_main_one_first(kind: type[Kind]) -> None:
    assert kind.names[0] == kind.main
    assert len(set(kind.names)) == len(kind.names)


def test_every_head_has_a_kind() -> None:
    for name, entry in HEADS.items():
        assert kind_of(entry.config.model_construct(name=name)).names
    assert isinstance(kind_of(HEADS.parse({"name": "ordinal"})), OrderedLabel)
    quantiles = kind_of(HEADS.parse({"name": "number", "loss": "quantile", "quantiles": [0.2, 0.8]}))
    assert isinstance(quantiles, Quantiles)
    assert quantiles.levels == (0.2, 0.8)


def test_samples_are_judged_by_the_loss_of_each_row() -> None:
    losses = np.array([[0.25], [0.5], [0.75]])
    given = Answers(truth=["a", "b", "c"], predicted=[None] * 3, scores=losses)
    kind = Sample()
    assert kind.metrics(given) == {"flow_loss": 0.5}
    assert kind.row_scores(given).tolist() == [0.25, 0.5, 0.75]
    assert kind.lower_is_better
    assert kind.floor(given)["flow_loss"] == 1.0, "of a velocity that looks at nothing, the noise alone takes 1"
