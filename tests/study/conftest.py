"""MNIST from the shared data, without unpickling anything."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy


@pytest.fixture(scope="session")
def mnist(shared_data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (N, 28, 28) uint8 and labels of the training part."""
    path = shared_data / "mnist" / "mnist.npz"
    if not path.exists():
        pytest.skip(f"no MNIST at {path}")
    with zipfile.ZipFile(path) as archive:
        arrays = {}
        for name in ("x_train.npy", "y_train.npy"):
            with archive.open(name) as file:
                arrays[name] = npy.read_array(file, allow_pickle=False)
    return arrays["x_train.npy"], arrays["y_train.npy"].astype(np.int64)
