"""What is gained by answering only where it is sure."""

from __future__ import annotations

import math

import numpy as np


def risk_curve(surety: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """(N,) the mean loss of the surest 1, 2, …, N rows; rows that are equally sure share their mean loss.

    Source: El-Yaniv & Wiener 2010; Geifman & El-Yaniv 2017, arXiv 1705.08500.

    Args:
        surety: (N,) the higher, the sooner a row is answered.
        loss: (N,) such as 1 for a wrong answer.
    """
    different, place = np.unique(-surety, return_inverse=True)
    means = np.bincount(place, weights=loss, minlength=len(different)) / np.bincount(place, minlength=len(different))
    return means[np.sort(place)].cumsum() / np.arange(1, len(loss) + 1)


def area(risks: np.ndarray) -> float:
    """AURC: the mean of the risks over all shares of rows that are answered (Geifman et al. 2019, arXiv 1805.08206)."""
    return float(risks.mean())


def risk_at(risks: np.ndarray, share: float) -> float:
    """The risk where the surest ⌈share · N⌉ rows are answered."""
    return float(risks[max(1, math.ceil(share * len(risks) - 1e-9)) - 1])
