"""Samples of a small run are judged, measured beside real values, shown, and not made twice."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.study.quality.directions import Direction, parse_directions, usual_directions
from omnifuse.study.quality.figures import Samples, drawn_figures
from omnifuse.study.quality.material import made_array, raw_values, real_array, rows_with, usual_label
from omnifuse.study.quality.quality import Quality, Unwatched, quality
from omnifuse.study.quality.references import gather_references
from tests.study.quality.conftest import SIDES, Trained, half

FORTH, BACK, FREE = "word -> image", "image -> word", "nothing -> image"


class Told(Unwatched):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.samples = 0
        self.trained = 0

    def started(self, total_steps: int, done: int, batch_size: int) -> None:
        self.trained += 1

    def direction_begins(self, number: int, total: int, name: str, samples: int) -> None:
        self.began.append(f"{number} of {total}: {name}, {samples}")

    def drawn(self, more: int) -> None:
        self.samples += more


@pytest.fixture(scope="module")
def found(halves: Trained) -> Quality:
    chosen = parse_directions(f"{FORTH}, {BACK}, {FREE}", halves.pipeline)
    return quality(halves.pipeline, halves.dataset, halves.run, samples=90, directions=chosen)


def test_samples_are_what_they_should_be(found: Quality) -> None:
    forth, back = found.figures[FORTH], found.figures[BACK]
    assert forth["accuracy"]["value"] > 0.9
    assert forth["accuracy"]["judge"] > 0.95
    low, high = forth["accuracy"]["interval"]
    assert low <= forth["accuracy"]["value"] <= high
    assert back["accuracy"]["value"] > 0.9
    assert back["accuracy"]["floor"] < 0.5
    assert back["text"]["chrf"] > 0.9
    assert back["text_nearest"]["accuracy"] > 0.9, "the nearest training picture has the same name"
    assert "looked up" in found.page.read_text(encoding="utf-8")
    assert f"{FORTH}: {forth['accuracy']['value']:.1%} right" in str(found)


def test_they_are_measured_beside_real_values(found: Quality) -> None:
    for name in (FORTH, FREE):
        figures = found.figures[name]
        assert 0 <= figures["frechet"]["floor"] < figures["frechet"]["value"]
        assert figures["kernel"]["floor"] < figures["kernel"]["value"]
        assert 0.3 < figures["spread"]["value"] / figures["spread"]["real"] < 2
        assert figures["labels"]["entropy"] / figures["labels"]["real"] > 0.8
        for space in ("features", "pixels"):
            assert figures["nearest"][space]["close"] < 0.2, "nothing is memorised"
    assert "accuracy" not in found.figures[FREE], "what is made from nothing should be nothing in particular"
    assert "spread_within" in found.figures[FORTH]


def test_it_is_written_with_its_settings_and_the_judge(found: Quality, halves: Trained) -> None:
    about = json.loads((halves.run / "quality.json").read_text(encoding="utf-8"))
    assert about == found.about
    assert about["finished"]
    assert about["settings"]["samples"] == 90
    entry = about["directions"][FORTH]
    assert (entry["samples"], entry["given"], entry["target"]) == (90, ["word"], "image")
    assert entry["judge"]["column"] == "image"
    assert entry["judge"]["other"] == "word", "words of which there are few are labels"
    assert entry["judge"]["weights"]
    assert about["directions"][BACK]["judge"] is None, "texts are compared with those of their rows"


def test_the_page_stands_alone_and_shows_samples(found: Quality) -> None:
    page = found.page.read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") >= 50
    assert "http://" not in page.replace("http://www.w3.org", "")
    for words in ("word → image", "nothing → image", "Is it what it should be?", "Is it various, and not memorised?", "Judges"):
        assert words in page, words


def test_what_is_measured_is_not_made_again_and_what_is_new_is(found: Quality, halves: Trained) -> None:
    told = Told()
    chosen = [Direction(("word",), "image"), Direction(("image",), "word")]
    again = quality(halves.pipeline, halves.dataset, halves.run, samples=90, directions=chosen, observer=told)
    assert told.began == []
    assert again.figures == {name: found.figures[name] for name in (FORTH, BACK)}
    other = quality(halves.pipeline, halves.dataset, halves.run, samples=90, directions=chosen[:1], guidance=1.0, observer=told)
    assert told.began == [f"1 of 1: {FORTH}, 90"]
    assert told.samples == 90
    assert told.trained == 0, "the judge is found again"
    assert other.figures[FORTH] != found.figures[FORTH]
    quality(halves.pipeline, halves.dataset, halves.run, samples=90, directions=chosen)


def test_the_same_seed_gives_the_same_figures(found: Quality, halves: Trained, tmp_path: Path) -> None:
    shutil.copytree(halves.run / "judges", tmp_path / "judges")
    chosen = parse_directions(FORTH, halves.pipeline)
    elsewhere = quality(halves.pipeline, halves.dataset, tmp_path, samples=90, directions=chosen)
    assert elsewhere.figures[FORTH] == found.figures[FORTH]


def test_copies_and_one_sample_again_and_again_are_found_out(found: Quality, halves: Trained) -> None:
    from omnifuse.study.judges import label_judge

    dataset, test = halves.dataset, halves.dataset.split("test")
    judge = label_judge(halves.run, dataset, "image", "word", side=8)
    real = gather_references(halves.pipeline, dataset, test, judge, 90, 0)
    train, rows = dataset.split("train"), rows_with(test, ["word", "image"])[:80]
    copied = raw_values(train, "image", rows_with(train, ["image"])[:80])
    copies = Samples("image", rows, [real_array(halves.pipeline, "image", data) for data in copied], 1)
    figures, _ = drawn_figures(halves.pipeline, copies, dataset, test, judge, real, 0)
    assert figures["nearest"]["pixels"]["close"] == 1.0
    words, random = test.take(rows, ["word"])["word"], np.random.default_rng(0)
    one = {side: half(side, random) for side in SIDES}
    collapsed = replace(copies, values=[one[word] for word in words])
    figures, _ = drawn_figures(halves.pipeline, collapsed, dataset, test, judge, real, 0)
    assert figures["accuracy"]["value"] > 0.95, "each is what it should be"
    assert figures["spread_within"]["value"] < 0.05 * figures["spread_within"]["real"], "but always the same"


def test_sounds_series_and_points_are_measured_and_shown(signals: Trained) -> None:
    found = quality(signals.pipeline, signals.dataset, signals.run, samples=32)
    assert list(found.figures) == ["kind -> tone", "kind -> wave", "kind -> cloud"]
    tone, wave, cloud = found.figures.values()
    assert tone["cepstral"]["value"] > 0
    assert tone["cepstral"]["floor"] > 0
    for name in ("crps", "mae"):
        assert wave[name]["value"] > 0
        assert wave[name]["floor"] > 0
        assert 10 <= len(wave[name]["by_step"]) <= 15
    for figures in (tone, wave, cloud):
        assert {"accuracy", "frechet", "kernel", "spread", "nearest", "labels"} <= set(figures)
    page = found.page.read_text(encoding="utf-8")
    assert "data:audio/wav;base64," in page
    assert page.count("<svg") >= 2
    assert "CRPS by step" in page


def test_real_values_in_the_place_of_samples_get_what_real_values_get(signals: Trained) -> None:
    from omnifuse.study.judges import label_judge

    dataset, test = signals.dataset, signals.dataset.split("test")
    judge = label_judge(signals.run, dataset, "tone", "kind")
    rows = rows_with(test, ["tone", "kind"])
    arrays = [real_array(signals.pipeline, "tone", data) for data in raw_values(test, "tone", rows)]
    own: list[Any] = [{"array": wave, "sampling_rate": 2000} for wave in arrays]
    real = gather_references(signals.pipeline, dataset, test, judge, 8, 0)
    figures, labels = drawn_figures(signals.pipeline, Samples("tone", rows, own, 1), dataset, test, judge, real, 0)
    assert figures["cepstral"]["value"] == pytest.approx(0, abs=1e-6)
    assert figures["accuracy"]["value"] == pytest.approx(judge.score)
    assert labels is not None
    assert made_array(own[0]).shape == arrays[0].shape


def test_without_a_label_samples_are_laid_beside_another_column(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    sides = [SIDES[int(random.integers(4))] for _ in range(240)]
    rows = [{"caption": f"{side} {number}", "image": half(side, random)} for number, side in enumerate(sides)]
    columns = {
        "caption": {"modality": "text", "vocabulary": 280, "max_length": 12},
        "image": {"modality": "image", "size": 8, "channels": 1, "role": "target"},
    }
    settings = {
        "model": {"dim": 16, "fusion": "concat", "heads": {"image": {"name": "flow", "width": 8, "depth": 1, "steps": 2}}},
        "train": {"epochs": 1, "batch_size": 32, "device": "cpu"},
        "data.split": {"validation": 0.1, "test": 0.3},
        "data.clean": {"near_duplicates": "off"},
    }
    pipeline = of.fit(rows, columns=columns, out=tmp_path / "run", settings=settings)
    dataset = of.Dataset.open(tmp_path / "run" / "dataset")
    assert usual_label(dataset, "image") is None
    found = quality(pipeline, dataset, tmp_path / "run", samples=60)
    figures = found.figures["caption -> image"]
    assert figures["recall@10"]["real"] > 1.5 * figures["recall@10"]["floor"], "the alignment knows which half belongs to which words"
    assert 0 <= figures["recall@1"]["value"] <= figures["recall@10"]["value"] <= 1
    assert {"frechet", "kernel", "nearest"} <= set(figures)
    assert "recall@10" in str(found)


def test_directions_are_each_alone_and_all_together(halves: Trained) -> None:
    assert [each.name for each in usual_directions(halves.pipeline)] == [BACK, FORTH]
    assert parse_directions("word->image, ->image", halves.pipeline) == [Direction(("word",), "image"), Direction((), "image")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("word", "write it as GIVEN->TARGET"),
        ("wrod->image", 'unknown input column "wrod"; did you mean "word"'),
        ("word->imgae", 'unknown target "imgae"; did you mean "image"'),
        ("image->image", 'unknown input column "image"'),
        (" , ", "names no direction"),
    ],
)
def test_directions_that_are_not_there_are_told(halves: Trained, words: str, message: str) -> None:
    with pytest.raises(OmnifuseError, match=message):
        parse_directions(words, halves.pipeline)


def test_what_cannot_be_judged_is_told(halves: Trained, tmp_path: Path) -> None:
    with pytest.raises(OmnifuseError, match='unknown column "wrod"'):
        quality(halves.pipeline, halves.dataset, tmp_path, label="wrod", directions=parse_directions(FORTH, halves.pipeline))
    with pytest.raises(OmnifuseError, match="samples: 1 is too small"):
        quality(halves.pipeline, halves.dataset, tmp_path, samples=1)
