"""omnifuse: one model for every kind of data you have.

    import omnifuse as of

    pipeline = of.fit("reviews.csv", target="recommended", out="runs/reviews")
    print(of.evaluate(pipeline, "new_reviews.csv").metrics)
    pipeline.predict([{"title": "Lovely", "text": "Fits like a glove."}])

Names are resolved when first used, so `import omnifuse` loads no PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from omnifuse.core.privacy import silence_telemetry

__version__ = "0.1.0"

if TYPE_CHECKING:
    from omnifuse.core.errors import OmnifuseError as OmnifuseError
    from omnifuse.core.schema import Column as Column
    from omnifuse.core.schema import Schema as Schema
    from omnifuse.data.dataset import Dataset as Dataset
    from omnifuse.evaluation.attribution.explain import explain as explain
    from omnifuse.evaluation.drift.drift import drift as drift
    from omnifuse.evaluation.evaluation import evaluate as evaluate
    from omnifuse.pipeline.pipeline import Pipeline as Pipeline
    from omnifuse.study.compare.comparison import compare as compare
    from omnifuse.study.quality.quality import quality as quality
    from omnifuse.train.fit import fit as fit
    from omnifuse.train.recipe import Recipe as Recipe

_HOMES = {
    "OmnifuseError": "omnifuse.core.errors",
    "Column": "omnifuse.core.schema",
    "Schema": "omnifuse.core.schema",
    "Dataset": "omnifuse.data.dataset",
    "Pipeline": "omnifuse.pipeline.pipeline",
    "Recipe": "omnifuse.train.recipe",
    "compare": "omnifuse.study.compare.comparison",
    "drift": "omnifuse.evaluation.drift.drift",
    "evaluate": "omnifuse.evaluation.evaluation",
    "explain": "omnifuse.evaluation.attribution.explain",
    "fit": "omnifuse.train.fit",
    "quality": "omnifuse.study.quality.quality",
}
__all__ = [
    "Column",
    "Dataset",
    "OmnifuseError",
    "Pipeline",
    "Recipe",
    "Schema",
    "__version__",
    "compare",
    "drift",
    "evaluate",
    "explain",
    "fit",
    "quality",
]

silence_telemetry()


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'omnifuse' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
