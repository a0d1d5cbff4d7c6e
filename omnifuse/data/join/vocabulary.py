"""Numbers for the different words of a column, looked up again and again without building a hash table each time.

Words are found by a 64-bit hash in a sorted array and then compared, so that two words of one hash are never taken for equal.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

ABSENT, UNKNOWN = -1, -2


class Vocabulary:
    """The different words of a column.

    Attributes:
        words: a word's code is its place here.
        codes: of the column it was made from; ABSENT where null.
    """

    def __init__(self, column: pa.Array):
        """Number the words."""
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = len(column)
        there = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
        column = column if len(there) == len(column) else column.take(pa.array(there))
        hashes = hash_words(column)
        order = np.argsort(hashes)
        hashes = hashes[order]
        column = column.take(pa.array(order))
        new = np.append(True, hashes[1:] != hashes[:-1])[: len(column)]
        same = pc.equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
        self.codes = np.full(rows, ABSENT, np.int64)
        self._hashes: np.ndarray | None = hashes[new]
        if not (same | new[1:]).all():  # two words of one hash, once in a very great while: slower, and as right
            self._hashes, self.words = None, pc.unique(column)
            found = self._slowly(column)
        else:
            self.words, found = column.filter(pa.array(new)), np.cumsum(new) - 1
        self.codes[there[order]] = found

    def __len__(self) -> int:
        return len(self.words)

    def find(self, column: pa.Array) -> np.ndarray:
        """Codes of words; ABSENT where null, UNKNOWN where this column has no such word."""
        import pyarrow as pa
        import pyarrow.compute as pc

        absent = column.is_null().to_numpy(zero_copy_only=False)
        if not len(self.words):
            return np.where(absent, ABSENT, UNKNOWN)
        if self._hashes is None:
            return np.where(absent, ABSENT, self._slowly(column))
        hashes = hash_words(column)
        order = np.argsort(hashes)  # neighbours are looked up one after another, which is several times faster
        places = np.empty(len(hashes), np.int64)
        places[order] = np.minimum(np.searchsorted(self._hashes, hashes[order]), len(self.words) - 1)
        equal = pc.fill_null(pc.equal(self.words.take(pa.array(places)), column), False).to_numpy(zero_copy_only=False)
        return np.where(absent, ABSENT, np.where(equal, places, UNKNOWN))

    def _slowly(self, column: pa.Array) -> np.ndarray:
        import pyarrow.compute as pc

        found = pc.index_in(column, value_set=self.words, skip_nulls=True)
        return pc.fill_null(found, UNKNOWN).to_numpy(zero_copy_only=False).astype(np.int64)


def hash_words(column: pa.Array) -> np.ndarray:
    """64-bit hashes."""
    import daft

    return daft.Series.from_arrow(column).hash().to_arrow().to_numpy(zero_copy_only=False)
