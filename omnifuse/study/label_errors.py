"""Likely label errors: rows whose label a model that never saw them would not have given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.annotate.cells import number_word
from omnifuse.data.dataset import Dataset
from omnifuse.study.folds import OutOfFold, predict_out_of_fold
from omnifuse.train.recipe import Recipe
from omnifuse.train.tracking import Observer

FARTHEST_NORMAL = 4.0


@dataclass(frozen=True)
class LabelIssue:
    """A row that somebody should look at.

    Attributes:
        row: its id; `place` is where it stands in the dataset.
        given: its label.
        suggested: what the model would say.
        quality: 0 … 1, how well the given label fits; the worst rows come first.
        probability: of the suggested label; NaN for a number.
    """

    row: str
    place: int
    given: str
    suggested: str
    quality: float
    probability: float


@dataclass(frozen=True)
class LabelErrors:
    """What was found about one target.

    Attributes:
        target: the column.
        rows: that were judged.
        issues: likely errors, the worst first.
        quality: (N,) of every row, NaN where the target is absent.
        accuracy: share of out-of-fold answers equal to the given label; NaN for a number.
        confusions: given label, suggested label, and how many issues have them, the most frequent first.
        folds: how many models were trained.
    """

    target: str
    rows: int
    issues: list[LabelIssue]
    quality: np.ndarray
    accuracy: float
    confusions: list[tuple[str, str, int]]
    folds: int


def find_label_errors(
    dataset: Dataset, recipe: Recipe, out: Path, *, target: str | None = None, folds: int = 5, observer: Observer | None = None
) -> LabelErrors:
    """Confident learning over out-of-fold predictions of the recipe's own model.

    Args:
        dataset: prepared; all of its rows are judged, test rows too.
        recipe: model and training.
        out: folder of the study; one that was killed goes on.
        target: which one, where there are several.
        folds: how many models are trained.
        observer: told what happens.

    Raises:
        OmnifuseError: cleanlab is not installed, or the target is neither a category nor a number.
    """
    target = choose_target(dataset, target)
    head = recipe.model.head_of(target, dataset.schema[target].modality)
    if head.tells not in ("label", "number", "quantiles"):
        raise OmnifuseError(f"model.heads.{target}: label errors are found with a head that tells labels or numbers, not {head.name}")
    check_cleanlab()
    predicted = predict_out_of_fold(dataset, recipe, target, out, folds=folds, observer=observer)
    values = dataset.take(range(len(dataset)), [target])[target]
    judge = judge_categories if predicted.labels else judge_numbers
    return judge(target, dataset.ids(), values, predicted)


def judge_categories(target: str, ids: Sequence[str], values: Sequence[str | None], predicted: OutOfFold) -> LabelErrors:
    """Confident learning (Northcutt et al. 2021, 1911.00068), as cleanlab does it.

    A label is likely wrong when the probability of another one passes the mean probability that rows with that other
    label have of it; from each pair of labels as many rows are taken as are estimated to be confused. The quality of a
    label is its own out-of-fold probability.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    rows = np.flatnonzero(predicted.folds >= 0).tolist()
    place = {label: number for number, label in enumerate(predicted.labels)}
    given = np.array([place[str(values[row])] for row in rows])
    probabilities = predicted.scores[rows].astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    flagged = np.asarray(find_label_issues(given, probabilities, n_jobs=1))
    scores = np.asarray(get_label_quality_scores(given, probabilities))
    best = probabilities.argmax(axis=1)
    issues = []
    for i in np.flatnonzero(flagged & (best != given)).tolist():
        row, label = rows[i], predicted.labels[best[i]]
        issues.append(LabelIssue(ids[row], row, str(values[row]), label, float(scores[i]), float(probabilities[i, best[i]])))
    return _found(target, issues, rows, scores, len(values), float((best == given).mean()), predicted)


def judge_numbers(target: str, ids: Sequence[str], values: Sequence[float | None], predicted: OutOfFold) -> LabelErrors:
    """Numbers far from their out-of-fold answer: |y − ŷ| above 4 s, s = 1.4826 · median |y − ŷ| (a robust deviation).

    The quality is exp(−|y − ŷ| / s).
    """
    rows = np.flatnonzero(predicted.folds >= 0).tolist()
    given = np.array([values[row] for row in rows], dtype=np.float64)
    far = np.abs(given - predicted.answers[rows])
    spread = 1.4826 * float(np.median(far)) or 1.0
    scores = np.exp(-far / spread)
    issues = []
    for i in np.flatnonzero(far > FARTHEST_NORMAL * spread).tolist():
        row, answer = rows[i], float(f"{predicted.answers[rows[i]]:.6g}")
        issues.append(LabelIssue(ids[row], row, number_word(float(given[i])), number_word(answer), float(scores[i]), float("nan")))
    return _found(target, issues, rows, scores, len(values), float("nan"), predicted)


def choose_target(dataset: Dataset, target: str | None) -> str:
    """The target that is looked at.

    Raises:
        OmnifuseError: there are several and none is named, or it is of another modality.
    """
    targets = dataset.schema.targets
    if target is None and len(targets) != 1:
        raise OmnifuseError(f"the dataset has the targets {', '.join(targets)}; choose one by --column")
    target = target or targets[0]
    if target not in targets:
        raise OmnifuseError(f"columns.{target}: is not a target; targets: {', '.join(targets)}")
    modality = dataset.schema[target].modality
    if modality not in ("category", "number"):
        raise OmnifuseError(f"columns.{target}: label errors are found in categories and numbers, not in a target of {modality}")
    return target


def check_cleanlab() -> None:
    """Raise before hours of training, not after."""
    from importlib.util import find_spec

    if find_spec("cleanlab") is None:
        raise OmnifuseError("omnifuse annotate errors: needs cleanlab; pip install 'omnifuse[annotate]'")


def _found(
    target: str, issues: list[LabelIssue], rows: list[int], scores: np.ndarray, total: int, accuracy: float, predicted: OutOfFold
) -> LabelErrors:
    quality = np.full(total, np.nan)
    quality[rows] = scores
    issues.sort(key=lambda issue: (issue.quality, issue.row))
    pairs = Counter((issue.given, issue.suggested) for issue in issues) if predicted.labels else Counter[tuple[str, str]]()
    confusions = [(given, suggested, count) for (given, suggested), count in pairs.most_common()]
    return LabelErrors(target, len(rows), issues, quality, accuracy, confusions, int(predicted.folds.max()) + 1)
