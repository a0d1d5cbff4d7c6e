"""Texts from a decoder: what it says of each word, how it writes, and that it learns to."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Column, Schema
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Fused, Values
from omnifuse.data.modalities import MODALITIES
from omnifuse.data.modalities.config import column_config
from omnifuse.model.config import ModelConfig
from omnifuse.model.heads.causal_lm import CausalLMHead
from omnifuse.model.heads.config import CausalLMHeadConfig, DecoderHeadConfig
from omnifuse.model.heads.decoder import DecoderHead
from omnifuse.model.heads.sampling import RowNoise, Sampling
from omnifuse.model.heads.text import TextHead
from omnifuse.model.layers.attention import Attention
from omnifuse.model.layers.writing import search, write
from tests.model.pretrained.tiny_models import bytelevel, folder_of

DIM, ROWS, WORDS = 16, 4, 5  # of the vocabulary; the end is word 5
CLOSE: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5}


def head_of(max_length: int = 4, words: int = WORDS, **options: Any) -> DecoderHead:
    """A head that has strong opinions, which it did not learn."""
    torch.manual_seed(3)
    head = DecoderHead(DecoderHeadConfig(**options), ValueSpec(modality="text", shape=(None,), size=words, max_length=max_length), DIM)
    with torch.no_grad():
        for weight in head.decoder.parameters():
            weight.mul_(1.5)
    return head.eval()


def fused_rows() -> Fused:
    """Four rows of up to three tokens, with holes; nothing but the pooled vector in the last."""
    mask = torch.tensor([[1, 1, 1], [0, 1, 0], [1, 0, 1], [0, 0, 0]], dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    return Fused(torch.randn(ROWS, 3, DIM, generator=generator) * mask.unsqueeze(-1), mask, torch.randn(ROWS, DIM, generator=generator))


def row_of(fused: Fused, row: int) -> Fused:
    return Fused(fused.tokens[row : row + 1], fused.mask[row : row + 1], fused.pooled[row : row + 1])


def texts(*words: list[int]) -> Values:
    """Texts as a processor gives them; an empty one is absent."""
    longest = max(1, *map(len, words))
    mask = torch.tensor([[place < len(text) for place in range(longest)] for text in words])
    ids = torch.tensor([[*text, *[0] * (longest - len(text))] for text in words])
    return Values(ids, mask.any(1), mask)


def said(head: DecoderHead, fused: Fused, words: list[int]) -> Tensor:
    """Log-probabilities (len + 1, V + 1) of what follows each of the words of one row, all computed at once."""
    read = torch.cat([head.begin.view(1, 1, -1), head.words(torch.tensor([words], dtype=torch.long)) * DIM**0.5], dim=1)
    return head.logits(head.decoder(read, head.reading(head(fused)))).log_softmax(-1)[0].detach()


def mean_of(head: DecoderHead, fused: Fused, words: list[int], longest: int) -> float:
    """Mean log-probability of a text and its end, of the longest without it."""
    chances = said(head, fused, words)
    written = words if len(words) == longest else [*words, WORDS]
    return float(chances[range(len(written)), written].mean())


def words_of(written: Tensor) -> list[list[int]]:
    return [[word for word in row if word >= 0] for row in written.tolist()]


# What it says


def test_the_loss_is_the_mean_over_the_words_and_the_end() -> None:
    head, fused = head_of(), fused_rows()
    given = [[1, 2], [4], [0, 3, 3], []]
    losses = head.loss(head(fused), texts(*given))
    for row, words in enumerate(given):
        assert losses[row].item() == pytest.approx(-mean_of(head, row_of(fused, row), words, 99), abs=1e-5)


def test_a_text_that_was_cut_is_not_taught_to_end_there() -> None:
    head, fused = head_of(max_length=3), fused_rows()
    losses = head.loss(head(fused), texts([1, 2, 2], [4, 1, 0], [1], [0]))
    assert losses[0].item() == pytest.approx(-mean_of(head, row_of(fused, 0), [1, 2, 2], 3), abs=1e-5)
    assert losses[2].item() == pytest.approx(-mean_of(head, row_of(fused, 2), [1], 3), abs=1e-5)


def test_a_word_does_not_see_those_behind_it_nor_masked_tokens_but_all_that_is_fused() -> None:
    head, fused = head_of(), fused_rows()
    before, after = (said(head, row_of(fused, 0), words) for words in ([1, 2, 3], [1, 2, 4]))
    torch.testing.assert_close(before[:3], after[:3], **CLOSE)
    assert not torch.allclose(before[3], after[3], atol=1e-3)
    noise = Fused(torch.where(fused.mask.unsqueeze(-1), fused.tokens, 1e3), fused.mask, fused.pooled)
    torch.testing.assert_close(said(head, row_of(noise, 1), [1]), said(head, row_of(fused, 1), [1]), **CLOSE)
    for changed in (
        Fused(fused.tokens.flip(2), fused.mask, fused.pooled),
        Fused(fused.tokens, fused.mask, fused.pooled.flip(1)),
    ):
        assert not torch.allclose(said(head, row_of(changed, 0), [1]), said(head, row_of(fused, 0), [1]), atol=1e-3)


def test_what_is_read_word_by_word_from_the_cache_is_what_is_read_at_once() -> None:
    head, fused = head_of(max_length=12), fused_rows()
    words_BL = torch.randint(WORDS, (ROWS, 7), generator=torch.Generator().manual_seed(1))
    writer = head.writer(head(fused))
    logits = [writer.first()]
    order = torch.tensor([2, 0, 3, 3])  # rows change places on the way, and one is doubled
    for place in range(7):
        logits.append(writer.next(words_BL[:, place]))
        if place == 3:
            writer.take(order)
            words_BL = words_BL[order]
    for row, source in enumerate(order.tolist()):
        expected = said(head, row_of(fused, source), words_BL[row].tolist())
        for place in (0, 4, 5, 7):
            found = logits[place][source if place <= 4 else row].log_softmax(0)
            torch.testing.assert_close(found, expected[place], **CLOSE)


def test_attention_reads_what_each_query_may() -> None:
    torch.manual_seed(0)
    attention = Attention(DIM, 4, null=True)
    queries, memory, mask = torch.randn(2, 3, DIM), torch.randn(2, 5, DIM), torch.rand(2, 3, 5) < 0.5
    each = [attention(queries[:, place : place + 1], memory, mask[:, place]) for place in range(3)]
    torch.testing.assert_close(attention(queries, memory, mask), torch.cat(each, dim=1), **CLOSE)
    known = attention.keys_values(memory)
    assert torch.equal(attention.read(queries, known, mask[:, 0]), attention(queries, memory, mask[:, 0]))


# How it writes


def test_an_answer_is_the_most_probable_word_after_the_other_until_the_end() -> None:
    head, fused = head_of(max_length=6), fused_rows()
    written = head.predict(head(fused))
    assert written.shape == (ROWS, 6)
    for row, found in enumerate(words_of(written)):
        words: list[int] = []
        while len(words) < 6 and (word := int(said(head, row_of(fused, row), words)[-1].argmax())) != WORDS:
            words.append(word)
        assert found == words
        assert written[row, len(words) :].eq(-1).all(), "nothing stands behind the end"


def test_it_stops_when_all_have_ended() -> None:
    head, fused = head_of(max_length=50), fused_rows()
    with torch.no_grad():
        head.bias[WORDS] = 1e3
    for put_down, most in ((lambda writer: write(writer, 50), 1), (lambda writer: search(writer, 50, 3), 3)):
        writer: Any = head.writer(head(fused))
        assert put_down(writer).eq(-1).all()
        assert writer.reading.length <= most


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_enough_beams_find_the_best_of_all_texts(longest: int) -> None:
    head, fused = head_of(max_length=longest, words=WORDS), fused_rows()
    every = [list(words) for length in range(longest + 1) for words in product(range(WORDS), repeat=length)]
    found = head.generate(head(fused), RowNoise([0] * ROWS), Sampling(beams=len(every)))
    for row in range(ROWS):
        best = max(every, key=lambda words: mean_of(head, row_of(fused, row), words, longest))
        assert words_of(found)[row] == best
    assert len({tuple(words) for words in words_of(found)}) > 1, "rows differ, or this shows little"


def test_a_few_beams_find_texts_at_least_as_good_as_greed_nearly_always() -> None:
    head = head_of(max_length=8)
    better = []
    for seed in range(12):
        torch.manual_seed(seed)
        fused = Fused(torch.randn(ROWS, 3, DIM), torch.ones(ROWS, 3, dtype=torch.bool), torch.randn(ROWS, DIM))
        one, several = (words_of(head.generate(head(fused), RowNoise([0] * ROWS), Sampling(beams=beams))) for beams in (1, 4))
        means = [[mean_of(head, row_of(fused, row), words[row], 8) for words in (one, several)] for row in range(ROWS)]
        better += [several - greedy for greedy, several in means]
    assert min(better) > -0.2
    assert float(np.mean(better)) > 0


def test_a_row_is_answered_alike_in_any_company() -> None:
    head, fused = head_of(max_length=8), fused_rows()
    for sampling in (Sampling(), Sampling(beams=3), Sampling(temperature=1.0), Sampling(temperature=0.7, top_k=3, top_p=0.9)):
        together = head.generate(head(fused), RowNoise([5, 6, 7, 8]), sampling)
        for row in range(ROWS):
            alone = head.generate(head(row_of(fused, row)), RowNoise([5 + row]), sampling)
            assert torch.equal(alone[0], together[row])


def writers() -> list[tuple[str, TextHead]]:
    torch.manual_seed(1)
    config = CausalLMHeadConfig(model=str(folder_of("llama")), max_new_tokens=6)
    vocabulary = bytelevel(marks=False).get_vocab_size()
    return [
        ("decoder", head_of(max_length=6)),
        ("causal_lm", CausalLMHead(config, ValueSpec(modality="text", shape=(None,), size=vocabulary, max_length=6), DIM).eval()),
    ]


@pytest.mark.parametrize("which", [0, 1], ids=["decoder", "causal_lm"])
def test_words_are_drawn_by_their_probability_and_the_same_seed_gives_the_same_text(which: int) -> None:
    _, head = writers()[which]
    fused = fused_rows()
    output = head(fused)
    many = output.__class__(output.values[:1].expand(2000, -1, -1), output.mask[:1].expand(2000, -1))
    logits = head.writer(output).first()[0].detach()

    def drawn(first_seed: int, **options: Any) -> Tensor:
        return head.generate(many, RowNoise(range(first_seed, first_seed + 2000)), Sampling(**options))

    head.longest = 1
    for temperature in (0.7, 1.0):
        expected = (logits / temperature).softmax(0)
        shares = torch.bincount(drawn(0, temperature=temperature)[:, 0] % len(expected), minlength=len(expected)) / 2000
        assert (shares - expected)[: len(expected) - 1].abs().max() < 0.04
    ranks = logits.sort(descending=True, stable=True).indices
    assert set(drawn(0, temperature=1.0, top_k=2)[:, 0].tolist()) <= {*ranks[:2].tolist(), -1}
    assert drawn(0, temperature=1.0, top_p=1e-6)[:, 0].unique().tolist() in ([int(ranks[0])], [-1])
    assert torch.equal(drawn(9, temperature=1.0), drawn(9, temperature=1.0))
    assert not torch.equal(drawn(9, temperature=1.0), drawn(10, temperature=1.0))


def test_a_language_model_answers_alike_in_any_company_whatever_is_asked_for() -> None:
    _, head = writers()[1]
    fused = fused_rows()
    for sampling in (Sampling(), Sampling(beams=3), Sampling(temperature=1.3), Sampling(temperature=1.0, top_k=9, top_p=0.8)):
        together = head.generate(head(fused), RowNoise([5, 6, 7, 8]), sampling)
        assert together.shape == (ROWS, 6)
        for row in range(ROWS):
            assert torch.equal(head.generate(head(row_of(fused, row)), RowNoise([5 + row]), sampling)[0], together[row])


# What it learns


@pytest.mark.parametrize("marked", [False, True])
def test_texts_in_any_script_come_back_with_and_without_marks_of_the_tokenizer(marked: bool, tmp_path: Any) -> None:
    told = ["naïve 🙂", "这是什么颜色？", "один красный круг", "a"]
    options: dict[str, Any] = {"vocabulary": 300, "max_length": 60}
    if marked:
        bytelevel(marks=True).save(str(tmp_path / "tokenizer.json"))
        options = {"tokenizer": str(tmp_path / "tokenizer.json"), "max_length": 60}
    processor = MODALITIES.build(column_config(Column("x", "text", **options)))
    processor.fit(told)
    values = processor.encode(told)
    torch.manual_seed(0)
    head = DecoderHead(DecoderHeadConfig(depth=1), processor.spec, 32).train()
    fused = Fused(torch.zeros(4, 1, 32), torch.zeros(4, 1, dtype=torch.bool), torch.randn(4, 32))
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        head.loss(head(fused), values).mean().backward()
        optimizer.step()
    assert processor.decode(head.eval().predict(head(fused))) == told


SHORT = {"train.epochs": 30, "train.batch_size": 32, "train.optimizer.lr": 3e-3, "train.validate_steps": 10_000, "model.dim": 32}


def test_a_short_text_is_copied_through_one_vector() -> None:
    draw = random.Random(0)
    names, colours, shapes = ["ann", "bob", "cem", "dai"], ["red", "green", "blue", "grey"], ["ball", "car", "kite", "hat"]
    every = [f"{name} has a {colour} {shape}" for name in names for colour in colours for shape in shapes]
    draw.shuffle(every)
    text = {"modality": "text", "vocabulary": 300, "max_length": 16}
    rows = [{"heard": told, "told": told} for told in every[:56] * 6]
    settings = {**SHORT, "model.fusion": "concat", "train.epochs": 24}
    pipeline = of.fit(rows, columns={"heard": text, "told": {**text, "role": "target"}}, settings=settings)
    answers = [answer["told"] for answer in pipeline.predict([{"heard": told} for told in every[:56]])]
    assert np.mean([answer == told for answer, told in zip(answers, every, strict=False)]) > 0.9
    assert isinstance(pipeline.predict([{}])[0]["told"], str), "a row in which nothing stands is answered too"


def test_a_picture_is_told_in_words() -> None:
    random_, pixels = np.random.default_rng(0), {"red": (220, 20, 20), "green": (20, 200, 40), "blue": (30, 40, 220)}
    rows = []
    for _ in range(240):
        colour, side = str(random_.choice(list(pixels))), str(random_.choice(["left", "right"]))
        picture = random_.integers(200, 256, (16, 16, 3), dtype=np.uint8)
        picture[4:12, 1:7] = pixels[colour]
        rows.append({"photo": picture if side == "left" else picture[:, ::-1], "told": f"a {colour} box on the {side}"})
    columns = {"photo": {"modality": "image", "size": 16}, "told": {"modality": "text", "vocabulary": 300, "role": "target"}}
    pipeline = of.fit(rows[:200], columns=columns, settings={**SHORT, "train.epochs": 16})
    answers = pipeline.predict([{"photo": row["photo"]} for row in rows[200:]])
    assert np.mean([answer["told"] == row["told"] for answer, row in zip(answers, rows[200:], strict=True)]) > 0.9


def test_attention_heads_that_do_not_divide_the_width_are_refused() -> None:
    schema = Schema([Column("x", "number"), Column("told", "text", "target")])
    with pytest.raises(OmnifuseError, match=r"^model\.heads\.told\.heads: 3 attention heads do not divide model\.dim = 64$"):
        ModelConfig.parse({"heads": {"told": {"name": "decoder", "heads": 3}}}, "model").check(schema)
    with pytest.raises(OmnifuseError, match=r"^model\.heads\.told\.heads: 4 attention heads do not divide model\.dim = 10$"):
        ModelConfig.parse({"dim": 10, "fusion": "concat"}, "model").check(schema)
