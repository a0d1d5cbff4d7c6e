"""One model with targets of five kinds: trained, judged, asked, and asked for what belongs together."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.evaluation.collect import collect
from omnifuse.evaluation.evaluation import Evaluation
from omnifuse.evaluation.report.report import write_report
from tests.conftest import colour_rows

SHOPS = ["north", "south", "east", "west"]
NAMES = [f"{colour} {shape}" for colour in ("red", "green", "blue", "black") for shape in ("circle", "square", "star")]
COLUMNS: dict[str, Any] = {
    "size": "number",
    "shop": "category",
    "price": {"modality": "number", "role": "target"},
    "tags": {"modality": "set", "role": "target"},
    "rating": {"modality": "category", "role": "target", "order": ["poor", "fair", "good"]},
    "item": {"modality": "id", "role": "target"},
    "name": {"modality": "text", "vocabulary": 280, "role": "target"},
}
SETTINGS: dict[str, Any] = {
    "model.dim": 16,
    "model.fusion": "concat",
    "model.heads": {
        "price": {"name": "number", "loss": "quantile", "quantiles": [0.1, 0.5, 0.9]},
        "rating": "ordinal",
        "name": "contrastive",
    },
    "train": {"epochs": 30, "batch_size": 32, "optimizer": {"name": "adamw", "lr": 0.01}},
    "train.target_weights": {"price": 2.0, "item": 0.5},
    "data.split": {"validation": 0.1, "test": 0.2},
}


def made_rows(count: int, seed: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        shop, size = int(random.integers(4)), float(random.uniform(0, 3))
        kind = min(int(size), 2)
        rows.append(
            {
                "size": size,
                "shop": SHOPS[shop],
                "price": 10 * size + float(random.normal()),
                "tags": [tag for tag, there in (("big", size > 1.5), (SHOPS[shop], True)) if there],
                "rating": ["poor", "fair", "good"][kind],
                "item": f"item {shop * 3 + kind}",
                "name": NAMES[shop * 3 + kind],
            }
        )
    return rows


@dataclass(frozen=True)
class Made:
    """A trained pipeline, its run, rows it has not seen, and how it was judged."""

    pipeline: of.Pipeline
    run: Path
    rows: list[dict[str, Any]]
    judged: Evaluation

    @property
    def trained(self) -> dict[str, Any]:
        """What the run says about its training."""
        return json.loads((self.run / "config.json").read_text())["trained"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    run = tmp_path_factory.mktemp("kinds") / "run"
    pipeline = of.fit(made_rows(400, 0), columns=COLUMNS, out=run, settings=SETTINGS)
    return Made(pipeline, run, made_rows(60, 1), of.evaluate(pipeline, of.Dataset.open(run / "dataset")))


def test_each_target_is_judged_by_its_kind_and_beats_its_floor(made: Made) -> None:
    metrics, floor = made.judged.metrics, made.judged.details["floor"]
    assert metrics["price"]["mae"] < 0.4 * floor["price"]["mae"]
    assert metrics["price"]["coverage"] > 0.5
    assert metrics["tags"]["map"] > 0.95 > floor["tags"]["map"]
    assert metrics["rating"]["qwk"] > 0.8
    assert metrics["item"]["ndcg@10"] > 0.8 > floor["item"]["ndcg@10"]
    assert metrics["name"]["recall@1"] > 0.6
    assert metrics["name"]["back_mrr"] > 0.6
    for target, main in (("tags", "map"), ("item", "ndcg@10"), ("name", "recall@10")):
        low, high = made.judged.details["intervals"][target][main]
        assert low <= metrics[target][main] <= high
    assert {entry["label"] for entry in made.judged.details["classes"]["tags"]} == {"big", *SHOPS}


def test_the_shuffle_test_tells_what_each_kind_of_target_needs(made: Made) -> None:
    shuffle = made.judged.details["shuffle"]
    assert all(shuffle["item"]["columns"][column]["used"] for column in ("size", "shop"))
    assert "the model uses size: mae rises" in shuffle["price"]["sentences"][0]
    assert "the model uses shop: ndcg@10 falls" in shuffle["item"]["sentences"][1]


def test_the_validation_of_the_training_knows_the_metrics_of_each_kind(made: Made) -> None:
    last = [json.loads(line) for line in (made.run / "history.jsonl").read_text().splitlines()][-1]
    assert {"recall@10", "back_mrr"} <= set(last["metrics"]["name"])
    assert "pinball" in last["metrics"]["price"]


def test_answers_have_the_form_of_their_kind(made: Made) -> None:
    answers = made.pipeline.predict(made.rows, probabilities=True, k=3)
    for answer in answers:
        assert "name" not in answer, "which name is a question of candidates"
        assert answer["price_low"] <= answer["price"] <= answer["price_high"]
        assert list(answer["price_quantiles"]) == ["0.1", "0.5", "0.9"]
        assert isinstance(answer["tags"], list)
        assert set(answer["tags_probabilities"]) == {"big", *SHOPS}
        assert answer["rating_probability"] == answer["rating_probabilities"][answer["rating"]]
        assert answer["item_best"][0] == answer["item"]
        assert len(answer["item_best"]) == len(answer["item_scores"]) == 3
        assert answer["item_scores"] == sorted(answer["item_scores"], reverse=True)
    assert np.mean([answer["item"] == row["item"] for answer, row in zip(answers, made.rows, strict=True)]) > 0.6
    assert np.mean([sorted(answer["tags"]) == sorted(row["tags"]) for answer, row in zip(answers, made.rows, strict=True)]) > 0.8
    json.dumps(answers)
    assert made.pipeline.predict([{}])[0]["item"]


def test_candidates_are_ranked_by_similarity(made: Made) -> None:
    found = made.pipeline.retrieve(made.rows, NAMES, k=4)
    assert [len(near) for near in found] == [4] * len(made.rows)
    for near in found:
        similarities = [each["similarity"] for each in near]
        assert similarities == sorted(similarities, reverse=True)
        assert all(NAMES[each["candidate"]] == each["name"] for each in near)
    assert np.mean([near[0]["name"] == row["name"] for near, row in zip(found, made.rows, strict=True)]) > 0.5
    as_rows = made.pipeline.retrieve(made.rows, [{"name": name} for name in NAMES], k=4)
    assert as_rows == found
    assert len(made.pipeline.retrieve(made.rows[:1], ["one name"], k=4)[0]) == 1


def test_embeddings_are_those_that_retrieval_compares(made: Made) -> None:
    rows = made.pipeline.embed(made.rows, target="name")
    assert rows.shape == (60, 16)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert made.pipeline.embed(made.rows).shape == (60, 16)
    assert made.pipeline.embed([]).shape == (0, 16)


def test_a_saved_pipeline_ranks_alike(made: Made) -> None:
    again = of.Pipeline.load(made.run, device="cpu")
    first, second = (pipeline.retrieve(made.rows[:5], NAMES) for pipeline in (made.pipeline, again))
    assert first == second


def test_the_report_shows_every_kind(made: Made) -> None:
    data = of.Dataset.open(made.run / "dataset").split("test")
    page = write_report(made.run, made.judged, made.pipeline, data).read_text(encoding="utf-8")
    for words in ("How soon it is found", "guessing among", "weighted kappa", "recall@10, back", "coverage", "Found soon"):
        assert words in page, words


def omnifuse(*words: object) -> subprocess.CompletedProcess[str]:
    script = "from omnifuse.cli.main import main; main()"
    return subprocess.run([sys.executable, "-c", script, *map(str, words)], capture_output=True, text=True, check=False)


def test_the_command_line_ranks_a_table_of_candidates(made: Made, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({k: row[k] for k in ("size", "shop")}) + "\n" for row in made.rows))
    (tmp_path / "names.csv").write_text("name\n" + "\n".join(NAMES) + "\n")
    out = tmp_path / "found.parquet"
    done = omnifuse("predict", made.run, tmp_path / "rows.jsonl", "--out", out, "--candidates", tmp_path / "names.csv", "--k", 2)
    assert done.returncode == 0, done.stderr
    found = pq.read_table(out).to_pylist()
    expected = made.pipeline.retrieve(made.rows, NAMES, k=2)
    assert [row["predicted_name_best"] for row in found] == [[each["name"] for each in near] for near in expected]
    assert found[0]["predicted_name"] == expected[0][0]["name"]
    one = omnifuse("predict", made.run, "-i", "size=0.5", "-i", "shop=north", "--candidates", tmp_path / "names.csv", "--k", 1)
    assert json.loads(one.stdout)[0]["name"] in NAMES


def test_pictures_are_found_by_questions_and_shown_in_the_report(tmp_path: Path) -> None:
    rows = colour_rows(tmp_path, 60)
    columns = {
        "question": {"modality": "text", "vocabulary": 270},
        "size": "number",
        "picture": {"modality": "image", "size": 8, "role": "target"},
    }
    settings = {"model.dim": 8, "model.heads.picture": {"name": "contrastive", "loss": "sigmoid"}, "train.epochs": 1}
    pipeline = of.fit(rows, columns=columns, out=tmp_path / "run", settings={**settings, "data.root": str(tmp_path)})
    pictures = sorted({row["picture"] for row in rows})
    asked = [{"question": row["question"], "size": row["size"]} for row in rows[:3]]
    found = pipeline.retrieve(asked, pictures, k=2, root=tmp_path)
    assert all(pictures[each["candidate"]] == each["picture"] for near in found for each in near)
    with pytest.raises(OmnifuseError, match="ranking candidates"):
        pipeline.predict(asked)
    data = of.Dataset.open(tmp_path / "run" / "dataset").split("test")
    page = write_report(tmp_path / "run", of.evaluate(pipeline, data), pipeline, data).read_text(encoding="utf-8")
    assert "see below" in page
    assert "pipeline.retrieve(" in (tmp_path / "run" / "README.md").read_text()


def test_a_target_whose_modality_has_no_head_of_its_own_says_which_it_may_have() -> None:
    with pytest.raises(
        OmnifuseError, match=r"columns.name: there is no head for vector columns by default; name one: model.heads.name=contrastive"
    ):
        of.fit(made_rows(20, 0), columns={"size": "number", "name": {"modality": "vector", "role": "target", "source": "size"}})


def test_what_cannot_be_retrieved_is_said(made: Made) -> None:
    with pytest.raises(OmnifuseError, match="unknown target to retrieve"):
        made.pipeline.retrieve(made.rows, NAMES, target="price")
    with pytest.raises(OmnifuseError, match="candidate 2, column name: is absent"):
        made.pipeline.retrieve(made.rows, ["red circle", None])
    with pytest.raises(OmnifuseError, match="no candidate"):
        made.pipeline.retrieve(made.rows, [])


def test_a_weight_for_each_target_balances_the_loss(made: Made) -> None:
    lines = [json.loads(line) for line in (made.run / "history.jsonl").read_text().splitlines()]
    best = next(line for line in lines if line["kind"] == "validation" and line["step"] == made.trained["best_step"])
    answers = collect(made.pipeline, of.Dataset.open(made.run / "dataset").split("validation"), batch_size=512)
    expected = sum({"price": 2.0, "item": 0.5}.get(name, 1.0) * given.losses.mean() for name, given in answers.items())
    assert best["loss"] == pytest.approx(expected, rel=1e-4)
