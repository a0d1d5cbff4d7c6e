"""How each kind of target is judged. A head says in `tells` which kind it is."""

from __future__ import annotations

from omnifuse.evaluation.kinds.embedding import Embedding
from omnifuse.evaluation.kinds.kind import Kind
from omnifuse.evaluation.kinds.label import Label, OrderedLabel
from omnifuse.evaluation.kinds.labels import Labels
from omnifuse.evaluation.kinds.number import Number
from omnifuse.evaluation.kinds.quantiles import Quantiles
from omnifuse.evaluation.kinds.ranking import Ranking
from omnifuse.evaluation.kinds.sample import Sample
from omnifuse.evaluation.kinds.text import Text
from omnifuse.model.heads.config import HeadConfig, NumberHeadConfig, OrdinalHeadConfig

KINDS: dict[str, type[Kind]] = {
    "label": Label,
    "labels": Labels,
    "number": Number,
    "quantiles": Quantiles,
    "ranking": Ranking,
    "embedding": Embedding,
    "text": Text,
    "sample": Sample,
}


def kind_of(head: HeadConfig) -> Kind:
    """How the target that this head answers is judged."""
    if isinstance(head, OrdinalHeadConfig):
        return OrderedLabel()
    if head.tells == "quantiles":
        assert isinstance(head, NumberHeadConfig), "quantiles have levels"
        return Quantiles(head.quantiles)
    return KINDS[head.tells]()


def every_metric() -> list[str]:
    """The names of all metrics, each once."""
    return list(dict.fromkeys(name for kind in (*KINDS.values(), OrderedLabel) for name in kind.names))
