"""Values come apart, and what is taken away is gone and nothing else."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from omnifuse.core.schema import Column
from omnifuse.data.modalities import MODALITIES
from omnifuse.data.modalities.config import column_config
from omnifuse.data.modalities.fitting import processor_class
from omnifuse.data.modalities.processor import Processor
from omnifuse.evaluation.attribution.maps import PatchMap, PieceMap, PointMap, WindowMap
from omnifuse.evaluation.attribution.parts import Clusters, Parts, Patches, Windows, parts_of
from omnifuse.evaluation.attribution.words import words_of
from tests.conformance.conformance_parts import fitted, raws_of

WHOLE = {"number", "category", "id", "datetime"}


def made(modality: str, values: list[Any], **options: Any) -> tuple[Processor[Any], list[Any]]:
    processor = processor_class(modality)(column_config(Column("x", modality, **options)))
    raws = [processor.read(value) for value in values]
    processor.fit(raws)
    return processor, raws


@pytest.mark.parametrize("modality", list(MODALITIES))
def test_values_of_every_modality_come_apart(modality: str) -> None:
    processor = fitted(modality)
    for raw in raws_of(modality):
        item = processor.item(raw)
        parts = parts_of(processor, raw, item)
        if modality in WHOLE:
            assert parts is None
            continue
        if parts is None:
            assert modality == "set" and not len(item)
            continue
        variants = [parts.without(part) for part in range(len(parts))]
        values = processor.collate(variants)
        assert len(values) == len(parts) and bool(np.isfinite(values.data.double().numpy()).all())
        assert np.array_equal(processor.item(raw), item), "the value itself stays as it is"
        drawn = parts.drawn(np.linspace(-1, 1, len(parts)))
        assert np.isfinite(drawn.numbers).all() and json.loads(json.dumps(drawn.as_json()))["kind"]
        assert drawn.strongest() and drawn.strongest(-1)
        whole = processor.collate([item]).data[0].double().numpy()
        summed = parts.summed(whole)
        assert summed is None or summed.numbers.shape == drawn.numbers.shape
        if summed is not None:
            assert summed.numbers.sum() == pytest.approx(whole.sum(), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("is_fine", [True, False])
def test_patches_cover_a_picture_and_a_map_peaks_under_the_patch_that_counts(is_fine: bool) -> None:
    item = np.random.default_rng(0).integers(0, 255, (30, 50, 3)).astype(np.uint8)
    parts = Patches(item, is_fine)
    covered = np.zeros(item.shape[:2], dtype=bool)
    for part in range(len(parts)):
        changed = (parts.without(part) != item).any(axis=2)
        covered |= changed
        assert changed.sum() <= 15 * 25
    assert covered.mean() > 0.99
    falls = np.array([float((parts.without(part)[9, 21] != item[9, 21]).any()) for part in range(len(parts))])
    drawn = parts.drawn(falls)
    assert isinstance(drawn, PatchMap) and drawn.patch == ((2, 3) if is_fine else (4, 7))
    row, column = np.unravel_index(int(drawn.values.argmax()), drawn.values.shape)
    assert (row, column) == (9 // drawn.patch[0], 21 // drawn.patch[1])
    assert parts.without(0)[0, 0].tolist() == item.mean(axis=(0, 1)).round().astype(int).tolist()


def test_a_film_comes_apart_in_runs_of_frames() -> None:
    item = np.random.default_rng(0).integers(0, 255, (12, 16, 16, 3)).astype(np.uint8)
    parts = Patches(item, True)
    assert len(parts) == 8 * (16 + 4)
    changed = (parts.without(0) != item).any(axis=(1, 2, 3))
    assert changed.tolist() == [True, True] + [False] * 10
    drawn = parts.drawn(np.arange(len(parts), dtype=np.float64))
    assert drawn.values.shape == (8, 4, 4) and drawn.frames == (0, 2, 4, 6, 8, 9, 10, 11)
    assert drawn.strongest() == "at the bottom on the right, from frame 12 on"


def test_a_lost_stretch_of_a_series_with_gaps_is_missing() -> None:
    random = np.random.default_rng(0)
    table = {"a": [*random.normal(5, 1, 29), None], "b": random.normal(size=30)}
    processor, [raw] = made("series", [table])
    item = processor.item(raw)
    parts = parts_of(processor, raw, item)
    assert isinstance(parts, Windows) and len(parts) == 2 * 24
    changed = parts.without(0)
    assert item[0, 2] == 1 and changed[0].tolist() == [0, item[0, 1], 0, 1] and np.array_equal(changed[2:], item[2:])
    drawn = parts.drawn(np.zeros(len(parts)))
    assert isinstance(drawn, WindowMap) and drawn.channels == ("a", "b") and drawn.edges[-1] == 30


def test_many_channels_and_long_sounds_stay_affordable() -> None:
    processor, [raw] = made("series", [np.random.default_rng(0).normal(size=(40, 500))])
    parts = parts_of(processor, raw, processor.item(raw))
    assert parts is not None and len(parts) == 60 * 4
    assert parts.drawn(np.zeros(len(parts))).channels[0] == "channel_1 … channel_9"  # pyright: ignore[reportAttributeAccessIssue]
    processor, [raw] = made("audio", [(np.zeros(16_000, dtype=np.float32), 8_000)], rate_hz=8_000)
    parts = parts_of(processor, raw, processor.item(raw))
    assert parts is not None and len(parts) == 24
    drawn = parts.drawn(np.eye(24)[3])
    assert isinstance(drawn, WindowMap) and drawn.edges[-1] == 2.0 and drawn.strongest() == "0.25–0.33 s"


def test_points_that_lie_together_go_together() -> None:
    random = np.random.default_rng(0)
    corners = np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10]])
    cloud = (corners[:, None] + random.normal(0, 0.01, (4, 50, 3))).reshape(-1, 3)
    processor, [raw] = made("points", [cloud])
    parts = parts_of(processor, raw, processor.item(raw))
    assert isinstance(parts, Clusters) and len(parts) == 24
    for cluster in range(len(parts)):
        members = np.flatnonzero(parts.cluster == cluster)
        assert len(set(members // 50)) == 1
        left = parts.without(cluster)
        assert left is not None and len(left) == 200 - len(members)
    drawn = parts.drawn(np.arange(24.0))
    assert isinstance(drawn, PointMap) and np.allclose(drawn.points, cloud, atol=1e-4)
    processor, [raw] = made("points", [np.ones((6, 3))])
    parts = parts_of(processor, raw, processor.item(raw))
    assert parts is not None and len(parts) == 1 and parts.without(0) is None


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Is it red, or isn't it?", ["Is", " it", " red", ",", " or", " isn", "'", "t", " it", "?"]),
        ("  unbelievably  blue ", ["  unbelievably", "  blue"]),
        ("这是什么颜色", list("这是什么颜色")),
        ("naïve café №5", ["naïve", " café", " №", "5"]),
        ("🙂 fine", ["🙂", " fine"]),
    ],
)
def test_tokens_are_merged_to_words(text: str, pieces: list[str]) -> None:
    processor, _ = made("text", ["nothing that was seen before"], vocabulary=270, lowercase=True)
    parts = parts_of(processor, text, processor.item(text))
    assert parts is not None
    drawn = parts.drawn(np.arange(len(parts), dtype=np.float64))
    assert isinstance(drawn, PieceMap) and [piece for piece, _ in drawn.pieces] == pieces
    gone = parts.without(0)
    assert gone is not None and processor.decode(processor.collate([gone]).data)[0].strip() == text[len(pieces[0]) :].lower().strip()


def test_marks_stay_and_long_texts_are_cut_into_runs() -> None:
    words = words_of("a bee", [(0, 0), (0, 1), (2, 4), (4, 5), (0, 0)], [1, 0, 0, 0, 1])
    assert [(word.text, word.tokens) for word in words] == [("a", (1,)), (" bee", (2, 3))]
    text = " ".join(["word"] * 1000)
    processor, [raw] = made("text", [text], max_length=600, vocabulary=270)
    parts = parts_of(processor, raw, processor.item(raw))
    assert parts is not None and len(parts) <= 256
    drawn = parts.drawn(np.zeros(len(parts)))
    assert isinstance(drawn, PieceMap) and "".join(piece for piece, _ in drawn.pieces) + drawn.rest == text and drawn.rest


def test_a_text_of_one_word_becomes_an_absent_one() -> None:
    processor, [raw] = made("text", ["lovely"], vocabulary=270)
    parts: Parts | None = parts_of(processor, raw, processor.item(raw))
    assert parts is not None and len(parts) == 1 and parts.without(0) is None
