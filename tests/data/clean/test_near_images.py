"""Copies of pictures are found after small changes, and different pictures are not accused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from omnifuse.data.clean.fingerprints import IMAGE_BYTES, image_fingerprint
from omnifuse.data.clean.near import NearPairs, clusters, near_images
from omnifuse.data.decode.image import decode_image


def _scene(seed: int, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    """A made-up photograph: smooth patches of colour."""
    rough = np.random.default_rng(seed).integers(20, 200, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(rough).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def _as_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return decode_image(buffer.getvalue())


def _scaled(pixels: np.ndarray, factor: float) -> np.ndarray:
    height, width = (round(side * factor) for side in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


CHANGES = {
    "jpeg 90": lambda pixels: _as_jpeg(pixels, 90),
    "jpeg 40": lambda pixels: _as_jpeg(pixels, 40),
    "half the size": lambda pixels: _scaled(pixels, 0.5),
    "twice the size": lambda pixels: _scaled(pixels, 2),
    "another shape": lambda pixels: np.asarray(Image.fromarray(pixels).resize((100, 100))),
    "brighter": lambda pixels: np.clip(pixels * 1.15, 0, 255).astype(np.uint8),
    "darker": lambda pixels: (pixels * 0.85).astype(np.uint8),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(change: str):
    scenes = [_scene(seed) for seed in range(40)]
    prints = [image_fingerprint(scene) for scene in scenes] + [image_fingerprint(CHANGES[change](scene)) for scene in scenes]
    near = near_images(prints)
    assert list(zip(near.first.tolist(), near.second.tolist(), strict=True)) == [(i, i + 40) for i in range(40)]
    assert near.distance.max() <= 6 and near.left_out == 0


def test_real_photographs_are_found_again_and_told_apart(shared_data: Path):
    paths = sorted((shared_data / "covid_xray" / "jpg").glob("*.jpg"))[:60]
    if not paths:
        pytest.skip(f"no X-rays under {shared_data}")
    pixels = [decode_image(path.read_bytes()) for path in paths]
    prints = [image_fingerprint(one) for one in pixels] + [image_fingerprint(_scaled(_as_jpeg(one, 50), 0.6)) for one in pixels]
    near = near_images(prints)
    assert set(zip(near.first.tolist(), near.second.tolist(), strict=True)) == {(i, i + len(paths)) for i in range(len(paths))}


def test_the_same_shape_in_another_colour_is_another_picture():
    def heart(colour: tuple[int, int, int]) -> np.ndarray:
        grid = np.linspace(-1.4, 1.4, 72)
        x, y = grid[None, :], -grid[:, None]
        inside = (x**2 + y**2 - 1) ** 3 - x**2 * y**3 <= 0
        return np.where(inside[..., None], np.array(colour), 255).astype(np.uint8)

    blue, green = heart((40, 90, 200)), heart((60, 110, 40))
    prints = [image_fingerprint(pixels) for pixels in (blue, green, _as_jpeg(blue, 80))]
    hashes = [int.from_bytes(one[:8], "little") for one in prints]
    assert (hashes[0] ^ hashes[1]).bit_count() <= 6, "the hash of luma alone cannot tell them apart"
    near = near_images(prints)
    assert list(zip(near.first.tolist(), near.second.tolist(), strict=True)) == [(0, 2)]


def test_symmetrical_shapes_survive_strong_compression():
    """Half of their frequencies are exactly 0, so that noise could toss the bits."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    shapes = {"disc": x**2 + y**2 < 0.4, "square": np.maximum(abs(x), abs(y)) < 0.6, "cross": np.minimum(abs(x), abs(y)) < 0.15}
    pixels = [np.where(inside[..., None], (210, 60, 40), (230, 230, 230)).astype(np.uint8) for inside in shapes.values()]
    near = near_images([image_fingerprint(one) for one in [*pixels, *(_as_jpeg(one, 30) for one in pixels)]])
    assert list(zip(near.first.tolist(), near.second.tolist(), strict=True)) == [(0, 3), (1, 4), (2, 5)]


