"""Damage does what it says: more at a higher level, nothing at none, and the same for the same seed."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.decode import (
    decode_audio,
    decode_image,
    decode_points,
    decode_series,
    decode_video,
    encode_audio,
    encode_image,
    encode_points,
    encode_series,
    encode_video,
)
from omnifuse.data.modalities import MODALITIES
from omnifuse.data.modalities.processor import Processor
from omnifuse.evaluation.robustness.corruptions import CORRUPTIONS, Known, corrupt, find_corruption
from omnifuse.evaluation.robustness.words import WORD

SEEDS = range(24)
RATE_HZ = 8000
EVERY = [(modality, name) for modality, each in CORRUPTIONS.items() for name in each]


def pixels(random: np.random.Generator, side: int = 48) -> np.ndarray:
    """A gradient with a bright disc and some grain, (H, W, 3) uint8."""
    y, x = np.mgrid[0:side, 0:side]
    disc = 120 * ((x - side / 2) ** 2 + (y - side / 3) ** 2 < (side / 4) ** 2)
    return np.clip(np.stack([x * 2 + disc, y * 2 + disc, 60 + disc], 2) + random.normal(0, 4, (side, side, 1)), 0, 255).astype(np.uint8)


def wave(random: np.random.Generator) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ) + random.normal(0, 0.01, RATE_HZ)).astype(np.float32)


def steps(random: np.random.Generator) -> np.ndarray:
    """(T, 3): the time, and two channels of different spread."""
    return np.stack([np.arange(100) / 10, random.normal(5, 1, 100), random.normal(0, 20, 100)], 1)


@cache
def examples(modality: str) -> list[Any]:
    """Canonical values, files as bytes."""
    random = np.random.default_rng(3)
    make: dict[str, Callable[[int], Any]] = {
        "image": lambda i: encode_image(pixels(random)),
        "video": lambda i: encode_video(np.stack([pixels(random, 24) for _ in range(4)])),
        "text": lambda i: "the quick brown fox jumps over the lazy dog near a river bank " + "and then " * i,
        "audio": lambda i: encode_audio((wave(random), RATE_HZ)),
        "series": lambda i: encode_series(("time", "heat", "load"), steps(random)),
        "points": lambda i: encode_points(("x", "y", "z"), random.normal(0, 3, (200, 3)).astype(np.float32)),
        "number": lambda i: float(random.normal(100, 15)),
        "vector": lambda i: tuple(random.normal(0, (1.0, 5.0, 0.1)).tolist()),
        "datetime": lambda i: int(1.7e15 + random.normal(0, 1e13)),
        "category": lambda i: f"label {i % 4}",
        "id": lambda i: f"user {i % 6}",
        "set": lambda i: tuple(sorted({f"tag {(i * step) % 9}" for step in (1, 2, 3)})),
    }
    return [make[modality](number) for number in range(8)]


OPTIONS: dict[str, dict[str, Any]] = {
    "series": {"time": "time"},
    "video": {"frames": 4, "size": 24},
    "image": {"size": 48},
    "audio": {"rate_hz": RATE_HZ},
    "id": {"min_count": 1},
}


def fitted(modality: str, **options: Any) -> Processor[Any]:
    processor = MODALITIES.build(MODALITIES.parse({"name": modality, **OPTIONS.get(modality, {}), **options}))
    processor.fit(examples(modality))
    return processor


@cache
def known(modality: str, **options: Any) -> Known:
    processor = fitted(modality, **options)
    return Known(modality, processor, () if processor.is_media else examples(modality))


def distance(modality: str, name: str, before: Any, after: Any) -> float:
    """How far a value has moved."""
    if modality in ("image", "video"):
        read = (lambda data: decode_image(data, 3, (48, 48))) if modality == "image" else (lambda data: decode_video(data, 4, (24, 24)))
        return float(np.abs(read(before).astype(float) - read(after)).mean())
    if modality == "audio":
        return float(np.abs(decode_audio(before, RATE_HZ) - decode_audio(after, RATE_HZ)).mean())
    if modality == "series":
        first, second = decode_series(before).values, decode_series(after).values
        return float(np.isnan(second).mean()) if name == "gap" else float(np.abs(first - second).mean())
    if modality == "points":
        first, second = decode_points(before, ())[0], decode_points(after, ())[0]
        return float(len(first) - len(second)) if name == "dropped_points" else float(np.abs(first - second).mean())
    if modality == "text":
        return float(
            abs(len(before.split()) - len(after.split())) + sum(a != b for a, b in zip(before.split(), after.split(), strict=False))
        )
    if modality == "set":
        return float(len(set(before) ^ set(after)))
    if modality in ("category", "id"):
        return float(before != after)
    return float(np.abs(np.subtract(before, after)).mean())


@pytest.mark.parametrize(("modality", "name"), EVERY)
def test_a_higher_level_moves_values_further_and_none_leaves_them_alone(modality: str, name: str) -> None:
    corruption, about = find_corruption(modality, name), known(modality)
    values, turns = examples(modality), range(2 if about.others == () else 30)
    moved = [0.0]
    for level in corruption.levels:
        pairs = [
            (raw, corrupt(raw, modality, name, level, seed=100 * turn + i, known=about)) for i, raw in enumerate(values) for turn in turns
        ]
        moved.append(float(np.mean([distance(modality, name, raw, damaged) for raw, damaged in pairs])))
    assert moved == sorted(set(moved)), moved
    for raw in values:
        assert corrupt(raw, modality, name, corruption.intact, known=about) is raw
    assert corrupt(None, modality, name, corruption.levels[0], known=about) is None


@pytest.mark.parametrize(("modality", "name"), EVERY)
def test_the_seed_alone_decides(modality: str, name: str) -> None:
    corruption, about = find_corruption(modality, name), known(modality)
    raw, level = examples(modality)[1], corruption.levels[1]
    made = [corrupt(raw, modality, name, level, seed=seed, known=about) for seed in SEEDS]
    np.random.seed(1)
    assert made == [corrupt(raw, modality, name, level, seed=seed, known=about) for seed in SEEDS]
    assert (len(set(made)) > 1) is corruption.draws


@pytest.mark.parametrize(("modality", "name"), EVERY)
def test_a_damaged_value_is_one_that_the_processor_reads(modality: str, name: str) -> None:
    about = known(modality)
    assert about.processor is not None
    for level in find_corruption(modality, name).levels:
        for raw in examples(modality)[:3]:
            damaged = corrupt(raw, modality, name, level, known=about)
            assert hash(damaged) is not None
            assert bool(about.processor.encode([damaged]).present.all())


@pytest.mark.parametrize("level", [20.0, 3.0, 0.0, -10.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_ratio_of_sound_to_noise_is_what_it_says(level: float, channels: int) -> None:
    random = np.random.default_rng(0)
    before = np.stack([wave(random) for _ in range(channels)])
    damaged = corrupt(encode_audio((before, RATE_HZ)), "audio", "noise", level)
    after = decode_audio(damaged, RATE_HZ, channels)
    measured = 10 * math.log10(np.mean(before.astype(float) ** 2) / np.mean((after - before).astype(float) ** 2))
    assert measured == pytest.approx(level, abs=0.01)


def test_silence_has_no_ratio_and_stays() -> None:
    silent = encode_audio((np.zeros(100, np.float32), RATE_HZ))
    assert corrupt(silent, "audio", "noise", 0.0) is silent


def test_a_gap_in_a_sound_is_silent_and_as_long_as_it_says() -> None:
    raw = encode_audio((np.ones(1000, np.float32), RATE_HZ))
    for level in (0.1, 0.5):
        after = decode_audio(corrupt(raw, "audio", "gap", level, seed=2), RATE_HZ)[0]
        lost = np.flatnonzero(after == 0)
        assert len(lost) == 1000 * level
        assert lost[-1] - lost[0] == len(lost) - 1


def test_compression_makes_smaller_and_worse_files() -> None:
    random = np.random.default_rng(0)
    raw = encode_image(pixels(random, 128))
    files = [corrupt(raw, "image", "compression", level) for level in (10, 50, 90, 99)]
    sizes = [len(raw), *map(len, files)]
    assert all(file.startswith(b"\xff\xd8\xff") for file in files)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0] / 10
    worse = [np.abs(decode_image(raw).astype(float) - decode_image(file)).mean() for file in files]
    assert worse == sorted(worse)


def test_noise_of_a_picture_has_the_stated_deviation() -> None:
    raw = encode_image(np.full((64, 64, 3), 128, np.uint8))
    after = decode_image(corrupt(raw, "image", "noise", 0.1)).astype(float)
    assert after.std() == pytest.approx(25.5, rel=0.03)


@pytest.mark.parametrize(("level", "left"), [(0.25, 0.75), (0.75, 0.25)])
def test_a_cover_and_a_crop_take_the_stated_share(level: float, left: float) -> None:
    raw = encode_image(np.full((60, 80, 3), 250, np.uint8))
    assert (decode_image(corrupt(raw, "image", "cover", level)) == 250).mean() == pytest.approx(left, abs=0.02)
    height, width = decode_image(corrupt(raw, "image", "crop", level)).shape[:2]
    assert height * width / 4800 == pytest.approx(left, abs=0.02)


def test_a_large_picture_is_brought_down_first_and_grey_stays_grey() -> None:
    raw = encode_image(np.zeros((600, 1200), np.uint8))
    assert decode_image(corrupt(raw, "image", "darkness", 0.5)).shape == (512, 1024, 3)
    about = Known("image", fitted("image", channels=1))
    assert np.unique(decode_image(corrupt(raw, "image", "noise", 0.4, known=about)) @ np.array([1.0, -1, 0])).tolist() == [0]


@pytest.mark.parametrize("level", [0.1, 0.25, 0.5, 1.0])
def test_typos_and_dropped_words_change_the_stated_share(level: float) -> None:
    text = "is the large red circle near one small blue square here now"
    words, wrong, kept = text.split(), 0, 0
    for seed in range(400):
        after = corrupt(text, "text", "typos", level, seed=seed).split()
        assert len(after) in (len(words), *range(len(words)))
        wrong += sum(a != b for a, b in zip(words, corrupt(text, "text", "typos", level, seed=seed).split(), strict=False))
        kept += len(corrupt(text, "text", "dropped_words", level, seed=seed).split())
    assert wrong / 400 / len(words) == pytest.approx(level, abs=0.03)
    assert kept / 400 == pytest.approx(max(1, (1 - level) * len(words)), abs=0.1)


def test_a_stronger_level_goes_on_where_a_weaker_one_stopped() -> None:
    text = "is the large red circle near one small blue square"
    for seed in SEEDS:
        dropped = [set(text.split()) - set(corrupt(text, "text", "dropped_words", level, seed=seed).split()) for level in (0.2, 0.5, 0.8)]
        assert dropped[0] <= dropped[1] <= dropped[2]
        words = text.split()
        slips = [
            {
                (at, b)
                for at, (a, b) in enumerate(zip(words, corrupt(text, "text", "typos", level, seed=seed).split(), strict=False))
                if a != b
            }
            for level in (0.2, 0.5, 0.8)
        ]
        assert slips[0] <= slips[1] <= slips[2]


@pytest.mark.parametrize("text", ["a", "aa", "赤い円ですか", "  two  words ", "é", "🙂 🙂"])
def test_every_typo_changes_its_word_and_spaces_stay(text: str) -> None:
    for seed in SEEDS:
        after = corrupt(text, "text", "typos", 1.0, seed=seed)
        assert after != text
        assert [part for part in WORD.split(after) if part.strip()] == []
        assert corrupt(text, "text", "dropped_words", 1.0, seed=seed).strip()


def test_series_keep_their_time_and_move_by_deviations_of_the_training_split() -> None:
    about = known("series")
    processor: Any = about.processor
    assert processor.channels_ == ["heat", "load"]
    raw = examples("series")[0]
    before = decode_series(raw).values
    drifted = decode_series(corrupt(raw, "series", "drift", 2.0, known=about))
    assert drifted.names == ("time", "heat", "load")
    moved = drifted.values - before
    assert moved[0].tolist() == [0, 0, 0]
    assert np.abs(moved[-1]) == pytest.approx([0, *2 * processor.std_], rel=1e-9)
    assert np.diff(np.abs(moved[:, 1])) == pytest.approx(2 * processor.std_[0] / 99, rel=1e-6)
    noisy = np.concatenate([decode_series(corrupt(raw, "series", "noise", 0.5, seed=s, known=about)).values - before for s in SEEDS])
    assert noisy.std(axis=0) == pytest.approx([0, *0.5 * processor.std_], rel=0.06)


def test_a_gap_leaves_something_measured() -> None:
    raw = encode_series((), np.arange(10.0)[:, None])
    half = decode_series(corrupt(raw, "series", "gap", 0.5)).values
    assert np.isnan(half).sum() == 5
    assert (~np.isnan(decode_series(corrupt(raw, "series", "gap", 1.0)).values)).sum() == 1


def test_numbers_move_by_deviations_on_the_scale_they_are_learned_on() -> None:
    about = known("number")
    processor: Any = about.processor
    moved = [corrupt(100.0, "number", "noise", 0.5, seed=seed, known=about) - 100 for seed in range(600)]
    assert np.std(moved) == pytest.approx(0.5 * processor.std_, rel=0.08)
    logged = known("number", log=True)
    assert isinstance(logged.processor, Processor)
    ratios = [math.log1p(corrupt(100.0, "number", "noise", 0.5, seed=seed, known=logged)) - math.log1p(100) for seed in range(600)]
    assert np.std(ratios) == pytest.approx(0.5 * logged.processor.state()["std"], rel=0.08)
    bounded = known("number", minimum=60.0, maximum=140.0)
    assert {corrupt(100.0, "number", "noise", 1e6, seed=seed, known=bounded) for seed in SEEDS} == {60.0, 140.0}


def test_a_vector_that_is_not_standardised_moves_by_the_spread_of_other_rows() -> None:
    about = known("vector", standardise=False)
    spread = np.array(examples("vector")).std(axis=0)
    moved = np.array([corrupt((0.0, 0.0, 0.0), "vector", "noise", 1.0, seed=seed, known=about) for seed in range(600)])
    assert moved.std(axis=0) == pytest.approx(spread, rel=0.1)


def test_labels_become_others_as_often_as_it_says() -> None:
    about = Known("category", None, ["a"] * 6 + ["b"] * 3 + ["c"])
    made = [corrupt("c", "category", "replacement", 0.25, seed=seed, known=about) for seed in range(1000)]
    assert 1 - made.count("c") / 1000 == pytest.approx(0.25, abs=0.04)
    assert made.count("a") > made.count("b") > 0
    assert {corrupt("a", "category", "replacement", 1.0, seed=seed, known=about) for seed in range(50)} == {"b", "c"}
    assert corrupt("a", "category", "replacement", 1.0, known=Known("category", None, ["a"])) == "a"
    sets = Known("set", None, [("a", "b"), ("c",)])
    assert corrupt((), "set", "replacement", 1.0, known=sets) == ()
    assert all("a" not in corrupt(("a",), "set", "replacement", 1.0, seed=seed, known=sets) for seed in SEEDS)


@pytest.mark.parametrize(
    ("modality", "name", "level", "message"),
    [
        ("image", "blurr", 0.1, 'image: unknown corruption "blurr"; did you mean "blur"?'),
        ("imagee", "blur", 0.1, 'unknown modality "imagee"; did you mean "image"?'),
        ("text", "typos", 1.5, "corruption typos: a level of 1.5 means nothing; give 0 to 1 (share of words)"),
        ("image", "noise", -1, "corruption noise: a level of -1 means nothing; give 0"),
        ("number", "noise", math.nan, "means nothing"),
        ("number", "noise", 1, "give its fitted processor in `known`"),
        ("category", "replacement", 1, "give values in `known`"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(modality: str, name: str, level: float, message: str) -> None:
    with pytest.raises(OmnifuseError) as caught:
        corrupt({"image": b"", "text": "a", "number": 1.0}.get(modality, "a"), modality, name, level)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_listing_loads_neither_pillow_nor_pytorch() -> None:
    code = "import sys, omnifuse.evaluation.robustness.corruptions; assert not {'PIL', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_modality_can_be_damaged() -> None:
    assert set(CORRUPTIONS) == set(MODALITIES)
