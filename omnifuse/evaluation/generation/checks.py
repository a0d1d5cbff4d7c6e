"""What every measure asks of its arrays."""

from __future__ import annotations

import numpy as np

from omnifuse.core.errors import OmnifuseError


def feature_matrices(*features: np.ndarray, least: int = 2) -> list[np.ndarray]:
    """The same matrices (N, D) as float64.

    Raises:
        OmnifuseError: fewer than `least` rows, another shape, different widths, or numbers that are not finite.
    """
    matrices = [np.asarray(each, dtype=np.float64) for each in features]
    for matrix in matrices:
        if matrix.ndim != 2 or matrix.shape[1] != matrices[0].shape[-1]:
            raise OmnifuseError(f"features: expected matrices (rows, {matrices[0].shape[-1]}), got {matrix.shape}")
        if len(matrix) < least:
            raise OmnifuseError(f"features: {len(matrix)} rows; it takes at least {least}")
        if not np.isfinite(matrix).all():
            raise OmnifuseError("features: some numbers are not finite")
    return matrices
