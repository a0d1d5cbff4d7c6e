"""What metrics are called, and what they mean in a few words."""

from __future__ import annotations

NAMES = {
    "accuracy": ("accuracy", "share of the rows answered right"),
    "balanced_accuracy": ("balanced accuracy", "the same, every label counting alike"),
    "macro_f1": ("macro F1", "mean over labels of the F1 of precision and recall"),
    "top5_accuracy": ("top-5 accuracy", "share of the rows whose label is among the five most probable"),
    "auroc": ("AUROC", "chance that a true label ranks above a false one; 0.5 is guessing"),
    "auprc": ("average precision", "area under precision over recall, mean over labels; what a label's frequency is by guessing"),
    "log_loss": ("log loss", "surprise at the true label in nats; 0 is perfect"),
    "mae": ("mean absolute error", "mean distance of answer and truth"),
    "rmse": ("root mean square error", "the same, large errors counting more"),
    "r2": ("R²", "share of the variance explained; 0 is always answering the mean"),
    "mape": ("relative error", "mean distance of answer and truth, as a share of the truth"),
    "qwk": ("weighted kappa", "agreement beyond chance, far misses counting by the square; 0 is chance"),
    "pinball": ("pinball loss", "mean loss of the quantiles"),
    "coverage": ("coverage", "share of the truths between the outermost quantiles"),
    "map": ("mean average precision", "how far up the true labels of a row stand, mean over rows"),
    "label_map": ("average precision of labels", "how far up the rows of a label stand, mean over labels"),
    "micro_f1": ("micro F1", "F1 over all pairs of row and label"),
    "exact_match": ("exact match", "share of the rows whose whole set is answered"),
    "ndcg@10": ("nDCG@10", "1 where the true item comes first, less further down, 0 beyond the tenth"),
    "mrr": ("mean reciprocal rank", "1 divided by the rank of what is right, mean over rows"),
    "recall@1": ("recall@1", "the same, coming first"),
    "recall@5": ("recall@5", "the same, among the first five"),
    "recall@10": ("recall@10", "share of the rows whose own is among the first ten"),
    "back_recall@1": ("recall@1, back", "share of the values for which a row of theirs comes first"),
    "back_recall@5": ("recall@5, back", "the same, among the first five"),
    "back_recall@10": ("recall@10, back", "the same, among the first ten"),
    "back_mrr": ("mean reciprocal rank, back", "1 divided by the rank of a value's nearest row"),
    "flow_loss": ("flow loss", "mean squared error of the velocity from noise to data; 1 and more is looking at nothing"),
    "cer": ("character error rate", "characters that have to change, by the length of the true texts; 0 is perfect"),
    "cider": ("CIDEr-D", "overlap of runs of words, rare ones counting more; 10 is perfect for texts of four words and more"),
    "chrf": ("chrF", "overlap of character n-grams with the true texts; 1 is perfect"),
    "bleu": ("BLEU", "overlap of runs of words with the true texts; 1 is perfect"),
}


def metric_name(metric: str) -> str:
    """A metric as people write it."""
    return NAMES.get(metric, (metric, ""))[0]
