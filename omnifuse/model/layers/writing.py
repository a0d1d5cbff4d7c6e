"""Texts written word by word: the best word each time, one that is drawn, or the best text of several that are followed up.

Shapes: B rows, K texts of each that are followed up, V words, L longest text.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

NOTHING = -1  # in written texts: behind their end
Choice = Callable[[Tensor], Tensor]


class Writer(ABC):
    """Says of B texts what may come next, and remembers how they go on.

    Attributes:
        ends: the words that end a text.
    """

    ends: Sequence[int]

    @abstractmethod
    def first(self) -> Tensor:
        """Logits (B, V) of the first word."""

    @abstractmethod
    def next(self, words_B: Tensor) -> Tensor:
        """The texts go on with these words: logits (B, V) of what follows them."""

    @abstractmethod
    def take(self, rows: Tensor) -> None:
        """Go on with these texts, which may repeat, in this order."""


def most_probable(logits_BV: Tensor) -> Tensor:
    """(B,) the word with the highest logit."""
    return logits_BV.argmax(1)


@torch.no_grad()
def write(writer: Writer, longest: int, choose: Choice = most_probable) -> Tensor:
    """(B, L) int64: word after word, as `choose` picks it from its logits (B, V); −1 from the end on.

    It stops when all texts have ended.
    """
    logits_BV = writer.first()
    ends_E = torch.tensor(list(writer.ends), device=logits_BV.device)
    written_BL = torch.full((len(logits_BV), longest), NOTHING, device=logits_BV.device)
    going_B = torch.ones(len(logits_BV), dtype=torch.bool, device=logits_BV.device)
    for place in range(longest):
        words_B = choose(logits_BV)
        going_B = going_B & ~torch.isin(words_B, ends_E)
        written_BL[:, place] = torch.where(going_B, words_B, NOTHING)
        if place + 1 == longest or not going_B.any():
            break
        logits_BV = writer.next(words_B)
    return written_BL


@torch.no_grad()
def search(writer: Writer, longest: int, beams: int) -> Tensor:
    """(B, L) int64: the text with the greatest mean log-probability of its words and its end that is found; −1 from the end on.

    Beam search: of all texts so far with one word more, the `beams` most probable are followed up; those among them that end are
    put aside. A row is done when as many are aside, none of them with a smaller mean than any that is followed up has now. Texts of
    `longest` words count without an end. With as many beams as there are texts, all are tried.
    """
    best = _Beams(writer, longest, beams)
    for place in range(longest):
        best.add_a_word(place)
        if place + 1 == longest or bool(best.done_B.all()):
            break
    return best.texts()


class _Beams:
    """Texts that are followed up, and those that have ended."""

    def __init__(self, writer: Writer, longest: int, beams: int) -> None:
        self.writer, self.longest, self.beams = writer, longest, beams
        self.logits_NV = writer.first()  # of B rows, then of B·K texts
        rows, device = len(self.logits_NV), self.logits_NV.device
        self.ends_E = torch.tensor(list(writer.ends), device=device)
        self.words_BKL = torch.full((rows, 1, longest), NOTHING, device=device)
        self.sums_BK = torch.zeros(rows, 1, device=device)
        self.ended_BKL = torch.full((rows, beams, longest), NOTHING, device=device)
        self.means_BK = torch.full((rows, beams), float("-inf"), device=device)
        self.done_B = torch.zeros(rows, dtype=torch.bool, device=device)

    def add_a_word(self, place: int) -> None:
        """Every text that is followed up goes on in each way; the best remain."""
        if place:
            self.logits_NV = self.writer.next(self.words_BKL[:, :, place - 1].flatten())
        rows, followed = self.sums_BK.shape
        chances_BKV = self.logits_NV.float().log_softmax(1).view(rows, followed, -1)
        sums_BC = (self.sums_BK.unsqueeze(2) + chances_BKV).flatten(1)
        sums_BC, chosen_BC = sums_BC.topk(min(self.beams * (1 + len(self.ends_E)), sums_BC.shape[1]), dim=1)
        parents_BC, words_BC = chosen_BC // chances_BKV.shape[2], chosen_BC % chances_BKV.shape[2]
        is_end_BC = torch.isin(words_BC, self.ends_E)
        before_BCL = self.words_BKL.gather(1, parents_BC.unsqueeze(2).expand(-1, -1, self.longest))
        self._put_aside(before_BCL[:, : self.beams], sums_BC[:, : self.beams].where(is_end_BC[:, : self.beams], float("-inf")), place)

        self.sums_BK, kept_BK = sums_BC.masked_fill(is_end_BC, float("-inf")).topk(min(self.beams, sums_BC.shape[1]), dim=1)
        self.words_BKL = before_BCL.gather(1, kept_BK.unsqueeze(2).expand(-1, -1, self.longest))
        self.words_BKL[:, :, place] = words_BC.gather(1, kept_BK)
        first_B1 = torch.arange(rows, device=kept_BK.device).unsqueeze(1) * followed
        self.writer.take((first_B1 + parents_BC.gather(1, kept_BK)).flatten())
        self.done_B |= self.means_BK[:, -1] >= self.sums_BK[:, 0] / (place + 1)

    def texts(self) -> Tensor:
        """The best text of each row."""
        self._put_aside(self.words_BKL, self.sums_BK, self.longest - 1)
        return self.ended_BKL[:, 0]

    def _put_aside(self, words_BCL: Tensor, sums_BC: Tensor, place: int) -> None:
        """Keep the best of those that have ended, the new ones among them; a row that is done stays as it is."""
        means_BC = (sums_BC / (place + 1)).masked_fill(self.done_B.unsqueeze(1), float("-inf"))
        means_BC, words_BCL = torch.cat([self.means_BK, means_BC], dim=1), torch.cat([self.ended_BKL, words_BCL], dim=1)
        self.means_BK, kept_BK = means_BC.topk(self.beams, dim=1)
        self.ended_BKL = words_BCL.gather(1, kept_BK.unsqueeze(2).expand(-1, -1, self.longest))
