"""Near duplicates: how many changed copies are found and how many different values are accused, on real data; time at scale.

    OMNIFUSE_DATA=FOLDER python -m benchmarks.near_duplicates

A pair of different files that is found counts as an alarm, right or wrong: what the alarms are is told in docs/cleaning.md.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from PIL import Image

from benchmarks.results import keep
from omnifuse.data.clean.fingerprints import IMAGE_BYTES, audio_fingerprint, image_fingerprint
from omnifuse.data.clean.near import NearPairs, near_audio, near_images, near_texts
from omnifuse.data.decode.image import decode_image

DATA = Path(os.environ.get("OMNIFUSE_DATA", "../shared/data"))
COPIES = 300


def jpeg(quality: int) -> Callable[[np.ndarray], np.ndarray]:
    """Save a picture as JPEG and read it back."""

    def change(pixels: np.ndarray) -> np.ndarray:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
        return decode_image(buffer.getvalue())

    return change


def scaled(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    """Make a picture larger or smaller."""

    def change(pixels: np.ndarray) -> np.ndarray:
        height, width = (max(8, round(side * factor)) for side in pixels.shape[:2])
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))

    return change


def lit(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    """Make a picture lighter or darker."""
    return lambda pixels: np.clip(pixels * factor, 0, 255).astype(np.uint8)


def coded(format: str, subtype: str | None = None) -> Callable[[np.ndarray], tuple[np.ndarray, int]]:
    """Save a sound in a format and read it back."""

    def change(wave: np.ndarray) -> tuple[np.ndarray, int]:
        buffer = io.BytesIO()
        soundfile.write(buffer, wave, 8000, format=format, subtype=subtype)
        buffer.seek(0)
        return soundfile.read(buffer, dtype="float32")

    return change


IMAGE_CHANGES = {
    "JPEG 90": jpeg(90),
    "JPEG 50": jpeg(50),
    "JPEG 25": jpeg(25),
    "half the size": scaled(0.5),
    "3/4 of the size": scaled(0.75),
    "twice the size": scaled(2),
    "brightness −15 %": lit(0.85),
    "brightness +15 %": lit(1.15),
}
SOUND_CHANGES: dict[str, Callable[[np.ndarray], tuple[np.ndarray, int]]] = {
    "gain −12 dB": lambda wave: (wave * 0.25, 8000),
    "16 kHz": lambda wave: (soxr.resample(wave, 8000, 16_000), 16_000),
    "44.1 kHz": lambda wave: (soxr.resample(wave, 8000, 44_100), 44_100),
    "µ-law": coded(format="WAV", subtype="ULAW"),
    "Vorbis": coded(format="OGG", subtype="VORBIS"),
    "MP3": coded(format="MP3"),
    "8 ms later": lambda wave: (np.pad(wave, (64, 0)), 8000),
}


def report(
    name: str,
    values: Sequence[Any],
    fingerprint: Callable[[Any], Any],
    near: Callable[..., NearPairs],
    limits: Sequence[float],
    changes: dict[str, Callable[[Any], Any]],
) -> None:
    """Measure one set: pairs found at each limit among its own values, and copies found after each change of 300 of them."""
    began = time.perf_counter()
    prints = [fingerprint(value) for value in values]
    each = (time.perf_counter() - began) / len(prints)
    alarms = {}
    for limit in limits:
        pairs = near(prints, limit)
        alarms[str(limit)] = len(pairs)
    began = time.perf_counter()
    near(prints)
    took = time.perf_counter() - began
    chosen = np.random.default_rng(0).permutation(len(values))[:COPIES].tolist()
    found = {}
    for change, alter in changes.items():
        copies = [fingerprint(alter(values[at])) for at in chosen]
        pairs = near([*(prints[at] for at in chosen), *copies])
        hits = sum(second - first == len(chosen) for first, second in zip(pairs.first, pairs.second, strict=True))
        found[change] = round(hits / len(chosen), 3)
    keep(
        "near_duplicates",
        {"set": name, "values": len(values), "pairs": len(values) * (len(values) - 1) // 2, "found at limit": alarms}
        | {"copies found": found, "fingerprint_us": round(each * 1e6), "search_s": round(took, 2)},
    )


def pictures(paths: Sequence[Path]) -> list[np.ndarray]:
    """Decode the files."""
    return [decode_image(path.read_bytes()) for path in paths]


def edited(text: str) -> str:
    """Change a text a little."""
    return text.replace(" the ", " THE ").replace(".", "!", 1) + " Thanks."


def scale() -> None:
    """Time the search among a million random fingerprints, with a hundred planted pairs."""
    random = np.random.default_rng(0)
    whole = random.integers(0, 256, (1_000_000, IMAGE_BYTES), dtype=np.uint8)
    whole[500_000:500_100] = whole[:100]
    whole[500_000:500_100, 0] ^= 3
    values = [row.tobytes() for row in whole]
    del whole
    began = time.perf_counter()
    pairs = near_images(values)
    assert len(pairs) == 100
    took = time.perf_counter() - began
    keep("near_duplicates", {"set": "1,000,000 random hashes", "search_s": round(took, 1)})


def main() -> None:
    """Measure every set."""
    report("emoji", pictures(sorted((DATA / "emoji/png").glob("*.png"))), image_fingerprint, near_images, (4, 6, 8), IMAGE_CHANGES)
    report(
        "covid_xray", pictures(sorted((DATA / "covid_xray/jpg").glob("*.jpg"))), image_fingerprint, near_images, (4, 6, 8), IMAGE_CHANGES
    )
    with np.load(DATA / "mnist/mnist.npz") as file:
        digits = [np.repeat(pixels[..., None], 3, axis=2) for pixels in file["x_train"][:20_000]]
    report("mnist, the first 20,000", digits, image_fingerprint, near_images, (4, 6), IMAGE_CHANGES)
    waves = [soundfile.read(path, dtype="float32")[0] for path in sorted((DATA / "fsdd/recordings").glob("*.wav"))]
    sounds = {name: (lambda clip, alter=alter: alter(clip[0])) for name, alter in SOUND_CHANGES.items()}
    report("fsdd", [(wave, 8000) for wave in waves], lambda clip: audio_fingerprint(*clip), near_audio, (0.1, 0.15, 0.2, 0.25), sounds)
    import pyarrow.parquet as pq

    table = pq.read_table(DATA / "reviews/reviews.parquet.brotli", columns=["Review Text"])
    texts = [text for text in table["Review Text"].to_pylist() if text]
    report("reviews", texts, str, near_texts, (0.95, 0.85, 0.7, 0.5), {"case, one sign, a word more": edited})
    scale()


if __name__ == "__main__":
    main()
