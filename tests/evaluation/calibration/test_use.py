"""A run that was calibrated answers with sets and intervals; one that was not says what to do."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import omnifuse as of
from omnifuse.cli.main import app
from omnifuse.core.errors import OmnifuseError
from omnifuse.evaluation.calibration.calibration import calibrate, judge_calibration, patterns_and_groups
from omnifuse.evaluation.collect import collect
from omnifuse.evaluation.kinds import kind_of
from omnifuse.pipeline.calibration import Calibration

COLUMNS: dict[str, Any] = {
    "left": "number",
    "right": "number",
    "tone": {"modality": "category", "role": "both"},
    "answer": {"modality": "category", "role": "target"},
    "price": {"modality": "number", "role": "target"},
    "size": {"modality": "number", "role": "target"},
}
HEADS = {"size": {"name": "number", "loss": "quantile", "quantiles": [0.1, 0.5, 0.9]}}
SETTINGS = {"model.dim": 16, "model.fusion": "concat", "model.heads": HEADS, "train.epochs": 4, "train.optimizer.lr": 0.01}
SPLIT = {"data.split": {"validation": 0.3, "test": 0.3}}


def made_rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Three labels and two numbers that two noisy numbers tell; either is absent in a quarter of the rows."""
    draw = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        place = int(draw.integers(3))
        left, right = (float(place + draw.normal(0, 0.7)) for _ in range(2))
        row = {"left": left, "right": right, "tone": ("low", "high")[place > 0], "answer": "abc"[place]}
        row |= {"price": 10 * place + float(draw.normal()), "size": place + float(draw.normal())}
        absent = draw.random()
        rows.append(row | ({"left": None} if absent < 0.25 else {"right": None} if absent < 0.5 else {}))
    return rows


