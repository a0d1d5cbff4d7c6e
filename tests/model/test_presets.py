"""Presets fill in what a recipe does not say, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.model import MultimodalModel
from omnifuse.model.config import ModelConfig
from omnifuse.model.layers.attention import Attention
from omnifuse.model.presets import PRESETS
from omnifuse.train.recipe import Recipe
from tests.model.pretrained.tiny_models import folder_of

LABEL = {"modality": "category", "role": "target"}
WORDS = {"modality": "text", "role": "target"}
SPECS = {
    "photo": ValueSpec(modality="image", shape=(3, 16, 16)),
    "note": ValueSpec(modality="text", shape=(None,), size=50, max_length=12),
    "price": ValueSpec(modality="number", optional=True),
    "sold": ValueSpec(modality="category", size=3),
}


def recipe(columns: dict[str, Any], **model: Any) -> Recipe:
    return Recipe.make({"columns": columns, "data": {"source": "rows.csv"}, "model": model})


def test_vilbert_has_a_stream_for_each_input_and_layers_for_texts_before() -> None:
    made = recipe({"photo": "image", "note": "text", "price": "number", "sold": LABEL}, preset="vilbert").model
    assert made.fusion.model_dump() == {"name": "co_attention", "depth": 2, "heads": 4, "dropout": 0.0}
    assert made.encoders["note"].model_dump()["depth"] == 2
    assert {name: part.name for name, part in made.encoders.items()} == {"photo": "cnn", "note": "transformer"}


def test_vl_bert_has_one_stream_of_words_that_were_only_embedded() -> None:
    made = recipe({"photo": "image", "note": "text", "sold": LABEL}, preset="vl_bert", dim=16).model
    model = MultimodalModel(made, {name: SPECS[name] for name in ("photo", "note")}, {"sold": SPECS["sold"]})
    assert not attentions(model.encoders), "all attention is in the one stream"
    assert len(attentions(model.fusion)) == 4


def test_clip_has_an_encoder_on_each_side() -> None:
    made = recipe({"photo": "image", "note": WORDS}, preset="clip", dim=16).model
    assert {name: part.name for name, part in made.encoders.items()} == {"photo": "cnn", "note": "transformer"}
    assert (made.fusion.name, made.heads["note"].name) == ("stack", "contrastive")
    model = MultimodalModel(made, {"photo": SPECS["photo"]}, {"note": SPECS["note"]})
    assert not list(model.fusion.parameters())
    assert attentions(model.heads), "the encoder of the target belongs to its head"


def test_llava_writes_a_text_and_answers_other_targets_from_the_states_of_the_same_language_model() -> None:
    language = str(folder_of("llama"))
    preset = {"name": "llava", "model": language}
    writes = recipe({"photo": "image", "note": "text", "answer": WORDS}, preset=preset).model
    assert (writes.fusion.name, writes.heads["answer"].name) == ("stack", "causal_lm")
    assert writes.heads["answer"].model_dump()["tune"] == "lora"
    tells = recipe({"photo": "image", "note": "text", "sold": LABEL}, preset=preset).model
    assert (tells.fusion.name, tells.heads) == ("llm", {})
    assert tells.fusion.model_dump()["model"] == language
    both = recipe({"photo": "image", "answer": WORDS, "sold": LABEL}, preset=preset).model
    assert (both.fusion.name, both.heads["answer"].name) == ("llm", "causal_lm")
    columns = {"photo": SPECS["photo"], "note": SPECS["note"]}
    model = MultimodalModel(tells, columns, {"sold": SPECS["sold"]})
    learned = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert any("lora" in name for name in learned)
    assert any("projector" in name for name in learned)


def test_what_is_written_wins_option_by_option_and_the_recipe_holds_the_result() -> None:
    columns = {"photo": "image", "note": "text", "sold": LABEL}
    own = {"dim": 32, "fusion": {"depth": 3}, "encoders": {"note": "ngram", "photo": {"name": "cnn", "grid": 4}}}
    made = recipe(columns, preset="vilbert", **own)
    assert made.model.dim == 32
    assert made.model.fusion.model_dump() == {"name": "co_attention", "depth": 3, "heads": 4, "dropout": 0.0}
    assert made.model.encoders["note"].name == "ngram"
    assert made.model.encoders["photo"].model_dump()["grid"] == 4
    assert recipe(columns, preset="vilbert", fusion="concat").model.fusion.name == "concat"
    saved = made.dump()
    assert saved["model"]["preset"] is None
    assert saved["model"]["fusion"]["name"] == "co_attention"
    assert Recipe.make(saved).dump() == saved


def test_settings_of_the_command_line_change_a_preset_as_they_do_parts(tmp_path: Any) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text("columns: {photo: image, note: text, sold: {modality: category, role: target}}\ndata: {source: rows.csv}\n")
    made = Recipe.load(file, ["model.preset=vl_bert", "model.fusion.depth=6"]).model
    assert made.fusion.model_dump()["depth"] == 6
    assert made.fusion.model_dump()["latents"] == 1


@pytest.mark.parametrize(
    ("columns", "preset", "message"),
    [
        (
            {"note": "text", "sold": LABEL},
            "vilbert",
            "model.preset: vilbert has a stream for each input and needs two, but there is only note",
        ),
        (
            {"photo": "image", "price": "number", "note": WORDS},
            "clip",
            r"clip compares .* but there are 2 inputs \(photo, price\); keep one",
        ),
        ({"photo": "image", "note": WORDS, "sold": LABEL}, "clip", r"but there are 2 targets \(note, sold\)"),
        ({"photo": "image", "sold": LABEL}, "llava", "model.preset.model: this option is required"),
        (
            {"photo": "image", "sold": LABEL},
            {"name": "llava", "model": "x", "modle": "y"},
            'model.preset: unknown option "modle"; did you mean "model"',
        ),
        ({"photo": "image", "sold": LABEL}, "vilbrt", r'model\.preset: unknown preset "vilbrt"; did you mean "vilbert"\?'),
        ({"photo": "image", "sold": LABEL}, 3, r"model\.preset: expected the name of a preset"),
    ],
)
def test_columns_that_a_preset_cannot_have_are_refused_with_one_line(columns: dict[str, Any], preset: Any, message: str) -> None:
    with pytest.raises(OmnifuseError, match=message) as error:
        recipe(columns, preset=preset)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("model", [{"fusion": 3}, {"encoders": ["cnn"]}, {"heads": {"sold": 3}}, {"dimm": 4}])
def test_what_is_wrong_beside_a_preset_is_named_as_without_one(model: dict[str, Any]) -> None:
    columns = {"photo": "image", "note": "text", "sold": LABEL}
    with pytest.raises(OmnifuseError) as with_preset:
        recipe(columns, preset="vilbert", **model)
    with pytest.raises(OmnifuseError) as without:
        recipe(columns, **model)
    assert str(with_preset.value) == str(without.value)


def test_a_preset_waits_for_a_target_and_is_refused_where_there_are_no_columns() -> None:
    assert recipe({"photo": "image", "note": "text"}, preset="clip").model == ModelConfig()
    with pytest.raises(OmnifuseError, match=r"model\.preset: it depends on the columns"):
        ModelConfig.parse({"preset": "clip"}, "model")


def test_every_preset_gives_a_model_that_learns() -> None:
    columns = {"photo": "image", "note": "text", "sold": LABEL}
    for name in PRESETS:
        options = {"name": name, **({"model": str(folder_of("llama"))} if name == "llava" else {})}
        chosen = {**columns, "sold": {"modality": "category", "role": "ignore"}, "note": WORDS} if name == "clip" else columns
        config = recipe(chosen, preset=options, dim=16).model
        torch.manual_seed(0)
        inputs = {n: SPECS[n] for n, c in chosen.items() if isinstance(c, str)}
        targets = {n: SPECS[n] for n, c in chosen.items() if not isinstance(c, str) and c["role"] == "target"}
        model = MultimodalModel(config, inputs, targets)
        batch = batch_of({**inputs, **targets})
        before, after = steps(model, batch, 30)
        assert after < 0.7 * before, name


def attentions(part: nn.Module) -> list[nn.Module]:
    return [module for module in part.modules() if isinstance(module, Attention)]


def batch_of(specs: dict[str, ValueSpec]) -> dict[str, Any]:
    from omnifuse.core.values import Values

    torch.manual_seed(1)
    present = torch.ones(6, dtype=torch.bool)
    values = {
        "photo": Values(torch.randn(6, 3, 16, 16), present),
        "note": Values(torch.randint(3, 50, (6, 7)), present, torch.ones(6, 7, dtype=torch.bool)),
        "sold": Values(torch.randint(0, 3, (6,)), present),
    }
    return {name: values[name] for name in specs}


def steps(model: MultimodalModel, batch: dict[str, Any], count: int) -> tuple[float, float]:
    """The mean loss before and after some steps of training."""
    optimizer = torch.optim.Adam((weight for weight in model.parameters() if weight.requires_grad), lr=3e-3)
    losses = []
    for _ in range(count):
        loss = torch.stack([each.per_row.mean() for each in model(batch).values()]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]
