"""The README that lies beside a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from omnifuse.core.schema import Schema
from omnifuse.model.config import ModelConfig


def model_card(schema: Schema, config: ModelConfig, model: nn.Module, extra: Mapping[str, Any]) -> str:
    """A page in Markdown: what goes in, what comes out, how it is built, how to use it."""
    rows = [f"| {name} | {schema[name].modality} | {schema[name].role} |" for name in schema.used]
    weights = sum(parameter.numel() for parameter in model.parameters())
    example = ", ".join(f'"{name}": …' for name in schema.inputs)
    only_ranks = all(config.head_of(name, schema[name].modality).tells == "embedding" for name in schema.targets)
    lines = [
        f"# {extra.get('name', 'A model')} (omnifuse)",
        "",
        f"Reads {', '.join(schema.inputs)}; answers {', '.join(schema.targets)}. "
        f"{weights:,} weights, width {config.dim}, fusion `{config.fusion.name}`.",
        "",
        "| column | modality | role |",
        "|---|---|---|",
        *rows,
        "",
        "```python",
        "import omnifuse as of",
        "",
        'pipeline = of.Pipeline.load("this folder")',
        f"pipeline.retrieve([{{{example}}}], candidates)" if only_ranks else f"pipeline.predict([{{{example}}}])",
        "```",
        "",
        "Figures are in `metrics.json`, the report is `report.html`.",
        "",
    ]
    return "\n".join(lines)
