"""Causal language models that read vectors: as fusion, as head, as both, and what is asked of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Column
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Fused, Tokens, Values
from omnifuse.data.modalities import MODALITIES
from omnifuse.data.modalities.config import column_config
from omnifuse.model.config import ModelConfig
from omnifuse.model.fusion.config import LLMConfig
from omnifuse.model.fusion.llm import LLM
from omnifuse.model.heads.causal_lm import CausalLMHead
from omnifuse.model.heads.config import CausalLMHeadConfig
from omnifuse.model.multimodal import MultimodalModel
from tests.model.pretrained.tiny_models import bytelevel, folder_of, save_causal_lm, save_tokenizer

DIM, ROWS = 16, 4
TEXTS = ["no, it is green", "yes", "a small red circle", None]


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with learned positions, which would show it if they were counted wrongly."""
    from transformers import GPT2Config, GPT2LMHeadModel

    folder, tokenizer = tmp_path_factory.mktemp("gpt2"), bytelevel(marks=False)
    ids: Any = {"bos_token_id": 0, "eos_token_id": 2}
    torch.manual_seed(0)
    GPT2LMHeadModel(
        GPT2Config(vocab_size=tokenizer.get_vocab_size(), n_positions=64, n_embd=32, n_layer=2, n_head=2, initializer_range=0.2, **ids)
    ).save_pretrained(folder)
    save_tokenizer(tokenizer, folder, 64)
    return folder


def texts_for(config: CausalLMHeadConfig, max_length: int = 24) -> Any:
    processor = MODALITIES.build(column_config(Column("x", "text", max_length=max_length), config.input_spec()))
    processor.fit(text for text in TEXTS if text)
    return processor


def head_of(folder: Path, max_length: int = 24, **options: Any) -> tuple[CausalLMHead, Values]:
    config = CausalLMHeadConfig(model=str(folder), **options)
    processor = texts_for(config, max_length)
    torch.manual_seed(1)
    return CausalLMHead(config, processor.spec, DIM).eval(), processor.encode(TEXTS)


def fused_rows() -> Fused:
    """Four rows of up to five tokens, with holes; nothing in the last."""
    mask = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 0, 1], [1, 0, 0, 1, 0], [0, 0, 0, 0, 0]], dtype=torch.bool)
    tokens = torch.randn(ROWS, 5, DIM, generator=torch.Generator().manual_seed(0)) * mask.unsqueeze(-1)
    return Fused(tokens, mask, torch.zeros(ROWS, DIM))


def alone(fused: Fused, row: int) -> Fused:
    """One row with its tokens side by side and nothing masked."""
    kept = fused.tokens[row][fused.mask[row]].unsqueeze(0)
    return Fused(kept, torch.ones(kept.shape[:2], dtype=torch.bool), fused.pooled[row : row + 1])


def read_by_hand(head: CausalLMHead, fused: Fused, words: list[int]) -> Tensor:
    """Log-probabilities (S, V) of what follows each position of [begin, tokens, cue, words], without masks."""
    network = head.language.network
    given = head.projector(Tokens(fused.tokens, fused.mask)).values[0]
    begin, spoken = (network.get_input_embeddings()(torch.tensor(ids, dtype=torch.long)) for ids in ([0], words))
    return network(inputs_embeds=torch.cat([begin, given, head.cue.unsqueeze(0), spoken]).unsqueeze(0)).logits[0].log_softmax(-1)


@pytest.fixture(params=["llama", "gpt2"])
def folder(request: pytest.FixtureRequest, gpt2: Path) -> Path:
    return gpt2 if request.param == "gpt2" else folder_of("llama")


def test_the_loss_is_the_mean_over_the_words_and_the_end_whatever_is_masked(folder: Path) -> None:
    head, target = head_of(folder)
    fused = fused_rows()
    losses = head.loss(head(fused), target)
    assert target.mask is not None
    for row in range(3):
        words = target.data[row][target.mask[row]].tolist()
        spoken = read_by_hand(head, alone(fused, row), words)[-len(words) - 1 :]
        expected = -torch.stack([spoken[place, word] for place, word in enumerate([*words, 2])]).mean()
        torch.testing.assert_close(losses[row], expected, atol=1e-5, rtol=1e-5)
    assert torch.isfinite(losses).all()


