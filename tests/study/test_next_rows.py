"""What to label next: by hand on small points, and with a real model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.data.annotate.rows import gather, read_ids, table_chunks
from omnifuse.data.table import iterate_rows, read_table
from omnifuse.study.next_rows import STRATEGIES, Pool, choose_rows, k_center, known_embeddings, read_pool, uncertainty, weighted_clusters
from omnifuse.study.pages import write_next_rows
from omnifuse.study.suggest import suggestions
from tests.conftest import colour_rows

HALVES = np.array([[0.5, 0.5], [0.9, 0.1], [1.0, 0.0], [0.7, 0.3]])


def pool_of(points: np.ndarray, probabilities: np.ndarray | None) -> Pool:
    known = {} if probabilities is None else {"answer": probabilities}
    return Pool([f"r{i}" for i in range(len(points))], points, known, {"answer": [""] * len(points)})


def test_uncertainty_by_hand():
    assert uncertainty({"a": HALVES}, "margin") == pytest.approx([1.0, 0.2, 0.0, 0.6])
    assert uncertainty({"a": HALVES}, "least_confidence") == pytest.approx([1.0, 0.2, 0.0, 0.6])
    entropy = uncertainty({"a": HALVES}, "entropy")
    assert entropy[[0, 2]] == pytest.approx([1.0, 0.0], abs=1e-9)
    assert entropy[1] == pytest.approx(-(0.9 * np.log2(0.9) + 0.1 * np.log2(0.1)))
    three = uncertainty({"a": np.full((1, 3), 1 / 3)}, "least_confidence")
    assert three == pytest.approx([1.0])
    assert uncertainty({"a": HALVES, "b": HALVES[::-1]}, "margin") == pytest.approx([0.8, 0.1, 0.1, 0.8])


def test_k_center_goes_to_the_farthest_point_each_time():
    points = np.array([[0.0, 0], [0.1, 0], [10, 0], [10, 1], [0, 7]])
    assert k_center(points, 3, known=np.array([[0.0, 0]])).tolist() == [3, 4, 2]
    assert sorted(k_center(points, 5).tolist()) == [0, 1, 2, 3, 4], "none is chosen twice"


def test_clusters_spread_the_unsurest_rows():
    """Two tight heaps of unsure rows: the four unsurest lie in one of them, clusters take from both."""
    random = np.random.default_rng(0)
    first, second = random.normal((1, 0), 0.01, (20, 2)), random.normal((0, 1), 0.01, (20, 2))
    points = np.concatenate([first, second, random.normal((-1, -1), 0.01, (60, 2))])
    weights = np.concatenate([np.full(20, 0.9), np.full(20, 0.8), np.full(60, 0.1)])
    chosen = weighted_clusters(points, weights, 4, seed=0)
    assert len(set(chosen.tolist())) == 4
    assert (chosen < 20).any()
    assert ((chosen >= 20) & (chosen < 40)).any()
    assert (chosen < 40).all(), "the rows the model is sure of are left alone"
    assert (np.argsort(-weights, kind="stable")[:4] < 20).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_chooses_each_row_at_most_once(strategy: str):
    random = np.random.default_rng(1)
    pool = pool_of(random.normal(size=(50, 4)), random.dirichlet(np.ones(3), 50))
    choices = choose_rows(pool, 12, strategy=strategy, known=random.normal(size=(5, 4)))
    assert len({choice.place for choice in choices}) == 12
    assert all(0 <= choice.uncertainty <= 1 and choice.distance >= 0 for choice in choices)
    assert [c.place for c in choices] == [c.place for c in choose_rows(pool, 12, strategy=strategy, known=random.normal(size=(5, 4)))] or (
        strategy == "diversity"
    )
    assert len(choose_rows(pool, 80, strategy=strategy)) == 50, "not more than there are"


def test_a_model_of_numbers_has_no_probabilities():
    pool = pool_of(np.eye(4), None)
    assert len(choose_rows(pool, 2, strategy="both")) == 2
    with pytest.raises(OmnifuseError, match="tells no probabilities"):
        choose_rows(pool, 2, strategy="entropy")
    with pytest.raises(OmnifuseError, match='did you mean "margin"'):
        choose_rows(pool, 2, strategy="margn")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[of.Pipeline, Path, list[dict[str, Any]]]:
    """A model that answers about red and green pictures and never saw a blue one."""
    folder = tmp_path_factory.mktemp("next")
    rows = [row for row in colour_rows(folder, 240) if "blue" not in row["picture"] and "blue" not in row["question"]]
    columns = {"picture": {"modality": "image", "size": 8}, "question": "text", "answer": {"modality": "category", "role": "target"}}
    settings = {"model.dim": 16, "model.fusion": "product", "train.epochs": 15, "train.batch_size": 16, "train.optimizer.lr": 0.01}
    pipeline = of.fit(rows, columns=columns, out=folder / "run", settings={**settings, "data.root": str(folder)})
    return pipeline, folder, rows


def test_what_the_model_never_saw_is_chosen_by_diversity(run: tuple[of.Pipeline, Path, list[dict[str, Any]]]):
    pipeline, folder, _ = run
    table = read_table([{k: row[k] for k in ("picture", "question")} for row in colour_rows(folder, 150, seed=5)])
    chunks = lambda: table_chunks(table, pipeline.schema, folder, pipeline.processors)  # noqa: E731
    pool = read_pool(pipeline, chunks())
    dataset = of.Dataset.open(next((folder / "run" / "dataset").glob("*/manifest.json")).parent)
    choices = choose_rows(pool, 6, strategy="diversity", known=known_embeddings(pipeline, dataset))
    chosen = gather(chunks(), [pool.ids[choice.place] for choice in choices])
    new = ["blue" in cells["picture"] or "blue" in cells["question"] for cells in chosen.cells]
    everything = [cells for chunk in chunks() for cells in chunk.cells]
    share = np.mean(["blue" in cells["picture"] or "blue" in cells["question"] for cells in everything])
    assert np.mean(new) > share
    assert new[0]
    assert choices[0].distance == max(choice.distance for choice in choices)


def test_the_report_and_the_table_show_what_was_chosen(run: tuple[of.Pipeline, Path, list[dict[str, Any]]], tmp_path: Path):
    pipeline, folder, _ = run
    table = read_table(colour_rows(folder, 60, seed=6))
    chunks = lambda: table_chunks(table, pipeline.schema, folder, pipeline.processors)  # noqa: E731
    pool = read_pool(pipeline, chunks())
    choices = choose_rows(pool, 5)
    chosen = gather(chunks(), [pool.ids[choice.place] for choice in choices])
    page = write_next_rows(pool, choices, chosen, pipeline.schema, tmp_path, "both", ["row 3, column picture: damaged"]).read_text()
    assert page.count("data:image/") >= 5
    assert "row 3, column picture: damaged" in page
    lines = (tmp_path / "next.csv").read_text().splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("id,order,uncertainty,distance,predicted_answer,predicted_answer_probability,")
    assert lines[1].split(",")[0] == pool.ids[choices[0].place]


def test_columns_that_are_called_like_ours_get_another_head(run: tuple[of.Pipeline, Path, list[dict[str, Any]]], tmp_path: Path):
    pipeline, folder, _ = run
    more = {"order": "7", "order (column)": "8", "id": "mine", "predicted_answer": "9"}
    table = read_table([{**row, **more} for row in colour_rows(folder, 20, seed=8)])
    chunks = lambda: table_chunks(table, pipeline.schema, folder, pipeline.processors)  # noqa: E731
    pool = read_pool(pipeline, chunks())
    choices = choose_rows(pool, 4)
    chosen = gather(chunks(), [pool.ids[choice.place] for choice in choices])
    write_next_rows(pool, choices, chosen, pipeline.schema, tmp_path, "both")
    rows = list(iterate_rows(read_table(tmp_path / "next.csv")))
    assert [row["order"] for row in rows] == ["1", "2", "3", "4"]
    marked = ("order (column) (column)", "order (column)", "id (column)", "predicted_answer (column)")
    assert [rows[0][name] for name in marked] == ["7", "8", "mine", "9"]
    assert read_ids(tmp_path / "next.csv") == [pool.ids[choice.place] for choice in choices]


def test_suggestions_are_what_the_pipeline_predicts(run: tuple[of.Pipeline, Path, list[dict[str, Any]]]):
    pipeline, folder, _ = run
    rows = [{k: row[k] for k in ("picture", "question")} for row in colour_rows(folder, 20, seed=7)]
    (chunk,) = table_chunks(read_table(rows), pipeline.schema, folder, pipeline.processors)
    said = suggestions(pipeline)(chunk.rows)
    expected = pipeline.predict([{k: cells[k] for k in ("picture", "question")} for cells in chunk.cells], root=folder)
    assert [each["answer"].label for each in said] == [each["answer"] for each in expected]
    assert [each["answer"].score for each in said] == pytest.approx([each["answer_probability"] for each in expected], abs=1e-5)


@pytest.mark.slow
def test_chosen_digits_teach_more_than_digits_at_random(tmp_path: Path, mnist: tuple[np.ndarray, np.ndarray]):
    """The figures in docs/annotation.md: 200 labelled digits, and 200 more of 3,000."""
    pixels, labels = mnist
    columns = {"picture": {"modality": "image", "channels": 1}, "digit": {"modality": "category", "role": "target"}}
    settings = {"model.dim": 32, "model.fusion": "concat", "train.epochs": 25, "train.batch_size": 32, "train.device": "cpu"}

    def rows(places: Any) -> list[dict[str, Any]]:
        return [{"picture": Image.fromarray(pixels[i]), "digit": str(labels[i])} for i in places]

    def fit(places: Any, seed: int) -> of.Pipeline:
        return of.fit(rows(places), columns=columns, settings={**settings, "seed": seed, "data.split": {"validation": 0.1, "test": 0}})

    others = rows(range(20_000, 22_000))

    def accuracy(pipeline: of.Pipeline) -> float:
        answers = pipeline.predict([{"picture": row["picture"]} for row in others])
        return float(np.mean([answer["digit"] == row["digit"] for answer, row in zip(answers, others, strict=True)]))

    pool_places = np.arange(5000, 8000)
    table = read_table([{"picture": Image.fromarray(pixels[i]), "n": int(i)} for i in pool_places])
    figures: dict[str, list[float]] = {}
    for seed in range(2):
        start = np.random.default_rng(seed).permutation(5000)[:200]
        pipeline = fit(start, seed)
        figures.setdefault("before", []).append(accuracy(pipeline))
        chunks = list(table_chunks(table, pipeline.schema, tmp_path, pipeline.processors))
        pool = read_pool(pipeline, chunks)
        numbers = {row: cells["n"] for chunk in chunks for row, cells in zip(chunk.ids, chunk.cells, strict=True)}
        chosen = {"random": np.random.default_rng(100 + seed).permutation(pool_places)[:200].tolist()}
        for strategy in ("both", "margin", "diversity"):
            chosen[strategy] = [numbers[pool.ids[c.place]] for c in choose_rows(pool, 200, strategy=strategy, seed=seed)]
        for name, new in chosen.items():
            figures.setdefault(name, []).append(accuracy(fit(np.concatenate([start, new]).astype(int), seed)))
    print({name: round(float(np.mean(each)), 4) for name, each in figures.items()})
    assert np.mean(figures["both"]) > np.mean(figures["random"]) + 0.01