def test_flat_pictures_are_near_only_when_they_have_one_colour():
    def flat(*colour: int) -> bytes:
        return image_fingerprint(np.full((20, 30, 3), colour, dtype=np.uint8))

    prints = [flat(255, 0, 0), flat(0, 0, 255), flat(255, 255, 255), flat(0, 0, 0), flat(225, 0, 0), flat(255, 0, 0)]
    near = near_images(prints)
    assert list(zip(near.first.tolist(), near.second.tolist(), strict=True)) == [(0, 5)]
    grey = np.full((16, 16, 1), 200, dtype=np.uint8)
    noisy = grey + np.random.default_rng(0).integers(0, 2, grey.shape, dtype=np.uint8)
    assert image_fingerprint(grey)[:8] == image_fingerprint(noisy)[:8], "rounding noise is no structure"


def test_grey_pictures_of_one_channel_count_as_their_colour_copies():
    scene = np.asarray(Image.fromarray(_scene(0)).convert("L"))
    assert image_fingerprint(scene[..., None]) == image_fingerprint(np.repeat(scene[..., None], 3, axis=2))


def _planted(seed: int, count: int, flips: int) -> list[bytes]:
    """Random hashes with one thumbnail; every second is its neighbour with some bits flipped."""
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 256, (count, 8), dtype=np.uint8)
    for at in range(1, count, 2):
        bits = np.unpackbits(hashes[at - 1])
        bits[random.choice(64, random.integers(0, flips + 1), replace=False)] ^= 1
        hashes[at] = np.packbits(bits)
    return [row.tobytes() + bytes([200] * (IMAGE_BYTES - 8)) for row in hashes]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 60), max_bits=st.integers(0, 8))
def test_no_pair_is_missed_that_comparing_all_with_all_finds(seed: int, count: int, max_bits: int):
    prints = list(dict.fromkeys(_planted(seed, count, flips=10)))
    hashes = [int.from_bytes(one[:8], "little") for one in prints]
    expected = {
        (i, j): (hashes[i] ^ hashes[j]).bit_count()
        for j in range(len(prints))
        for i in range(j)
        if (hashes[i] ^ hashes[j]).bit_count() <= max_bits
    }
    near = near_images(prints, max_bits)
    assert dict(zip(zip(near.first.tolist(), near.second.tolist(), strict=True), near.distance.tolist(), strict=True)) == expected


def test_many_copies_are_linked_to_one_not_to_all():
    prints = _planted(0, 50, flips=0)[:1] * 20_000 + _planted(1, 10, flips=0)[::2]
    near = near_images(prints)
    assert len(near) == 19_999 and near.left_out == 0
    assert len(set(clusters(near, len(prints)).tolist())) == 6


def test_a_hundred_thousand_pictures_take_seconds():
    """Comparing all with all would be five billion comparisons."""
    random = np.random.default_rng(0)
    whole = random.integers(0, 256, (100_000, IMAGE_BYTES), dtype=np.uint8)
    whole[50_000:50_100] = whole[:100]
    whole[50_000:50_100, 0] ^= 0b101
    near = near_images([row.tobytes() for row in whole])
    assert list(zip(near.first.tolist(), near.second.tolist(), strict=True)) == [(i, 50_000 + i) for i in range(100)]


def test_a_crowded_bucket_says_what_it_left_out():
    """2,000 hashes that all differ from each other by 2 bits of 64, in the same places: the rest is equal."""
    base = np.zeros((2000, 8), dtype=np.uint8)
    base[:, 0], base[:, 1] = np.arange(2000) % 256, np.arange(2000) // 256
    near = near_images([row.tobytes() + bytes([200] * (IMAGE_BYTES - 8)) for row in base], max_bits=1)
    assert near.left_out > 0
    assert len(set(clusters(near, 2000).tolist())) == 1, "the chain of neighbours still links them"


def test_nothing_and_pictures_without_a_fingerprint_give_no_pairs():
    assert len(near_images([])) == len(near_images([b""] * 5)) == 0


def test_clusters_are_named_by_their_first_member():
    pairs = NearPairs(np.array([4, 1]), np.array([5, 4]), np.zeros(2, dtype=np.float32))
    assert clusters(pairs, 7).tolist() == [0, 1, 2, 3, 1, 1, 6]
