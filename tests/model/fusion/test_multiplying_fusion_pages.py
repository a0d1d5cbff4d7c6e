"""The pages about fusions that multiply columns count weights and costs rightly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from omnifuse.core.values import Tokens
from omnifuse.model import FUSIONS

PAGES = Path(__file__).parents[3] / "docs" / "fusions"
NAMES = ["tensor", "low_rank", "bilinear", "film", "gated", "cross", "factorization"]


@pytest.mark.parametrize("name", NAMES)
def test_weights_and_costs_are_those_of_the_fusion(name: str) -> None:
    rows = re.findall(r"^\| `([^`]+)` \| ([\d,]+) \| ([\d,]+) \|$", (PAGES / f"{name}.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert rows[0][0] == name, "the first row has the default options"
    for options, weights, flop in rows:
        config = FUSIONS.parse(yaml.safe_load(options))
        assert config.name == name
        fusion = FUSIONS.build(config, dict.fromkeys("abc", False), 64)
        column = Tokens(torch.ones(1, 1, 64), torch.ones(1, 1, dtype=torch.bool))
        with FlopCounterMode(display=False) as counter:
            fusion(dict.fromkeys("abc", column))
        assert sum(weight.numel() for weight in fusion.parameters()) == int(weights.replace(",", "")), options
        assert counter.get_total_flops() == int(flop.replace(",", "")), options


@pytest.mark.parametrize("name", NAMES)
def test_a_page_names_every_option(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    options = text[text.index("## Options") : text.index("## Source")]
    found = set(re.findall(r"^- `(\w+)`", options, re.MULTILINE))
    assert found == set(FUSIONS[name].config.model_fields) - {"name"}
