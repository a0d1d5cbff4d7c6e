"""Near pairs among many fingerprints, without comparing all with all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise

import numpy as np

from omnifuse.core.seeds import scramble
from omnifuse.data.clean.fingerprints import EMPTY, IMAGE_BYTES, LUMA, shingles, text_signatures

KEPT_LETTERS = 2_000_000  # of texts whose pieces are kept for the next comparison
NEIGHBOURS = 1000  # of a crowded bucket, an entry is compared with so many that follow it
SAME_LUMA = 0.995  # least correlation of the thumbnails of near pictures
SAME_CHROMA = 8.0  # most difference of their colours, in levels of 256
SOUND_NEIGHBOURS = 64
SOUND_KEYS = 64  # parts of words of one sound that are looked up
LEAST_WORDS = 8  # shorter sounds say too little to be compared
SAME_LENGTH = 0.75  # least share of the longer sound that the other covers
GLANCE, FAR = 4, 0.3  # words to either side of a match that are looked at first, and the share of bits that ends the comparison


@dataclass(frozen=True)
class NearPairs:
    """Pairs of values that nearly repeat each other.

    Equal values are one link to the first of them each, not all pairs, so thousands of copies stay thousands of pairs.

    Attributes:
        first, second: (P,) int64, indices of the values, first < second.
        distance: (P,) float32: bits that differ, 1 − Jaccard similarity, or the share of bits that differ.
        left_out: comparisons that crowded buckets did not get; 0 says that nothing was passed over.
    """

    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.first)


def near_images(fingerprints: Sequence[bytes], max_bits: int = 6) -> NearPairs:
    """Pairs of `image_fingerprint`s whose hashes differ in at most `max_bits` bits and whose thumbnails agree.

    Candidates agree in k of `max_bits` + k blocks of the hash, which every near pair does (pigeonhole; Manku et al. 2007,
    Detecting Near-Duplicates for Web Crawling). Memory: about 1 kB a picture.
    """
    known, links = _distinct([value if len(value) == IMAGE_BYTES else b"" for value in fingerprints])
    whole = np.frombuffer(b"".join(fingerprints[at] for at in known), dtype=np.uint8).reshape(-1, IMAGE_BYTES)
    hashes = np.ascontiguousarray(whole[:, :8]).view(np.uint64).ravel()
    found, left_out = [], 0
    for mask in _masks(hashes, max_bits):
        buckets = _Buckets(hashes & mask, NEIGHBOURS)
        left_out += buckets.left_out
        for i, j in buckets.pairs():
            close = np.bitwise_count(hashes[i] ^ hashes[j]) <= max_bits
            i, j = i[close], j[close]
            same = _same_thumbnail(whole, i, j)
            found.append(np.stack([i[same], j[same]]))
    i, j = _unique_pairs(found)
    return _joined(known[i], known[j], np.bitwise_count(hashes[i] ^ hashes[j]), links, left_out)


def near_texts(texts: Sequence[str], min_jaccard: float = 0.85) -> NearPairs:
    """Pairs of texts whose sets of shingles have at least this Jaccard similarity; each is verified exactly.

    Candidates agree in all places of one band of their minhashes; bands are as long as finds 99.5 % of the pairs at the
    limit, and more of nearer ones. Texts that are equal once folded are at distance 0. Memory: the texts and 0.4 kB a text.
    """
    signatures = text_signatures(texts)
    known, links = _distinct([row.tobytes() if row[0] != EMPTY else b"" for row in signatures])
    signatures = signatures[known]

    letters = sum(map(len, texts)) / max(1, len(texts))

    @lru_cache(maxsize=max(16, min(10_000, int(KEPT_LETTERS / max(1.0, letters)))))  # sets of words take much room
    def pieces(at: int) -> frozenset[str]:
        return shingles(texts[at])

    candidates, left_out = [], 0
    length = _band_length(signatures.shape[1], min_jaccard)
    for at in range(0, signatures.shape[1] - length + 1, length):
        buckets = _Buckets(_hash_of(signatures[:, at : at + length]), NEIGHBOURS)
        left_out += buckets.left_out
        candidates += [np.stack(pair)[:, _likely(signatures, *pair, min_jaccard)] for pair in buckets.pairs()]
    i, j = _unique_pairs(candidates)
    i, j = known[i], known[j]
    first, second = np.concatenate([i, links[0]]), np.concatenate([j, links[1]])
    jaccard = np.array([_jaccard(pieces(int(a)), pieces(int(b))) for a, b in zip(first, second, strict=True)], dtype=np.float32)
    close = jaccard >= min_jaccard
    return _joined(first[close], second[close], 1 - jaccard[close], (known[:0], known[:0]), left_out)


def near_audio(fingerprints: Sequence[bytes], max_share: float = 0.15) -> NearPairs:
    """Pairs of `audio_fingerprint`s with at most this share of differing bits, at the best of their alignments.

    Candidates share 24 neighbouring bits of a word, which also says how they lie to each other; the quiet frames of both
    do not count. One must cover three quarters of the other. Memory: the fingerprints and 2 kB a sound.
    """
    known, links = _distinct([value if len(value) >= 4 * (LEAST_WORDS + 1) else b"" for value in fingerprints])
    sounds = [np.frombuffer(fingerprints[at], dtype="<u4") for at in known]
    owners, frames, keys = _sound_keys(sounds)
    buckets = _Buckets(keys, SOUND_NEIGHBOURS)
    glance = _Glance([sound[1:] for sound in sounds])
    best: dict[tuple[int, int], float] = {}
    tried: set[tuple[int, int, int]] = set()
    for a, b in buckets.pairs():
        promising = (owners[a] != owners[b]) & (glance(owners[a], frames[a], owners[b], frames[b]) <= FAR)
        a, b = a[promising], b[promising]
        for i, j, shift in zip(owners[a].tolist(), owners[b].tolist(), (frames[a] - frames[b]).tolist(), strict=True):
            i, j, shift = (i, j, shift) if i < j else (j, i, -shift)
            if (i, j, shift) not in tried:
                tried.add((i, j, shift))
                share = differing_share(sounds[i], sounds[j], shift)
                if share <= max_share:
                    best[i, j] = min(share, best.get((i, j), 1.0))
    pairs = np.array(sorted(best), dtype=np.int64).reshape(-1, 2)
    shares = np.array([best[i, j] for i, j in pairs.tolist()], dtype=np.float32)
    return _joined(known[pairs[:, 0]], known[pairs[:, 1]], shares, links, buckets.left_out)


def clusters(pairs: NearPairs, count: int) -> np.ndarray:
    """(count,) int64: the same number for values that a chain of near pairs links; the least index among them."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs.first, pairs.second)), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    _, least = np.unique(labels, return_index=True)
    return least[labels].astype(np.int64)