@dataclass(frozen=True)
class Run:
    pipeline: of.Pipeline
    folder: Path
    details: dict[str, Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small run, calibrated on its validation split and judged on its test split."""
    folder = tmp_path_factory.mktemp("calibrated") / "run"
    pipeline = of.fit(made_rows(2_000, 0), columns=COLUMNS, out=folder, settings=SETTINGS | SPLIT)
    dataset, found = of.Dataset.open(folder / "dataset"), {}
    for split in ("validation", "test"):
        data = dataset.split(split)
        answers = collect(pipeline, data, batch_size=512)
        found[split] = answers, *patterns_and_groups(pipeline, data, answers)
    calibration = calibrate(pipeline, *found["validation"])
    calibration.save(folder)
    answers, patterns, groups = found["test"]
    kinds = {name: kind_of(pipeline.head_config(name)) for name in patterns}
    details = {name: judge_calibration(calibration, name, kinds[name], answers[name], patterns[name], groups[name]) for name in patterns}
    return Run(of.Pipeline.load(folder, "cpu"), folder, details)


def test_every_target_is_calibrated_by_what_its_rows_have(run: Run) -> None:
    calibration = run.pipeline.calibration
    assert calibration is not None
    methods = {name: known.method for name, known in calibration.targets.items()}
    assert methods == {"answer": "lac", "price": "residual", "size": "cqr", "tone": "lac"}
    assert set(calibration.targets["price"].patterns) == {("left", "right", "tone"), ("right", "tone"), ("left", "tone")}
    assert set(calibration.targets["tone"].patterns) == {("left", "right"), ("right",), ("left",)}  # itself it does not see
    for details in run.details.values():
        low, high = details["coverage"]["0.9"]["overall"]["expected"]
        assert low - 0.02 < details["coverage"]["0.9"]["overall"]["covered"] < high + 0.02


@pytest.mark.parametrize("coverage", [0.6, 0.9, 0.97])
def test_new_rows_get_sets_and_intervals_that_hold_the_truth(run: Run, coverage: float) -> None:
    rows = made_rows(1_500, 1)
    inputs = [{name: row[name] for name in ("left", "right", "tone")} for row in rows]
    answers = run.pipeline.predict(inputs, coverage=coverage, batch_size=100)
    plain = run.pipeline.predict(inputs, batch_size=100)
    for answer, other in zip(answers, plain, strict=True):
        assert {name: answer[name] for name in other if name not in ("size_low", "size_high")} == {
            name: value for name, value in other.items() if name not in ("size_low", "size_high")
        }
    held = {
        "answer": np.mean([row["answer"] in answer["answer_set"] for row, answer in zip(rows, answers, strict=True)]),
        "tone": np.mean([row["tone"] in answer["tone_set"] for row, answer in zip(rows, answers, strict=True)]),
        **{
            name: np.mean([answer[f"{name}_low"] <= row[name] <= answer[f"{name}_high"] for row, answer in zip(rows, answers, strict=True)])
            for name in ("price", "size")
        },
    }
    for name, share in held.items():
        assert share == pytest.approx(coverage, abs=0.045), name
    for answer in answers:
        assert len(set(answer["answer_set"])) == len(answer["answer_set"])
        assert not answer["answer_set"] or answer["answer_set"][0] == answer["answer"]


def test_a_row_has_the_same_set_in_any_company_and_the_threshold_of_what_it_has(run: Run) -> None:
    rows = [{"left": 1.0, "right": 0.9}, {"left": 1.0}, {"right": 2.0}, {}]
    together = run.pipeline.predict(rows, coverage=0.9)
    alone = [run.pipeline.predict(row, coverage=0.9)[0] for row in rows]
    width = [answer["price_high"] - answer["price_low"] for answer in together]
    for one, other in zip(together, alone, strict=True):
        assert one["answer_set"] == other["answer_set"]
        assert one["price_low"] == pytest.approx(other["price_low"], abs=1e-4)
    price = run.pipeline.calibration.targets["price"]  # type: ignore[union-attr]
    assert width[3] == pytest.approx(2 * price.common.threshold(0.9))


def test_probabilities_are_tempered_only_when_asked_for(run: Run) -> None:
    rows = made_rows(50, 2)
    inputs = [{name: row[name] for name in ("left", "right", "tone")} for row in rows]
    plain, told = (run.pipeline.predict(inputs, probabilities=True, calibrated=each) for each in (False, True))
    temperature = run.pipeline.calibration.targets["answer"].temperature  # type: ignore[union-attr]
    for one, other in zip(plain, told, strict=True):
        assert one["answer"] == other["answer"]
        assert one["price"] == other["price"]
        p = np.array(list(one["answer_probabilities"].values())) ** (1 / temperature)
        np.testing.assert_allclose(list(other["answer_probabilities"].values()), p / p.sum(), atol=1e-5)
        assert other["answer_probability"] == pytest.approx(other["answer_probabilities"][other["answer"]], abs=1e-6)


def test_so_much_coverage_that_rows_do_not_suffice_is_unlimited_and_said(run: Run) -> None:
    (answer,) = run.pipeline.predict({"left": 1.0, "right": 1.0}, coverage=0.9999)
    assert set(answer["answer_set"]) == {"a", "b", "c"}
    assert (answer["price_low"], answer["price_high"]) == (-np.inf, np.inf)
    words = run.pipeline.calibration.unlimited(0.9999)  # type: ignore[union-attr]
    assert len(words) == 4
    assert words[1].startswith("answer: every label is in at a coverage of 0.9999, for it takes 9,999 calibration rows, and there are ")


def test_aps_is_a_choice_and_draws_the_same_for_the_same_seed(run: Run) -> None:
    data = of.Dataset.open(run.folder / "dataset").split("validation")
    answers = collect(run.pipeline, data, batch_size=512)
    told = patterns_and_groups(run.pipeline, data, answers)
    one, same, other = (calibrate(run.pipeline, answers, *told, method="aps", seed=seed) for seed in (0, 0, 1))
    assert one.targets["answer"].method == "aps"
    np.testing.assert_array_equal(one.targets["answer"].common.kept, same.targets["answer"].common.kept)
    assert (one.targets["answer"].common.kept != other.targets["answer"].common.kept).any()
    assert one.targets["price"].method == "residual"
    with pytest.raises(OmnifuseError, match='unknown method "apps"; did you mean "aps"'):
        calibrate(run.pipeline, answers, *told, method="apps")  # type: ignore[arg-type]


def test_the_file_is_read_as_it_was_written_and_shows_thresholds(run: Run, tmp_path: Path) -> None:
    shown = json.loads((run.folder / "calibration.json").read_text(encoding="utf-8"))
    known = run.pipeline.calibration
    assert known is not None
    thresholds = shown["targets"]["price"]["common"]["thresholds"]
    assert thresholds["0.9"] == known.targets["price"].common.threshold(0.9)
    assert list(thresholds) == ["0.8", "0.9", "0.95"]
    known.save(tmp_path)
    assert (tmp_path / "calibration.json").read_bytes() == (run.folder / "calibration.json").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["calibration.json"]
    run.pipeline.save(tmp_path / "again")
    again = of.Pipeline.load(tmp_path / "again", "cpu").calibration
    assert again is not None
    assert again.targets["tone"].patterns.keys() == known.targets["tone"].patterns.keys()


def copy_of(run: Run, place: Path) -> Path:
    return Path(shutil.copytree(run.folder, place, ignore=shutil.ignore_patterns("checkpoints", "dataset")))


def test_what_cannot_be_told_is_said(run: Run, tmp_path: Path) -> None:
    folder = copy_of(run, tmp_path / "run")
    for coverage in (0.0, 1.0, 90.0):
        with pytest.raises(OmnifuseError, match=r"coverage: .* is no share; write 0.9"):
            run.pipeline.predict({}, coverage=coverage)
    (folder / "calibration.json").unlink()
    bare = of.Pipeline.load(folder, "cpu")
    for asked in ({"coverage": 0.9}, {"calibrated": True}):
        with pytest.raises(OmnifuseError, match=r"answer.* was not calibrated; run `omnifuse evaluate RUN` first"):
            bare.predict({}, **asked)  # type: ignore[arg-type]
    (folder / "calibration.json").write_text('{"format": 1, "targets": {"answer": {}}}', encoding="utf-8")
    with pytest.raises(OmnifuseError, match=r"calibration\.json: damaged or of another version"):
        of.Pipeline.load(folder, "cpu")


def test_a_calibration_of_other_weights_is_refused(run: Run) -> None:
    other = of.Pipeline.load(run.folder, "cpu")
    next(other.model.head("price").parameters()).data += 0.1
    with pytest.raises(OmnifuseError, match="is of other weights of price than this run has"):
        other.predict({}, coverage=0.9)


def test_a_model_without_labels_and_numbers_has_no_sets(tmp_path: Path) -> None:
    rows = [{"x": float(i % 3), "tags": ["a"] if i % 2 else ["a", "b"]} for i in range(60)]
    columns: dict[str, Any] = {"x": "number", "tags": {"modality": "set", "role": "target"}}
    pipeline = of.fit(rows, columns=columns, out=tmp_path / "run", settings={"model.dim": 8, "train.epochs": 1})
    with pytest.raises(
        OmnifuseError, match=r"coverage: sets are of categories, intervals of numbers, and this model tells tags \(labels\)"
    ):
        pipeline.predict({}, coverage=0.9)
    with pytest.raises(OmnifuseError, match="calibrated: probabilities are tempered of categories"):
        pipeline.predict({}, calibrated=True)
    assert Calibration.load(tmp_path / "run") is None


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    def call(*words: str) -> tuple[str, str]:
        capfd.readouterr()
        app(list(words), standalone_mode=False)
        ended = capfd.readouterr()
        return ended.out, ended.err

    return call


def test_the_command_writes_sets_and_intervals(run: Run, tmp_path: Path, command: Callable[..., tuple[str, str]]) -> None:
    rows = made_rows(30, 3)
    with (tmp_path / "new.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["left", "right", "tone"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    for ending in ("csv", "jsonl", "parquet"):
        out = tmp_path / f"out.{ending}"
        command("predict", str(run.folder), str(tmp_path / "new.csv"), "--out", str(out), "--coverage", "0.9", "--calibrated")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 30
    assert all(set(line["predicted_answer_set"]) <= {"a", "b", "c"} for line in lines)
    assert all(line["predicted_price_low"] < line["predicted_price"] < line["predicted_price_high"] for line in lines)
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        assert [json.loads(row["predicted_answer_set"]) for row in csv.DictReader(file)] == [line["predicted_answer_set"] for line in lines]
    shown, said = command("predict", str(run.folder), "--input", "left=1", "--coverage", "0.9999")
    answer = json.loads(shown)
    assert answer["price_low"] is None
    assert len(answer["answer_set"]) == 3
    assert "it takes 9,999 calibration rows" in said
    command("predict", str(run.folder), str(tmp_path / "new.csv"), "--out", str(tmp_path / "wide.parquet"), "--coverage", "0.9999")
    words = ("predict", str(run.folder), str(tmp_path / "new.csv"), "--out", str(tmp_path / "o.csv"))
    with pytest.raises(OmnifuseError, match="go with answers, not with --candidates"):
        command(*words, "--coverage", "0.9", "--candidates", str(tmp_path / "new.csv"))


def test_rows_that_share_a_picture_or_a_group_are_found(tmp_path: Path) -> None:
    from omnifuse.evaluation.answers import Answers
    from tests.conftest import colour_rows

    rows = [{**row, "camera": f"c{place // 5}"} for place, row in enumerate(colour_rows(tmp_path, 90, absent=0.1))]
    columns: dict[str, Any] = {"picture": {"modality": "image", "size": 8}, "size": "number"}
    columns |= {"answer": {"modality": "category", "role": "target"}}
    settings = {"data.root": str(tmp_path), "data.split": {"by": "camera", "test": 0.4}, "model.dim": 8, "train.epochs": 1}
    pipeline = of.fit(rows, columns=columns, out=tmp_path / "run", settings=settings)
    data = of.Dataset.open(tmp_path / "run" / "dataset").split("test")
    told = data.take(range(len(data)), ["picture", "size"])
    patterns, groups = patterns_and_groups(pipeline, data, {"answer": Answers(rows=list(range(len(data))))})
    picture, camera = groups["answer"]
    there = len({key for key in told["picture"] if key is not None})
    assert len(set(picture.tolist())) == there + told["picture"].count(None)
    assert np.bincount(camera).max() == 5
    assert patterns["answer"] == [tuple(n for n in ("picture", "size") if told[n][i] is not None) for i in range(len(data))]
    patterns, groups = patterns_and_groups(pipeline, data, {"answer": Answers(rows=[0, 1])}, absent=["picture"])
    assert set(patterns["answer"]) <= {("size",), ()}
