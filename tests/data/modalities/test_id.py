"""Ids: users and items, with a place that rare and new ones share."""

from __future__ import annotations

import json

import torch

from omnifuse.data.modalities.config import IdConfig
from omnifuse.data.modalities.id import IdProcessor
from omnifuse.model.encoders.config import EmbeddingConfig
from omnifuse.model.encoders.embedding import LabelEmbedding


def _fitted(raws: list[str], **options: int) -> IdProcessor:
    processor = IdProcessor(IdConfig(**options))
    processor.fit(raws)
    return processor


def test_rare_and_new_ids_share_one_place():
    processor = _fitted(["u1", "u2", "u1", "u2", "once", "also once"])
    values = processor.encode(["u1", "u2", "once", "also once", "new", None])
    assert values.data.tolist() == [0, 1, 2, 2, 2, 0]
    assert values.present.tolist() == [True] * 5 + [False]
    assert processor.spec.size == 3
    assert processor.decode(values.data[:5]) == ["u1", "u2", None, None, None]
    assert [processor.is_known(raw) for raw in ("u1", "once", "new", None)] == [True, False, False, False]


def test_the_shared_place_is_learned_from_rare_ids():
    processor = _fitted(["u1", "u1", "once"])
    encoder = LabelEmbedding(EmbeddingConfig(), processor.spec, 4)
    encoder(processor.encode(["once"])).values.sum().backward()
    assert encoder(processor.encode(["new"])).values.abs().sum() > 0
    assert encoder.embedding.weight.grad is not None
    assert encoder.embedding.weight.grad[1].abs().sum() > 0


def test_without_rare_ids_a_new_one_says_nothing_rather_than_something_random():
    processor = _fitted(["u1", "u1", "u2", "u2"])
    assert processor.spec.size == 2
    encoder = LabelEmbedding(EmbeddingConfig(), processor.spec, 4)
    tokens = encoder(processor.encode(["new", None]))
    assert not tokens.values.any()
    assert tokens.mask.tolist() == [[True], [False]], "a new id is there, an absent one is not"


def test_the_most_frequent_ids_are_kept():
    processor = _fitted(["a", "b", "b", "c", "c", "c"], min_count=1, max_ids=2)
    assert processor.labels_ == ["b", "c"]
    assert processor.spec.size == 3


def test_one_written_as_number_or_word_is_one_id():
    processor = IdProcessor(IdConfig())
    assert {processor.canonical(value) for value in (7, 7.0, "7", " 7 ")} == {"7"}
    assert processor.canonical("007") == "007"
    assert processor.canonical("  ") is None


def test_ids_survive_json():
    for raws in (["u1", "u1", "once"], ["u1", "u1"]):
        first, second = _fitted(raws), IdProcessor(IdConfig())
        second.load_state(json.loads(json.dumps(first.state())))
        assert second.spec == first.spec
        assert torch.equal(second.encode(["u1", "new"]).data, first.encode(["u1", "new"]).data)
