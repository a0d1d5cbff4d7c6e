"""What frozen encoders make of values is computed once, kept beside the dataset, and the same as without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import omnifuse as of
from omnifuse.core.values import Features, Values
from omnifuse.data.memory import MemoryRows
from omnifuse.evaluation.evaluation import evaluate
from omnifuse.pipeline import frozen
from omnifuse.pipeline.frozen import features_key
from omnifuse.pipeline.kept_features import KeptFeatures, value_key
from omnifuse.train.fit import prepare_recipe, train
from omnifuse.train.recipe import Recipe
from omnifuse.train.tracking import Silent
from tests.pipeline.frozen_run import equal_weights, recipe


def run_through(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts, from now on, how many values go through frozen networks."""
    counts: list[int] = []
    compute = frozen.FeatureLoader._compute

    def counted(self: Any, name: str, raws: Any) -> Any:
        counts.extend([1] * len(raws))
        return compute(self, name, raws)

    monkeypatch.setattr(frozen.FeatureLoader, "_compute", counted)
    return counts


def different_values(dataset: of.Dataset) -> int:
    """In the columns that frozen networks read."""
    values = dataset.take(range(len(dataset)), ["picture", "question"])
    return sum(len({value for value in column if value is not None}) for column in values.values())


def test_each_value_goes_through_the_network_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = run_through(monkeypatch)
    pipeline = train(recipe(tmp_path), tmp_path / "one", base=tmp_path)
    dataset = prepare_recipe(recipe(tmp_path), tmp_path)
    evaluate(pipeline, dataset)
    assert 0 < len(counts) <= different_values(dataset), "two epochs, two validations, one evaluation"
    counts.clear()
    train(recipe(tmp_path), tmp_path / "again", base=tmp_path)
    train(recipe(tmp_path, fusion="product"), tmp_path / "fusion", base=tmp_path)
    evaluate(of.Pipeline.load(tmp_path / "one"), dataset)
    assert counts == [], "a second run, another fusion and the loaded model begin with what is kept"
    assert equal_weights(tmp_path / "one", tmp_path / "again")
    train(recipe(tmp_path, seed=1), tmp_path / "seed", base=tmp_path)
    assert len(counts) <= different_values(dataset) // 4, "another division of the rows too: only what was in no split before"


@pytest.mark.parametrize("pool", ["tokens", "mean"])
def test_results_are_equal_without(tmp_path: Path, pool: str) -> None:
    kept = train(recipe(tmp_path, pool=pool), tmp_path / "kept", base=tmp_path)
    again = train(recipe(tmp_path, pool=pool), tmp_path / "again", base=tmp_path)
    none = train(recipe(tmp_path, pool=pool, features_gb=0), tmp_path / "none", base=tmp_path)
    assert equal_weights(tmp_path / "kept", tmp_path / "none")
    assert equal_weights(tmp_path / "kept", tmp_path / "again")
    rows = prepare_recipe(recipe(tmp_path), tmp_path).split("test")
    said = [torch.cat([answer["answer"] for answer in pipeline.answers(rows)]) for pipeline in (kept, again, none)]
    assert torch.equal(said[0], said[1])
    assert torch.equal(said[0], said[2])


def test_features_are_what_the_encoder_makes_of_the_values(tmp_path: Path) -> None:
    pipeline = train(recipe(tmp_path), tmp_path / "run", base=tmp_path).to("cpu")
    rows = prepare_recipe(recipe(tmp_path), tmp_path).split("train")
    place = rows.take([3, 1, 3], ["picture", "question"])
    for name in ("picture", "question"):
        features = pipeline.loader(rows).encode(name, [*place[name], None])
        values = pipeline.processors[name].encode([*(rows.media(place[name]) if name == "picture" else place[name]), None])
        assert isinstance(features, Features) and not isinstance(values, Features)
        with pipeline.evaluating(), torch.no_grad():
            kept, fresh = pipeline.model.encoders[name](features), pipeline.model.encoders[name](values)
        assert torch.equal(kept.mask, fresh.mask)
        assert torch.allclose(kept.values, fresh.values, atol=1e-5)
        assert torch.equal(kept.present, torch.tensor([True, True, True, False]))


def test_a_batch_without_any_value(tmp_path: Path) -> None:
    pipeline = train(recipe(tmp_path), tmp_path / "run", base=tmp_path)
    memory = MemoryRows([{"size": 1.0}, {"size": 2.0}], pipeline.processors, pipeline.schema.inputs)
    batch = pipeline.loader(memory).batch([0, 1])
    assert not batch["picture"].present.any()
    assert all(torch.isfinite(answer).all() for answer in pipeline.model.predict(batch).values())
    assert len(pipeline.predict([{}, {"size": 3}])) == 2