def test_an_answer_is_the_most_probable_word_after_the_other_and_ends_at_the_end(folder: Path) -> None:
    head, _ = head_of(folder, max_new_tokens=6)
    fused = fused_rows()
    written = head.predict(head(fused))
    assert written.shape == (ROWS, 6)
    for row in range(ROWS):
        words: list[int] = []
        while len(words) < 6:
            word = int(read_by_hand(head, alone(fused, row), words)[-1].argmax())
            if word == 2:
                break
            words.append(word)
        assert written[row].tolist() == words + [-1] * (6 - len(words))


def test_an_answer_stops_for_good_at_its_first_end() -> None:
    head, _ = head_of(folder_of("llama"), max_new_tokens=5)
    with torch.no_grad():
        head.language.network.lm_head.weight.zero_()  # every word is as probable, so the first one is said, which is no end
        assert head.predict(head(fused_rows())).tolist() == [[0] * 5] * ROWS
        head.language.ends = [0, 2]
        assert head.predict(head(fused_rows())).tolist() == [[-1] * 5] * ROWS


def test_several_beams_find_a_text_at_least_as_probable() -> None:
    def probability(head: CausalLMHead, row: int, written: Tensor) -> float:
        words = [word for word in written.tolist() if word >= 0]
        spoken = read_by_hand(head, alone(fused_rows(), row), words)[-len(words) - 1 :].detach()
        ending = [2] if len(words) < len(written) else []
        return sum(float(spoken[place, word]) for place, word in enumerate([*words, *ending])) / len([*words, *ending])

    greedy, _ = head_of(folder_of("llama"), max_new_tokens=4)
    searching, _ = head_of(folder_of("llama"), max_new_tokens=4, beams=4)
    one, several = (head.predict(head(fused_rows())) for head in (greedy, searching))
    assert several.shape == one.shape
    gains = [probability(searching, row, several[row]) - probability(greedy, row, one[row]) for row in range(ROWS)]
    assert min(gains) > -1e-4


def test_marks_that_a_tokenizer_writes_around_a_text_are_no_words(tmp_path: Path) -> None:
    plain, target = head_of(folder_of("llama"))
    torch.manual_seed(0)
    other, marked = head_of(save_causal_lm(tmp_path / "marked", bytelevel(marks=True)))
    assert marked.mask is not None and target.mask is not None
    assert marked.mask.sum() == target.mask.sum() + 2 * 3
    other.load_state_dict(plain.state_dict())
    torch.testing.assert_close(other.loss(other(fused_rows()), marked), plain.loss(plain(fused_rows()), target))


def test_a_text_that_was_cut_is_not_taught_to_end_there() -> None:
    _, whole = head_of(folder_of("llama"))
    short, cut = head_of(folder_of("llama"), max_length=4)
    assert whole.mask is not None and cut.mask is not None and cut.mask.shape[1] == 4
    words = whole.data[0][:4].tolist()
    spoken = read_by_hand(short, alone(fused_rows(), 0), words)[-5:]
    expected = -torch.stack([spoken[place, word] for place, word in enumerate(words)]).mean()
    torch.testing.assert_close(short.loss(short(fused_rows()), cut)[0], expected, atol=1e-5, rtol=1e-5)


def test_texts_come_back_from_the_ids_of_an_answer() -> None:
    processor = texts_for(CausalLMHeadConfig(model=str(folder_of("llama"))))
    values = processor.encode(TEXTS)
    written = torch.where(values.mask, values.data, -1)
    assert processor.decode(written) == ["no, it is green", "yes", "a small red circle", ""]


# The fusion


def fusion_of(folder: Path, **options: Any) -> LLM:
    torch.manual_seed(2)
    return LLM(LLMConfig(model=str(folder), **options), {"first": True, "second": True}, DIM).eval()


def two_columns() -> dict[str, Tokens]:
    fused = fused_rows()
    return {"first": Tokens(fused.tokens, fused.mask), "second": Tokens(fused.tokens.flip(1)[:, :3], fused.mask.flip(1)[:, :3])}


