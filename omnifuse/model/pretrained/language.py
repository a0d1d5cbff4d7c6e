"""A causal language model that reads vectors in the place of words, and answers with states or with words.

Shapes: B rows, S positions that are read, L tokens of a text, H width of the network, V its vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.registry import PartConfig
from omnifuse.core.values import Tokens
from omnifuse.model.pretrained.config import PretrainedConfig, TunedConfig, naming_alike
from omnifuse.model.pretrained.loading import load_backbone
from omnifuse.model.pretrained.place import need
from omnifuse.model.pretrained.tuning import tune

SAMPLE = 1024  # words whose length is measured


class Vocabulary(nn.Module):
    """The words of a causal language model: ids → vectors, and which of them are marks."""

    begin: list[int]
    ends: list[int]

    @property
    def embedding(self) -> Any:
        """Token ids → vectors."""
        raise NotImplementedError

    @property
    def word_width(self) -> int:
        """Width of the vectors; nearly always that of the network."""
        return self.embedding.embedding_dim

    def word_length(self) -> Tensor:
        """Root mean square of the components of its words, a single number."""
        with torch.no_grad():
            ids = torch.arange(min(SAMPLE, self.embedding.num_embeddings), device=self.embedding.weight.device)
            return self.embedding(ids).float().square().mean().sqrt()

    def is_end(self, ids: Tensor) -> Tensor:
        """Which tokens end a text."""
        return torch.isin(ids, torch.tensor(self.ends, device=ids.device))

    def is_mark(self, ids: Tensor) -> Tensor:
        """Which tokens are marks for the beginning or the end of a text, that some tokenizers write around it."""
        return torch.isin(ids, torch.tensor([*self.begin, *self.ends], device=ids.device))


class WordTable(Vocabulary):
    """The words alone, as they were trained elsewhere."""

    def __init__(self, config: PretrainedConfig) -> None:
        """Args: config: which network."""
        super().__init__()
        network: Any = load_backbone(config)
        about = network.config.get_text_config()
        self.begin, self.ends = _ids(about.bos_token_id)[:1], _ids(about.eos_token_id)
        self.table = network.get_input_embeddings().requires_grad_(False)

    @property
    def embedding(self) -> Any:
        """Token ids → vectors."""
        return self.table


class LanguageModel(Vocabulary):
    """A causal language model of transformers over vectors of its width, trained as its options say.

    What it reads is [begin; x_1 … x_S; cue]: its own mark for a beginning, if it has one, what is given, and a vector that
    whoever asks has learned. Positions are counted over what is there, so that neither what is absent nor the padding of other
    rows moves anything. The cue is always there, so there is something to read in every row.
    """

    def __init__(self, config: TunedConfig, speaks: bool) -> None:
        """Args: config: which network; speaks: whether it will write words, and not only give states.

        Raises:
            OmnifuseError: no such network, or one that cannot read vectors, or has no mark for the end of a text.
        """
        super().__init__()
        network: Any = load_backbone(config)
        about = network.config.get_text_config()
        self.where, self.speaks = f"{config.name}.model", speaks
        self.begin, self.ends = _ids(about.bos_token_id)[:1], _ids(about.eos_token_id)
        self.longest: int | None = getattr(about, "max_position_embeddings", None)
        self.width: int = about.hidden_size
        self.network: Any = tune(network if speaks else network.base_model, config)
        self.takes = _arguments(self.body)
        _check(network, self)

    @property
    def body(self) -> Any:
        """The network without what makes words of its states."""
        return self.network.base_model if self.speaks else self.network

    @property
    def embedding(self) -> Any:
        """Token ids → vectors."""
        return self.body.get_input_embeddings()

    def opening(self, tokens: Tokens, cue_H: Tensor) -> Tokens:
        """[begin; tokens; cue], (B, S, H)."""
        rows, device = len(tokens.values), tokens.values.device
        begin_H = self.embedding(torch.tensor(self.begin, dtype=torch.long, device=device))
        parts = [begin_H.expand(rows, -1, -1), tokens.values, cue_H.expand(rows, 1, -1)]
        values_BSH = torch.cat([part.to(tokens.values.dtype) for part in parts], dim=1)
        return Tokens(values_BSH, F.pad(tokens.mask, (len(self.begin), 1), value=True))

    def states(self, opening: Tokens) -> Tensor:
        """Last hidden states (B, S, H); those of masked positions hold anything finite."""
        return self.body(**self._given(opening)).last_hidden_state

    def next_words(self, opening: Tokens, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """Logits (B, L + 1, V) of each token of a text behind the opening, given those before it, and of what follows the last."""
        count = ids_BL.shape[1] + 1
        words_BLH = self.embedding(torch.where(mask_BL, ids_BL, 0)).to(opening.values.dtype)
        read = Tokens(torch.cat([opening.values, words_BLH], 1), torch.cat([opening.mask, mask_BL], 1))
        kept = {"logits_to_keep": count} if "logits_to_keep" in _arguments(self.network) else {}
        return self.network(**self._given(read), **kept).logits[:, -count:]

    def cache(self) -> Any:
        """An empty cache of keys and values, for `go_on`."""
        return need("transformers", self.where).DynamicCache(config=self.network.config)

    def go_on(self, values_BTH: Tensor, mask_BS: Tensor, cache: Any) -> Tensor:
        """Logits (B, V) behind the last of T vectors more, which the cache then holds too; the mask is of all S so far."""
        arguments = _arguments(self.network)
        given: dict[str, Any] = {"inputs_embeds": values_BTH, "attention_mask": mask_BS.long(), "use_cache": True}
        given["cache" if "cache" in arguments else "past_key_values"] = cache  # by the version of transformers
        if "position_ids" in self.takes:
            given["position_ids"] = _places(mask_BS)[:, -values_BTH.shape[1] :]
        if "logits_to_keep" in arguments:
            given["logits_to_keep"] = 1
        return self.network(**given).logits[:, -1]

    def _given(self, read: Tokens) -> dict[str, Any]:
        self.check_length(read.values.shape[1])
        given = {"inputs_embeds": read.values, "attention_mask": read.mask.long(), "use_cache": False}
        if "position_ids" in self.takes:
            given["position_ids"] = _places(read.mask)
        return given

    def check_length(self, length: int) -> None:
        """Raise where the network has fewer positions."""
        if self.longest is not None and length > self.longest:
            raise OmnifuseError(
                f"{self.where}: {length} tokens are to be read, but the network knows {self.longest} positions; give it fewer: a smaller"
                " grid of an image, a shorter max_length of a text, the projector resampler of the fusion llm"
            )


def shared_languages(parts: Mapping[str, PartConfig]) -> dict[str, list[LanguageModel]]:
    """One instance for those of the parts that name the same causal language model, in a list, by the place of the part in the recipe.

    Parts that are alone with theirs are left out; they build it themselves.

    Raises:
        OmnifuseError: two parts name the same network and want it trained differently.
    """
    made = {}
    for places in naming_alike(parts):
        config = parts[places[0]]
        assert isinstance(config, TunedConfig)
        language = LanguageModel(config, speaks=any(place.startswith("model.heads.") for place in places))
        made |= {place: [language] for place in places}
    return made


def hold(part: nn.Module, config: TunedConfig, shared: LanguageModel | None, speaks: bool) -> None:
    """Give a part its `language`: one of its own, or the shared one, whose weights then belong to the whole model and not to it."""
    if shared is None:
        part.language = LanguageModel(config, speaks)
        if not speaks and not part.language.begin:
            part.language.embedding.requires_grad_(False)  # no word is ever read
    else:
        object.__setattr__(part, "language", shared)


def _places(mask_BS: Tensor) -> Tensor:
    """(B, S) the position of each vector, counted over those that are there."""
    return (mask_BS.long().cumsum(1) - 1).clamp(min=0)


def _check(network: Any, made: LanguageModel) -> None:
    kind = type(network).__name__
    if "inputs_embeds" not in made.takes:
        raise OmnifuseError(f"{made.where}: a {kind} reads words only; take a network that reads inputs_embeds")
    if "attention_mask" not in made.takes or getattr(network, "_is_stateful", False):
        raise OmnifuseError(f"{made.where}: a {kind} cannot pass over what is absent; take a network with attention")
    if made.speaks and not made.ends:
        raise OmnifuseError(f"{made.where}: its config.json names no eos_token_id, so no text would ever end")


def _arguments(network: Any) -> set[str]:
    return set(inspect.signature(type(network).forward).parameters)


def _ids(said: Any) -> list[int]:
    return [] if said is None else list(said) if isinstance(said, list | tuple) else [said]
