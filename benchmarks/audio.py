"""A second of WAV from memory: our decoder beside soundfile.

    python -m benchmarks.audio

16 kHz, 16 bits, one channel. Rounds alternate; the figure is the median over 15 rounds of 200 readings each.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import soundfile

from benchmarks.results import keep
from omnifuse.data.decode.audio import decode_audio

RATE_HZ, ROUNDS, READINGS = 16_000, 15, 200


def span_us(read: Callable[[], object]) -> float:
    """Microseconds a reading takes."""
    start = time.perf_counter()
    for _ in range(READINGS):
        read()
    return (time.perf_counter() - start) / READINGS * 1e6


def main() -> None:
    """Measure both, in turns."""
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(0).uniform(-0.5, 0.5, RATE_HZ), RATE_HZ, format="WAV", subtype="PCM_16")
    data = file.getvalue()
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(span_us(lambda: decode_audio(data, RATE_HZ)))
        theirs.append(span_us(lambda: soundfile.read(io.BytesIO(data), dtype="float32")))
    ratio = median(theirs) / median(ours)
    keep("audio", {"ours_us": round(median(ours), 1), "soundfile_us": round(median(theirs), 1), "times_as_fast": round(ratio, 2)})


if __name__ == "__main__":
    main()
