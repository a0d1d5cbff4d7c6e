"""Mel-cepstral distortion is decibels between spectra, forgives speed and loudness, and hears another sound."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.evaluation.generation.cepstral import cepstral_distortion, mel_cepstra, warping_path

RATE_HZ = 8000


def vowel(formants: tuple[float, ...], seconds: float = 0.4, pitch_hz: float = 120.0) -> np.ndarray:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    harmonics = pitch_hz * np.arange(1, int(RATE_HZ / 2 / pitch_hz))
    loudness = [sum(math.exp(-(((harmonic - formant) / 150) ** 2)) for formant in formants) + 0.01 for harmonic in harmonics]
    wave = sum(level * np.sin(2 * np.pi * harmonic * times) for level, harmonic in zip(loudness, harmonics, strict=True))
    return 0.5 * wave / np.abs(wave).max() + 0.001 * np.random.default_rng(0).normal(size=len(times))


def test_distortion_is_the_root_mean_square_in_decibels_of_what_the_cepstra_draw() -> None:
    """ln A_k = Σ_d c_d·cos(π·d·(k + ½)/K), so the mean square over k of 20·log₁₀ is (20/ln 10)²·½·Σ c²."""
    cepstra = np.random.default_rng(0).normal(size=(1, 13)) * 0.2
    places = (np.arange(40) + 0.5) / 40
    levels = 20 / math.log(10) * (cepstra[0] @ np.cos(np.pi * np.outer(np.arange(1, 14), places)))
    assert cepstral_distortion(cepstra, np.zeros((1, 13))) == pytest.approx(math.sqrt((levels**2).mean()), rel=1e-6)


def test_loudness_and_speed_cost_nothing_and_another_vowel_does() -> None:
    a, i = vowel((730, 1090, 2440)), vowel((270, 2290, 3010))
    slow = vowel((730, 1090, 2440), seconds=0.7)
    assert cepstral_distortion(mel_cepstra(a, RATE_HZ), mel_cepstra(0.3 * a, RATE_HZ)) < 0.1
    assert cepstral_distortion(mel_cepstra(a, RATE_HZ), mel_cepstra(slow, RATE_HZ)) < 1
    assert cepstral_distortion(mel_cepstra(a, RATE_HZ), mel_cepstra(i, RATE_HZ)) > 4
    word, slow_word = np.concatenate([a, i]), np.concatenate([slow, i])
    assert cepstral_distortion(mel_cepstra(word, RATE_HZ), mel_cepstra(slow_word, RATE_HZ)) < 1


def test_the_path_is_the_cheapest_of_all() -> None:
    costs = np.random.default_rng(1).random((4, 5))

    def paths(i: int, j: int) -> list[list[tuple[int, int]]]:
        if (i, j) == (0, 0):
            return [[(0, 0)]]
        before = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        return [[*path, (i, j)] for at in before if min(at) >= 0 for path in paths(*at)]

    def total(path: list[tuple[int, int]]) -> float:
        return sum(costs[place] for place in path)

    found = warping_path(costs)
    assert found[0] == (0, 0)
    assert found[-1] == (3, 4)
    assert all((b[0] - a[0], b[1] - a[1]) in {(1, 1), (1, 0), (0, 1)} for a, b in itertools.pairwise(found))
    assert total(found) == pytest.approx(min(map(total, paths(3, 4))))


def test_without_warping_frames_stand_at_the_same_place() -> None:
    one = np.array([[0.0], [1.0], [2.0]])
    decibel = 10 * math.sqrt(2) / math.log(10)
    assert cepstral_distortion(one, one + 0.5, warped=False) == pytest.approx(0.5 * decibel)
    assert cepstral_distortion(one, np.array([[0.0], [0.0], [1.0], [2.0]])) == pytest.approx(0)
    with pytest.raises(OmnifuseError, match="have to be warped"):
        cepstral_distortion(one, one[:2], warped=False)
    with pytest.raises(OmnifuseError, match="expected"):
        cepstral_distortion(one, np.zeros((3, 2)))


def test_silence_and_very_short_sounds_are_ordinary() -> None:
    silent, short = mel_cepstra(np.zeros(4000), RATE_HZ), mel_cepstra(np.ones(3), RATE_HZ)
    assert silent == pytest.approx(0, abs=1e-9)
    assert np.isfinite(short).all()
    assert len(short) == 1
    assert cepstral_distortion(silent, mel_cepstra(vowel((700, 1100, 2400)), RATE_HZ)) > 4
