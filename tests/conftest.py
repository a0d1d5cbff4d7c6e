"""Small real data that many tests share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

COLOURS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 220)}


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of third-party data; tests that need it are skipped where it is not."""
    folder = Path(os.environ.get("OMNIFUSE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}; set OMNIFUSE_DATA")
    return folder


def colour_rows(folder: Path, count: int = 96, seed: int = 0, absent: float = 0.0) -> list[dict[str, Any]]:
    """Rows whose answer needs both the picture and the question: is this picture of the colour that is asked for?

    Columns: picture (path of an 8×8 PNG in `folder`), question (text), size (number), shop (category), answer (yes/no),
    price (number that depends on size and colour). A share of the values in each input column is absent.
    """
    random, shades = np.random.default_rng(seed), np.random.default_rng(0)
    names = list(COLOURS)
    folder.mkdir(parents=True, exist_ok=True)
    for name, colour in COLOURS.items():
        for shade in range(4):
            pixels = np.clip(np.array(colour) + shades.integers(-20, 20, (8, 8, 3)), 0, 255).astype(np.uint8)
            if not (folder / f"{name}-{shade}.png").exists():
                Image.fromarray(pixels).save(folder / f"{name}-{shade}.png")
    rows = []
    for _ in range(count):
        colour, asked = (names[i] for i in random.integers(0, 3, 2))
        size = float(random.normal(10, 3))
        row = {
            "picture": f"{colour}-{random.integers(0, 4)}.png",
            "question": f"is it {asked}?",
            "size": round(size, 3),
            "shop": "north" if random.random() < 0.5 else "south",
            "answer": "yes" if asked == colour else "no",
            "price": round(2 * size + names.index(colour), 3),
        }
        for name in ("picture", "question", "size", "shop"):
            if random.random() < absent:
                row[name] = None
        rows.append(row)
    return rows


@pytest.fixture
def colours(tmp_path: Path) -> tuple[Path, list[dict[str, Any]]]:
    """The folder with pictures, and 96 rows."""
    folder = tmp_path / "pictures"
    return folder, colour_rows(folder)
