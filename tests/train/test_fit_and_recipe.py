"""`of.fit` on all kinds of tables, and the recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from training import WITHOUT_PICTURES, colour_rows, model_section, weights_of, write_recipe

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.train.recipe import Recipe, apply_settings
from omnifuse.train.tracking import read_history

TINY = {"train.epochs": 1, "train.batch_size": 16, "train.device": "cpu", "model.dim": 8}


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, Any]]:
    rows = colour_rows(tmp_path / "pictures", 60)
    return [{**row, "picture": str(tmp_path / "pictures" / row["picture"])} for row in rows]


def test_fit_on_a_list_of_dicts_infers_the_columns(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    pipeline = of.fit(rows, target="answer", out=tmp_path / "run", settings=TINY)
    assert {name: column.modality for name, column in pipeline.schema.items() if column.role != "ignore"} == {
        "picture": "image",
        "question": pipeline.schema["question"].modality,
        "size": "number",
        "shop": "category",
        "answer": "category",
        "price": "number",
    }
    assert pipeline.schema.targets == ["answer"]
    told = pipeline.predict(rows[:3])
    assert all(set(answer) == {"answer", "answer_probability"} and answer["answer"] in ("yes", "no") for answer in told)
    assert of.Pipeline.load(tmp_path / "run").predict(rows[:3]) == told


@pytest.mark.parametrize("kind", ["pandas", "columns", "csv"])
def test_fit_gives_the_same_model_whatever_holds_the_table(rows: list[dict[str, Any]], tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame(rows)[list(WITHOUT_PICTURES)]
    given: Any = frame
    if kind == "columns":
        given = frame.to_dict(orient="list")
    if kind == "csv":
        given = tmp_path / "rows.csv"
        frame.to_csv(given, index=False)
    of.fit(frame.to_dict(orient="records"), columns=WITHOUT_PICTURES, out=tmp_path / "expected", settings=TINY)
    of.fit(given, columns=WITHOUT_PICTURES, out=tmp_path / "found", settings=TINY)
    assert all((value == weights_of(tmp_path / "found")[name]).all() for name, value in weights_of(tmp_path / "expected").items())


def test_fit_with_columns_alone_uses_exactly_these(rows: list[dict[str, Any]]) -> None:
    pipeline = of.fit(rows, columns={"size": "number", "price": {"modality": "number", "role": "target"}}, settings=TINY)
    assert list(pipeline.schema) == ["size", "price"]
    (told,) = pipeline.predict({"size": 10.0})
    assert isinstance(told["price"], float)
    (nothing,) = pipeline.predict([{}])
    assert isinstance(nothing["price"], float)


def test_fit_corrects_an_inferred_column_and_takes_several_targets(rows: list[dict[str, Any]]) -> None:
    given = [{name: row[name] for name in WITHOUT_PICTURES} for row in rows]
    columns = {"question": {"modality": "text", "vocabulary": 265}, "shop": {"modality": "category", "role": "ignore"}}
    pipeline = of.fit(given, target=["answer", "price"], columns=columns, settings=TINY)
    assert pipeline.schema.targets == ["answer", "price"]
    assert pipeline.schema.inputs == ["question", "size"]
    assert pipeline.processors["question"].spec.size <= 265
    assert set(pipeline.predict(given[:1])[0]) == {"answer", "answer_probability", "price"}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_fit_trains_in_any_precision_one_after_another(rows: list[dict[str, Any]], tmp_path: Path, precision: str) -> None:
    columns = {"size": "number", "price": {"modality": "number", "role": "target"}}
    settings = {**TINY, "train.epochs": 6, "train.precision": precision, "train.optimizer.lr": 0.02}
    pipeline = of.fit(rows, columns=columns, out=tmp_path / "run", settings=settings)
    losses = [entry["loss"] for entry in read_history(tmp_path / "run") if entry["kind"] == "validation"]
    assert losses[-1] < 0.7 * losses[0]
    assert {str(p.dtype) for p in pipeline.model.parameters()} == {"torch.float32"}, "weights stay in full precision"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "anwser"}, r'unknown column "anwser"; did you mean "answer"\?'),
        ({"target": "answer", "columns": {"sise": "number"}}, r'unknown column "sise"; did you mean "size"\?'),
        ({"target": "answer", "settings": {"train.epoch": 1}}, r'train: unknown option "epoch"; did you mean "epochs"\?'),
        ({"columns": {"size": "number"}}, "no column has `role: target`"),
        ({"columns": {"answer": {"modality": "category", "role": "target"}}}, "no column has `role: input`"),
        ({"target": "answer", "settings": {"train.target_weights": {"price": 2}}}, r'train\.target_weights: "price" is not a target'),
        ({"target": "answer", "settings": {"train.monitor": "answer.acuracy"}}, r'train\.monitor: .*did you mean "accuracy"\?'),
    ],
)
def test_fit_refuses_with_one_line_what_it_cannot_use(rows: list[dict[str, Any]], options: dict[str, Any], message: str) -> None:
    with pytest.raises(OmnifuseError, match=message) as error:
        of.fit(rows, **options)
    assert "\n" not in str(error.value)


def test_a_fit_that_was_refused_leaves_its_folder_free(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    columns = {"size": "number", "answer": {"modality": "category", "role": "target"}}
    with pytest.raises(OmnifuseError, match="every training row has the same value"):
        of.fit([{**row, "answer": "yes"} for row in rows], columns=columns, out=tmp_path / "run", settings=TINY)
    with pytest.raises(OmnifuseError, match="not a number"):
        of.fit([*rows, {**rows[0], "size": "big"}], columns=columns, out=tmp_path / "run", settings={**TINY, "data.bad_values": "error"})
    of.fit(rows, columns=columns, out=tmp_path / "run", settings=TINY)
    assert (tmp_path / "run" / "config.json").exists()


# The recipe


def full_recipe() -> dict[str, Any]:
    return {
        "name": "full",
        "seed": 3,
        "columns": {
            "picture": {"modality": "image", "size": 16, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.2, 0.3]},
            "question": {"modality": "text", "role": "input", "vocabulary": 300},
            "id": {"modality": "text", "role": "ignore"},
            "size": {"modality": "number", "role": "target"},
            "answer": {"modality": "category", "role": "target"},
        },
        "data": {"source": {"train": "a.csv", "test": "b.csv"}, "split": {"by": "id"}, "bad_values": "quarantine"},
        "model": {
            "dim": 16,
            "fusion": {"name": "weighted_sum", "normalise": "gate"},
            "encoders": {"picture": {"name": "vit", "image_size": 16, "patch": 4}, "question": "ngram"},
            "heads": {"size": {"name": "number", "loss": "huber"}},
        },
        "train": {"optimizer": {"name": "sgd", "momentum": 0.9}, "clip": None, "monitor": "answer.auroc", "target_weights": {"size": 0.1}},
    }


def test_a_dumped_recipe_is_the_recipe() -> None:
    recipe = Recipe.make(full_recipe())
    assert Recipe.make(recipe.dump()) == recipe
    assert Recipe.make(json.loads(json.dumps(recipe.dump()))) == recipe
    assert Recipe.make(yaml.safe_load(yaml.safe_dump(recipe.dump()))) == recipe
    assert recipe.dump()["model"]["fusion"] == {"name": "weighted_sum", "normalise": "gate", "project": True}
    assert recipe.dump()["train"]["optimizer"] == {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.0}
    other = full_recipe()
    other["columns"]["picture"]["size"] = 24
    assert Recipe.make(other) != recipe


def test_settings_change_a_recipe_file(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, [])
    settings = [
        "seed=5",
        "train.epochs=0.5",
        "train.optimizer=sgd",
        "train.optimizer.lr=1e-3",
        "train.clip=null",
        "train.tracking=[tensorboard]",
        "model.fusion=concat",
        "columns.shop.role=ignore",
        "columns.size.modality=category",
        "data.split.by=shop",
    ]
    recipe = Recipe.load(path, settings)
    assert recipe.seed == 5
    assert recipe.train.epochs == 0.5
    assert recipe.train.optimizer.model_dump() == {"name": "sgd", "lr": 0.001, "momentum": 0.0, "weight_decay": 0.0}
    assert recipe.train.clip is None
    assert recipe.train.tracking == ["tensorboard"]
    assert recipe.model.fusion.name == "concat"
    assert recipe.columns.inputs == ["picture", "question", "size"]
    assert recipe.columns["size"].modality == "category"
    assert recipe.data.split.by == "shop"
    assert recipe.name == tmp_path.name
    assert Recipe.load(path).seed == 0, "the file is as it was"


def test_settings_do_not_change_what_they_are_given() -> None:
    value = {"train": {"epochs": 10}}
    assert apply_settings(value, ["train.epochs=3", "model.dim=8"]) == {"train": {"epochs": 3}, "model": {"dim": 8}}
    assert value == {"train": {"epochs": 10}}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.epochs", r"--set train\.epochs: write it as path=value"),
        ("=3", "write it as path=value"),
        ("train.epochs=[1", "the value is not valid YAML"),
        ("train.epochs.more=1", "epochs holds 3, not a section"),
        ("train.epochz=1", r'train: unknown option "epochz"; did you mean "epochs"\?'),
        ("trian.epochs=1", r'unknown option "trian"; did you mean "train"\?'),
        ("train.epochs=many", r"train\.epochs: .*number"),
        ("train.epochs=0", r"train\.epochs: .*greater than 0"),
        ("train.schedule=cosin", r'train\.schedule: did you mean "cosine"\?'),
        ("train.optimizer=adam", r'train\.optimizer: unknown optimizer "adam"; did you mean "adamw"\?'),
        ("train.optimizer.rate=1", r'train\.optimizer.*unknown option "rate"'),
        ("train.monitor=answr.accuracy", r'train\.monitor: unknown metric "answr.accuracy"; did you mean "answer.accuracy"\?'),
        ("model.fusion.name=joined", r'model\.fusion: unknown fusion "joined"; did you mean "joint"\?'),
        ("columns.question.modality=txt", r'columns\.question: unknown modality "txt"; did you mean "text"\?'),
        ("columns.question.role=inptu", r'columns\.question\.role: unknown role "inptu"; did you mean "input"\?'),
        ("columns.question.vocabulry=300", r'columns\.question: unknown option "vocabulry"; did you mean "vocabulary"\?'),
        ("data.sorce=x.csv", r'data: unknown option "sorce"; did you mean "source"\?'),
    ],
)
def test_a_wrong_setting_is_named_with_its_place_and_a_hint(tmp_path: Path, setting: str, message: str) -> None:
    path = write_recipe(tmp_path, [])
    with pytest.raises(OmnifuseError, match=message) as error:
        Recipe.load(path, [setting])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns: [", "line 1.* not valid YAML"),
        ("just words", "a recipe is a mapping with `columns` and `data`"),
        ("data: {source: x.csv}", "columns: this option is required"),
        ("columns: {a: text}", "data: this option is required"),
        ("columns: {}\ndata: {source: x.csv}", "columns: name at least one column"),
        ("columns: {a: {role: target}}\ndata: {source: x.csv}", r"columns\.a: `modality` is missing"),
    ],
)
def test_a_recipe_that_cannot_be_read_is_refused_with_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(OmnifuseError, match=message) as error:
        Recipe.load(path)
    assert "\n" not in str(error.value)
    with pytest.raises(OmnifuseError, match="no such recipe; make one with `omnifuse init DATA`"):
        Recipe.load(tmp_path / "nothing.yaml")


def test_the_model_section_of_a_recipe_is_checked_against_its_columns() -> None:
    value = full_recipe()
    value["model"] = {**model_section({"question": 0}), "encoders": {"question": "vit"}}
    with pytest.raises(OmnifuseError, match=r'model\.encoders\.question: "vit" reads image, not text'):
        Recipe.make(value)