def test_the_states_are_those_of_the_tokens_alone_and_the_cue_has_read_them_all(folder: Path) -> None:
    fusion, columns = fusion_of(folder), two_columns()
    fused = fusion(columns)
    assert fused.tokens.shape == (ROWS, 5 + 3 + 1, DIM)
    network: Any = fusion.language.network
    for row in range(ROWS):
        marked = [tokens.values[row][tokens.mask[row]] + fusion.column[m] for m, tokens in enumerate(columns.values())]
        read = [fusion.projector(Tokens(part.unsqueeze(0), torch.ones(1, len(part), dtype=torch.bool))).values[0] for part in marked]
        given = torch.cat([network.get_input_embeddings()(torch.tensor([0])), *read, fusion.cue.unsqueeze(0)])
        states = network(inputs_embeds=given.unsqueeze(0)).last_hidden_state[0, 1:]
        expected = fusion.back(fusion.norm(states))
        torch.testing.assert_close(fused.tokens[row][fused.mask[row]], expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(fused.pooled[row], expected[-1], atol=1e-5, rtol=1e-5)


def test_a_resampler_makes_every_column_as_long() -> None:
    fused = fusion_of(folder_of("llama"), projector="resampler", latents=2)(two_columns())
    assert fused.mask.tolist() == [[True] * 5, [True] * 5, [True] * 5, [False] * 4 + [True]]


def test_a_fusion_alone_holds_nothing_that_only_speaks() -> None:
    fusion = fusion_of(folder_of("llama"), tune="full")
    assert not any("lm_head" in name for name in fusion.state_dict())


# Both


def model_of(fusion: dict[str, Any], head: dict[str, Any]) -> MultimodalModel:
    config = ModelConfig.parse(
        {"dim": DIM, "fusion": {"name": "llm", **fusion}, "heads": {"answer": {"name": "causal_lm", "max_new_tokens": 4, **head}}}
    )
    inputs = {name: ValueSpec(modality="number", optional=True) for name in ("one", "two")}
    torch.manual_seed(3)
    return MultimodalModel(config, inputs, {"answer": texts_for(CausalLMHeadConfig(model=head["model"])).spec})


def batch() -> dict[str, Values]:
    numbers = torch.randn(2, ROWS, generator=torch.Generator().manual_seed(4))
    present = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 0]], dtype=torch.bool)
    inputs = {name: Values(torch.where(here, data, 0), here) for name, data, here in zip(("one", "two"), numbers, present, strict=True)}
    return {**inputs, "answer": texts_for(CausalLMHeadConfig(model=str(folder_of("llama")))).encode(TEXTS)}


@pytest.mark.parametrize("tune", ["frozen", "lora", "full"])
def test_a_network_that_fusion_and_head_name_is_there_once(tune: str) -> None:
    same = {"model": str(folder_of("llama")), "tune": tune}
    model = model_of(same, same)
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    assert len(tables) == 1
    assert len({name for name in model.state_dict() if "embed_tokens" in name}) == 1
    assert model.fusion.language is model.head("answer").language
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    for _ in range(2):  # B of the additions is zero at first
        optimizer.zero_grad()
        loss = model.train()(batch())["answer"]
        loss.per_row[loss.present].mean().backward()
        for name, parameter in model.named_parameters():
            assert (parameter.grad is not None) == parameter.requires_grad, name
        optimizer.step()
    assert all(parameter.grad.any() for parameter in model.parameters() if parameter.grad is not None)
    other = model_of({**same, "weights": "random"}, {**same, "weights": "random"})
    other.load_state_dict(model.state_dict())
    answers, again = (m.eval().predict(batch())["answer"] for m in (model, other))
    assert torch.equal(answers, again)


def test_one_network_cannot_be_trained_in_two_ways() -> None:
    model = str(folder_of("llama"))
    with pytest.raises(OmnifuseError, match=r"^model\.heads\.answer\.tune: lora, but model\.fusion names the same language model"):
        model_of({"model": model}, {"model": model, "tune": "lora"})


def test_two_networks_are_two() -> None:
    model = model_of({"model": str(folder_of("llama_tied"))}, {"model": str(folder_of("llama"))})
    assert len([module for module in model.modules() if isinstance(module, nn.Embedding)]) == 2
    assert len(model.languages) == 0


def talking(head: dict[str, Any], dim: int = 32, encoder: dict[str, Any] | None = None) -> tuple[MultimodalModel, dict[str, Values]]:
    """A question that goes through the table of words of the language model that answers."""
    model = str(folder_of("llama"))
    words = {"name": "words", "model": model} if encoder is None else encoder
    parts = {"encoders": {"asked": words}, "heads": {"answer": {"name": "causal_lm", "model": model, "max_new_tokens": 4, **head}}}
    config = ModelConfig.parse({"dim": dim, "fusion": "stack", **parts})
    processor = texts_for(CausalLMHeadConfig(model=model))
    torch.manual_seed(3)
    made = MultimodalModel(config, {"asked": processor.spec}, {"answer": processor.spec})
    return made, {"asked": processor.encode(["is it red?", "no, it is green", None, "yes"]), "answer": processor.encode(TEXTS)}


