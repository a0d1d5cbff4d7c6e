"""Users and items: what a user takes next is ranked better than by popularity, by either loss, for new users too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import omnifuse as of
from omnifuse.evaluation.config import EvaluateConfig

USERS, ITEMS, TASTES = 60, 40, 4
COLUMNS: dict[str, Any] = {"user": "id", "town": "category", "item": {"modality": "id", "role": "target"}}


def purchases(seed: int = 0) -> list[dict[str, Any]]:
    """Each user has a taste, which the town tells four times in five; items of that taste are taken by their popularity."""
    random = np.random.default_rng(seed)
    rows = []
    for user in range(USERS):
        taste = user % TASTES
        liked = np.arange(taste, ITEMS, TASTES)
        share = 1 / (1 + np.arange(len(liked)))
        town = taste if user % 5 else (taste + 1) % TASTES
        for item in random.choice(liked, 20, p=share / share.sum()):
            rows.append({"user": f"u{user}", "town": f"town {town}", "item": f"i{item}"})
    return rows


@pytest.mark.parametrize("loss", ["softmax", "bpr"])
def test_items_are_ranked_for_users(loss: str) -> None:
    settings = {
        "model.dim": 16,
        "model.fusion": "concat",
        "model.heads.item": {"name": "ranking", "loss": loss, "negatives": 8},
        "train": {"epochs": 12, "batch_size": 64, "optimizer": {"name": "adamw", "lr": 0.01}},
    }
    rows = purchases()
    pipeline = of.fit(rows, columns=COLUMNS, settings=settings)
    judged = of.evaluate(pipeline, purchases(seed=1), config=EvaluateConfig(shuffle=False))
    floor = judged.details["floor"]["item"]["ndcg@10"]
    assert judged.metrics["item"]["ndcg@10"] > floor + 0.15
    assert judged.metrics["item"]["recall@10"] > 0.9
    known, new, nothing = pipeline.predict([{"user": "u6", "town": "town 2"}, {"user": "a new one", "town": "town 1"}, {}], k=5)
    assert all(int(item[1:]) % TASTES == 2 for item in known["item_best"])
    assert sum(int(item[1:]) % TASTES == 1 for item in new["item_best"]) >= 3
    assert len(nothing["item_best"]) == 5
