"""Options of parts that were trained elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.registry import PartConfig

Kind = Literal["text", "vision", "audio", "causal_lm", "timm"]


class PretrainedConfig(PartConfig):
    """A part that was trained elsewhere; `kind` says which sort of network it holds.

    Attributes:
        model: its folder, or its name on the Hugging Face hub (which is asked only then).
        weights: `pretrained`, or `random` for the architecture alone.
        architecture: filled in when the part is first built, so that a saved run needs neither folder nor hub.
    """

    kind: ClassVar[Kind] = "causal_lm"
    model: str = ""
    weights: Literal["pretrained", "random"] = "pretrained"
    architecture: dict[str, Any] | None = None

    def resolved(self) -> Self:
        """The same options with `architecture` filled in: what is needed to build the part without folder or hub.

        A part that is built from them has random weights, whatever `weights` says: they are to be loaded from the run.
        So build with the options as they were written, and keep the resolved ones.

        Raises:
            OmnifuseError: no such folder, nothing of that name on the hub, or a network that this part cannot hold.
        """
        if self.architecture is not None:
            return self
        from omnifuse.model.pretrained.architecture import describe

        return self.model_copy(update={"architecture": describe(self)})


class TunedConfig(PretrainedConfig):
    """A part whose network may be trained on.

    Attributes:
        model, weights, architecture: which network.
        tune: `frozen` weights, low-rank additions to them (`lora`), or all of them trained (`full`).
        lora_rank: rank r of the additions.
        lora_alpha: they are scaled by alpha / r.
    """

    tune: Literal["frozen", "lora", "full"] = "frozen"
    lora_rank: Annotated[int, Field(ge=1)] = 8
    lora_alpha: Annotated[float, Field(gt=0)] = 16.0


def naming_alike(parts: Mapping[str, PartConfig]) -> list[list[str]]:
    """The places of parts that name the same causal language model, for each that a fusion or head and another part name.

    It is there once. The first of the places says how it is trained.

    Args:
        parts: by their place in the recipe, such as `model.fusion`.

    Raises:
        OmnifuseError: they want it trained differently.
    """
    alike: dict[str, list[str]] = {}
    for place, part in sorted(parts.items(), key=lambda item: not isinstance(item[1], TunedConfig)):
        if isinstance(part, PretrainedConfig) and part.kind == "causal_lm" and (part.model or part.architecture):
            alike.setdefault(part.model or str(part.architecture), []).append(place)
    shared = [places for places in alike.values() if len(places) > 1 and isinstance(parts[places[0]], TunedConfig)]
    for first, *others in shared:
        for place in others:
            for option in ("weights", "tune", "lora_rank", "lora_alpha"):
                one, other = getattr(parts[first], option), getattr(parts[place], option, None)
                if other is not None and one != other:
                    raise OmnifuseError(
                        f"{place}.{option}: {other}, but {first} names the same language model, which is there once, with {option} {one};"
                        " write the same in both"
                    )
    return shared
