"""What heads that write texts have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from omnifuse.model.heads.head import Head
from omnifuse.model.heads.sampling import RowNoise, Sampling, draw_one
from omnifuse.model.layers.writing import Writer, search, write


class TextHead(Head):
    """A head that says word by word how a text goes on.

    Attributes:
        longest: most words of an answer.
        beams: answers that are followed up at the same time; 1 takes the most probable word each time.
    """

    longest: int
    beams: int

    @abstractmethod
    def writer(self, output: Any) -> Writer:
        """What writes the texts (B) of an output."""

    def predict(self, output: Any) -> Tensor:
        """Token ids (B, L) of the answer, −1 behind its end."""
        return self._sought(output, self.beams)

    def answer(self, prediction: Tensor) -> Tensor:
        """The ids themselves; the processor leaves out what is below zero."""
        return prediction

    def generate(self, output: Any, noise: RowNoise, sampling: Sampling) -> Tensor:
        """Token ids (B, L), −1 behind the end: each word drawn by the options where there is a temperature, else the answer that so
        many beams find.
        """
        if sampling.temperature is None:
            return self._sought(output, sampling.beams or self.beams)

        def drawn(logits_BV: Tensor) -> Tensor:
            return draw_one(logits_BV.float().softmax(1), noise, sampling)

        return write(self.writer(output), self.longest, drawn)

    def _sought(self, output: Any, beams: int) -> Tensor:
        writer = self.writer(output)
        return write(writer, self.longest) if beams == 1 else search(writer, self.longest, beams)


def asked_words(ids_BL: Tensor, mask_BL: Tensor, is_cut_B: Tensor, end: int) -> tuple[Tensor, Tensor]:
    """What is learned of texts: words (B, L + 1) and which of them are asked, those of the text and, where it was not cut, its end."""
    place_L, count_B1 = torch.arange(ids_BL.shape[1] + 1, device=ids_BL.device), mask_BL.sum(1, keepdim=True)
    is_end_BL = place_L == count_B1
    return torch.where(is_end_BL, end, F.pad(ids_BL, (0, 1))), (place_L < count_B1) | (is_end_BL & ~is_cut_B.unsqueeze(1))
