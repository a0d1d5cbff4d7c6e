"""What must stay together when rows are divided: words as 64-bit keys, joined where near duplicates link them."""

from __future__ import annotations

from typing import Any

import numpy as np

from omnifuse.core.seeds import scramble

WORDS_AT_ONCE = 1 << 20


def group_keys(values: Any) -> np.ndarray:
    """(N,) uint64 hash of each word or number (an absent one counts as a word of its own); uint64 keys pass through."""
    if isinstance(values, np.ndarray) and values.dtype == np.uint64:
        return values
    if isinstance(values, np.ndarray) and values.dtype.kind == "i":
        return scramble(values.astype(np.uint64), 2)
    import pyarrow as pa

    whole: Any = pa.chunked_array([values]) if isinstance(values, pa.Array) else values
    whole = whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else pa.array(whole, type=pa.large_string())
    words: Any = whole.cast(pa.large_string())
    parts = [_hash_words(words.slice(at, WORDS_AT_ONCE)) for at in range(0, len(words), WORDS_AT_ONCE)]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)


def merge_groups(groups: Any, *clusters: np.ndarray) -> np.ndarray:
    """(N,) uint64 keys: groups that share a cluster become one, and clusters that share a group too.

    Args:
        groups: as for `divide_rows`.
        clusters: (N,) int numbers of near duplicates by row, −1 for none, one array a column.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    keys, members = np.unique(group_keys(groups), return_inverse=True)
    rows, nodes, count = [], [], len(keys)
    for cluster in clusters:
        inside = np.flatnonzero(cluster >= 0)
        names, dense = np.unique(cluster[inside], return_inverse=True)
        rows.append(members[inside])
        nodes.append(dense + count)
        count += len(names)
    if not rows:
        return keys[members]
    ends = np.concatenate(rows), np.concatenate(nodes)
    graph = coo_array((np.ones(len(ends[0]), dtype=bool), ends), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    least = np.full(count, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(least, component[: len(keys)], keys)  # named by its least group, so that the order of rows does not matter
    return least[component[: len(keys)]][members]


def _hash_words(words: Any) -> np.ndarray:
    """Hash of each word of a large_string array, eight bytes at a time; words of one length together."""
    offsets = np.frombuffer(words.buffers()[1], dtype=np.int64)[words.offset : words.offset + len(words) + 1]
    data = words.buffers()[2]
    letters = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, dtype=np.uint8)
    lengths = np.diff(offsets)
    lengths[words.is_null().to_numpy(zero_copy_only=False)] = -1
    hashes = scramble(lengths.astype(np.uint64), 0)
    for length in np.unique(lengths[lengths > 0]).tolist():
        at = np.flatnonzero(lengths == length)
        width = -(-length // 8) * 8
        for part in np.array_split(at, -(-len(at) * width // (1 << 24))):
            padded = np.zeros((len(part), width), dtype=np.uint8)
            padded[:, :length] = letters[offsets[part, None] + np.arange(length)]
            blocks, stirred = padded.view("<u8"), hashes[part]
            for place in range(blocks.shape[1]):
                stirred = scramble(stirred ^ blocks[:, place], place + 1)
            hashes[part] = stirred
    return hashes
