"""Batches whose order is a pure function of seed and position."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from omnifuse.core.schema import Schema
from omnifuse.core.values import Values
from omnifuse.data.config import DataConfig
from omnifuse.data.loader import ItemCache, Loader, prefetch, rows_at
from omnifuse.data.modalities.fitting import fit_processors
from omnifuse.data.prepare import prepare

COLUMNS = {
    "picture": {"modality": "image", "size": 8},
    "question": "text",
    "size": "number",
    "shop": "category",
    "answer": {"modality": "category", "role": "target"},
}


@pytest.fixture
def loader(colours: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> Loader:
    folder, rows = colours
    for i in range(0, 96, 7):
        rows[i] = {**rows[i], "picture": None}
    schema = Schema.parse(COLUMNS)
    dataset = prepare(rows, schema, DataConfig(source="rows"), store=tmp_path / "store", root=folder)
    processors = fit_processors(schema, dataset.split("train"), {})
    return Loader(dataset.split("train"), processors, schema.inputs, schema.targets)


def _same(first: Values, second: Values) -> bool:
    if (first.mask is None) != (second.mask is None):
        return False
    masks = first.mask is None or torch.equal(first.mask, second.mask)  # pyright: ignore[reportArgumentType]
    return torch.equal(first.data, second.data) and torch.equal(first.present, second.present) and masks


def _equal(first: list[dict[str, Values]], second: list[dict[str, Values]]) -> bool:
    return len(first) == len(second) and all(
        list(a) == list(b) and all(_same(a[name], b[name]) for name in a) for a, b in zip(first, second, strict=True)
    )


def test_a_stream_may_begin_at_any_step(loader: Loader):
    whole = list(loader.stream(0, 6, 16, seed=3))
    assert _equal(list(loader.stream(3, 6, 16, seed=3)), whole[3:])
    assert _equal(list(loader.stream(0, 6, 16, seed=3)), whole)
    assert not _equal(list(loader.stream(0, 6, 16, seed=4)), whole)
    assert list(loader.stream(4, 4, 16, seed=3)) == []


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_together_see_exactly_the_batch_of_one(loader: Loader, world: int):
    alone = list(loader.stream(1, 5, 16, seed=0))
    ranks = [list(loader.stream(1, 5, 16, seed=0, rank=rank, world=world)) for rank in range(world)]
    for step, batch in enumerate(alone):
        for name, values in batch.items():
            parts = [ranks[rank][step][name] for rank in range(world)]
            assert torch.equal(torch.cat([part.present for part in parts]), values.present)
            if values.mask is None:
                assert torch.equal(torch.cat([part.data for part in parts]), values.data)
            else:  # a rank pads its texts to its own longest
                together = [part.data[i][part.mask[i]].tolist() for part in parts if part.mask is not None for i in range(len(part))]
                assert together == [values.data[i][values.mask[i]].tolist() for i in range(16)]


def test_an_epoch_visits_every_row_once_and_each_epoch_in_another_order():
    first, second = rows_at(0, 76, 76, seed=1), rows_at(76, 152, 76, seed=1)
    assert sorted(first) == sorted(second) == list(range(76))
    assert (first == second).mean() < 0.2


@pytest.mark.parametrize("length", [1, 2, 7, 100])
def test_rows_at_a_position_do_not_depend_on_where_one_begins(length: int):
    whole = rows_at(0, 500, length, seed=9)
    for start, stop in ((0, 1), (3, 17), (99, 101), (250, 500), (5, 5)):
        assert rows_at(start, stop, length, seed=9).tolist() == whole[start:stop].tolist()


def test_rows_of_a_batch_are_the_rows_of_the_dataset(loader: Loader):
    index = [5, 2, 2, 40]
    raws = loader.rows.take(index, loader.columns)
    batch = loader.batch(index)
    assert loader.processors["answer"].decode(batch["answer"].data) == raws["answer"]
    assert loader.processors["size"].decode(batch["size"].data) == pytest.approx(raws["size"], abs=1e-4)
    assert [text.strip() for text in loader.processors["question"].decode(batch["question"].data)] == raws["question"]
    assert batch["picture"].present.tolist() == [key is not None for key in raws["picture"]]


def test_in_order_gives_every_row_once(loader: Loader):
    batches = list(loader.in_order(32))
    assert [len(batch["answer"]) for batch in batches] == [32, 32, 12]
    labels = loader.processors["answer"].decode(torch.cat([batch["answer"].data for batch in batches]))
    assert labels == loader.rows.take(range(76), ["answer"])["answer"]


def test_a_cache_changes_nothing(loader: Loader):
    small = Loader(loader.rows, loader.processors, loader.columns, loader.targets, cache_mb=0)
    assert _equal(list(small.stream(0, 10, 16, seed=0)), list(loader.stream(0, 10, 16, seed=0)))
    assert _equal(list(loader.stream(0, 10, 16, seed=0)), list(loader.stream(0, 10, 16, seed=0)))


def test_an_unknown_label_counts_as_absent_in_a_target_and_as_unknown_in_an_input(loader: Loader):
    target = loader.encode("answer", ["yes", "perhaps", None, "no"])
    assert target.present.tolist() == [True, False, False, True]
    given = loader.encode("shop", ["north", "moon", None])
    assert given.present.tolist() == [True, True, False]
    assert given.data.tolist() == [0, 2, 0]


# prefetch


def _threads() -> int:
    return threading.active_count()


def _settles(count: int) -> bool:
    for _ in range(100):
        if _threads() <= count:
            return True
        time.sleep(0.02)
    return False


def test_prefetch_gives_everything_in_order():
    before = _threads()
    assert list(prefetch(lambda: iter(range(100)))) == list(range(100))
    assert list(prefetch(lambda: iter([None, False, 0]))) == [None, False, 0]
    assert list(prefetch(lambda: iter(()))) == []
    assert _settles(before)


def test_an_error_of_the_thread_is_raised_after_what_came_before_it():
    def make() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("broken")

    before = _threads()
    stream = prefetch(make)
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(KeyError, match="broken"):
        next(stream)
    assert _settles(before)


def test_a_thread_that_is_abandoned_stops():
    made = []

    def make() -> Iterator[int]:
        for i in range(10**9):
            made.append(i)
            yield i

    before = _threads()
    stream = prefetch(make, depth=3)
    assert [next(stream), next(stream)] == [0, 1]
    assert _threads() == before + 1
    stream.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert _settles(before)
    count = len(made)
    assert count < 10
    time.sleep(0.3)
    assert len(made) == count


def test_nothing_runs_before_the_first_item_is_asked_for():
    before, made = _threads(), []
    stream = prefetch(lambda: iter([made.append(1)]))
    time.sleep(0.05)
    assert made == []
    assert _threads() == before
    del stream


def test_prefetch_does_not_run_far_ahead():
    made = []

    def make() -> Iterator[int]:
        for i in range(1000):
            made.append(i)
            yield i

    stream = prefetch(make, depth=4)
    next(stream)
    time.sleep(0.3)
    assert len(made) <= 7
    stream.close()  # pyright: ignore[reportAttributeAccessIssue]


# the cache of items


def _item(kilobytes: int) -> np.ndarray:
    return np.zeros(kilobytes * 1000, np.uint8)


def _kept(cache: ItemCache, keys: str) -> str:
    return "".join(key for key in keys if cache.get(key) is not None)


def test_the_cache_drops_what_was_used_longest_ago():
    cache = ItemCache(3000)
    for key in "abc":
        cache.put(key, _item(1))
    assert cache.get("a") is not None
    cache.put("d", _item(1))
    assert _kept(cache, "abcd") == "acd"


def test_an_item_larger_than_the_limit_is_not_kept_and_drops_nothing():
    cache = ItemCache(3000)
    cache.put("a", _item(1))
    cache.put("b", _item(4))
    assert _kept(cache, "ab") == "a"


def test_a_large_item_drops_as_many_as_it_needs():
    cache = ItemCache(3000)
    for key in "abc":
        cache.put(key, _item(1))
    cache.put("d", _item(2))
    assert _kept(cache, "abcd") == "cd"


def test_an_item_that_is_put_again_counts_once():
    cache = ItemCache(3000)
    cache.put("a", _item(1))
    for _ in range(10):
        cache.put("b", _item(1))
    assert _kept(cache, "ab") == "ab"


def test_a_cache_without_room_keeps_nothing():
    cache = ItemCache(0)
    cache.put("a", _item(1))
    assert cache.get("a") is None
