"""Fingerprints: short codes that stay near when a picture, a sound or a text is copied with small changes."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence

import numpy as np

from omnifuse.core.seeds import scramble

SIDE = 32  # pixels of the picture that fingerprints look at
LUMA, CHROMA = 16, 4  # blocks along one side of the thumbnails
IMAGE_BYTES = 8 + LUMA**2 + 2 * CHROMA**2
FLAT = 2.0  # a picture whose luma deviates by fewer levels of 256 has no structure to compare
MARGIN = 0.02  # of the largest frequency: in symmetrical shapes half of them are 0, and noise would toss their bits

# The 64 lowest frequencies of a 2-D cosine transform, without the mean, by the sum of both frequencies.
_COSINES = np.cos(np.pi / SIDE * np.arange(12)[:, None] * (np.arange(SIDE) + 0.5)) * np.where(np.arange(12) > 0, 1, 0.5**0.5)[:, None]
_ROWS, _COLUMNS = np.array(sorted(((i, j) for i in range(12) for j in range(12)), key=lambda at: (sum(at), at[0]))[1:65]).T


def image_fingerprint(pixels: np.ndarray) -> bytes:
    """What a picture looks like, in 296 bytes that change little under re-encoding, scaling and mild brightness.

    The first 8 bytes are a perceptual hash: the 64 lowest frequencies of the cosine transform of the 32×32 luma, each clearly
    above their median or not. Hashes alone accuse different pictures of simple shapes (handwritten digits, signs that differ in colour),
    so a thumbnail of luma (16×16, mean and contrast taken out) and two of colour (4×4) follow, which tell those apart.
    A picture without structure (all one colour) would give a hash of rounding noise: its first 8 bytes are a hash of
    its mean colour in steps of 8 levels instead, so that flat pictures agree only when they show the same colour.

    Source: C. Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010 (the DCT hash of pHash).

    Args:
        pixels: (H, W, 1) grey or (H, W, 3) RGB, uint8.
    """
    from PIL import Image

    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    small = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0), dtype=np.float32)
    luma = small @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    # JPEG's colour differences, from −128 to 127
    colour = np.concatenate([_blocks((small[..., at] - luma) * scale, CHROMA) for at, scale in ((2, 0.564), (0, 0.713))])
    chroma = (np.round(colour) + 128).clip(0, 255).astype(np.uint8).tobytes()
    if luma.std() < FLAT:
        mean = np.round(small.mean((0, 1)) / 8).astype(int).tolist()
        return hashlib.blake2b(repr(mean).encode(), digest_size=8).digest() + bytes(LUMA**2) + chroma
    waves = (_COSINES @ luma @ _COSINES.T)[_ROWS, _COLUMNS]
    blocks = _blocks(luma - luma.mean(), LUMA)
    thumbnail = (np.round(blocks / max(float(np.abs(blocks).max()), 1e-6) * 127) + 128).astype(np.uint8)
    over = waves > np.median(waves) + MARGIN * np.abs(waves).max()
    return np.packbits(over).tobytes() + thumbnail.tobytes() + chroma


def _blocks(values: np.ndarray, side: int) -> np.ndarray:
    """(side²,) means of square blocks of a (SIDE, SIDE) array."""
    step = SIDE // side
    return values.reshape(side, step, side, step).mean((1, 3)).ravel()


FRAME_S, HOP_S = 0.128, 0.016
BANDS, LOW_HZ, HIGH_HZ = 33, 300.0, 2000.0
QUIET = 1e-4  # 40 dB below the loudest frame
LONGEST = 1000  # words: the first 16 seconds that sound


def audio_fingerprint(wave: np.ndarray, rate_hz: float) -> bytes:
    """What a sound sounds like: 4 bytes for each 16 ms, little changed by re-encoding, gain and resampling.

    Bit m of frame n says whether energy falls more from band m to band m + 1 than it did in the frame before:
    E(n, m) − E(n, m+1) > E(n−1, m) − E(n−1, m+1), over 33 bands from 300 to 2,000 Hz. The first 4 bytes are how many frames
    the sound lasts, quiet ends left out; then come at most 1,000 words (16 s). A quiet frame is the word 0.
    A sound that is silent all through has no fingerprint (empty), so silence is near to nothing.

    Source: J. Haitsma and T. Kalker, A Highly Robust Audio Fingerprinting System, ISMIR 2002. Differs: frames of 128 ms
    (theirs: 370 ms) each 16 ms, since clips may be as short as a word, and quiet frames are marked.

    Args:
        wave: (T,) float32, one channel.
        rate_hz: samples a second; below 4,000 the upper bands stay empty.
    """
    energy = _band_energy(np.asarray(wave, dtype=np.float32), float(rate_hz))
    if len(energy) < 2:
        return b""
    loudness = energy.sum(1)
    loudness = np.maximum(loudness[1:], loudness[:-1])
    falls = energy[:, :-1] - energy[:, 1:]
    words = np.ascontiguousarray(np.packbits(falls[1:] > falls[:-1], axis=1)).view(">u4").ravel().astype("<u4")
    words = np.where(loudness <= QUIET * loudness.max(), 0, np.maximum(words, 1)).astype("<u4")
    sounding = np.flatnonzero(words)
    if not len(sounding):
        return b""
    words = words[sounding[0] : sounding[-1] + 1]
    return np.array([len(words)], dtype="<u4").tobytes() + words[:LONGEST].tobytes()


def _band_energy(wave: np.ndarray, rate_hz: float) -> np.ndarray:
    """(N, BANDS) energy of frames; a frame is centred on every hop."""
    if rate_hz >= 16_000:
        from scipy.signal import resample_poly

        fold = int(rate_hz // 8000)
        wave, rate_hz = resample_poly(wave, 1, fold).astype(np.float32), rate_hz / fold
    length = max(round(FRAME_S * rate_hz), 4)
    wave = np.pad(np.nan_to_num(wave), (length // 2, length // 2 + 1))
    starts = np.round(np.arange(0, len(wave) - length + 1, HOP_S * rate_hz)).astype(np.int64)
    edges = np.round(np.geomspace(LOW_HZ, HIGH_HZ, BANDS + 1) * length / rate_hz).astype(np.int64)
    spans = np.lib.stride_tricks.sliding_window_view(wave, length)
    window = np.hanning(length).astype(np.float32)
    parts = []
    for at in range(0, len(starts), 256):  # a few seconds of frames at a time: they overlap eightfold
        power = np.abs(np.fft.rfft(spans[starts[at : at + 256]] * window, axis=1)) ** 2
        cumulated = np.concatenate([np.zeros((len(power), 1)), np.cumsum(power, axis=1, dtype=np.float64)], axis=1)
        reach = np.minimum(edges, cumulated.shape[1] - 1)
        parts.append(cumulated[:, reach[1:]] - cumulated[:, reach[:-1]])
    return np.concatenate(parts)


SHINGLE = 5  # characters
EMPTY = np.uint32(0xFFFFFFFF)
TEXTS_AT_ONCE = 4096


def text_signatures(texts: Sequence[str], size: int = 64) -> np.ndarray:
    """(N, size) uint32 minhashes of the sets of 5-character shingles of each folded text.

    Two texts agree in a place with the probability of the Jaccard similarity of their sets, |A ∩ B| / |A ∪ B|.
    Characters, not words, so that it serves languages without spaces too. A text shorter than a shingle is one shingle;
    a text of nothing gets a row of `EMPTY`.

    Source: A. Broder, On the resemblance and containment of documents, 1997; one permutation cut into `size` bins, empty
    bins filled from others by A. Shrivastava, Optimal Densification for Fast and Accurate Minwise Hashing, 2017
    (arXiv:1703.04664), so the time does not grow with `size`.
    """
    parts = [_signatures(texts[at : at + TEXTS_AT_ONCE], size) for at in range(0, len(texts), TEXTS_AT_ONCE)]
    return np.concatenate(parts) if parts else np.empty((0, size), dtype=np.uint32)


def fold(text: str) -> str:
    """A text as near texts are compared: one form of each character, small letters, single spaces.

    >>> fold(" Ｆull  WIDTH ")
    'full width'
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def shingles(text: str) -> frozenset[str]:
    """The set of 5-character pieces of a folded text.

    >>> sorted(shingles("Hello  you"))
    ['ello ', 'hello', 'llo y', 'lo yo', 'o you']
    """
    folded = fold(text)
    return frozenset(folded[at : at + SHINGLE] for at in range(max(1, len(folded) - SHINGLE + 1))) if folded else frozenset()


