"""Columns of labels: categories, and sets of labels."""

from __future__ import annotations

from collections import Counter

import numpy as np

from omnifuse.data.report import plots
from omnifuse.data.report.described import TOP, Described, Finding, share_bars
from omnifuse.data.report.sample import ColumnSample
from omnifuse.page.blocks import Plot
from omnifuse.page.words import counted, listed, percent, quantity, shorten

MAJORITY, SHIFT = 0.9, 0.15


def describe_category(sample: ColumnSample) -> Described:
    """Shares of the most frequent labels in each split."""
    counts = {split: Counter(map(str, sample.present(split))) for split in sample.splits}
    total = sum(counts.values(), Counter())
    described = Described(_facts(total, total.total()))
    if not total:
        return described
    sizes = {split: sum(counter.values()) for split, counter in counts.items()}
    order = [name for name, _ in sorted(total.items(), key=lambda entry: (-entry[1], entry[0]))]
    note = f"the {TOP} most frequent of {len(order):,}, which make {percent(sum(total[n] for n in order[:TOP]), total.total())}"
    note = note if len(order) > TOP else "share of each split"
    described.blocks.append(share_bars("Labels", note, counts, sizes, order[:TOP]))
    described.findings += _findings(sample, counts, total)
    return described


def describe_set(sample: ColumnSample) -> Described:
    """How often each label occurs, how many a row has, and which occur together."""
    counts = {split: Counter(str(word) for value in sample.present(split) for word in value) for split in sample.splits}
    total = sum(counts.values(), Counter())
    lengths = {split: np.array([len(value) for value in sample.present(split)], dtype=np.float64) for split in sample.splits}
    described = Described(_facts(total, sum(map(len, lengths.values()))))
    if not total:
        return described
    sizes = {split: len(part) for split, part in lengths.items()}
    values = np.concatenate(list(lengths.values()))
    described.facts |= {
        "labels a row": f"{quantity(float(np.mean(values)))} on average, at most {values.max():.0f}",
        "without any": percent(int((values == 0).sum()), len(values)),
    }
    order = [name for name, _ in sorted(total.items(), key=lambda entry: (-entry[1], entry[0]))][:TOP]
    described.blocks += [
        share_bars("Labels", "share of the rows of each split that have it", counts, sizes, order),
        Plot("Labels of a row", "", plots.histogram(lengths, "labels in one row", key=f"{sample.key}-lengths", whole=True)),
    ]
    if len(order) > 1:
        together = _together(sample, order)
        note = "% of the rows with the label at the left that also have the one below"
        drawn = plots.heat_map(order, together, "Labels that occur together", key=f"{sample.key}-pairs")
        described.blocks.append(Plot("Together", note, drawn))
    return described


def _facts(total: Counter[str], rows: int) -> dict[str, str]:
    if not total:
        return {"labels": "none"}
    (name, count), *_ = total.most_common(1)
    facts = {"labels": f"{len(total):,}", "most frequent": f"{shorten(name, 40)} ({percent(count, rows)})"}
    once = sum(value == 1 for value in total.values())
    return facts | ({"seen once": counted(once, "label")} if once else {})


def _findings(sample: ColumnSample, counts: dict[str, Counter[str]], total: Counter[str]) -> list[Finding]:
    """What is odd about the labels."""
    (name, count), *_ = total.most_common(1)
    rows, found = total.total(), []
    if len(total) == 1:
        found.append(Finding("look", f"{sample.name}: every value is “{shorten(name, 40)}”, so the column tells nothing", sample.key))
    elif sample.column.is_target and count > MAJORITY * rows:
        text = f"{sample.name}: {percent(count, rows)} of the rows are “{shorten(name, 40)}”; judge by balanced accuracy, not by accuracy"
        found.append(Finding("look", text, sample.key))
    if not sample.column.is_target and len(total) > max(50, 0.9 * rows):
        text = f"{sample.name}: nearly every row has a label of its own; it may be an identifier (role: ignore, or modality: id)"
        found.append(Finding("look", text, sample.key))
    return found + (_split_findings(sample, counts) if sample.column.is_target else [])


def _split_findings(sample: ColumnSample, counts: dict[str, Counter[str]]) -> list[Finding]:
    """Where the labels of a target differ between training and the other splits."""
    found: list[Finding] = []
    train = counts.get("train", Counter())
    is_whole = len(sample.values.get("train", [])) == sample.dataset.manifest.get("splits", {}).get("train")
    for split, counter in counts.items():
        if split == "train" or not train:
            continue
        new = sorted(label for label in counter if label not in train)
        if new and is_whole:
            shown = listed([f"“{shorten(label, 30)}”" for label in new], 4)
            text = f"{counted(len(new), 'label')} of {split} never occur in training ({shown}); no model can answer them"
            found.append(Finding("look", f"{sample.name}: {text}", sample.key))
        far = sum(abs(train[label] / train.total() - counter[label] / counter.total()) for label in train | counter) / 2
        if len(train) <= 50 and min(train.total(), counter.total()) >= 100 and far > SHIFT:
            text = f"labels have other shares in {split} than in training: {percent(far, 1)} of its rows would have to change"
            found.append(Finding("look", f"{sample.name}: {text}", sample.key))
    return found


def _together(sample: ColumnSample, names: list[str]) -> np.ndarray:
    """(K, K) share of the rows with label i that have label j too; nothing on the diagonal."""
    place = {name: i for i, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)))
    for value in sample.present():
        there = sorted({place[str(word)] for word in value if str(word) in place})
        counts[np.ix_(there, there)] += 1
    shares = counts / np.maximum(np.diag(counts), 1)[:, None]
    np.fill_diagonal(shares, 0.0)
    return shares
