"""Every fusion has a page, which counts weights and costs rightly and names every option."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from omnifuse.core.registry import PartConfig
from omnifuse.core.values import Tokens
from omnifuse.model import FUSIONS
from omnifuse.study.plan.flop import flop_counter

PAGES = Path(__file__).parents[3] / "docs" / "fusions"
LENGTHS = r"At M = 3, D = 64(?:, T = (\d+), (\d+), (\d+) [^\n]*)?:\n"
# The language model that the page of `llm` speaks of.
LLAMA = {"model_type": "llama", "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 4}
LLAMA |= {"num_key_value_heads": 4, "vocab_size": 8192, "max_position_embeddings": 1024, "bos_token_id": 0, "eos_token_id": 1}


def text_of(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def config_of(options: str) -> PartConfig:
    said: Any = yaml.safe_load(options)
    said = {"name": said} if isinstance(said, str) else said
    if said["name"] == "llm":
        said["architecture"] = {"library": "transformers", "config": LLAMA, "input": {}}
    return FUSIONS.parse(said)


def number(cell: str) -> int:
    return int(cell.replace(",", ""))


@pytest.mark.parametrize("name", FUSIONS)
def test_weights_and_costs_are_those_of_the_fusion(name: str) -> None:
    text = text_of(name)
    said = re.search(LENGTHS, text, re.IGNORECASE)
    assert said, "the page says what its table is about"
    lengths = [int(length or 1) for length in said.groups()]
    rows = re.findall(r"^\| `([^`]+)` \| ([\d,]+) \| ([\d,]+) \|$", text, re.MULTILINE)
    assert rows[0][0] == name, "the first row has the default options"
    for options, weights, flop in rows:
        config = config_of(options)
        assert config.name == name
        fusion = FUSIONS.build(config, dict.fromkeys("abc", False), 64)
        given = {
            column: Tokens(torch.ones(1, length, 64), torch.ones(1, length, dtype=torch.bool))
            for column, length in zip("abc", lengths, strict=True)
        }
        with flop_counter() as counter:
            fusion(given)
        assert sum(weight.numel() for weight in fusion.parameters()) == number(weights), options
        assert counter.get_total_flops() == number(flop), options


def test_the_page_of_llm_counts_what_is_trained_and_what_the_network_is() -> None:
    text = text_of("llm")
    frozen, lora = (FUSIONS.build(config_of(options), dict.fromkeys("abc", False), 64) for options in ("llm", "{name: llm, tune: lora}"))
    trained = [sum(weight.numel() for weight in part.parameters() if weight.requires_grad) for part in (frozen, lora)]
    assert f"With `frozen` {trained[0]:,} of these weights are trained, with `lora` {trained[1]:,}." in text
    assert f"({sum(weight.numel() for weight in frozen.language.parameters()):,} weights)" in text


@pytest.mark.parametrize("name", FUSIONS)
def test_a_page_has_its_parts_and_names_every_option(name: str) -> None:
    text = text_of(name)
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["When", "Cost", "Absent", "Options", "Source"]
    assert "```mermaid\n" in text
    assert "```yaml\n" in text
    options = text[text.index("## Options") : text.index("## Source")]
    found = set(re.findall(r"^- `(\w+)`", options, re.MULTILINE))
    assert found == set(FUSIONS[name].config.model_fields) - {"name"}


def test_there_are_no_pages_of_other_fusions() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == set(FUSIONS)
