"""Columns that go missing: dropped by chance in training, taken away in use, and heads that read one column alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model import MultimodalModel
from omnifuse.model.config import ModelConfig
from omnifuse.model.layers.modality_dropout import ModalityDropout
from omnifuse.train.recipe import Recipe

NUMBER, LABEL = ValueSpec(modality="number"), ValueSpec(modality="category", size=3)


def token_columns(present: torch.Tensor) -> dict[str, Tokens]:
    rows, count = present.shape
    return {f"c{m}": Tokens(torch.ones(rows, 2, 4), torch.ones(rows, 2, dtype=torch.bool)).keep(present[:, m]) for m in range(count)}


def test_columns_drop_out_by_their_shares_and_never_all_of_a_row() -> None:
    torch.manual_seed(0)
    present = torch.ones(20_000, 3, dtype=torch.bool)
    present[10_000:, 0] = False  # in half of the rows one is absent anyway
    dropout = ModalityDropout({"c0": 0.2, "c1": 0.5, "c2": 0.0})
    stays = torch.stack([tokens.present for tokens in dropout(token_columns(present)).values()], dim=1)
    assert not (stays & ~present).any(), "what is absent stays absent"
    assert stays.any(dim=1).all(), "something is left of every row"
    assert abs(1 - stays[:10_000, 0].float().mean() - 0.2) < 0.015
    assert abs(1 - stays[:, 1].float().mean() - 0.5) < 0.015
    assert stays[:, 2].all()


def test_where_everything_would_drop_out_each_column_has_the_same_chance_to_stay() -> None:
    torch.manual_seed(0)
    stays = ModalityDropout({"c0": 0.999, "c1": 0.999}).draw(torch.ones(20_000, 2, dtype=torch.bool))
    assert abs(stays[:, 0].float().mean() - 0.5) < 0.015
    nothing = ModalityDropout({"c0": 0.5, "c1": 0.5}).draw(torch.zeros(8, 2, dtype=torch.bool))
    assert not nothing.any(), "a row without anything stays without"


def test_what_drops_out_is_absent_to_the_fusion_and_nothing_drops_out_in_use() -> None:
    dropout = ModalityDropout({"c0": 0.9, "c1": 0.9})
    tokens = token_columns(torch.ones(64, 2, dtype=torch.bool))
    torch.manual_seed(0)
    dropped = dropout(tokens)
    assert not dropped["c0"].values[~dropped["c0"].present].any()
    kept = dropout.eval()(tokens)
    assert all(torch.equal(kept[name].values, tokens[name].values) for name in tokens)


def model_of(**options: Any) -> MultimodalModel:
    torch.manual_seed(0)
    return MultimodalModel(ModelConfig.parse({"dim": 8, "fusion": "concat", **options}), {"a": NUMBER, "b": NUMBER}, {"y": LABEL})


def batch_of(rows: int = 6) -> dict[str, Values]:
    present = torch.ones(rows, dtype=torch.bool)
    absent = present.clone()
    absent[0] = False
    values = torch.arange(rows, dtype=torch.float32)
    return {"a": Values(values * absent, absent), "b": Values(-values, present), "y": Values(torch.arange(rows) % 3, present)}


def test_a_column_that_may_drop_out_gets_a_learned_vector_for_its_absence() -> None:
    names = {name: [n for n, _ in model_of(**options).named_parameters() if "absent" in n] for name, options in {
        "never": {}, "one": {"modality_dropout": {"b": 0.3}}, "all": {"modality_dropout": 0.3},
    }.items()}  # fmt: skip
    assert names == {"never": [], "one": ["fusion.absent"], "all": ["fusion.absent"]}
    assert model_of(modality_dropout={"b": 0.3}).fusion.absent.shape == (1, 8)
    assert model_of(modality_dropout=0.3).fusion.absent.shape == (2, 8)


def test_without_dropout_and_further_heads_the_model_is_as_it_was() -> None:
    plain = model_of()
    assert plain.modality_dropout is None
    assert plain.unimodal is None
    assert all(name.split(".")[0] in {"encoders", "fusion", "heads"} for name, _ in plain.named_parameters())


def test_the_loss_of_a_row_holds_that_of_each_column_that_is_there() -> None:
    model, batch = model_of(unimodal=0.5), batch_of()
    tokens = model.encode(batch)
    plain = model.losses(model.outputs(model.fuse(tokens)), batch)["y"].per_row
    alone = {}
    for column in ("a", "b"):
        head = model.unimodal.columns[column]["y"]
        fused = of_one(tokens[column])
        alone[column] = head.loss(head(fused), batch["y"])
    expected = plain + 0.5 * torch.cat([alone["b"][:1], ((alone["a"] + alone["b"]) / 2)[1:]])
    torch.testing.assert_close(model(batch)["y"].per_row, expected)


def of_one(tokens: Tokens) -> Any:
    from omnifuse.core.values import Fused

    return Fused(tokens.values, tokens.mask, tokens.pool())


def test_every_encoder_learns_by_itself_even_where_fusion_reads_nothing() -> None:
    model, batch = model_of(unimodal=1.0), batch_of()
    with torch.no_grad():
        model.fusion.linear.weight.zero_()
    sum(loss.per_row.sum() for loss in model(batch).values()).backward()
    for column in ("a", "b"):
        assert all(p.grad is not None and p.grad.any() for p in model.encoders[column].parameters()), column


def test_one_column_alone_never_drops_out() -> None:
    config = ModelConfig.parse({"dim": 8, "modality_dropout": 0.5})
    assert MultimodalModel(config, {"a": NUMBER}, {"y": LABEL}).modality_dropout is None


def test_a_share_of_a_column_that_is_not_there_is_refused_with_the_nearest_name() -> None:
    recipe = {
        "columns": {"photo": "image", "price": "number", "sold": {"modality": "category", "role": "target"}},
        "data": {"source": "x.csv"},
        "model": {"modality_dropout": {"foto": 0.2}},
    }
    with pytest.raises(OmnifuseError, match=r'model.modality_dropout: .*"foto".*photo'):
        Recipe.make(recipe)
    with pytest.raises(OmnifuseError, match="modality_dropout"):
        Recipe.make({**recipe, "model": {"modality_dropout": 1.0}})


@pytest.fixture(scope="module")
def copes(tmp_path_factory: pytest.TempPathFactory) -> tuple[of.Pipeline, list[dict[str, Any]]]:
    """A model of two numbers that each tell the answer, and rows it has not seen."""
    rows = twins(seed=0)
    settings = {"model.dim": 16, "model.fusion": "concat", "model.modality_dropout": 0.4, "train.epochs": 15, "train.batch_size": 32}
    pipeline = of.fit(rows, target="answer", out=tmp_path_factory.mktemp("copes") / "run", settings=settings)
    return pipeline, twins(seed=1)


def twins(seed: int, count: int = 300) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    return [
        {"left": float(label + random.normal(0, 0.1)), "right": float(label + random.normal(0, 0.1)), "answer": "yes" if label else "no"}
        for label in labels
    ]


def test_a_model_trained_with_dropout_answers_from_either_column(copes: tuple[of.Pipeline, list[dict[str, Any]]], tmp_path: Path) -> None:
    pipeline, rows = copes
    whole = of.evaluate(pipeline, rows)
    assert whole.split == "test"
    assert whole.metrics["answer"]["accuracy"] > 0.98
    for name in ("left", "right"):
        found = of.evaluate(pipeline, rows, absent=[name])
        assert found.split == f"test without {name}"
        assert found.metrics["answer"]["accuracy"] > 0.97
        assert set(found.details["shuffle"]["answer"]["columns"]) == {"left", "right"} - {name}
        said = [
            answer["answer"] for answer in pipeline.predict([{k: v for k, v in row.items() if k not in (name, "answer")} for row in rows])
        ]
        right = np.mean([a == row["answer"] for a, row in zip(said, rows, strict=True)])
        assert right == pytest.approx(found.metrics["answer"]["accuracy"]), "taken away or never given: the same to the model"
        found.save(tmp_path)
        assert (tmp_path / f"evaluation-test without {name}.json").exists()


def test_a_column_to_take_away_must_be_an_input(copes: tuple[of.Pipeline, list[dict[str, Any]]]) -> None:
    with pytest.raises(OmnifuseError, match=r"absent: .*leftt.*left"):
        of.evaluate(copes[0], copes[1], absent=["leftt"])