def test_trained_networks_are_not_kept(tmp_path: Path) -> None:
    pipeline = train(recipe(tmp_path, tune="lora"), tmp_path / "run", base=tmp_path)
    dataset = prepare_recipe(recipe(tmp_path), tmp_path)
    batch = pipeline.loader(dataset).batch([0, 1])
    assert isinstance(batch["picture"], Features)
    assert type(batch["question"]) is Values
    assert len(list((dataset.store / "features").iterdir())) == 1, "of the frozen network alone"


def test_what_features_depend_on(tmp_path: Path) -> None:
    pipeline = train(recipe(tmp_path), tmp_path / "run", base=tmp_path)
    encoder: Any = pipeline.model.encoders["question"]
    processor: Any = pipeline.processors["question"]
    key = features_key(encoder, processor)
    loaded = of.Pipeline.load(tmp_path / "run", "cpu")
    assert features_key(loaded.model.encoders["question"], loaded.processors["question"]) == key  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        encoder.projection.weight.add_(1)
    assert features_key(encoder, processor) == key, "the projection is behind the features"
    processor.config = processor.config.model_copy(update={"max_length": 3})
    cut = features_key(encoder, processor)
    encoder.options = encoder.options.model_copy(update={"pool": "mean"})
    pooled = features_key(encoder, processor)
    with torch.no_grad():
        next(encoder.backbone.parameters()).add_(1e-3)
    assert len({key, cut, pooled, features_key(encoder, processor)}) == 4


def states(seed: int, length: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(length, 4)).astype(np.float32)


def test_two_processes_find_what_the_other_kept(tmp_path: Path) -> None:
    one, two = (KeptFeatures(tmp_path / "kept", 1e9) for _ in range(2))
    keys = [value_key(raw) for raw in ("a", "b", ("a", 1.5), 7)]
    assert two.find(keys) == [None] * 4
    for seed, key in enumerate(keys[:2]):
        one.add(key, states(seed, length=seed))
    assert one.find(keys)[1] is not None, "before it is written too"
    one.flush()
    two.add(keys[2], states(2))
    two.add(keys[1], states(1, length=1))
    two.flush()
    for reader in (one, two, KeptFeatures(tmp_path / "kept", 1e9)):
        found = reader.find(keys)
        for seed, length in ((0, 0), (1, 1), (2, 3)):
            assert found[seed] is not None and np.array_equal(found[seed], states(seed, length))  # type: ignore[arg-type]
        assert found[3] is None


def test_damaged_files_are_computed_again(tmp_path: Path) -> None:
    kept, key = KeptFeatures(tmp_path, 1e9), value_key("a")
    kept.add(key, states(0))
    kept.flush()
    [path] = tmp_path.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-8])
    after = KeptFeatures(tmp_path, 1e9)
    assert after.find([key]) == [None]
    after.add(key, states(0))
    after.flush()
    assert np.array_equal(KeptFeatures(tmp_path, 1e9).find([key])[0], states(0))  # type: ignore[arg-type]


def test_a_limit_of_the_disk_space(tmp_path: Path) -> None:
    said: list[str] = []

    class Listener(Silent):
        def said(self, message: str) -> None:
            said.append(message)

    limited = recipe(tmp_path, features_gb=5e-6)
    train(limited, tmp_path / "limited", base=tmp_path, observer=Listener())
    [told] = [message for message in said if "features of a frozen encoder" in message]
    assert "raise data.features_gb, or use pool: mean" in told
    for folder in (prepare_recipe(limited, tmp_path).store / "features").iterdir():
        assert sum(path.stat().st_size for path in folder.glob("*.safetensors")) < 6e3
    train(recipe(tmp_path, features_gb=0), tmp_path / "none", base=tmp_path)
    assert equal_weights(tmp_path / "limited", tmp_path / "none")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    kept = KeptFeatures(tmp_path / "file" / "features", 1e9)
    kept.add(value_key("a"), states(0))
    kept.flush()
    assert kept.trouble is not None and "are not kept" in kept.trouble
    assert kept.find([value_key("a")]) == [None]


def test_a_frozen_encoder_that_reads_a_target(tmp_path: Path) -> None:
    value = recipe(tmp_path).dump()
    value["columns"] = {"picture": "image", "question": {"modality": "text", "role": "target"}}
    value["model"]["heads"] = {"question": {"name": "contrastive", "width": 8}}
    pipeline = train(Recipe.make(value), tmp_path / "run", base=tmp_path)
    rows = prepare_recipe(Recipe.make(value), tmp_path).split("train")
    batch = pipeline.loader(rows, ["question"]).batch([0, 1])
    assert isinstance(batch["question"], Features)
    assert isinstance(batch["picture"], Features)
    assert len(list((rows.store / "features").iterdir())) == 2
