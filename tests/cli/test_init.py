"""`omnifuse init`: recipes that prepare and train as they are written."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.cli.conftest import Ended, write_rows
from tests.conftest import colour_rows

Here = Callable[..., Ended]
SMALL = [word for pair in ("model.dim=16", "train.epochs=1", "train.batch_size=32") for word in ("--set", pair)]


def _written(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _films(count: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    rows = []
    for _ in range(count):
        genres = random.choice(["Action", "Comedy", "Drama", "Horror"], int(random.integers(1, 4)), replace=False).tolist()
        day = datetime.date(2020, 1, 1) + datetime.timedelta(days=int(random.integers(900)))
        rows.append(
            {
                "user_id": f"u{random.integers(60)}",
                "genres": "|".join(genres),
                "tags": ", ".join(genres[::-1]),
                "seen": day.strftime("%d/%m/%Y"),
                "budget": f"${random.integers(1, 10**6):,}.50",
                "face": " ".join(f"{number:.3f}" for number in random.normal(size=4)),
                "liked": "yes" if "Comedy" in genres else "no",
            }
        )
    return rows


def test_a_table_of_many_modalities_is_inferred_prepared_and_trained(tmp_path: Path, here: Here) -> None:
    write_rows(tmp_path / "films.csv", _films(300))
    assert here(tmp_path, "init", "films.csv", "--target", "liked").code == 0
    assert _written(tmp_path / "recipe.yaml")["columns"] == {
        "user_id": "id",
        "genres": "set",
        "tags": {"modality": "set", "separator": ","},
        "seen": {"modality": "datetime", "format": "%d/%m/%Y"},
        "budget": {"modality": "number", "format": "point"},
        "face": "vector",
        "liked": {"modality": "category", "role": "target"},
    }
    ended = here(tmp_path, "train", "recipe.yaml", "--out", "run", *SMALL)
    assert ended.code == 0, ended.err
    assert (tmp_path / "run" / "model.safetensors").is_file()
    predicted = here(tmp_path, "predict", "run", "films.csv", "--out", "answers.csv")
    assert predicted.code == 0, predicted.err


def test_a_folder_of_class_folders_becomes_a_recipe_that_trains(tmp_path: Path, here: Here) -> None:
    from PIL import Image

    for label, shade in (("dark", 40), ("light", 210)):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for i in range(20):
            Image.new("L", (8, 8), shade + i).save(tmp_path / "pictures" / label / f"{i}.png")
    assert here(tmp_path, "init", "pictures").code == 0
    recipe = _written(tmp_path / "recipe.yaml")
    assert recipe["columns"] == {"file": "image", "label": {"modality": "category", "role": "target"}}
    assert recipe["data"]["source"] == "pictures"
    ended = here(tmp_path, "train", "recipe.yaml", "--out", "run", *SMALL, "--set", "data.split.validation=0.2")
    assert ended.code == 0, ended.err


def test_pictures_that_come_back_and_groups_stay_on_one_side(tmp_path: Path, here: Here) -> None:
    rows = [{"image": f"{i % 40}.png", "seen": f"place {i % 3}", "sick": "yes" if i % 2 else "no"} for i in range(200)]
    write_rows(tmp_path / "t.csv", rows)
    assert here(tmp_path, "init", "t.csv", "--target", "sick").code == 0
    assert _written(tmp_path / "recipe.yaml")["data"]["split"] == {"validation": 0.1, "test": 0.1, "by": "image"}
    write_rows(tmp_path / "t.csv", [{**row, "patient_id": f"p{i % 50}"} for i, row in enumerate(rows)])
    assert here(tmp_path, "init", "t.csv", "--target", "sick", "--force").code == 0
    recipe = _written(tmp_path / "recipe.yaml")
    assert recipe["data"]["split"]["by"] == "patient_id"
    assert recipe["columns"]["patient_id"]["role"] == "ignore"


def test_files_beside_the_table_are_found(tmp_path: Path, here: Here) -> None:
    rows = colour_rows(tmp_path / "files", 60)
    write_rows(tmp_path / "rows.csv", rows)
    assert here(tmp_path, "init", "rows.csv", "--target", "answer").code == 0
    assert _written(tmp_path / "recipe.yaml")["data"]["root"] == "files"
    ended = here(tmp_path, "prepare", "recipe.yaml")
    assert ended.code == 0, ended.err
    assert f"{len({row['picture'] for row in rows})} different media files" in ended.out


def test_a_target_of_several_labels_is_a_set(tmp_path: Path, here: Here) -> None:
    write_rows(tmp_path / "films.csv", [{"genres": row["genres"], "face": row["face"]} for row in _films(60)])
    assert here(tmp_path, "init", "films.csv", "--target", "genres").code == 0
    genres = _written(tmp_path / "recipe.yaml")["columns"]["genres"]
    assert (genres["modality"], genres["role"]) == ("set", "target")


def test_one_column_is_too_few(tmp_path: Path, here: Here) -> None:
    write_rows(tmp_path / "t.csv", [{"label": "a"}, {"label": "b"}])
    assert "t.csv: has one column (label)" in here(tmp_path, "init", "t.csv").line


def test_odd_names_stay_in_one_line_of_the_recipe(tmp_path: Path, here: Here) -> None:
    rows = [{"user\nid": f"u{i % 70}", "a: b # c": f"{i},5", "y": "yes" if i % 2 else "no"} for i in range(140)]
    write_rows(tmp_path / "t.csv", rows)
    assert here(tmp_path, "init", "t.csv").code == 0
    recipe = _written(tmp_path / "recipe.yaml")
    assert list(recipe["columns"]) == ["user\nid", "a: b # c", "y"]
    assert recipe["columns"]["a: b # c"] == {"modality": "number", "format": "comma"}
