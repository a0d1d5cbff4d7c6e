"""A run that begins with the weights of an earlier one; among them both stages of a model in the shape of LLaVA."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from training import colour_rows, furthest, weights_of

import omnifuse as of
from omnifuse.core.atomic import read_json
from omnifuse.core.errors import OmnifuseError
from omnifuse.model.config import ModelConfig
from omnifuse.train.earlier import EarlierRun
from omnifuse.train.tracking import Silent
from tests.model.pretrained.tiny_models import bytelevel, save_causal_lm, teach

COLUMNS: dict[str, Any] = {
    "picture": {"modality": "image", "size": 8},
    "question": {"modality": "text", "vocabulary": 280, "max_length": 8},
    "answer": {"modality": "text", "role": "target", "max_length": 8},
}
ENCODERS = {"picture": {"name": "cnn", "width": 4, "patch": 2, "grid": 2}, "question": {"name": "transformer", "heads": 2}}
TOLD = [f"is it {colour}? {answer}" for colour in ("red", "green", "blue") for answer in ("yes", "no")]


class Listener(Silent):
    """Remembers what is said, and may stop a training after some steps."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.heard: list[str] = []
        self.stop_after = stop_after

    def said(self, message: str) -> None:
        self.heard.append(message)

    def stepped(self, step: int, loss: float | None) -> None:
        if step == self.stop_after:
            raise KeyboardInterrupt


