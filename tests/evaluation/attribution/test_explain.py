"""What decided an answer is found where it was planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.evaluation.attribution.explain import Explanation
from omnifuse.evaluation.attribution.explanation import Method
from omnifuse.evaluation.attribution.maps import PatchMap, PieceMap, WindowMap
from tests.evaluation.attribution.planted import (
    BAD,
    CHANNEL,
    FIRST,
    GOOD,
    LAST,
    LEFT,
    SIDE,
    TOP,
    asked,
    pictures,
    series,
    taught,
    texts,
)
from tests.model.pretrained.tiny_models import folder_of

METHODS: list[Method] = ["occlusion", "gradient"]
SHARE = 0.8


def add_up(explained: list[Explanation]) -> bool:
    gaps = [sum(each.contributions.values()) - (each.support - each.without) for each in explained]
    return max(map(abs, gaps)) < 1e-6


def same(one: Explanation, other: Explanation) -> None:
    assert one.answer == other.answer and one.methods == other.methods and one.variants == other.variants
    for name, contribution in one.contributions.items():
        assert contribution == pytest.approx(other.contributions[name], abs=1e-5)
    for name, drawn in one.maps.items():
        there = other.maps[name]
        assert (drawn is None) == (there is None)
        if drawn is not None and there is not None:
            assert np.allclose(drawn.numbers, there.numbers, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_patch_of_a_picture_is_found(sees: of.Pipeline, method: Method) -> None:
    rows = asked(pictures(30, seed=1), "answer")
    explained = of.explain(sees, rows, method=method)
    hits = 0
    for each in explained:
        drawn = each.maps["picture"]
        assert isinstance(drawn, PatchMap) and drawn.values.shape == (16, 16) and drawn.patch == (1, 1) and drawn.size == (16, 16)
        row, column = np.unravel_index(int(drawn.values.argmax()), drawn.values.shape)
        hits += TOP - 1 <= row <= TOP + SIDE and LEFT - 1 <= column <= LEFT + SIDE
        assert each.maps["size"] is None and each.methods == {"picture": method}
    assert hits >= SHARE * len(rows)
    assert np.mean([each.contributions["picture"] > 5 * abs(each.contributions["size"]) for each in explained]) >= SHARE
    assert add_up(explained)
    answers = sees.predict(rows)
    assert [each.answer for each in explained] == [answer["answer"] for answer in answers]
    assert [each.support for each in explained] == pytest.approx([answer["answer_probability"] for answer in answers], abs=1e-5)


def test_the_word_of_a_text_is_found(reads: of.Pipeline) -> None:
    rows = asked(texts(30, seed=1), "answer")
    explained = of.explain(reads, rows)
    hits = 0
    for each, row in zip(explained, rows, strict=True):
        drawn = each.maps["words"]
        assert isinstance(drawn, PieceMap) and "".join(piece for piece, _ in drawn.pieces) == row["words"] and len(drawn.pieces) == 8
        hits += drawn.pieces[int(drawn.numbers.argmax())][0].strip() in (GOOD, BAD)
        assert each.variants == 4 + 8
    assert hits >= SHARE * len(rows)
    assert np.mean([each.contributions["words"] > 5 * abs(each.contributions["shop"]) for each in explained]) >= SHARE
    assert add_up(explained)
    assert f"above all “{GOOD}”" in next(each.sentence() for each, row in zip(explained, rows, strict=True) if GOOD in row["words"])


@pytest.mark.parametrize("method", METHODS)
def test_the_stretch_of_a_channel_is_found_in_the_unit_of_the_number(feels: of.Pipeline, method: Method) -> None:
    rows = [row for row in series(60, seed=1) if abs(row["price"] - 100) > 10]
    explained = of.explain(feels, asked(rows, "price"), method=method)
    hits = 0
    for each, row in zip(explained, rows, strict=True):
        drawn = each.maps["motion"]
        assert isinstance(drawn, WindowMap) and drawn.channels == ("x", "y", "z") and drawn.unit == "steps"
        sign = np.sign(row["price"] - 100)
        channel, window = np.unravel_index(int((sign * drawn.values).argmax()), drawn.values.shape)
        hits += channel == CHANNEL and FIRST - 2 <= drawn.edges[window] <= LAST
        assert each.measure == "value" and each.support == each.answer
    assert hits >= SHARE * len(rows)
    assert np.mean([abs(each.contributions["motion"]) > 3 * abs(each.contributions["size"]) for each in explained]) >= SHARE
    assert add_up(explained)
    raised = [each for each, row in zip(explained, rows, strict=True) if row["price"] > 120]
    assert raised and all("Raised by motion" in each.sentence() for each in raised)


def test_a_batch_is_explained_as_its_rows_alone(sees: of.Pipeline, reads: of.Pipeline) -> None:
    cases: list[tuple[of.Pipeline, list[dict[str, Any]]]] = [
        (sees, asked(pictures(4, seed=2), "answer")),
        (reads, [{"words": "a lovely lamp"}, {"words": "broken, quite broken; and old, for the most part", "shop": "north"}, {}]),
    ]
    for pipeline, rows in cases:
        for method in METHODS:
            together = of.explain(pipeline, rows, method=method)
            for row, each in zip(rows, together, strict=True):
                same(of.explain(pipeline, row, method=method, batch_size=7)[0], each)


def test_what_is_absent_has_no_map_and_adds_nothing(reads: of.Pipeline, sees: of.Pipeline) -> None:
    nothing, alone = of.explain(reads, [{}, {"words": "lovely"}])
    assert nothing.maps == {"words": None, "shop": None} and nothing.contributions == pytest.approx({"words": 0, "shop": 0}, abs=1e-9)
    assert nothing.support == pytest.approx(nothing.without) and "No column changes it" in nothing.sentence()
    drawn = alone.maps["words"]
    assert isinstance(drawn, PieceMap) and drawn.pieces[0][1] == pytest.approx(alone.support - alone.without, abs=1e-6)
    assert alone.contributions["shop"] == pytest.approx(0, abs=1e-6)
    for method in METHODS:
        assert of.explain(sees, [{"size": 1.0}], method=method)[0].maps == {"picture": None, "size": None}


def test_only_some_columns_are_drawn(reads: of.Pipeline) -> None:
    [each] = of.explain(reads, {"words": "lovely lamp", "shop": "north"}, columns=["shop"])
    assert list(each.maps) == ["shop"] and set(each.contributions) == {"words", "shop"} and each.variants == 4


def test_wrong_names_are_answered_with_the_nearest(sees: of.Pipeline) -> None:
    row = asked(pictures(1), "answer")
    with pytest.raises(OmnifuseError, match='target "anser"; did you mean "answer"'):
        of.explain(sees, row, target="anser")
    with pytest.raises(OmnifuseError, match='columns: unknown input column "pictur"; did you mean "picture"'):
        of.explain(sees, row, columns=["pictur"])
    with pytest.raises(OmnifuseError, match='method "gradients"; did you mean "gradient"'):
        of.explain(sees, row, method="gradients")  # pyright: ignore[reportArgumentType]
    with pytest.raises(OmnifuseError, match="no column"):
        of.explain(sees, [{"pictures": 1}])


def test_a_frozen_network_has_no_gradient_and_is_occluded() -> None:
    pytest.importorskip("transformers")
    columns = {"picture": "image", "size": "number", "answer": {"modality": "category", "role": "target"}}
    network = {"name": "hf_vision", "model": str(folder_of("vit")), "pool": "mean", "tune": "frozen"}
    pipeline = taught(pictures(16), columns, 1, {"picture": network})
    for method in METHODS:
        [each] = of.explain(pipeline, asked(pictures(1), "answer"), method=method)
        assert each.methods == {"picture": "occlusion"}
        drawn = each.maps["picture"]
        assert drawn is not None and np.abs(drawn.numbers).max() > 0


def many_targets() -> of.Pipeline:
    target = {"role": "target"}
    columns = {
        "words": {"modality": "text", "vocabulary": 320},
        "shop": {"modality": "category", "role": "both"},
        "tags": {"modality": "set", **target},
        "price": {"modality": "number", **target},
        "item": {"modality": "id", "min_count": 1, **target},
        "name": {"modality": "text", "vocabulary": 320, **target},
        "told": {"modality": "text", "vocabulary": 320, "max_length": 6, **target},
    }
    heads = {"name": "contrastive", "price": {"name": "number", "loss": "quantile"}, "told": "decoder"}
    return taught(all_kinds(texts(40)), columns, 5, **heads)


def all_kinds(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "words": row["words"],
            "shop": row["shop"],
            "tags": [row["answer"]],
            "price": float(row["answer"] == "yes"),
            "item": f"item {number % 4}",
            "name": row["answer"],
            "told": f"{row['answer']}, it is",
        }
        for number, row in enumerate(rows)
    ]


def test_every_kind_of_target_has_a_support_and_hides_itself() -> None:
    pipeline, rows = many_targets(), all_kinds(texts(3, seed=1))
    said = pipeline.predict(asked(rows, "tags", "price", "item", "name", "told"), k=2)
    for target in ("shop", "tags", "price", "item", "name", "told"):
        explained = of.explain(pipeline, rows, target=target)
        assert add_up(explained) and len(explained) == 3
        for each, row, answer in zip(explained, rows, said, strict=True):
            assert set(each.contributions) == ({"words"} if target == "shop" else {"words", "shop"})
            assert each.maps["words"] is not None and np.isfinite(each.support) and each.sentence()
            assert each.answer == (row["name"] if target == "name" else tuple(answer[target]) if target == "tags" else answer[target])
            if target == "item":
                assert each.support == pytest.approx(answer["item_scores"][0], abs=1e-5)
    with pytest.raises(OmnifuseError, match="can be explained; name one"):
        of.explain(pipeline, rows)
    with pytest.raises(OmnifuseError, match="give the rows their name"):
        of.explain(pipeline, asked(rows, "name"), target="name")
    nearest = of.explain(pipeline, [rows[0], {"words": "a broken lamp"}], target="name")
    assert nearest[1].answer == rows[0]["name"]  # the only candidate that the rows give
