"""What heads predict, in the words of a user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from omnifuse.pipeline.pipeline import Pipeline


def answer_columns(
    pipeline: Pipeline, target: str, prediction: Tensor, probabilities: bool, k: int, told: Tensor | None = None
) -> dict[str, list[Any]]:
    """The answers to some rows, by the name under which a user finds them; by the kind of the target:

    - a label: `NAME`, `NAME_probability`, and when asked for `NAME_probabilities` (label → probability)
    - several labels: `NAME`, a list, and when asked for `NAME_probabilities`
    - a number: `NAME`; of quantiles also `NAME_low` and `NAME_high`, the outermost, and when asked for `NAME_quantiles` (level → value)
    - a ranking: `NAME`, the first item; `NAME_best`, the first `k`; `NAME_scores`, theirs
    - a text: `NAME`
    - an embedding: nothing, for there is no answer without candidates

    Args:
        pipeline: whose head predicted.
        target: its name.
        prediction: (B, …) on the CPU.
        probabilities: whether probabilities of all labels, or all quantiles, are asked for.
        k: length of a ranking.
        told: probabilities (B, K) of labels that are shown instead of those of the prediction; the answer stays.
    """
    config = pipeline.head_config(target)
    tells, processor = config.tells, pipeline.processors[target]
    if tells == "embedding":
        return {}
    answer = pipeline.model.head(target).answer(prediction)
    columns: dict[str, list[Any]] = {target: processor.decode(answer)}
    shown = prediction if told is None else told
    if tells == "label":
        columns[f"{target}_probability"] = shown.gather(1, answer.unsqueeze(1)).squeeze(1).tolist()
    if tells == "labels":
        columns[target] = [list(labels) for labels in columns[target]]
    if tells in ("label", "labels") and probabilities:
        labels = processor.state()["labels"]
        columns[f"{target}_probabilities"] = [dict(zip(labels, row, strict=True)) for row in shown.tolist()]
    if tells == "quantiles":
        columns |= _quantiles(target, [processor.decode(each) for each in prediction.unbind(1)], config.quantiles, probabilities)  # pyright: ignore[reportAttributeAccessIssue]
    if tells == "ranking":
        scores, items = prediction.topk(min(k, prediction.shape[1]), dim=1)
        columns[f"{target}_best"] = [processor.decode(row) for row in items]
        columns[f"{target}_scores"] = scores.tolist()
    return columns


def _quantiles(target: str, values: list[list[float]], levels: tuple[float, ...], every: bool) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    if len(levels) > 1:
        columns |= {f"{target}_low": values[0], f"{target}_high": values[-1]}
    if every:
        names = [f"{level:g}" for level in levels]
        columns[f"{target}_quantiles"] = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
    return columns
