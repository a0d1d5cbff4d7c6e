"""Values drawn from those that are given, by a small model that goes every way."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import omnifuse as of
from omnifuse.cli.evaluate import evaluate_run
from omnifuse.cli.main import app
from omnifuse.core.errors import OmnifuseError

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 220)}
COLUMNS: dict[str, Any] = {
    "picture": {"modality": "image", "size": 8, "role": "both"},
    "word": {"modality": "text", "vocabulary": 280, "max_length": 6, "role": "both"},
    "walk": {"modality": "series", "role": "both"},
    "size": {"modality": "number", "role": "both"},
}
MODEL: dict[str, Any] = {
    "dim": 16,
    "fusion": "concat",
    "encoders": {"picture": {"name": "cnn", "width": 8, "patch": 2, "grid": 2}, "word": {"name": "ngram", "dropout": 0}},
    "heads": {
        "picture": {"name": "flow", "width": 8, "depth": 1, "heads": 2, "steps": 6},
        "walk": {"name": "flow", "width": 8, "depth": 1, "heads": 2, "steps": 6},
        "word": {"name": "decoder", "depth": 1, "heads": 2},
        "size": {"name": "number", "loss": "quantile", "quantiles": [0.1, 0.5, 0.9]},
    },
}


def rows_of(count: int, seed: int = 0) -> list[dict[str, Any]]:
    draw = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        word = list(COLOURS)[number % 3]
        pixels = np.clip(np.array(COLOURS[word]) + draw.integers(-15, 15, (8, 8, 3)), 0, 255).astype(np.uint8)
        walk = {"x": (np.arange(8 + number % 3) * (number % 3 - 1) + draw.normal(size=8 + number % 3) / 10).tolist()}
        rows.append({"picture": pixels, "word": word, "walk": walk, "size": 10.0 * (number % 3) + draw.normal()})
    return rows


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("generate") / "run"
    settings = {"model": MODEL, "train.epochs": 60, "train.batch_size": 30, "train.optimizer.lr": 0.01, "train.validate_steps": 120}
    of.fit(rows_of(120), columns=COLUMNS, out=out, settings=settings)
    return out


@pytest.fixture(scope="module")
def pipeline(run: Path) -> of.Pipeline:
    return of.Pipeline.load(run)


def colour(pixels: np.ndarray) -> str:
    middle = pixels.reshape(-1, 3).mean(0)
    return min(COLOURS, key=lambda word: float(np.abs(middle - COLOURS[word]).sum()))


def test_every_direction_is_learned(pipeline: of.Pipeline) -> None:
    for word in COLOURS:
        drawn = pipeline.generate({"word": word}, ["picture"], num_samples=8)
        assert sum(colour(answer["picture"]) == word for answer in drawn) >= 6
    given = rows_of(30, seed=1)
    written = pipeline.generate([{"picture": row["picture"]} for row in given], ["word"])
    assert sum(answer["word"] == row["word"] for answer, row in zip(written, given, strict=True)) >= 27
    [small, large] = pipeline.generate([{"word": "red"}, {"word": "blue"}], ["size"])
    assert small["size"] < 8 < 12 < large["size"]


def test_what_is_made_may_be_given_again(pipeline: of.Pipeline) -> None:
    [answer] = pipeline.generate({"word": "green"})
    assert set(answer) == {"picture", "walk", "size"}
    assert answer["picture"].shape == (8, 8, 3)
    assert answer["picture"].dtype == np.uint8
    assert list(answer["walk"]) == ["x"]
    assert 6 <= len(answer["walk"]["x"]) <= 12
    assert pipeline.generate(answer, ["word"])[0]["word"] == "green"


def test_the_same_seed_gives_the_same_and_another_one_something_else(pipeline: of.Pipeline) -> None:
    first, again, other = (pipeline.generate({"word": "red"}, ["picture"], seed=seed)[0]["picture"] for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_row_is_answered_alike_in_any_company(pipeline: of.Pipeline) -> None:
    given = [{"word": word} for word in COLOURS] + [{"walk": rows_of(1)[0]["walk"]}, {}]
    for target in ("picture", "size"):
        together = pipeline.generate(given, [target], num_samples=2)
        alone = [answer for row in given for answer in pipeline.generate(row, [target], num_samples=2)]
        apart = pipeline.generate(given, [target], num_samples=2, batch_size=3)
        for one, two, three in zip(together, alone, apart, strict=True):
            for other in (two, three):
                assert np.abs(np.asarray(one[target], dtype=float) - other[target]).max() <= (1 if target == "picture" else 1e-3)


def test_equal_rows_are_answered_differently(pipeline: of.Pipeline) -> None:
    one, other = pipeline.generate([{"word": "red"}, {"word": "red"}], ["picture"])
    assert not np.array_equal(one["picture"], other["picture"])


def test_what_a_row_gives_of_a_target_is_not_looked_at(pipeline: of.Pipeline) -> None:
    plain, told = (
        pipeline.generate(row, ["picture"])[0] for row in ({"word": "red"}, {"word": "red", "picture": rows_of(2)[1]["picture"]})
    )
    assert np.array_equal(plain["picture"], told["picture"])


def test_labels_and_words_are_drawn_where_several_are_asked_for(pipeline: of.Pipeline) -> None:
    drawn = {answer["word"] for answer in pipeline.generate(None, ["word"], num_samples=40)}
    assert set(COLOURS) <= drawn
    assert len({answer["word"] for answer in pipeline.generate(None, ["word"], num_samples=40, beams=2)}) == 1
    sizes = [answer["size"] for answer in pipeline.generate({"word": "red"}, ["size"], num_samples=30)]
    assert np.std(sizes) > 0.1


def test_the_way_between_two_rows(pipeline: of.Pipeline) -> None:
    made = pipeline.interpolate({"word": "red"}, {"word": "blue"}, "picture", 5)
    assert len(made) == 5
    assert colour(made[0]) == "red"
    assert colour(made[-1]) == "blue"
    with pytest.raises(OmnifuseError, match="count"):
        pipeline.interpolate({}, {}, "picture", 1)


@pytest.mark.parametrize(
    ("targets", "options", "message"),
    [
        (["pictur"], {}, 'unknown target "pictur"; did you mean "picture"'),
        (["word"], {"steps": 5}, "steps: means nothing to word"),
        (["picture"], {"temperature": 0.5}, "temperature: means nothing to picture"),
        (["picture"], {"steps": 0}, "steps: 0 is too small"),
        (["picture"], {"num_samples": 0}, "num_samples: 0 is too small"),
        (["word"], {"top_k": 3}, "give a temperature too"),
        (["word"], {"beams": 2, "temperature": 1.0}, "give either"),
    ],
)
def test_options_that_mean_nothing_are_refused(pipeline: of.Pipeline, targets: list[str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(OmnifuseError, match=message):
        pipeline.generate({"size": 1.0}, targets, **options)


def test_nothing_left_to_make_is_said(pipeline: of.Pipeline) -> None:
    with pytest.raises(OmnifuseError, match="every column that can be generated is given"):
        pipeline.generate(rows_of(1))


def test_the_command_writes_files_a_table_a_sheet_and_a_page(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "made"
    words = ["generate", str(run), "-i", "word=red", "-t", "picture", "-t", "walk", "-t", "size", "-n", "3", "--out", str(out)]
    app(words, standalone_mode=False)
    names = sorted(path.name for path in out.iterdir())
    assert names == [
        "contact.png",
        *(f"picture-0001-0{k}.png" for k in (1, 2, 3)),
        "samples.csv",
        "samples.html",
        *(f"walk-0001-0{k}.csv" for k in (1, 2, 3)),
    ]
    with Image.open(out / "picture-0001-01.png") as picture:
        assert colour(np.asarray(picture)) == "red"
    with (out / "samples.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert {row["given"] for row in table} == {"word=red"}
    assert [row["target"] for row in table] == ["picture", "walk", "size"] * 3
    assert all(float(row["value"]) > -20 for row in table if row["target"] == "size")
    page = (out / "samples.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") >= 3
    assert "<svg" in page
    assert Image.open(out / "contact.png").size[0] > 100


def test_the_command_takes_a_table_and_the_way_between(run: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("word,size\nred,0\nblue,20\n", encoding="utf-8")
    app(["generate", str(run), str(table), "-t", "picture", "--out", str(tmp_path / "a")], standalone_mode=False)
    assert sorted(path.name for path in (tmp_path / "a").glob("*-*.png")) == ["picture-0001-01.png", "picture-0002-01.png"]
    between = ["generate", str(run), "-i", "word=red", "--to", "word=blue", "-t", "picture", "-n", "4", "--out", str(tmp_path / "b")]
    app(between, standalone_mode=False)
    assert len(list((tmp_path / "b").glob("*-*.png"))) == 4


def test_the_report_shows_samples_to_look_at(run: Path) -> None:
    _, report = evaluate_run(run)
    page = report.read_text(encoding="utf-8")
    assert page.count("drawn from noise by what these rows give") == 2, "of the picture and of the walk"
    assert "flow loss" in page
