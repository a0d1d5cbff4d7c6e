"""Clothing reviews against TF-IDF and linear models, on the same rows.

    OMNIFUSE_DATA=FOLDER python -m benchmarks.reviews [--seeds 3]

Columns: title, text, age and department; targets: recommended (AUC, accuracy) and rating (accuracy as a label, mean
absolute error as a number). Rows with a text, 80/20 at random by seed; the rival trains on all 80 %, ours holds 5 % of
all rows out of them to choose the best epoch. The rival: TF-IDF (1–2 grams, sublinear, seen at least twice) of title
and text joined, one-hot department, standardised age; logistic regression at the best of three C on the test rows
(which favours it), and ridge for the error. Resumable: seeds in results/reviews.jsonl are not repeated.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import keep, kept
from omnifuse.data.dataset import Dataset
from omnifuse.data.table import iterate_rows, read_table
from omnifuse.evaluation.evaluation import evaluate
from omnifuse.train.fit import prepare_recipe, train
from omnifuse.train.recipe import Recipe

TITLE, TEXT, AGE, DEPARTMENT = "Title", "Review Text", "Age", "Department Name"
NGRAM = {"name": "ngram", "dropout": 0.5, "buckets": 65536}


def recipe_for(target: str, modality: str, seed: int) -> Recipe:
    """What `omnifuse init` writes for these columns."""
    return Recipe.make(
        {
            "name": "reviews",
            "seed": seed,
            "columns": {
                TITLE: "text",
                TEXT: "text",
                AGE: "number",
                DEPARTMENT: "category",
                target: {"modality": modality, "role": "target"},
            },
            "data": {"source": "reviews.parquet", "split": {"validation": 0.05, "test": 0.2}},
            "model": {"dim": 16, "fusion": "concat", "encoders": {TITLE: NGRAM, TEXT: NGRAM}},
            "train": {"epochs": 6, "patience": 3, "optimizer": {"name": "adamw", "lr": 0.01, "eps": 1e-4}},
        }
    )


def rival(dataset: Dataset, target: str, as_number: bool) -> dict[str, float]:
    """TF-IDF and a linear model."""
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.metrics import accuracy_score, mean_absolute_error, roc_auc_score
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    def rows(*splits: str) -> dict[str, list[Any]]:
        parts = [(part := dataset.split(split)).take(range(len(part))) for split in splits]
        return {name: [value for part in parts for value in part[name]] for name in parts[0]}

    fitting, test = rows("train", "validation"), rows("test")
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    labels, scale = OneHotEncoder(handle_unknown="ignore"), StandardScaler()

    def features(data: dict[str, list[Any]], fit: bool) -> Any:
        texts = [f"{title or ''} {text or ''}" for title, text in zip(data[TITLE], data[TEXT], strict=True)]
        departments = np.array([value or "" for value in data[DEPARTMENT]])[:, None]
        ages = np.nan_to_num(np.array(data[AGE], dtype=float))[:, None]
        parts = [(words, texts), (labels, departments), (scale, ages)]
        return hstack([csr_matrix(part.fit_transform(x) if fit else part.transform(x)) for part, x in parts]).tocsr()

    x, x_test = features(fitting, True), features(test, False)
    if as_number:
        return {"mae": min(mean_absolute_error(test[target], Ridge(alpha=a).fit(x, fitting[target]).predict(x_test)) for a in (1, 4, 16))}
    models = [LogisticRegression(C=c, max_iter=3000).fit(x, fitting[target]) for c in (1, 4, 10)]
    result = {"accuracy": max(float(accuracy_score(test[target], model.predict(x_test))) for model in models)}
    if len(models[0].classes_) == 2:
        truth = [value == models[0].classes_[1] for value in test[target]]
        result["auroc"] = max(float(roc_auc_score(truth, model.predict_proba(x_test)[:, 1])) for model in models)
    return result


def main() -> None:
    """Measure what is not measured yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    source = Path(os.environ.get("OMNIFUSE_DATA", "../shared/data")) / "reviews" / "reviews.parquet.brotli"
    rows = [row for row in iterate_rows(read_table(source)) if row[TEXT]]
    tasks = [("Recommended IND", "category"), ("Rating", "category"), ("Rating", "number")]
    done = {(entry["target"], entry["as"], entry["seed"]) for entry in kept("reviews")}
    for seed in range(arguments.seeds):
        for target, modality in tasks:
            if (target, modality, seed) in done:
                continue
            with tempfile.TemporaryDirectory() as name:
                recipe = recipe_for(target, modality, seed)
                dataset = prepare_recipe(recipe, Path(name), Path(name), source=rows)
                pipeline = train(recipe, Path(name) / "run", base=Path(name), source=rows)
                ours = evaluate(pipeline, dataset).metrics[target]
                theirs = rival(dataset, target, modality == "number")
            mine = {metric: round(ours[metric], 4) for metric in theirs}
            gap = {metric: round(ours[metric] - theirs[metric], 4) for metric in theirs}
            rounded = {metric: round(value, 4) for metric, value in theirs.items()}
            keep("reviews", {"target": target, "as": modality, "seed": seed, "ours": mine, "tfidf": rounded, "difference": gap})


if __name__ == "__main__":
    main()
