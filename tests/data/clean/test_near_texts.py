"""Edited texts are found, and texts about the same thing are not accused."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnifuse.data.clean.fingerprints import EMPTY, shingles, text_signatures
from omnifuse.data.clean.near import NearPairs, near_texts

WORDS = [
    *("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "seven", "grey", "geese"),
    *("cross", "our", "narrow", "wooden", "bridge", "at", "dawn"),
]


def _jaccard(a: str, b: str) -> float:
    first, second = shingles(a), shingles(b)
    return len(first & second) / len(first | second)


def _found(near: NearPairs) -> dict[tuple[int, int], float]:
    return dict(zip(zip(near.first.tolist(), near.second.tolist(), strict=True), near.distance.tolist(), strict=True))


def _text(source: random.Random, words: int) -> str:
    return " ".join(source.choices(WORDS, k=words))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), limit=st.sampled_from([0.6, 0.75, 0.85, 0.95]))
def test_pairs_are_those_of_comparing_all_with_all(seed: int, limit: float):
    source = random.Random(seed)
    texts = [_text(source, source.randint(5, 40)) for _ in range(20)]
    for _ in range(20):  # copies with a few words changed
        words = source.choice(texts[:20]).split()
        for _ in range(source.randint(0, 3)):
            words[source.randrange(len(words))] = source.choice(WORDS)
        texts.append(" ".join(words))
    found = _found(near_texts(texts, limit))
    expected = {(i, j) for j in range(40) for i in range(j) if _jaccard(texts[i], texts[j]) >= limit}
    for i, j in found:
        assert found[i, j] == pytest.approx(1 - _jaccard(texts[i], texts[j]), abs=1e-6), "each pair is verified exactly"
    linked = {(i, j) for i, j in expected if (i, j) in found or any((min(i, k), max(i, k)) in found for k in range(40) if k != i)}
    assert len(linked) >= 0.97 * len(expected)


def test_capitals_spaces_and_width_make_no_difference():
    near = near_texts(["A  Lovely\nsummer dress", "a lovely summer dress", "Ａ lovely summer dress ", "a lovely winter coat"])
    assert _found(near) == {(0, 1): 0, (0, 2): 0}


def test_chinese_texts_without_spaces_are_compared():
    text = "这件连衣裙的面料非常舒服，颜色也和图片上一样，我会推荐给我的朋友们，下次还会再来购买。"
    near = near_texts([text, text.replace("非常", "十分"), "物流很慢，包装也破损了，不会再买。"], 0.7)
    assert set(_found(near)) == {(0, 1)}


def test_short_and_empty_texts():
    assert _found(near_texts(["ok", "OK", "no", "", "  ", "a", "A"])) == {(0, 1): 0, (5, 6): 0}
    assert len(near_texts([])) == 0
    assert (text_signatures(["", " \n"]) == EMPTY).all()


def test_signatures_estimate_the_similarity():
    source = random.Random(0)
    words = [source.choice(WORDS) + str(source.randrange(99)) for _ in range(200)]
    for changed in (10, 40, 100):
        other = ["x" * 7 + str(i) if i < changed else word for i, word in enumerate(words)]
        a, b = " ".join(words), " ".join(other)
        first, second = text_signatures([a, b], size=512)
        assert np.mean(first == second) == pytest.approx(_jaccard(a, b), abs=0.08)


def test_a_signature_depends_on_the_text_alone():
    source = random.Random(1)
    texts = [_text(source, 12) for _ in range(50)] + ["短い", "x", "ab", "\ud800 half a pair"]
    together, alone = text_signatures(texts), np.concatenate([text_signatures([text]) for text in texts])
    assert (together == alone).all()
    assert (together != EMPTY).all(), "empty bins are filled, also of the shortest texts"


def test_copies_of_one_text_are_linked_to_the_first():
    near = near_texts(["the same words again and again"] * 5000)
    assert len(near) == 4999 and not near.first.any()


def test_real_reviews_hold_few_near_texts_and_edited_ones_are_found(shared_data: Path):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = shared_data / "reviews" / "reviews.parquet.brotli"
    if not path.is_file():
        pytest.skip(f"no reviews at {path}")
    texts = [text for text in parquet.read_table(path, columns=["Review Text"])["Review Text"].to_pylist() if text][:6000]
    long = [at for at, text in enumerate(texts) if len(text) > 200][:200]
    edited = [texts[at].replace(" the ", " THE ").replace(".", "!", 1) + " Thanks." for at in long]
    found = set(_found(near_texts(texts + edited)))
    planted = {(at, len(texts) + place) for place, at in enumerate(long)}
    assert len(planted & found) >= 198
    assert len(found - planted) <= 12, "6,000 reviews by different people"
