"""One folder a task: a recipe, and where its data come from."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from omnifuse.core.atomic import write_text
from omnifuse.core.errors import OmnifuseError

FOLDER = Path(__file__).parent
RECIPES = {
    "easy_vqa": "questions about pictures of coloured shapes",
    "reviews": "clothing reviews: texts, age, department",
    "covid_xray": "chest X-rays with laboratory values, most of them missing",
    "basicmotions": "four activities from the sensors of a watch",
    "basicmotions_sensors": "the same with a column for each of its two sensors",
    "arem": "seven activities from radio links, cut into windows",
    "arem_links": "the same with a column for each link",
    "av_digits_clean": "a written digit and a spoken one",
    "av_digits_degraded": "a noisy written digit and a noisy spoken one",
    "emoji": "emoji with names and keywords, to be prepared",
    "emoji_retrieval": "which name belongs to the picture of an emoji",
    "generate": "pictures of handwritten digits from their names",
    "spoken_digits": "spoken digits from their names",
    "digits_any": "written digits, spoken digits and their names, each from any of the others",
    "emoji_both": "pictures of emoji from their keywords, and keywords from pictures",
    "basicmotions_forecast": "how the sensors of a watch go on",
    "basicmotions_gap": "a sensor that was lost for a second, from the other one and from before and after",
    "textbook": "two vectors through two subnets, side by side: the textbook example of fusion, on made-up numbers",
}


def data_folder(of: str) -> Path:
    """Where the data of a recipe lie: in the folder that the variable `OMNIFUSE_DATA` names.

    Raises:
        OmnifuseError: the variable is not set, or the folder has no such data.
    """
    named = os.environ.get("OMNIFUSE_DATA")
    if not named:
        raise OmnifuseError(f"OMNIFUSE_DATA is not set; it names the folder that holds {of}/")
    folder = Path(named) / of
    if not folder.is_dir():
        raise OmnifuseError(f"{folder}: no such folder; OMNIFUSE_DATA names the folder that holds {of}/")
    return folder


def write_recipe(name: str, folder: Path) -> Path:
    """Put a recipe into `folder`, with the tables it needs, and return its path."""
    module = f"{__name__}.{name}.tables"
    if find_spec(f"{__name__}.{name}") and find_spec(module):
        import_module(module).write_tables(folder)
    path = folder / "recipe.yaml"
    write_text(path, (FOLDER / name / "recipe.yaml").read_text(encoding="utf-8"))
    return path
