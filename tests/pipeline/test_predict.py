"""Raw rows in, raw answers out."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.loader import Loader
from omnifuse.data.memory import MemoryRows
from omnifuse.pipeline.pipeline import CHUNK
from tests.pipeline.conftest import Trained

INPUTS = ("picture", "question", "size", "shop")
ABSENT = {"None": None, "missing": ..., "empty": "", "blank": "  ", "nan": math.nan}


def same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    """The same labels, and the same figures within what the order of additions may change."""
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        assert left["answer"] == right["answer"]
        assert left["answer_probability"] == pytest.approx(right["answer_probability"], abs=1e-5)
        assert left["price"] == pytest.approx(right["price"], abs=1e-4)


def full(trained: Trained) -> dict[str, Any]:
    return next(row for row in trained.rows if all(row[name] is not None for name in INPUTS))


def test_answers_carry_the_target_its_probability_and_numbers_in_the_users_unit(trained: Trained) -> None:
    answers = trained.pipeline.predict(trained.rows, root=trained.folder)
    assert len(answers) == len(trained.rows)
    for answer in answers:
        assert list(answer) == ["answer", "answer_probability", "price"]
        assert answer["answer"] in ("yes", "no")
        assert 0.5 <= answer["answer_probability"] <= 1
        assert isinstance(answer["price"], float)
    processor = trained.pipeline.processors["price"].state()
    prices = np.array([answer["price"] for answer in answers])
    assert abs(prices.mean() - processor["mean"]) < processor["std"]


def test_a_number_follows_its_inputs_in_the_users_unit(trained: Trained) -> None:
    row = full(trained)
    small, large = trained.pipeline.predict([{**row, "size": 5}, {**row, "size": 15}], root=trained.folder)
    assert 5 < large["price"] - small["price"] < 35  # the truth is 20


def test_probabilities_sum_to_one_and_agree_with_the_answer(trained: Trained) -> None:
    for answer in trained.pipeline.predict(trained.rows, root=trained.folder, probabilities=True):
        shares = answer["answer_probabilities"]
        assert set(shares) == {"yes", "no"}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-6)
        assert max(shares, key=shares.get) == answer["answer"]
        assert max(shares.values()) == answer["answer_probability"]
        assert "price_probabilities" not in answer


def test_answers_stand_in_the_order_of_the_rows(trained: Trained) -> None:
    forward = trained.pipeline.predict(trained.rows, root=trained.folder)
    backward = trained.pipeline.predict(trained.rows[::-1], root=trained.folder)
    assert len({answer["price"] for answer in forward}) > len(forward) / 2
    same(forward, backward[::-1])


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_a_batch_equals_its_rows_one_by_one(trained: Trained, batch_size: int) -> None:
    together = trained.pipeline.predict(trained.rows, root=trained.folder, batch_size=batch_size)
    same(together, [trained.pipeline.predict([row], root=trained.folder)[0] for row in trained.rows])


def test_more_rows_than_are_held_at_a_time_keep_their_order(trained: Trained) -> None:
    rows = [{"size": 5.0 + 10 * (i % 2), "shop": "north"} for i in range(CHUNK + 3)]
    prices = [answer["price"] for answer in trained.pipeline.predict(rows)]
    assert len(prices) == len(rows)
    assert np.ptp(prices[::2]) < 1e-4 > np.ptp(prices[1::2])
    assert abs(prices[0] - prices[1]) > 1


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("how", ABSENT)
def test_every_column_may_be_absent_in_every_way(trained: Trained, name: str, how: str) -> None:
    row = full(trained)
    given = {key: value for key, value in row.items() if key != name}
    reference = trained.pipeline.predict([given], root=trained.folder)
    assert reference != trained.pipeline.predict([row], root=trained.folder)
    if ABSENT[how] is not ...:
        given[name] = ABSENT[how]
    assert trained.pipeline.predict([given], root=trained.folder) == reference


def test_a_row_without_anything_is_answered(trained: Trained) -> None:
    bare, nothing = trained.pipeline.predict([{}, dict.fromkeys(INPUTS)])
    same([bare], [nothing])  # two rows of one batch: their last bits may differ by their places in it
    assert bare["answer"] in ("yes", "no")
    assert math.isfinite(bare["price"])


def test_one_dict_is_one_row(trained: Trained) -> None:
    row = full(trained)
    assert trained.pipeline.predict(row, root=trained.folder) == trained.pipeline.predict([row], root=trained.folder)


def test_no_rows_give_no_answers(trained: Trained) -> None:
    assert trained.pipeline.predict([]) == []


def write_table(rows: list[dict[str, Any]], path: Path) -> None:
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_file_is_answered_with_pictures_beside_it_and_columns_it_need_not_have(trained: Trained, ending: str) -> None:
    path = trained.folder / f"asked{ending}"
    write_table([{**row, "note": "not a column of the model"} for row in trained.rows], path)
    reference = trained.pipeline.predict(trained.rows, root=trained.folder)
    same(trained.pipeline.predict(path), reference)
    same(trained.pipeline.predict(str(path)), reference)


@pytest.mark.parametrize("make", [pd.DataFrame, pa.Table.from_pylist], ids=["pandas", "arrow"])
def test_a_table_in_memory_is_answered(trained: Trained, make: Any) -> None:
    same(
        trained.pipeline.predict(make(trained.rows), root=trained.folder),
        trained.pipeline.predict(trained.rows, root=trained.folder),
    )


def test_a_dict_of_lists_is_a_table(trained: Trained) -> None:
    columns = {name: [row[name] for row in trained.rows] for name in INPUTS}
    same(trained.pipeline.predict(columns, root=trained.folder), trained.pipeline.predict(trained.rows, root=trained.folder))


def test_a_picture_may_be_a_path_bytes_an_object_or_an_array(trained: Trained) -> None:
    row = full(trained)
    path = trained.folder / row["picture"]
    image = Image.open(path)
    array = np.asarray(image)
    forms = [str(path), path, path.read_bytes(), image, array, array.astype(np.float32) / 255]
    answers = trained.pipeline.predict([{**row, "picture": form} for form in forms])
    same(answers, [answers[0]] * len(forms))
    assert answers[0] != trained.pipeline.predict([{**row, "picture": np.full((8, 8, 3), 255, np.uint8)}])[0]


def test_an_unknown_column_is_named_with_the_nearest(trained: Trained) -> None:
    with pytest.raises(OmnifuseError, match='row 2: the model has no column "qestion"; did you mean "question"') as caught:
        trained.pipeline.predict([{"question": "is it red?"}, {"qestion": "is it red?"}])
    assert "\n" not in str(caught.value)


def test_a_table_without_any_column_of_the_model_is_refused(trained: Trained) -> None:
    with pytest.raises(OmnifuseError, match=r"none of the columns the model reads \(picture, question, size, shop\)"):
        trained.pipeline.predict(pd.DataFrame({"colour": ["red"]}))


@pytest.mark.parametrize("rows", [[1], ["is it red?"], [None]])
def test_rows_that_are_no_dicts_are_refused(trained: Trained, rows: list[Any]) -> None:
    with pytest.raises(OmnifuseError, match="row"):
        trained.pipeline.predict(rows)


def bad_pictures() -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 80).save(buffer, "PNG")
    return {
        "no such file": "nowhere.png",
        "not a readable image": b"these are words",
        "not a readable image ": buffer.getvalue()[:-800],
        "leads to this machine or a private network": "http://127.0.0.1:1/a.png",
        "an image array must be": np.zeros((2, 2, 2, 2), np.uint8),
        "expected a path": 3.5,
    }


@pytest.mark.parametrize("reason", list(bad_pictures()))
def test_a_bad_picture_is_named_with_its_row_and_column(trained: Trained, reason: str) -> None:
    with pytest.raises(OmnifuseError, match=f"row 2, column picture: .*{reason.strip()}") as caught:
        trained.pipeline.predict([{}, {"picture": bad_pictures()[reason]}])
    assert "\n" not in str(caught.value)


def test_a_bad_picture_in_a_long_file_is_named_with_its_row(trained: Trained, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    write_table([{"size": 1.0, "picture": "gone.png" if i == CHUNK + 1 else ""} for i in range(CHUNK + 5)], path)
    with pytest.raises(OmnifuseError, match=rf"row {CHUNK + 2}, column picture: gone\.png: no such file"):
        trained.pipeline.predict(path)


def test_a_word_for_a_number_is_named_with_its_row_and_column(trained: Trained) -> None:
    with pytest.raises(OmnifuseError, match=r"row 3, column size: .*'large' is not a number"):
        trained.pipeline.predict([{}, {}, {"size": "large"}])


def test_a_label_that_was_never_seen_is_answered(trained: Trained) -> None:
    answer = trained.pipeline.predict([{**full(trained), "shop": "the moon"}], root=trained.folder)[0]
    assert answer["answer"] in ("yes", "no")
    assert math.isfinite(answer["price"])


def test_predicting_leaves_mode_and_weights_as_they_were(trained: Trained) -> None:
    model = trained.pipeline.model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    was = model.training
    try:
        for mode in (True, False):
            model.train(mode)
            trained.pipeline.predict(trained.rows[:4], root=trained.folder)
            assert model.training is mode
    finally:
        model.train(was)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def with_targets(rows: list[dict[str, Any]], answer: str, price: float) -> list[dict[str, Any]]:
    return [{**row, "answer": answer, "price": price} for row in rows]


def test_the_value_of_a_target_changes_no_prediction(trained: Trained) -> None:
    bare = trained.pipeline.predict(trained.rows, root=trained.folder, probabilities=True)
    for rows in (with_targets(trained.rows, "yes", -1e6), with_targets(trained.rows, "no", 1e6)):
        assert trained.pipeline.predict(rows, root=trained.folder, probabilities=True) == bare


def test_the_value_of_a_target_changes_no_fused_token(trained: Trained) -> None:
    pipeline = trained.pipeline
    names = [*pipeline.schema.inputs, *pipeline.schema.targets]
    fused = []
    for rows in (with_targets(trained.rows, "yes", -1e6), with_targets(trained.rows, "no", 1e6)):
        memory = MemoryRows(rows, pipeline.processors, names, root=trained.folder)
        batch = Loader(memory, pipeline.processors, pipeline.schema.inputs, pipeline.schema.targets).batch(range(len(rows)))
        with pipeline.evaluating(), torch.no_grad():
            fused.append((pipeline.model.fuse(pipeline.model.encode(batch)), batch["price"].data))
    (one, price), (other, other_price) = fused
    assert not torch.equal(price, other_price)
    for part in ("tokens", "mask", "pooled"):
        assert torch.equal(getattr(one, part), getattr(other, part)), part
