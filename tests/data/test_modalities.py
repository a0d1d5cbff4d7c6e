"""Every modality: raw → tensor → raw, absence, fitting on the training rows, state."""

from __future__ import annotations

import datetime
import io
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Column, Schema
from omnifuse.data.config import DataConfig
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities import MODALITIES
from omnifuse.data.modalities.config import ImageConfig, TextConfig
from omnifuse.data.modalities.fitting import fit_processors, load_processors, save_processors
from omnifuse.data.modalities.image import ImageProcessor
from omnifuse.data.modalities.processor import Processor
from omnifuse.data.modalities.text import TextProcessor
from omnifuse.data.prepare import prepare


def _picture(side: int = 16, shade: int = 0, height: int | None = None) -> bytes:
    pixels = np.random.default_rng(shade).integers(0, 256, (height or side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


class Given:
    """Training rows that are simply given."""

    def __init__(self, **columns: Sequence[Any]) -> None:
        self.columns = columns

    def present(self, name: str) -> Iterator[Any]:
        return (value for value in self.columns[name] if value is not None)

    def absent(self, name: str) -> int:
        return sum(value is None for value in self.columns[name])


VALUES: dict[str, list[Any]] = {
    "text": ["a red shoe", "a blue hat 你好", "tiny"],
    "image": [_picture(16, shade) for shade in range(3)],
    "category": ["b", "a", "c"],
    "number": [1.0, 2.5, -4.0],
    "set": [("a", "b"), (), ("b",)],
    "datetime": [0, 86_400_000_000, -1_000_000],
    "id": ["u1", "u2", "u3"],
    "vector": [(1.0, 2.0), (0.5, -3.0), (0.0, 7.0)],
}


def _fitted(modality: str, **options: Any) -> Processor[Any]:
    return fit_processors(Schema([Column("x", modality, **options)]), Given(x=VALUES[modality]), {})["x"]


@pytest.mark.parametrize("modality", VALUES)
def test_absent_values_are_zeros_marked_absent_and_never_nan(modality: str):
    processor = _fitted(modality)
    first = VALUES[modality][0]
    for raws in ([None, first, None], [None], [None, None]):
        values = processor.encode(raws)
        assert values.present.tolist() == [raw is not None for raw in raws]
        assert torch.isfinite(values.data.float()).all()
        assert not values.data[~values.present].any()
        if values.mask is not None:
            assert not values.mask[~values.present].any()
    mixed, alone = processor.encode([None, first]), processor.encode([first])
    assert torch.equal(mixed.data[1], alone.data[0]), "absent neighbours change nothing"


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("value", [None, float("nan"), np.nan, pd.NA, pd.NaT, np.float32("nan")], ids=repr)
def test_every_way_to_leave_a_value_out_is_absent(modality: str, value: Any):
    assert MODALITIES.build(MODALITIES.parse(modality)).canonical(value) is None


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("value", ["", "   ", "\n"])
def test_blank_words_are_absent(modality: str, value: str):
    assert MODALITIES.build(MODALITIES.parse(modality)).canonical(value) is None


@pytest.mark.parametrize("modality", VALUES)
def test_state_brings_back_an_equal_processor(modality: str):
    first = _fitted(modality)
    second = MODALITIES.build(first.config)
    second.load_state(json.loads(json.dumps(first.state())))
    raws = [*VALUES[modality], None]
    a, b = first.encode(raws), second.encode(raws)
    assert torch.equal(a.data, b.data)
    assert torch.equal(a.present, b.present)
    assert (a.mask is None and b.mask is None) or torch.equal(a.mask, b.mask)  # pyright: ignore[reportArgumentType]
    assert first.spec == second.spec
    assert str(first.decode(a.data)) == str(second.decode(b.data))


def test_all_processors_are_saved_and_loaded_together(tmp_path: Path):
    schema = Schema([Column(name, name) for name in VALUES])
    rows = Given(**{name: [*values, None] for name, values in VALUES.items()})
    first = fit_processors(schema, rows, {})
    save_processors(first, tmp_path)
    second = load_processors(schema, tmp_path)
    for name in schema:
        assert second[name].spec == first[name].spec
        assert second[name].spec.optional
        assert torch.equal(first[name].encode(VALUES[name]).data, second[name].encode(VALUES[name]).data)
    with pytest.raises(OmnifuseError, match='processor of column "more" is missing'):
        load_processors(Schema([Column("more", "text")]), tmp_path)


def test_optional_says_whether_a_training_row_had_no_value():
    schema = Schema([Column("x", "number")])
    assert not fit_processors(schema, Given(x=[1.0, 2.0]), {})["x"].spec.optional
    assert fit_processors(schema, Given(x=[1.0, None, 2.0]), {})["x"].spec.optional


def test_only_training_rows_are_learned_from(tmp_path: Path):
    """The other splits hold other numbers, words, labels and picture sizes; nothing of the processors may change."""

    def fitted(strange: bool, folder: Path) -> dict[str, Any]:
        rows = []
        for i in range(60):
            split = ("train", "train", "validation", "test")[i % 4]
            other = strange and split != "train"
            rows.append(
                {
                    "number": 1e6 + i if other else float(i % 7),
                    "text": f"zebra xylophone {i}" if other else f"a red shoe number {i % 5}",
                    "category": f"new{i}" if other else "abab"[i % 4],
                    "image": _picture(96 if other else 16, i % 4),
                    "set": [f"new{i}", "zebra"] if other else ["a", "b", "c"][: i % 4],
                    "datetime": f"19{i + 10}-01-01T01:00" if other else f"2024-01-{i % 28 + 1:02}",
                    "id": f"new{i % 3}" if other else f"u{i % 5}",
                    "vector": [1e6 + i, 0] if other else [i % 7, i % 3],
                    "split": split,
                }
            )
        schema = Schema([Column(name, name) for name in VALUES])
        config = DataConfig.parse({"source": "rows", "split": {"column": "split"}})
        dataset = prepare(rows, schema, config, store=folder)
        processors = fit_processors(schema, dataset.split("train"), {})
        return {name: (processor.state(), processor.spec) for name, processor in processors.items()}

    assert fitted(False, tmp_path / "a") == fitted(True, tmp_path / "b")


@pytest.mark.parametrize("modality", VALUES)
def test_a_column_without_any_value_is_refused(modality: str):
    with pytest.raises(OmnifuseError, match=r"^columns.x: the training split has no value"):
        fit_processors(Schema([Column("x", modality)]), Given(x=[None, None]), {})


@pytest.mark.parametrize("modality", ["category", "number", "text", "set", "datetime", "id", "vector"])
def test_a_target_with_one_value_is_refused_and_an_input_is_not(modality: str):
    value = VALUES[modality][0]
    with pytest.raises(OmnifuseError, match=r"^columns.x: every training row has the same value .* a target needs at least two"):
        fit_processors(Schema([Column("x", modality, "target")]), Given(x=[value, None, value]), {})
    assert fit_processors(Schema([Column("x", modality)]), Given(x=[value, value]), {})["x"].encode([value]).present.all()


# texts

TEXTS = [
    "a red shoe",
    "你好，世界！这双鞋很好看。",
    "مرحبا بالعالم",
    "नमस्ते दुनिया",
    "👩‍👩‍👧 🏳️‍🌈 ok 🙂",
    "tabs\tand\nnew lines",
    "naïve café",
    "x" * 50,
]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:8])
def test_a_text_of_any_language_comes_back_even_if_it_was_never_seen(text: str):
    processor = TextProcessor(TextConfig(vocabulary=300))
    processor.fit(["words of one language only"])
    values = processor.encode([text])
    assert values.mask is not None
    assert values.mask.all()
    assert processor.decode(values.data) == [text]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"2027", "2027"),
        (bytearray("naïve", "utf-8"), "naïve"),
        ([b"two", "words", 3], "two words 3"),
        (np.array(["two", "words"]), "two words"),
        (2.5, "2.5"),
        (np.int64(7), "7"),
        (True, "True"),
        (datetime.date(2027, 1, 2), "2027-01-02"),
        (Decimal("1.50"), "1.50"),
        (b" ", None),
    ],
)
def test_what_stands_for_a_text_is_read_as_one(value: Any, text: str | None):
    assert TextProcessor(TextConfig()).canonical(value) == text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\x89PNG", "is not UTF-8 text"),
        ([b"\xff"], "is not UTF-8 text"),
        ({"a": 1}, "dict is not text"),
        ([["a"]], "list is not text"),
        ([{"a": 1}], "dict is not text"),
        ({"a", "b"}, "set is not text"),
        (np.zeros((2, 2)), "ndarray is not text"),
        (torch.zeros(2), "Tensor is not text"),
        (Image.new("RGB", (2, 2)), "Image is not text"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_python_alone_has_words_for_is_no_text(value: Any, reason: str):
    with pytest.raises(BadValue, match=reason):
        TextProcessor(TextConfig()).canonical(value)


def test_texts_of_different_length_come_back_from_one_batch():
    processor = TextProcessor(TextConfig(vocabulary=400))
    processor.fit(TEXTS)
    assert [text.strip() for text in processor.decode(processor.encode(TEXTS).data)] == TEXTS


def test_a_language_that_was_seen_takes_fewer_tokens():
    seen, other = TextProcessor(TextConfig(vocabulary=400)), TextProcessor(TextConfig(vocabulary=400))
    seen.fit(["这双鞋很好看", "这双鞋很好穿"] * 20)
    other.fit(["a red shoe"] * 20)
    assert len(seen.item("这双鞋很好看")) < len(other.item("这双鞋很好看")) / 2


def test_case_is_folded_unless_told_otherwise():
    for lowercase, expected in ((True, "hello world"), (False, "Hello WORLD")):
        processor = TextProcessor(TextConfig(lowercase=lowercase))
        processor.fit(["Hello WORLD"])
        assert processor.decode(processor.encode(["Hello WORLD"]).data)[0].strip() == expected


def test_long_texts_are_cut():
    processor = TextProcessor(TextConfig(max_length=5))
    processor.fit(["a b c d e f g h i"])
    assert processor.encode(["z y x w v u t s r q"]).data.shape == (1, 5)
    assert processor.spec.max_length == 5


@pytest.mark.parametrize("mark", ["[PAD]", "[BEGIN]", "[END]"])
def test_marks_that_a_user_writes_are_plain_text(mark: str):
    processor = TextProcessor(TextConfig(vocabulary=300, lowercase=False))
    processor.fit(["a b"])
    values = processor.encode([f"a {mark} b"])
    assert 0 not in values.data[values.mask].tolist(), "0 pads and stands nowhere else"
    assert processor.decode(values.data)[0].strip() == f"a {mark} b"


def test_the_vocabulary_holds_every_id():
    processor = TextProcessor(TextConfig(vocabulary=300))
    processor.fit(TEXTS)
    assert int(processor.encode(TEXTS).data.max()) < processor.spec.size <= 300


def test_fitting_twice_gives_the_same_tokens():
    first, second = TextProcessor(TextConfig(vocabulary=400)), TextProcessor(TextConfig(vocabulary=400))
    first.fit(TEXTS)
    second.fit(iter(TEXTS))
    assert first.state() == second.state()


def test_a_tokenizer_of_ones_own_is_used_and_a_damaged_one_refused(tmp_path: Path):
    first = TextProcessor(TextConfig(vocabulary=300))
    first.fit(["a red shoe"] * 5)
    (tmp_path / "tokenizer.json").write_text(first.state()["tokenizer"])
    second = TextProcessor(TextConfig(tokenizer=str(tmp_path / "tokenizer.json")))
    second.fit(["something else"])
    assert second.item("a red shoe").tolist() == first.item("a red shoe").tolist()
    (tmp_path / "bad.json").write_text("{}")
    for name in ("bad.json", "none.json"):
        with pytest.raises(OmnifuseError, match=r"not a readable tokenizer.json"):
            TextProcessor(TextConfig(tokenizer=str(tmp_path / name))).fit([])


# images


def test_a_picture_of_the_right_size_comes_back_exactly():
    processor = ImageProcessor(ImageConfig(size=16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25)))
    values = processor.encode([_picture(16, 3)])
    assert values.data.shape == (1, 3, 16, 16)
    assert (processor.decode(values.data)[0] == np.asarray(Image.open(io.BytesIO(_picture(16, 3))))).all()