def differing_share(first: np.ndarray, second: np.ndarray, shift: int) -> float:
    """Share of bits that differ between two sounds when the second begins `shift` frames after the first; 1 if they cannot be copies."""
    lengths, a, b = sorted((int(first[0]), int(second[0]))), first[1:], second[1:]
    begin, end = max(0, shift), min(len(a), len(b) + shift)
    if end - begin < SAME_LENGTH * max(len(a), len(b)) or lengths[0] < SAME_LENGTH * lengths[1]:
        return 1.0
    a, b = a[begin:end], b[begin - shift : end - shift]
    sounding = np.count_nonzero(a | b)
    return float(np.bitwise_count(a ^ b).sum()) / (32 * sounding) if sounding >= LEAST_WORDS else 1.0


class _Buckets:
    """Entries with equal keys, paired with their next `most` neighbours in order of index."""

    def __init__(self, keys: np.ndarray, most: int) -> None:
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        self._most = most
        sizes = np.diff(np.flatnonzero(np.concatenate([[True], self._keys[1:] != self._keys[:-1], [True]]))) if len(keys) else np.empty(0)
        beyond = np.maximum(sizes - 1 - most, 0).astype(np.int64)
        self.left_out = int((beyond * (beyond + 1) // 2).sum())

    def pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Indices of both, the lower one first; neighbours at distance 1, then at distance 2, …"""
        at = np.arange(len(self._keys))
        for lag in range(1, self._most + 1):
            at = at[: np.searchsorted(at, len(self._keys) - lag)]
            at = at[self._keys[at] == self._keys[at + lag]]
            if not len(at):
                return
            yield self._order[at], self._order[at + lag]


class _Glance:
    """The share of bits that differ in a few words around a match, for many matches at once."""

    def __init__(self, sounds: list[np.ndarray]) -> None:
        lengths = np.array([len(sound) for sound in sounds], dtype=np.int64)
        self._begin, self._end = np.cumsum(lengths) - lengths, np.cumsum(lengths)
        self._words = np.concatenate([*sounds, np.zeros(1, dtype=np.uint32)])

    def __call__(self, i: np.ndarray, at_i: np.ndarray, j: np.ndarray, at_j: np.ndarray) -> np.ndarray:
        steps = np.arange(-GLANCE, GLANCE + 1)
        a, b = (self._begin[owner] + frame for owner, frame in ((i, at_i), (j, at_j)))
        a, b = a[:, None] + steps, b[:, None] + steps
        inside = (a >= self._begin[i][:, None]) & (a < self._end[i][:, None]) & (b >= self._begin[j][:, None]) & (b < self._end[j][:, None])
        last = len(self._words) - 1
        differ = np.bitwise_count(self._words[np.where(inside, a, last)] ^ self._words[np.where(inside, b, last)])
        return differ.sum(1) / (32 * inside.sum(1))


def _sound_keys(sounds: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Owner, frame and key of the parts of words that are looked up: of each sound those with the least hashes, as in its copies."""
    owners, frames, keys = [], [], []
    for at, sound in enumerate(sounds):
        sounding = np.flatnonzero(sound[1:])
        words = sound[1:][sounding].astype(np.uint64)
        low, high = words & np.uint64(0xFFFFFF), words >> np.uint64(8) | np.uint64(1 << 32)
        key, place = np.unique(np.concatenate([low, high]), return_index=True)
        kept = np.argsort(scramble(key, 0), kind="stable")[:SOUND_KEYS]
        owners.append(np.full(len(kept), at, dtype=np.int64))
        frames.append(np.concatenate([sounding, sounding])[place[kept]])
        keys.append(key[kept])
    if not sounds:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint64)
    return np.concatenate(owners), np.concatenate(frames), np.concatenate(keys)


def _distinct(values: list[bytes]) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Indices of the first of each different value that is not empty, in order of the values, and links of the others to it."""
    first: dict[bytes, int] = {}
    links: list[tuple[int, int]] = []
    for at, value in enumerate(values):
        if value and first.setdefault(value, at) != at:
            links.append((first[value], at))
    linked = np.array(links, dtype=np.int64).reshape(-1, 2)
    return np.array([first[value] for value in sorted(first)], dtype=np.int64), (linked[:, 0], linked[:, 1])


def _masks(hashes: np.ndarray, max_bits: int) -> list[np.uint64]:
    """Parts of a 64-bit hash of which any two hashes within `max_bits` agree in at least one; as coarse as is quickest for these."""
    count = len(hashes)
    sample = hashes[:: max(1, count // 20_000)]

    def masks(agree: int) -> list[np.uint64]:
        cuts = np.linspace(0, 64, max_bits + agree + 1).round().astype(int).tolist()
        blocks = [(1 << end) - (1 << begin) for begin, end in pairwise(cuts)]
        return [np.uint64(sum(chosen)) for chosen in combinations(blocks, agree)]

    def work(chosen: list[np.uint64]) -> float:  # sorting, and the pairs that fall into one bucket
        met, crowd = 0.0, 0.0
        for mask in (chosen[0], chosen[-1]):
            sizes = np.unique(sample & mask, return_counts=True)[1] / max(1, len(sample))
            met += float((sizes**2).sum()) / 4
            crowd = max(crowd, float(sizes.max(initial=0)) * count)
        return len(chosen) * count * (20 + count * met) * max(1.0, 2 * crowd / NEIGHBOURS) ** 3  # crowds would be left out

    return min(map(masks, range(1, 5)), key=work)


def _same_thumbnail(whole: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    same = np.empty(len(i), dtype=bool)
    for at in range(0, len(i), 16_384):
        a, b = (whole[index[at : at + 16_384], 8:].astype(np.float32) - 128 for index in (i, j))
        luma_a, luma_b, side = a[:, : LUMA**2], b[:, : LUMA**2], LUMA**2
        flat_a, flat_b = (luma[:, 0] == -128 for luma in (luma_a, luma_b))  # structured thumbnails have no 0
        correlation = (luma_a * luma_b).sum(1) / np.sqrt((luma_a**2).sum(1) * (luma_b**2).sum(1))
        alike = np.where(flat_a | flat_b, flat_a & flat_b, correlation >= SAME_LUMA)
        same[at : at + 16_384] = alike & (np.abs(a[:, side:] - b[:, side:]).mean(1) <= SAME_CHROMA)
    return same


def _band_length(size: int, min_jaccard: float) -> int:
    """The longest band, so the fewest candidates, that still finds 99.5 % of the pairs at the limit."""
    found = [length for length in range(1, 17) if 1 - (1 - min_jaccard**length) ** (size // length) >= 0.995]
    return max(found, default=1)


def _hash_of(rows: np.ndarray) -> np.ndarray:
    key = np.zeros(len(rows), dtype=np.uint64)
    for place in range(rows.shape[1]):
        key = scramble(key ^ rows[:, place].astype(np.uint64), place)
    return key


def _likely(signatures: np.ndarray, i: np.ndarray, j: np.ndarray, min_jaccard: float) -> np.ndarray:
    """Whether so many places agree as near texts have, less four deviations."""
    size = signatures.shape[1]
    least = min_jaccard - 4 * (min_jaccard * (1 - min_jaccard) / size) ** 0.5
    parts = [(signatures[i[at : at + 16_384]] == signatures[j[at : at + 16_384]]).mean(1) for at in range(0, len(i), 16_384)]
    return np.concatenate(parts) >= least


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    common = len(a & b)
    return common / (len(a) + len(b) - common)


def _unique_pairs(found: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    both = np.unique(np.sort(np.concatenate(found, axis=1), axis=0), axis=1)
    return both[0], both[1]


def _joined(first: np.ndarray, second: np.ndarray, distance: np.ndarray, links: tuple[np.ndarray, np.ndarray], left_out: int) -> NearPairs:
    """Near pairs and links of equal values together, in order."""
    both = np.sort(np.stack([np.concatenate([first, links[0]]), np.concatenate([second, links[1]])]), axis=0)
    distances = np.concatenate([np.asarray(distance, dtype=np.float32), np.zeros(len(links[0]), dtype=np.float32)])
    order = np.lexsort((both[1], both[0]))
    return NearPairs(both[0][order], both[1][order], distances[order], left_out)
