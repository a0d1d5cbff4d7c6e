"""Who takes part: each column alone, every fusion that fits, and who does not with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.study.compare.contenders import attends_to_tokens, gather
from omnifuse.train.recipe import Recipe

COLUMNS = {
    "photo": {"modality": "image", "size": 16},
    "title": "text",
    "price": "number",
    "sold": {"modality": "category", "role": "target"},
}


def recipe(**model: Any) -> Recipe:
    return Recipe.make({"columns": COLUMNS, "data": {"source": "rows.csv"}, "model": {"dim": 16, "fusion": "concat", **model}})


def names(*args: Any, **kwargs: Any) -> list[str]:
    return [contender.name for contender in gather(*args, **kwargs).contenders]


def test_each_column_alone_takes_part_beside_the_fusions():
    assert names(recipe(), ["concat", "product"]) == ["photo alone", "title alone", "price alone", "concat", "product"]


def test_a_column_alone_is_also_read_by_attention_where_a_fusion_attends():
    found = names(recipe(), ["concat", "joint"])
    assert found[:2] == ["photo alone (concat)", "photo alone (joint)"]
    assert found[-2:] == ["concat", "joint"]
    assert [attends_to_tokens(each.fusion) for each in gather(recipe(), ["concat", "joint"]).contenders[:2]] == [False, True]


def test_by_default_the_recipes_own_fusion_and_a_handful_take_part():
    found = names(recipe(fusion={"name": "bilinear", "kind": "mutan"}))
    assert {"bilinear (kind mutan)", "concat", "weighted_sum", "product", "low_rank", "gated", "joint"} <= set(found)


def test_all_takes_every_fusion_that_needs_nothing_pretrained_and_says_who_cannot():
    found = gather(recipe(), ["all"])
    every = {contender.fusion.name for contender in found.contenders if contender.kind == "fusion"} | set(found.left_out)
    assert {"concat", "perceiver", "mult", "film", "tensor", "factorization"} <= every
    assert "llm" not in every


def test_encoders_take_part_in_all_combinations_and_in_every_model_that_reads_the_column():
    found = names(recipe(), ["concat"], {"title": ["ngram"], "photo": ["vit"]})
    assert found == [
        "photo alone",
        "photo alone, photo: vit",
        "title alone",
        "title alone, title: ngram",
        "price alone",
        "concat",
        "concat, photo: vit",
        "concat, title: ngram",
        "concat, title: ngram, photo: vit",
    ]


def test_the_encoder_of_the_recipe_is_not_taken_twice():
    assert names(recipe(encoders={"title": "ngram"}), ["concat"], {"title": ["ngram", "transformer"]})[1:3] == [
        "title alone",
        "title alone, title: transformer",
    ]


def test_subsets_are_fused_without_the_others():
    found = gather(recipe(), ["concat"], subsets=[["price", "photo"]]).contenders
    assert [each.name for each in found][-1] == "concat of photo + price"
    trained = found[-1].recipe(recipe(), seed=5)
    assert (trained.columns.inputs, trained.seed) == (["photo", "price"], 5)
    assert trained.columns["title"].role == "ignore"


def test_a_contender_changes_nothing_but_columns_fusion_encoders_and_seed():
    given = recipe(encoders={"title": {"name": "ngram", "buckets": 512}})
    trained = next(each for each in gather(given, ["product"]).contenders if each.kind == "fusion").recipe(given, 3)
    before, after = given.dump(), trained.dump()
    assert after.pop("seed") == 3
    before.pop("seed")
    assert after["model"].pop("fusion")["name"] == "product"
    before["model"].pop("fusion")
    assert after == before


def test_options_of_a_fusion_are_part_of_its_name_and_of_its_folder():
    found = [each for each in gather(recipe(), ["low_rank", {"name": "low_rank", "rank": 4}]).contenders if each.kind == "fusion"]
    assert [each.name for each in found] == ["low_rank", "low_rank (rank 4)"]
    assert len({each.key for each in found}) == 2


def test_columns_with_odd_names_have_folders_of_their_own():
    columns = {"größe": "number", "grüße": "number", "a/b": "number", "sold": {"modality": "category", "role": "target"}}
    odd = Recipe.make({"columns": columns, "data": {"source": "rows.csv"}, "model": {"dim": 8, "fusion": "concat"}})
    keys = [each.key for each in gather(odd, ["concat"]).contenders]
    assert len(set(keys)) == len(keys) == 4
    assert not any("/" in key for key in keys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"fusions": ["concta"]}, 'unknown fusion "concta"; did you mean "concat"'),
        ({"fusions": []}, "name at least one fusion"),
        ({"encoders": {"titel": ["ngram"]}}, 'unknown input column "titel"; did you mean "title"'),
        ({"encoders": {"title": ["ngarm"]}}, 'unknown encoder "ngarm"; did you mean "ngram"'),
        ({"encoders": {"title": ["cnn"]}}, '"cnn" reads image'),
        ({"subsets": [["title", "pirce"]]}, 'unknown input column "pirce"; did you mean "price"'),
        ({"subsets": [["title"]]}, "name at least two input columns"),
        ({"fusions": [{"name": "film", "condition": "size"}]}, "--fusion film"),
    ],
)
def test_what_cannot_be_compared_is_told(words: dict[str, Any], message: str):
    with pytest.raises(OmnifuseError) as told:
        gather(recipe(), **words)
    assert message in str(told.value)


def test_one_input_column_has_nothing_to_fuse():
    columns = {"title": "text", "sold": {"modality": "category", "role": "target"}}
    with pytest.raises(OmnifuseError, match=r"one input column \(title\); there is nothing to fuse"):
        gather(Recipe.make({"columns": columns, "data": {"source": "rows.csv"}}))