def test_pixels_are_normalised():
    white = io.BytesIO()
    Image.new("RGB", (8, 8), "white").save(white, "PNG")
    assert ImageProcessor(ImageConfig(size=8)).encode([white.getvalue()]).data.unique().tolist() == [1.0]
    special = ImageProcessor(ImageConfig(size=8, channels=1, mean=(0.25,), std=(0.5,))).encode([white.getvalue()])
    assert special.data.shape == (1, 1, 8, 8)
    assert special.data.unique().tolist() == [1.5]


@pytest.mark.parametrize(
    ("sides", "expected"),
    [([64, 64, 64], 64), ([20, 21, 300], 24), ([28], 32), ([3], 8), ([1000], 128), ([16, 32, 48], 32)],
)
def test_the_size_is_the_median_shorter_side(sides: list[int], expected: int):
    processor = ImageProcessor(ImageConfig())
    processor.fit([_picture(side, height=side * 2) for side in sides])
    assert processor.spec.shape == (3, expected, expected)


def test_a_given_size_is_kept():
    processor = ImageProcessor(ImageConfig(size=40))
    processor.fit([_picture(16)])
    assert processor.spec.shape == (3, 40, 40)


def test_the_forms_of_a_picture_that_python_may_give():
    array = np.asarray(Image.open(io.BytesIO(_picture())))
    for value in (_picture(), bytearray(_picture()), memoryview(_picture()), array, Image.fromarray(array)):
        canonical = ImageProcessor(ImageConfig()).canonical(value)
        assert isinstance(canonical, bytes)
        assert (np.asarray(Image.open(io.BytesIO(canonical))) == array).all()
    assert ImageProcessor(ImageConfig()).canonical(Path("a/b.png")) == str(Path("a/b.png"))
    assert ImageProcessor(ImageConfig()).canonical(" a.png ") == "a.png"
