"""How far two sounds are apart to the ear: mel-cepstral distortion, their times warped onto each other."""

from __future__ import annotations

import math

import numpy as np

from omnifuse.core.errors import OmnifuseError

WINDOW_S, HOP_S, BANDS, COEFFICIENTS = 0.032, 0.008, 40, 13
QUIETEST = 1e-5
DECIBEL = 10 * math.sqrt(2) / math.log(10)


def mel_cepstra(wave: np.ndarray, rate_hz: float) -> np.ndarray:
    """(T', 13) mel-cepstra c₁ … c₁₃ of a sound (T,) in [−1, 1], a frame every 8 ms.

    c_d = (2/K)·Σ_k ln A_k·cos(π·d·(k + ½)/K), A_k the amplitude in the k-th of K = 40 bands equally wide on the mel scale,
    m = 2595·log₁₀(1 + f/700), of frames of 32 ms. c₀, the loudness, is left out. Amplitudes below 1e-5 count as 1e-5, so silence is
    an ordinary frame. A sound shorter than a frame is filled up with silence.

    Source: Davis & Mermelstein 1980, with amplitudes for energies, so that c is in nepers.
    """
    size, hop = max(2, round(WINDOW_S * rate_hz)), max(1, round(HOP_S * rate_hz))
    wave = np.nan_to_num(np.asarray(wave, dtype=np.float64)).reshape(-1)
    wave = np.pad(wave, (0, max(0, size - len(wave))))
    window = np.hanning(size)
    frames = np.lib.stride_tricks.sliding_window_view(wave, size)[::hop] * (window / window.sum())
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    levels = np.log(np.maximum(np.sqrt(power @ _bands(size, rate_hz).T), QUIETEST))
    places = np.arange(BANDS) + 0.5
    cosines = np.cos(np.pi * np.outer(np.arange(1, COEFFICIENTS + 1), places) / BANDS)
    return levels @ cosines.T * (2 / BANDS)


def cepstral_distortion(first: np.ndarray, second: np.ndarray, *, warped: bool = True) -> float:
    """Mel-cepstral distortion in dB of two sequences of cepstra (T, D) and (T', D): 0 for equal ones. In spoken digits
    at 8 kHz, 10 to 90 % of the pairs: 3 to 6 for one word twice by one speaker, 7 to 11 by two speakers, 7 to 13 for two words.

    (10·√2/ln 10)·mean over frames of √Σ_d (c_d − c'_d)²

    With `warped` the mean goes over the path of pairs of frames with the least sum, by dynamic time warping (Sakoe & Chiba
    1978), so another speed of speech costs nothing; else over frames at the same place, which then are as many.

    Source: Kubichek 1993. Figures depend on frames, bands and D, so compare those of one program only.

    Raises:
        OmnifuseError: no frame, different D, or without warping different lengths.
    """
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 2 or two.ndim != 2 or not len(one) or not len(two) or one.shape[1] != two.shape[1]:
        raise OmnifuseError(f"cepstra: expected (frames, coefficients) twice, got {one.shape} and {two.shape}")
    if not warped:
        if len(one) != len(two):
            raise OmnifuseError(f"cepstra: {len(one)} and {len(two)} frames; sounds of different lengths have to be warped")
        return float(DECIBEL * np.sqrt(((one - two) ** 2).sum(axis=1)).mean())
    costs = np.sqrt(((one[:, None] - two[None]) ** 2).sum(axis=-1))
    return float(DECIBEL * np.mean([costs[i, j] for i, j in warping_path(costs)]))


def warping_path(costs: np.ndarray) -> list[tuple[int, int]]:
    """The path of pairs (i, j) from (0, 0) to the last pair of a matrix of costs (T, T') with the least sum; each step goes on by one in
    i, in j, or in both, which is preferred among equals.
    """
    rows, columns = costs.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    for diagonal in range(rows + columns - 1):  # pairs with i + j = diagonal do not depend on each other
        i = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        j = diagonal - i
        total[i + 1, j + 1] = costs[i, j] + np.minimum(np.minimum(total[i, j], total[i, j + 1]), total[i + 1, j])
    i, j = rows - 1, columns - 1
    path = [(i, j)]
    while i or j:
        back = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
        i, j = min(back, key=lambda place: total[place[0] + 1, place[1] + 1])
        path.append((i, j))
    return path[::-1]


def _bands(size: int, rate_hz: float) -> np.ndarray:
    """(BANDS, size/2 + 1) triangles over the frequencies of the transform, each of sum 1; bands narrower than the transform resolves take
    the nearest frequency.
    """
    highest = 2595 * math.log10(1 + rate_hz / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, highest, BANDS + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(size, 1 / rate_hz)
    left, middle, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    bands = np.maximum(0, np.minimum((frequencies - left) / (middle - left), (right - frequencies) / (right - middle)))
    empty = np.flatnonzero(bands.sum(axis=1) == 0)
    bands[empty, np.abs(frequencies - middle[empty]).argmin(axis=1)] = 1.0
    return bands / bands.sum(axis=1, keepdims=True)
