"""Makes the tables of the easy-VQA recipe from the files of the PyPI package `easy-vqa`."""

from __future__ import annotations

import csv
import io
import json
from importlib.util import find_spec
from pathlib import Path

from omnifuse.core.atomic import write_text
from omnifuse.core.errors import OmnifuseError


def write_tables(folder: Path) -> dict[str, Path]:
    """Write `train.csv` and `test.csv` with the columns image (a path), question and answer.

    Raises:
        OmnifuseError: the package is not installed.
    """
    spec = find_spec("easy_vqa")
    if spec is None or spec.origin is None:
        raise OmnifuseError("the demo's data are in the package easy-vqa; pip install 'omnifuse[demo]'")
    data = Path(spec.origin).parent / "data"
    tables = {}
    for split in ("train", "test"):
        questions = json.loads((data / split / "questions.json").read_text(encoding="utf-8"))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["image", "question", "answer"])
        for question, answer, image in questions:
            writer.writerow([data / split / "images" / f"{image}.png", question, answer])
        tables[split] = folder / f"{split}.csv"
        write_text(tables[split], text.getvalue())
    return tables
