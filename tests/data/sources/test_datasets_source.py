"""Hugging Face datasets: objects and saved folders; files stay files, class labels become words."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.sources import read_source, source_fingerprint
from omnifuse.data.table import iterate_rows

datasets = pytest.importorskip("datasets", reason="pip install 'omnifuse[datasets]'")


def _picture(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(buffer, "PNG")
    return buffer.getvalue()


RED, BLUE = _picture("red"), _picture("blue")


@pytest.fixture(scope="module")
def dataset() -> Any:
    """A dataset with every feature that is not what it seems."""
    features = datasets.Features(
        {
            "picture": datasets.Image(),
            "sound": {"bytes": datasets.Value("binary"), "path": datasets.Value("string")},
            "answer": datasets.ClassLabel(names=["no", "yes"]),
            "tags": datasets.Sequence(datasets.ClassLabel(names=["p", "q"])),
            "deep": {"kind": datasets.ClassLabel(names=["z"]), "n": datasets.Value("int64")},
            "views": datasets.Sequence(datasets.Image()),
        }
    )
    rows = [
        {
            "picture": {"bytes": RED, "path": None},
            "sound": {"bytes": b"RIFF", "path": "a.wav"},
            "answer": 1,
            "tags": [1, 0],
            "deep": {"kind": 0, "n": 3},
            "views": [{"bytes": BLUE, "path": None}],
        },
        {"picture": None, "sound": {"bytes": None, "path": "b.wav"}, "answer": None, "tags": [], "deep": None, "views": []},
    ]
    return datasets.Dataset.from_list(rows, features=features).cast_column("sound", datasets.Audio())


EXPECTED = [
    {"picture": RED, "sound": b"RIFF", "answer": "yes", "tags": ["q", "p"], "deep": {"kind": "z", "n": 3}, "views": [BLUE]},
    {"picture": None, "sound": "b.wav", "answer": None, "tags": [], "deep": None, "views": []},
]


def _rows(value: Any, columns: list[str] | None = None, base: Path = Path()) -> list[dict[str, Any]]:
    return list(iterate_rows(read_source(value, base), columns))


def test_a_dataset_gives_bytes_paths_and_words(dataset: Any):
    assert _rows(dataset) == EXPECTED
    assert _rows(dataset, ["answer"]) == [{"answer": "yes"}, {"answer": None}]
    assert _rows(dataset, ["answer", "tags"])[0] == {"answer": "yes", "tags": ["q", "p"]}


def test_an_order_or_a_choice_of_rows_is_kept(dataset: Any):
    assert _rows(dataset.select([1, 0, 1]), ["answer"]) == [{"answer": None}, {"answer": "yes"}, {"answer": None}]


def test_a_stream_gives_the_same_rows(dataset: Any):
    assert _rows(dataset.to_iterable_dataset()) == EXPECTED

    def rows() -> Iterator[dict[str, Any]]:
        yield from ({"a": number} for number in range(3))

    assert _rows(datasets.IterableDataset.from_generator(rows)) == [{"a": 0}, {"a": 1}, {"a": 2}]


def test_splits_are_told_by_a_column(dataset: Any):
    both = datasets.DatasetDict({"train": dataset, "test": dataset.select([1])})
    assert [row["split"] for row in _rows(both)] == ["train", "train", "test"]
    assert _rows(both, ["split", "answer"])[0] == {"split": "train", "answer": "yes"}
    with pytest.raises(OmnifuseError, match=r'already has|a column "split"'):
        _rows(datasets.DatasetDict({"a": dataset.add_column("split", ["x", "y"])}))


def test_a_saved_folder_is_read(dataset: Any, tmp_path: Path):
    plain = dataset.remove_columns("sound")
    datasets.DatasetDict({"train": plain, "test": plain.select([1])}).save_to_disk(tmp_path / "saved")
    assert [row["picture"] for row in _rows("saved", base=tmp_path)] == [RED, None, None]
    assert len(_rows({"name": "datasets", "path": "saved", "split": "test"}, base=tmp_path)) == 1
    assert source_fingerprint("saved", tmp_path) == source_fingerprint("saved", tmp_path)
    with pytest.raises(OmnifuseError, match='did you mean "test"'):
        _rows({"name": "datasets", "path": "saved", "split": "tst"}, base=tmp_path)
    (tmp_path / "other").mkdir()
    with pytest.raises(OmnifuseError, match="was not made by `save_to_disk`"):
        _rows({"name": "datasets", "path": "other"}, base=tmp_path)


def test_a_fingerprint_follows_the_content(dataset: Any):
    def mark(value: Any) -> str:
        return source_fingerprint(value, Path())

    assert mark(dataset) == mark(dataset)
    assert mark(dataset) != mark(dataset.select([1]))
    same = [datasets.Dataset.from_dict({"a": [1, 2]}) for _ in range(2)]
    assert mark(same[0]) == mark(same[1]) != mark(datasets.Dataset.from_dict({"a": [1, 3]}))


def test_a_name_that_the_hub_cannot_give_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(OmnifuseError, match=r"^nobody/nothing-here: cannot be loaded \("):
        _rows({"name": "datasets", "path": "nobody/nothing-here"})