def test_words_of_its_own_table_are_read_as_they_are() -> None:
    model, given = talking({})
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    assert len(tables) == 1, "encoder and head have the table together"
    opening = model.outputs(model.fuse(model.encode(given)))["answer"]  # [begin, place for nothing, words, cue]
    asked = given["asked"]
    assert asked.mask is not None
    read, expected = opening.values[:, 2:-1][asked.mask], tables[0](asked.data[asked.mask])
    torch.testing.assert_close(torch.cosine_similarity(read, expected), torch.ones(len(read)))
    assert read.norm(dim=1).std() < 1e-4, "each is as long as words are on the average"


def test_words_are_brought_to_another_width_where_they_have_to() -> None:
    model, given = talking({}, dim=8)
    assert model.encode(given)["asked"].values.shape[2] == 8
    loss = model(given)["answer"]
    loss.per_row[loss.present].mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)


@pytest.mark.parametrize("tune", ["frozen", "lora", "full"])
def test_a_shared_table_learns_as_the_head_says(tune: str) -> None:
    model, _ = talking({"tune": tune})
    (table,) = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    assert table.weight.requires_grad is (tune == "full")


def test_words_of_another_network_stay_as_they_were_trained() -> None:
    model, given = talking({"tune": "full"}, encoder={"name": "words", "model": str(folder_of("llama_tied"))})
    theirs, ours = model.encoders["asked"].language.embedding, model.head("answer").language.embedding
    assert theirs is not ours
    assert not theirs.weight.requires_grad
    assert ours.weight.requires_grad
    assert torch.isfinite(model(given)["answer"].per_row).all()


def test_a_fusion_that_reads_words_learns_in_full_without_what_only_speaks() -> None:
    model = str(folder_of("llama"))
    words, fusion = {"name": "words", "model": model}, {"name": "llm", "model": model, "tune": "full"}
    config = ModelConfig.parse({"dim": 32, "fusion": fusion, "encoders": {"asked": words}})
    processor = texts_for(CausalLMHeadConfig(model=model))
    torch.manual_seed(3)
    made = MultimodalModel(config, {"asked": processor.spec}, {"price": ValueSpec(modality="number")})
    assert not any("lm_head" in name for name in made.state_dict())
    price = Values(torch.randn(ROWS), torch.ones(ROWS, dtype=torch.bool))
    loss = made({"asked": processor.encode(["is it red?", "no, it is green", None, "yes"]), "price": price})["price"]
    loss.per_row.mean().backward()
    assert all(parameter.grad is not None for parameter in made.parameters() if parameter.requires_grad)


# What is refused


def refused(make: Any) -> str:
    with pytest.raises(OmnifuseError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_more_tokens_than_positions_are_told(gpt2: Path) -> None:
    head, target = head_of(gpt2, max_new_tokens=60)
    fused = fused_rows()
    assert "67 tokens are to be read, but the network knows 64 positions" in refused(lambda: head.predict(head(fused)))
    long = Fused(fused.tokens.repeat(1, 20, 1), fused.mask.repeat(1, 20), fused.pooled)
    assert "but the network knows 64 positions" in refused(lambda: head.loss(head(long), target))


def test_a_network_without_an_end_or_without_attention_is_refused(tmp_path: Path) -> None:
    from transformers import MambaConfig, MambaForCausalLM

    endless = save_causal_lm(tmp_path / "endless", bytelevel(marks=False), eos_token_id=None)
    assert "names no eos_token_id, so no text would ever end" in refused(lambda: head_of(endless))
    MambaForCausalLM(MambaConfig(vocab_size=320, hidden_size=16, num_hidden_layers=1, state_size=4)).save_pretrained(tmp_path / "mamba")
    save_tokenizer(bytelevel(marks=False), tmp_path / "mamba", 64)
    assert "cannot pass over what is absent; take a network with attention" in refused(lambda: head_of(tmp_path / "mamba"))


def test_a_column_with_the_tokenizer_of_another_network_is_refused() -> None:
    config = CausalLMHeadConfig(model=str(folder_of("llama")))
    spec = texts_for(config).spec.model_copy(update={"size": 5000})
    assert "the column has 5000 different tokens" in refused(lambda: CausalLMHead(config, spec, DIM))
