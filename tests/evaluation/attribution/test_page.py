"""The page of explanations, examples of a report with them, and the command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import omnifuse as of
from omnifuse.cli.main import app
from omnifuse.core.errors import OmnifuseError
from omnifuse.data.report.thumbnails import thumbnail
from omnifuse.evaluation.attribution.drawings import heat
from omnifuse.evaluation.attribution.explain import explain_each
from omnifuse.evaluation.attribution.maps import PieceMap
from omnifuse.evaluation.attribution.page import write_explained
from omnifuse.evaluation.attribution.showing import coloured
from omnifuse.evaluation.report.examples import show_examples
from tests.evaluation.attribution.planted import asked, pictures, taught, texts
from tests.evaluation.conftest import Learned
from tests.evaluation.test_report import Page

NASTY = '<script>alert("x")</script>'


def every_column(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows with a value of every modality that has parts."""
    random = np.random.default_rng(seed)
    return [
        {
            "picture": picture["picture"],
            "words": text["words"],
            "motion <i>": {name: random.normal(size=30) for name in ("x", NASTY)},
            "sound": {"array": random.normal(size=2000).astype(np.float32) / 9, "sampling_rate": 8000},
            "cloud": random.normal(size=(50, 3)),
            "film": random.integers(0, 255, (3, 12, 12, 3), dtype=np.uint8),
            "tags": [str(tag) for tag in random.choice(["old", "new", NASTY], 2, replace=False)],
            "vector": random.normal(size=4).tolist(),
            "size": float(random.normal()),
            "answer": picture["answer"],
        }
        for picture, text in zip(pictures(count, seed), texts(count, seed), strict=True)
    ]


@pytest.fixture(scope="module")
def everything() -> of.Pipeline:
    columns: dict[str, Any] = {
        "picture": {"modality": "image", "size": 16, "channels": 1},
        "words": {"modality": "text", "vocabulary": 300},
        "motion <i>": "series",
        "sound": {"modality": "audio", "rate_hz": 8000},
        "cloud": "points",
        "film": {"modality": "video", "frames": 3, "size": 8},
        "tags": "set",
        "vector": "vector",
        "size": "number",
        "answer": {"modality": "category", "role": "target"},
    }
    return taught(every_column(24), columns, 5)


def written(pipeline: of.Pipeline, rows: list[dict[str, Any]], path: Path) -> str:
    [(read, explained)] = explain_each(pipeline, rows)
    return write_explained(path, "a run & more", pipeline, read, explained).read_text(encoding="utf-8")


def test_the_page_stands_alone_and_shows_every_part(everything: of.Pipeline, tmp_path: Path) -> None:
    rows = asked(every_column(3, seed=1), "answer")
    rows[1] |= {"words": f"{NASTY} is lovely", "sound": None}
    page = written(everything, rows, tmp_path / "page.html")
    assert page == written(everything, rows, tmp_path / "again.html")
    parsed = Page(page)
    assert "default-src 'none'" in page and not re.search(r"https?://|@import", page) and "<script>alert" not in page and "<i> " not in page
    for tag, attributes in parsed.tags:
        assert not any(name.startswith("on") for name in attributes)
        source = attributes.get("src") or "data:image/"
        assert source.startswith("data:audio/wav" if tag == "audio" else "data:image/")
    tags = [tag for tag, _ in parsed.tags]
    assert tags.count("article") == 3 and tags.count("audio") == 2 and tags.count("img") == 3 * 4
    assert tags.count("rect") > 0 and tags.count("polyline") == 3 * 2 and tags.count("circle") == 3 * 50
    assert "color-mix(" in page
    for said in ("What decided answer", "a run & more", "row 3", "Probability", "absent", "seen from above", NASTY, "0.25 s", *rows[0]):
        assert said in parsed.text, said