class Home:
    """A language model that speaks a little, and rows to learn from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = colour_rows(folder / "pictures", 240, absent=0.05)
        for row in self.rows:
            row["picture"] = row["picture"] and str(folder / "pictures" / row["picture"])
        torch.manual_seed(0)
        self.language = teach(save_causal_lm(folder / "language", bytelevel(TOLD, marks=False)), TOLD)

    def head(self, tune: str = "frozen", **options: Any) -> dict[str, Any]:
        return {"name": "causal_lm", "model": str(self.language), "tune": tune, "max_new_tokens": 4, **options}

    def fit(self, out: str, tune: str = "frozen", columns: Any = None, listener: Listener | None = None, **settings: Any) -> of.Pipeline:
        given: dict[str, Any] = {
            "model.dim": 16,
            "model.fusion": "stack",
            "model.encoders": ENCODERS,
            "model.heads": {"answer": self.head(tune)},
            "train.batch_size": 32,
            "train.optimizer.lr": 0.003,
            "train.epochs": 1,
            **{name.replace("__", "."): value for name, value in settings.items()},
        }
        used = columns or COLUMNS
        rows = [{name: row[name] for name in used} for row in self.rows]
        return of.fit(rows, columns=used, out=self.folder / out, settings=given, observer=listener, resume=(self.folder / out).exists())

    def questions(self, count: int = 60) -> list[dict[str, Any]]:
        return [{name: row[name] for name in ("picture", "question")} for row in self.rows[:count]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("llava"))


@pytest.fixture(scope="module")
def stage1(home: Home) -> of.Pipeline:
    return home.fit("stage1", train__epochs=16)


@pytest.fixture(scope="module")
def stage2(home: Home, stage1: of.Pipeline) -> of.Pipeline:
    return home.fit("stage2", "lora", train__epochs=14, train__init=str(home.folder / "stage1"))


def test_answers_in_words_are_learned_in_two_stages(home: Home, stage1: of.Pipeline, stage2: of.Pipeline) -> None:
    def right(pipeline: of.Pipeline) -> float:
        rows = [row for row in home.rows if row["picture"] and row["question"]]
        told = pipeline.predict([{name: row[name] for name in ("picture", "question")} for row in rows])
        return sum(answer["answer"] == row["answer"] for answer, row in zip(told, rows, strict=True)) / len(rows)

    assert right(stage2) > max(0.9, right(stage1)), "always no is right in two of three"


def test_the_language_model_is_as_it_was_and_only_additions_learn(home: Home, stage1: of.Pipeline, stage2: of.Pipeline) -> None:
    from safetensors.torch import load_file

    original = load_file(home.language / "model.safetensors")
    for pipeline in (stage1, stage2):
        language: Any = pipeline.model.head("answer").language
        weights = {name.replace(".base_layer.", "."): tensor for name, tensor in language.network.state_dict().items()}
        assert all(torch.equal(weights[name], tensor) for name, tensor in original.items())
    trained = [name for name, p in stage2.model.named_parameters() if p.requires_grad and "language" in name]
    assert trained and all(".lora_" in name for name in trained)


def test_a_run_writes_the_same_without_the_folder_of_its_language_model(home: Home, stage2: of.Pipeline) -> None:
    aside = home.language.rename(home.folder / "aside")
    try:
        loaded = of.Pipeline.load(home.folder / "stage2")
        assert loaded.predict(home.questions()) == stage2.predict(home.questions())
        assert furthest(loaded.model.state_dict(), stage2.model.state_dict()) == 0
        loaded.save(home.folder / "again")
        assert of.Pipeline.load(home.folder / "again").predict(home.questions()) == stage2.predict(home.questions())
    finally:
        aside.rename(home.language)


def losses(pipeline: of.Pipeline, rows: list[dict[str, Any]]) -> torch.Tensor:
    batch = {name: processor.encode([row[name] for row in rows]) for name, processor in pipeline.processors.items() if name != "picture"}
    pictures = [row["picture"] and Path(row["picture"]).read_bytes() for row in rows]
    with pipeline.evaluating(), torch.no_grad():
        return pipeline.model({**batch, "picture": pipeline.processors["picture"].encode(pictures)})["answer"].per_row


def begun(home: Home, tune: str, init: str) -> of.Pipeline:
    """A run as it is before its first step."""
    earlier = EarlierRun(str(home.folder / init))
    model = {"dim": 16, "fusion": "stack", "encoders": ENCODERS, "heads": {"answer": home.head(tune)}}
    pipeline = of.Pipeline.build(earlier.pipeline.schema, earlier.pipeline.processors, ModelConfig.parse(model))
    earlier.hand_on(pipeline)
    return pipeline


def test_additions_begin_at_nothing(home: Home, stage1: of.Pipeline) -> None:
    torch.testing.assert_close(losses(begun(home, "lora", "stage1"), home.rows), losses(stage1, home.rows), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tune", ["frozen", "lora", "full"])
def test_what_additions_have_learned_stays(home: Home, stage2: of.Pipeline, tune: str) -> None:
    torch.testing.assert_close(losses(begun(home, tune, "stage2"), home.rows), losses(stage2, home.rows), atol=1e-4, rtol=1e-4)


def test_a_second_stage_that_was_interrupted_goes_on_as_if_it_had_not_been(home: Home, stage2: of.Pipeline) -> None:
    settings: dict[str, Any] = {"train__epochs": 2, "train__init": str(home.folder / "stage1"), "train__checkpoint_steps": 2}
    home.fit("whole", "lora", **settings)
    with pytest.raises(KeyboardInterrupt):
        home.fit("interrupted", "lora", listener=Listener(stop_after=7), **settings)
    aside = (home.folder / "stage1").rename(home.folder / "stage1-aside")
    try:
        home.fit("interrupted", "lora", **settings)
    finally:
        aside.rename(home.folder / "stage1")
    assert furthest(weights_of(home.folder / "whole"), weights_of(home.folder / "interrupted")) == 0


def test_it_is_told_what_was_taken(home: Home, stage1: of.Pipeline) -> None:
    listener = Listener()
    columns = {**COLUMNS, "size": "number", "shop": {"modality": "category", "role": "target"}}
    home.fit("more", columns=columns, listener=listener, train__init=str(home.folder / "stage1"))
    assert listener.heard[0] == (
        f"begins with the weights of {home.folder / 'stage1'}: encoder of picture, encoder of question, fusion, head of answer;"
        " new encoder of size, head of shop"
    )
    assert read_json(home.folder / "more" / "config.json", "run")["recipe"]["train"]["init"] == str(home.folder / "stage1")


def test_inputs_are_read_with_the_vocabulary_they_were_learned_with(home: Home, stage1: of.Pipeline, tmp_path: Path) -> None:
    other = Home.__new__(Home)
    other.folder, other.language = tmp_path, home.language
    other.rows = [{**row, "question": f"wholly other words {i % 7}"} for i, row in enumerate(home.rows)]
    following = other.fit("run", train__init=str(home.folder / "stage1"))
    assert following.processors["question"].state()["tokenizer"] == stage1.processors["question"].state()["tokenizer"]
    fresh = other.fit("fresh")
    assert fresh.processors["question"].state()["tokenizer"] != stage1.processors["question"].state()["tokenizer"]


def test_weights_of_another_vocabulary_are_not_taken(home: Home, stage1: of.Pipeline) -> None:
    listener = Listener()
    columns = {**COLUMNS, "question": {"modality": "text", "vocabulary": 270, "max_length": 8}}
    home.fit("other-words", columns=columns, listener=listener, train__init=str(home.folder / "stage1"))
    assert listener.heard[0].endswith(": encoder of picture, fusion, head of answer; new encoder of question")


def test_an_earlier_run_that_is_not_there_or_does_not_fit_is_refused(home: Home, stage1: of.Pipeline) -> None:
    with pytest.raises(OmnifuseError, match=r"^train\.init: .*nowhere"):
        home.fit("refused", train__init=str(home.folder / "nowhere"))
    shutil.copytree(home.folder / "stage1", home.folder / "other-stage1")
    columns = {"size": "number", "shop": {"modality": "category", "role": "target"}}
    with pytest.raises(OmnifuseError, match=r"^train\.init: no weight of .*other-stage1 fits this model; are model\.dim and the columns"):
        home.fit(
            "strange",
            columns=columns,
            train__init=str(home.folder / "other-stage1"),
            model__encoders={},
            model__heads={},
            model__fusion="concat",
        )