def _signatures(texts: Sequence[str], size: int) -> np.ndarray:
    hashes, owners = _hashed_shingles([fold(text) for text in texts])
    bins = ((hashes >> np.uint64(32)) % np.uint64(size)).astype(np.int64)
    least = np.full(len(texts) * size, EMPTY, dtype=np.uint32)
    np.minimum.at(least, owners * size + bins, (hashes & np.uint64(0xFFFFFFFF)).astype(np.uint32))
    least = least.reshape(-1, size)
    filled = least.copy()
    rows, places = np.nonzero((least == EMPTY) & (least != EMPTY).any(1, keepdims=True))
    for attempt in range(1, 20 * size):  # a text of one shingle needs `size` attempts on average
        if not len(rows):
            break
        probe = (scramble(places.astype(np.uint64), attempt) % np.uint64(size)).astype(np.int64)
        filled[rows, places] = least[rows, probe]
        missed = filled[rows, places] == EMPTY
        rows, places = rows[missed], places[missed]
    filled[rows, places] = least[rows].min(1) if len(rows) else EMPTY
    return filled


def _hashed_shingles(folded: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """A 64-bit hash of every shingle of all texts, and which text it belongs to."""
    lengths = np.array([len(text) for text in folded], dtype=np.int64)
    codes = np.frombuffer("".join(folded).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    padded = np.concatenate([codes, np.zeros(SHINGLE, dtype=np.uint64)])
    counts = np.where(lengths > 0, np.maximum(lengths - SHINGLE + 1, 1), 0)
    owners = np.repeat(np.arange(len(folded)), counts)
    begin = np.cumsum(lengths) - lengths
    places = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts) + begin[owners]
    end = (begin + lengths)[owners]
    hashes = np.zeros(len(owners), dtype=np.uint64)
    for step in range(SHINGLE):
        letter = np.where(places + step < end, padded[places + step] + np.uint64(1), np.uint64(0))
        hashes = scramble(hashes ^ letter, step + 1)
    return hashes, owners