def test_a_long_text_is_shown_around_its_strongest_piece() -> None:
    pieces = tuple((f" word{number}", 1.0 if number == 50 else 0.0) for number in range(100))
    words = coloured(PieceMap(pieces, rest=" and more"), 1.0, 80)
    shown = "".join(word.gap + word.text for word in words)
    assert "word50" in shown and shown.startswith("…") and shown.endswith("…") and len(shown) < 100
    assert [word.text for word in words if word.colour] == ["word50"]
    whole = coloured(PieceMap(pieces[:3], rest=" and more"), 1.0, 80)
    assert "".join(word.gap + word.text for word in whole) == " word0 word1 word2 … (9 characters were not read)"


def test_heat_is_orange_for_blue_against_and_grey_where_nothing_counts() -> None:
    import base64
    import io

    values = np.zeros((3, 3))
    values[0, 0], values[2, 2] = 2.0, -2.0
    made = heat(np.full((30, 30, 3), 128, dtype=np.uint8), values, 2.0, 90)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(made.uri.partition(",")[2]))).convert("RGB")).astype(int)
    assert (made.width, made.height) == (90, 90)
    (red, green, blue), (other_red, _, other_blue), middle = pixels[5, 5], pixels[-5, -5], pixels[45, 45]
    assert red > green > blue and other_blue > other_red and np.ptp(middle) < 6


def test_examples_of_a_report_tell_what_decided_them(learned: Learned) -> None:
    data = learned.dataset.split("test")
    evaluation = of.evaluate(learned.pipeline, data)
    for target in ("answer", "price"):
        answers = evaluation.answers[target]
        plain, explained = (show_examples(learned.pipeline, data, target, answers, 2, explain=each) for each in (False, True))
        for before, after in zip([*plain.wrong, *plain.right], [*explained.wrong, *explained.right], strict=True):
            assert (before.answer, before.truth, before.error) == (after.answer, after.truth, after.error) and not before.adds
            assert [share.column for share in after.adds] == [shown.column for shown in after.inputs]
            for shown in after.inputs:
                assert (shown.view is not None) == (shown.column in ("picture", "question"))
                if shown.column == "question":
                    assert shown.view and "".join(w.gap + w.text for w in shown.view.words) == shown.text


def test_the_command_writes_a_page_or_prints_json(learned: Learned, tmp_path: Path) -> None:
    def ran(*words: str) -> str:
        ended = CliRunner().invoke(app, ["explain", str(learned.run), *words])
        assert ended.exit_code == 0, ended.output or ended.exception
        return ended.stdout

    picture = str(learned.folder / "red-0.png")
    page = tmp_path / "why.html"
    said = ran("-i", f"picture={picture}", "-i", "question=is it red?", "--target", "answer", "--out", str(page))
    assert "For it:" in said and "why.html" in said.replace("\n", "")
    assert thumbnail((learned.folder / "red-0.png").read_bytes()).uri in page.read_text(encoding="utf-8")
    table = tmp_path / "rows.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in learned.rows[:5]), encoding="utf-8")
    options = ["--target", "price", "--limit", "2", "--method", "gradient", "--column", "picture"]
    lines = ran(str(table), *options, "--json", "--root", str(learned.folder)).splitlines()
    found = [json.loads(line) for line in lines]
    assert len(found) == 2 and not (tmp_path / "explain.html").exists()
    for each in found:
        assert each["target"] == "price" and list(each["maps"]) == ["picture"] and each["maps"]["picture"]["method"] == "gradient"
        assert sum(each["contributions"].values()) == pytest.approx(each["support"] - each["without"], abs=1e-4)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ([], "give a table of rows, or one row by --input"),
        (["-i", "question=a", "--out", "a.png"], "name a page, such as explain.html"),
        (["-i", "question=a"], "answer, price can be explained; name one"),
        (["-i", "question=a", "-t", "answr"], 'did you mean "answer"'),
        (["-i", "question=a", "-t", "answer", "--column", "pictures"], 'did you mean "picture"'),
    ],
)
def test_mistakes_end_in_one_line(learned: Learned, words: list[str], fault: str) -> None:
    ended = CliRunner().invoke(app, ["explain", str(learned.run), *words])
    assert isinstance(ended.exception, OmnifuseError) and fault in str(ended.exception) and "\n" not in str(ended.exception)
