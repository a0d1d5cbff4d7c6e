"""The report: complete, self-contained, escaped, the same every time."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Column, Schema
from omnifuse.data.config import DataConfig, SplitConfig
from omnifuse.data.dataset import Dataset
from omnifuse.data.modalities.fitting import fit_processors
from omnifuse.data.prepare import prepare
from omnifuse.data.report.thumbnails import thumbnail
from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.evaluation import Evaluation, evaluate
from omnifuse.evaluation.report.examples import pick_categories, pick_numbers
from omnifuse.evaluation.report.plots import confusion_matrix
from omnifuse.evaluation.report.report import write_report
from omnifuse.model.config import ModelConfig
from omnifuse.page.words import figure, label, shorten
from omnifuse.pipeline.pipeline import Pipeline

NASTY = ['<script>alert("x")</script>', "\"quotes\" & 'more' {{ 7 * 7 }}", "这是什么颜色？", None, "word " * 200]
LONG = "a label that is very much longer than an axis has room for, by far"
LABELS = ["<img src=x onerror=alert(1)>", "$x^2$ is no formula", "黄色的圆形", LONG]
COLUMNS = [
    Column("image", "image", size=16),
    Column("question", "text", vocabulary=260),
    Column("shop <b>", "category"),
    Column("price", "number"),
    Column("answer", "category", "target"),
    Column("weight", "number", "target"),
]


def make_rows(folder: Path, count: int = 48, labels: list[str] = LABELS) -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    rows = []
    for i in range(count):
        path = folder / f"{i % 12}.png"
        Image.fromarray(random.integers(0, 255, (24, 40, 3), dtype=np.uint8)).save(path)
        rows.append(
            {
                "image": None if i % 7 == 0 else str(path),
                "question": NASTY[i % len(NASTY)],
                "shop <b>": [None, "a", "b"][i % 3],
                "price": None if i % 5 == 0 else float(i),
                "answer": labels[i % len(labels)],
                "weight": float(random.normal(100, 20)),
            }
        )
    return rows


def build(folder: Path, columns: list[Column], rows: list[dict[str, Any]]) -> tuple[Pipeline, Dataset]:
    schema = Schema(columns)
    split = SplitConfig(validation=0, test=0.5)
    dataset = prepare(rows, schema, DataConfig(source="", split=split), store=folder / "store")
    config = ModelConfig(dim=8)
    processors = fit_processors(schema, dataset.split("train"), config.demands(schema))
    return Pipeline.build(schema, processors, config), dataset.split("test")


Judged = tuple[Pipeline, Dataset, Evaluation]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    folder = tmp_path_factory.mktemp("report")
    pipeline, data = build(folder, COLUMNS, make_rows(folder))
    return pipeline, data, evaluate(pipeline, data)


def write_run(run: Path) -> None:
    """What a training leaves in its folder, the last line of the history torn."""
    config = {
        "name": "Shops & <i>colours</i>",
        "recipe": {"data": {"source": "a.csv"}, "train": {"epochs": 3, "batch_size": 64, "optimizer": {"name": "adamw", "lr": 0.001}}},
        "trained": {"seconds": 75.2, "steps": 300, "epochs": 3, "best_step": 200, "best_score": 0.912345},
    }
    (run / "config.json").write_text(json.dumps(config))
    (run / "metrics.json").write_text(json.dumps({"validation": {"answer": {"accuracy": 0.4321}}}))
    lines: list[dict[str, Any]] = [
        {"kind": "train", "step": step, "epoch": step / 100, "loss": 2.0 / (step + 1), "lr": 1e-3, "samples_per_s": 1234.5}
        for step in range(300)
    ]
    for step in (100, 200, 300):
        metrics = {"answer": {"accuracy": 0.5}}
        lines.append({"kind": "validation", "step": step, "epoch": step / 100, "loss": 1.0, "metrics": metrics, "best": step == 200})
    lines.append({"kind": "train", "step": 301, "epoch": 3.01, "loss": float("nan")})
    (run / "history.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"kind": "train", "st')


def page_of(run: Path, judged: Judged, examples: int = 8) -> str:
    pipeline, data, evaluation = judged
    path = write_report(run, evaluation, pipeline, data, examples=examples)
    assert path == run / "report.html"
    return path.read_text(encoding="utf-8")


class Page(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_stands_alone(tmp_path: Path, judged: Judged) -> None:
    write_run(tmp_path)
    page = page_of(tmp_path, judged)
    assert not re.search(r"https?://|@import", page)
    parsed = Page(page)
    for _, attributes in parsed.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/")), attributes
        assert not re.search(r"url\((?!#)", attributes.get("style") or "")
    assert [tag for tag, _ in parsed.tags].count("script") == 1
    assert "default-src 'none'" in page


def test_ids_are_unique_and_lead_somewhere(tmp_path: Path, judged: Judged) -> None:
    write_run(tmp_path)
    page = page_of(tmp_path, judged)
    ids = [attributes["id"] for _, attributes in Page(page).tags if "id" in attributes]
    assert len(ids) == len(set(ids)) > 0
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', page)) <= set(ids)


def test_user_text_is_escaped(tmp_path: Path, judged: Judged) -> None:
    write_run(tmp_path)
    page = page_of(tmp_path, judged, examples=24)
    parsed = Page(page)
    assert "<script>alert" not in page and "<i>colours" not in page and "shop <b>" not in page
    assert not any(name.startswith("on") for _, attributes in parsed.tags for name in attributes)
    for said in (NASTY[0], NASTY[1], NASTY[2], LABELS[0], LABELS[1], "Shops & <i>colours</i>", "absent"):
        assert said in parsed.text, said
    assert "word " * 100 not in parsed.text


def test_says_what_was_found(tmp_path: Path, judged: Judged) -> None:
    write_run(tmp_path)
    evaluation = judged[2]
    text = Page(page_of(tmp_path, judged)).text
    low, high = evaluation.details["intervals"]["answer"]["accuracy"]
    floor = evaluation.details["floor"]["answer"]
    rows = len(evaluation.answers["answer"].truth)
    accuracy = evaluation.metrics["answer"]["accuracy"]
    assert f"answer: accuracy {accuracy:.3f} (95 % interval {low:.3f}–{high:.3f}) on {rows} rows" in text
    assert f"always answering “{floor['answer']}” gives {floor['accuracy']:.3f}" in text
    assert evaluation.sentences() and all(sentence in text for sentence in evaluation.sentences())
    for said in ("Loss", "Confusion matrix", "Answer and truth", "Furthest off", "0.432", "1 min 15 s", "adamw", "optimizer lr", "joint"):
        assert said in text, said


def test_pictures_are_inside(tmp_path: Path, judged: Judged) -> None:
    page = page_of(tmp_path, judged)
    assert page.count('src="data:image/png;base64,') > 4


def test_same_input_same_bytes(tmp_path: Path, judged: Judged) -> None:
    write_run(tmp_path)
    assert page_of(tmp_path, judged) == page_of(tmp_path, judged)


def test_without_a_run(tmp_path: Path, judged: Judged) -> None:
    text = Page(page_of(tmp_path / "plain", judged)).text
    assert "plain" in text and "Learning" not in text and "How it was trained" not in text
    assert "The model" in text


def test_history_of_a_resumed_or_odd_run(tmp_path: Path, judged: Judged) -> None:
    validation = {"kind": "validation", "step": 1, "epoch": 0.5, "loss": 1.0, "metrics": None}
    lines = [validation, {"kind": "train", "step": 1}, {"kind": "new"}, 7]
    (tmp_path / "history.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    (tmp_path / "config.json").write_text("{}")
    assert "Learning" in Page(page_of(tmp_path, judged)).text


def test_the_wrong_rows_are_refused(tmp_path: Path, judged: Judged) -> None:
    pipeline, data, evaluation = judged
    with pytest.raises(OmnifuseError, match="the split that was judged"):
        write_report(tmp_path, evaluation, pipeline, Dataset.open(data.path))


def test_one_column_and_many_labels(tmp_path: Path) -> None:
    rows = make_rows(tmp_path, 800, [f"label number {i} of two hundred" for i in range(200)])
    pipeline, data = build(tmp_path, [COLUMNS[3], COLUMNS[4]], rows)
    page = page_of(tmp_path, (pipeline, data, evaluate(pipeline, data)))
    assert "The 60 most frequent of" in page and len(page) < 600_000


def test_no_examples(tmp_path: Path, judged: Judged) -> None:
    assert "Furthest off" not in Page(page_of(tmp_path, judged, examples=0)).text


def test_picks_sure_mistakes_and_right_rows_of_every_label() -> None:
    truth = ["a"] * 10 + ["b"] * 2 + ["c"] * 3
    predicted = ["a"] * 10 + ["b"] * 2 + ["a"] * 3
    scores = np.full((15, 3), 0.1)
    scores[:, 0] = np.linspace(0.5, 0.9, 15)
    wrong, right = pick_categories(Answers(list(range(15)), truth, predicted, scores), 4, seed=0)
    assert wrong == [14, 13, 12]
    assert sorted(truth[place] for place in right) == ["a", "a", "b", "b"]


def test_picks_far_and_near_numbers() -> None:
    truth = [float(i) for i in range(20)]
    predicted = [value + (9 if i in (3, 4) else 0.1) for i, value in enumerate(truth)]
    far, near = pick_numbers(Answers(list(range(20)), truth, predicted, np.array(predicted)), 2, seed=0)
    assert sorted(far) == [3, 4] and len(set(near)) == 2 and not {3, 4} & set(near)
    assert pick_numbers(Answers([0], [1.0], [2.0], np.array([2.0])), 4, seed=0) == ([0], [])


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.98765, "0.988"), (12.3456, "12.35"), (123.456, "123.5"), (12345.6, "12,346"), (0, "0.000"), (1e-5, "1e-05")],
)
def test_figure(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_labels_fit_an_axis() -> None:
    assert label("short") == "short"
    assert len(label("x" * 100)) <= 24 and "…" in label("x" * 100)
    assert len(label("黄" * 100)) <= 12
    assert label("two\nlines\x00") == "two lines "
    assert shorten("eight or nine", 9) == "eight or…"


def test_a_thumbnail_keeps_proportions(tmp_path: Path) -> None:
    path = tmp_path / "wide.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 800, 3), dtype=np.uint8)).save(path)
    picture = thumbnail(path.read_bytes())
    assert (picture.width, picture.height, picture.enlarged) == (160, 40, False)


def test_a_plot_takes_any_label() -> None:
    svg = confusion_matrix(["\x00\x1b", "$\\frac{", "<&\"'"], [[1, 0, 0], [0, 1, 0], [0, 0, 1]], [1, 1, 2], key="k")
    assert svg.startswith("<svg") and "xmlns" not in svg and "<style" not in svg and "var(--accent)" in svg
