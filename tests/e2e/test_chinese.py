"""Chinese from end to end: columns, texts, labels, folders, report, answers."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import yaml

from tests.conftest import colour_rows
from tests.e2e.conftest import offline, write_rows

WORDS = {"red": "红", "green": "绿", "blue": "蓝"}
JOB = """
import sys
from omnifuse.cli.main import main

settings = ["model.dim=16", "model.fusion=product", "train.epochs=25", "train.batch_size=16", "train.optimizer.lr=0.01",
            "columns.问题={modality: text, vocabulary: 300, max_length: 24}", "columns.图片.size=8"]
for words in (
    ["init", "数据.csv", "--target", "回答", "--out", "配方.yaml"],
    ["train", "配方.yaml", "--out", "运行", *(word for setting in settings for word in ("--set", setting))],
    ["evaluate", "运行"],
    ["predict", "运行", "数据.csv", "--out", "结果.csv"],
    ["predict", "运行", "数据.csv", "--out", "结果.jsonl"],
    ["predict", "运行", "--input", "问题=这张图片是红色的吗？", "--input", "图片=图/red-0.png",
     "--input", "大小=10", "--input", "店铺=北店", "--probabilities"],
):
    sys.argv = ["omnifuse", *words]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, words
"""


def chinese_rows(folder: Path) -> list[dict[str, object]]:
    rows = []
    for row in colour_rows(folder / "图", 160):
        asked = row["question"].removeprefix("is it ").removesuffix("?")
        rows.append(
            {
                "图片": f"图/{row['picture']}",
                "问题": f"这张图片是{WORDS[asked]}色的吗？",
                "大小": row["size"],
                "店铺": "北店" if row["shop"] == "north" else "南店",
                "回答": "是" if row["answer"] == "yes" else "不是",
            }
        )
    return rows


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("中文")
    write_rows(folder / "数据.csv", chinese_rows(folder))
    ended = offline(JOB, folder)
    assert ended.returncode == 0, ended.stderr
    return folder, ended.stdout


def test_the_recipe_is_readable(done: tuple[Path, str]) -> None:
    text = (done[0] / "配方.yaml").read_text(encoding="utf-8")
    columns = yaml.safe_load(text)["columns"]
    assert columns["图片"] == "image"
    assert columns["大小"] == "number"
    assert columns["回答"] == {"modality": "category", "role": "target"}
    assert "\\u" not in text


def test_the_model_reads_chinese(done: tuple[Path, str]) -> None:
    folder, out = done
    metrics = json.loads((folder / "运行" / "metrics.json").read_text(encoding="utf-8"))
    floor = json.loads((folder / "运行" / "evaluation.json").read_text(encoding="utf-8"))["floor"]["回答"]
    assert floor["answer"] == "不是"
    with (folder / "结果.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    right = sum(row["回答"] == row["predicted_回答"] for row in rows) / len(rows)
    assert right > 0.9 > floor["accuracy"]
    assert set(metrics["test"]) == {"回答"}
    assert "For 回答, the model" in out


def test_files_hold_chinese_as_it_is_written(done: tuple[Path, str]) -> None:
    folder = done[0]
    for name in ("metrics.json", "evaluation.json", "config.json", "README.md"):
        text = (folder / "运行" / name).read_text(encoding="utf-8")
        assert "回答" in text, name
        assert "\\u" not in text, name
    first = json.loads((folder / "结果.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["predicted_回答"] in ("是", "不是")
    assert "回答" in (folder / "结果.jsonl").read_text(encoding="utf-8")


def test_the_report_shows_columns_texts_and_labels(done: tuple[Path, str]) -> None:
    page = (done[0] / "运行" / "report.html").read_text(encoding="utf-8")
    page = re.sub(r"</?(span|mark)[^>]*>", "", page)  # signs are coloured one by one
    for word in ("回答", "问题", "图片", "不是", "色的吗？"):
        assert word in page, word


def test_one_row_is_answered(done: tuple[Path, str]) -> None:
    answer = json.loads(done[1].strip().splitlines()[-1])
    assert answer["回答"] == "是"
    assert set(answer["回答_probabilities"]) == {"是", "不是"}
