"""Rows for plans, some values of which are absent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from omnifuse.study.plan.ground import Ground, stand_on
from tests.conftest import colour_rows
from tests.study.plan.plans import recipe_of


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the rows."""
    folder = tmp_path_factory.mktemp("plan")
    rows = colour_rows(folder, 120, absent=0.2)
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def ground_of(table: Path) -> Callable[..., Ground]:
    """What a plan of the recipe starts from, with other options of its model and training."""
    first = stand_on(recipe_of(), table)

    def made(model: dict[str, Any] | None = None, **train: Any) -> Ground:
        return replace(first, recipe=recipe_of(model, **train))

    return made
