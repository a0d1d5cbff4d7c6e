"""The model as a whole: whatever columns are called, what is refused, and how it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Column, Schema
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Values
from omnifuse.model import FUSIONS, MultimodalModel
from omnifuse.model.config import ModelConfig
from omnifuse.pipeline.pipeline import load_weights, save_weights
from tests.model.pretrained.tiny_models import folder_of

WEIRD = ["values", "a.b", "type", "Review Text", "面积", "a/b:c", "a%2Eb", "forward", "_modules", "training", "1"]
NUMBER, LABEL = ValueSpec(modality="number"), ValueSpec(modality="category", size=3)


def model_of(names: list[str], target: str = "items", **options: Any) -> MultimodalModel:
    config = ModelConfig.parse({"dim": 8, **options})
    return MultimodalModel(config, dict.fromkeys(names, NUMBER), {target: LABEL})


def batch_of(names: list[str], target: str = "items", rows: int = 5, seed: int = 0) -> dict[str, Values]:
    generator = torch.Generator().manual_seed(seed)
    present = torch.ones(rows, dtype=torch.bool)
    batch = {name: Values(torch.randn(rows, generator=generator), present) for name in names}
    return {**batch, target: Values(torch.randint(0, 3, (rows,), generator=generator), present)}


@pytest.mark.parametrize("fusion", list(FUSIONS))
def test_columns_may_have_any_name(fusion: str, tmp_path: Path) -> None:
    part = {"name": fusion, **({"model": str(folder_of("llama"))} if fusion == "llm" else {})}
    names = WEIRD[:4] if fusion == "tensor" else WEIRD  # its weights grow with the number of columns as an exponent
    torch.manual_seed(0)
    model = model_of(names, target="state_dict", fusion=part).eval()
    batch = batch_of(names, target="state_dict")
    told = model.predict(batch)["state_dict"]
    assert told.shape == (5, 3)
    torch.testing.assert_close(told.sum(1), torch.ones(5))
    for name in names:  # each column has an encoder of its own
        absent = Values(torch.zeros(5), torch.zeros(5, dtype=torch.bool))
        assert not torch.equal(model.predict({**batch, name: absent})["state_dict"], told), name

    save_weights(model, tmp_path / "model.safetensors")
    torch.manual_seed(1)
    other = model_of(names, target="state_dict", fusion=part).eval()
    assert not torch.equal(other.predict(batch)["state_dict"], told)
    load_weights(other, tmp_path / "model.safetensors")
    assert torch.equal(other.predict(batch)["state_dict"], told)


def test_one_column_may_be_input_and_target_at_once() -> None:
    model = MultimodalModel(ModelConfig(dim=8), {"size": NUMBER, "shop": LABEL}, {"size": NUMBER})
    batch = {**batch_of(["size"], target="shop")}
    assert set(model(batch)) == {"size"}
    assert model(batch)["size"].per_row.shape == (5,)


def test_each_target_has_its_own_loss_by_row_and_tells_which_rows_have_it() -> None:
    model = MultimodalModel(ModelConfig(dim=8), {"x": NUMBER}, {"label": LABEL, "amount": NUMBER})
    batch = batch_of(["x", "amount"], target="label")
    batch["label"] = Values(batch["label"].data, torch.tensor([True, False, True, False, True]))
    losses = model(batch)
    assert list(losses) == ["label", "amount"]
    assert losses["label"].present.tolist() == [True, False, True, False, True]
    assert losses["amount"].present.all()
    assert losses["label"].per_row.shape == losses["amount"].per_row.shape == (5,)


def test_the_fused_tokens_do_not_depend_on_the_value_of_the_target() -> None:
    model = model_of(["x", "y"]).eval()
    batch = batch_of(["x", "y"])
    changed = {**batch, "items": Values((batch["items"].data + 1) % 3, batch["items"].present)}
    with torch.no_grad():
        first, second = model.fuse(model.encode(batch)), model.fuse(model.encode(changed))
    assert torch.equal(first.tokens, second.tokens)
    assert torch.equal(first.pooled, second.pooled)


def test_weights_of_another_model_are_refused_with_one_line(tmp_path: Path) -> None:
    save_weights(model_of(["x"]), tmp_path / "model.safetensors")
    with pytest.raises(OmnifuseError, match="weights of another model") as error:
        load_weights(model_of(["x", "y"]), tmp_path / "model.safetensors")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["cut", "noise"])
def test_damaged_weights_are_refused_with_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "model.safetensors"
    save_weights(model_of(["x"]), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"\xff" * 200)
    with pytest.raises(OmnifuseError, match="weights are damaged") as error:
        load_weights(model_of(["x"]), path)
    assert "\n" not in str(error.value)
    path.unlink()
    with pytest.raises(OmnifuseError, match="weights are missing"):
        load_weights(model_of(["x"]), path)


# What is refused

SCHEMA = Schema(
    [Column("photo", "image"), Column("note", "text"), Column("sold", "category", "target"), Column("price", "number", "target")]
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 10}, r"model\.fusion\.heads: 4 attention heads do not divide model\.dim = 10"),
        ({"dim": 16, "fusion": {"name": "joint", "heads": 3}}, r"model\.fusion\.heads: 3 attention heads do not divide model\.dim = 16"),
        ({"dim": 16, "encoders": {"note": {"name": "transformer", "heads": 5}}}, r"model\.encoders\.note\.heads: 5 .* do not divide"),
        ({"dim": 2}, r"model\.dim: .*greater than or equal to 4"),
        ({"dimm": 16}, r'model: unknown option "dimm"; did you mean "dim"\?'),
        ({"fusion": "concta"}, r'model\.fusion: unknown fusion "concta"; did you mean "concat"\?'),
        ({"fusion": {"name": "weighted_sum", "normalize": "none"}}, r'unknown option "normalize"; did you mean "normalise"\?'),
        ({"fusion": {"name": "weighted_sum", "normalise": "sofmax"}}, r'normalise: did you mean "softmax"\?'),
        ({"encoders": {"note": "cnnn"}}, r'model\.encoders\.note: unknown encoder "cnnn"; did you mean "cnn"\?'),
        ({"encoders": {"note": {"name": "ngram", "order": 9}}}, r"model\.encoders\.note[:.] ?order: .*less than or equal to 5"),
        ({"heads": {"sold": "categoryy"}}, r'model\.heads\.sold: unknown head "categoryy"; did you mean "category"\?'),
    ],
)
def test_a_wrong_option_is_named_with_its_place_and_a_hint(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OmnifuseError, match=message) as error:
        ModelConfig.parse(options, "model")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoders": {"note": "cnn"}}, r'model\.encoders\.note: "cnn" reads image, not text; use transformer or ngram'),
        ({"encoders": {"photo": "ngram"}}, r'model\.encoders\.photo: "ngram" reads text, not image; use cnn or vit'),
        ({"encoders": {"foto": "cnn"}}, r'model\.encoders: unknown input column "foto"; did you mean "photo"\?'),
        ({"encoders": {"sold": "embedding"}}, r'model\.encoders: unknown input column "sold"'),
        ({"heads": {"pricee": "number"}}, r'model\.heads: unknown target column "pricee"; did you mean "price"\?'),
        ({"heads": {"note": "category"}}, r'model\.heads: unknown target column "note"'),
        ({"heads": {"price": "category"}}, r'model\.heads\.price: "category" answers category, not number'),
    ],
)
def test_a_part_that_does_not_fit_the_columns_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OmnifuseError, match=message):
        ModelConfig.parse(options, "model").check(SCHEMA)


def test_a_vision_transformer_whose_patch_does_not_divide_the_image_is_refused() -> None:
    config = ModelConfig.parse({"dim": 8, "encoders": {"photo": {"name": "vit", "image_size": 20, "patch": 8}}}, "model")
    image = ValueSpec(modality="image", shape=(3, 20, 20))
    with pytest.raises(OmnifuseError, match="8 does not divide the image size 20×20"):
        MultimodalModel(config, {"photo": image}, {"sold": LABEL})


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 17, 33, 64])
@pytest.mark.parametrize("patch", [1, 3, 4])
def test_a_convolutional_network_takes_images_of_any_size(size: int, patch: int) -> None:
    config = ModelConfig.parse({"dim": 8, "encoders": {"photo": {"name": "cnn", "patch": patch, "width": 4}}})
    model = MultimodalModel(config, {"photo": ValueSpec(modality="image", shape=(3, size, size))}, {"sold": LABEL})
    tokens = model.encode({"photo": Values(torch.randn(2, 3, size, size), torch.tensor([True, False]))})["photo"]
    assert 1 <= tokens.values.shape[1] <= 64
    assert torch.isfinite(tokens.values).all()
