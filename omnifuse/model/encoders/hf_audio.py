"""Sound networks of transformers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.spec import ValueSpec
from omnifuse.core.values import Tokens, Values
from omnifuse.model.encoders.config import HFAudioConfig
from omnifuse.model.encoders.pretrained import PretrainedEncoder
from omnifuse.model.layers.listening import ClipNorm, KaldiMel, Levelled, WhisperMel, convolved, reach


class HFAudio(PretrainedEncoder):
    """Waveform (B, 1, T) → tokens (B, T', D), one for each step of the network's output, or one for their mean.

    x = W·norm(h) + b, with h the last hidden states. What the network is given is computed here, as it was in its training:

    - wav2vec 2.0, HuBERT, WavLM, data2vec and UniSpeech: the waveform, levelled by clip where the preprocessor says so; a
      token for 20 ms. A norm over time in the first layer counts what is there only.
    - Whisper, the half that listens: a log-mel spectrogram of 30 s, with silence behind the clip; a token for 20 ms.
    - AST: Kaldi's log-mel spectrogram of 10 s; tokens for patches of 160 ms, those of one time side by side.

    Tokens stand only for what is there of a clip; what is longer than a spectrogram is cut. The rate is dictated to the column.

    Source: Baevski et al. 2020, arXiv 2006.11477; Radford et al. 2022, arXiv 2212.04356; Gong et al. 2021, arXiv 2104.01778.
    Differs: spans are not masked and layers not skipped in training; each clip is read as if it were alone in its batch.
    Cost: that of the network; the last two always read the whole window, however short the clip.
    Absent: masked tokens.
    Errors: an `OmnifuseError` for an unknown name or folder, weights that are no safetensors, a network of another kind,
    or where transformers is not installed.
    """

    def __init__(self, config: HFAudioConfig, spec: ValueSpec, dim: int) -> None:
        """Args: config: options; spec: shape (1, None) and rate of the sound; dim: width D of the tokens."""
        super().__init__(config, dim)
        facts = self.architecture["input"]
        if spec.shape[0] != 1 or spec.rate_hz != facts["rate_hz"]:
            raise OmnifuseError(
                f"hf_audio: this network listens to one channel of {facts['rate_hz']} Hz, but the column has"
                f" {spec.shape[0]} of {spec.rate_hz:g} Hz"
            )
        ways = {"waveform": _Waveform, "whisper": _Whisper, "kaldi": _Patches}
        self.way: nn.Module = ways[facts["reads"]](self.backbone, facts)
        self.finish(spec, self.backbone.config.hidden_size, dim)

    def states(self, values: Values) -> Tokens:
        """Last hidden states."""
        assert values.mask is not None, "sound has a mask"
        return self.way(self.backbone, values.data[:, 0], values.mask)


class _Waveform(nn.Module):
    """Convolutions over the waveform, then a transformer."""

    def __init__(self, network: Any, facts: dict[str, Any]) -> None:
        super().__init__()
        self.kernels, self.strides = network.config.conv_kernel, network.config.conv_stride
        self.shortest = reach(self.kernels, self.strides)
        self.level = Levelled() if facts["normalise"] else None
        for layer in network.feature_extractor.conv_layers:
            if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
                layer.layer_norm = ClipNorm.of(layer.layer_norm)

    def forward(self, network: Any, wave_BT: Tensor, mask_BT: Tensor) -> Tokens:
        wave_BT = torch.where(mask_BT, wave_BT, 0) if self.level is None else self.level(wave_BT, mask_BT)
        wave_BT = pad(wave_BT, (0, max(0, self.shortest - wave_BT.shape[1])))
        samples_B = mask_BT.sum(1).clamp(min=self.shortest)  # a shorter one is followed by silence; of an absent one it is all
        for depth, layer in enumerate(network.feature_extractor.conv_layers, start=1):
            if isinstance(getattr(layer, "layer_norm", None), ClipNorm):
                layer.layer_norm.frames_B = convolved(samples_B, self.kernels[:depth], self.strides[:depth])
        seen_BT = torch.arange(wave_BT.shape[1], device=wave_BT.device) < samples_B.unsqueeze(1)
        states_BTH = network(wave_BT, attention_mask=seen_BT.long()).last_hidden_state
        return _beginning(states_BTH, convolved(samples_B, self.kernels, self.strides))


class _Whisper(nn.Module):
    """A spectrogram of 30 s, two convolutions, then a transformer that looks at all of it."""

    def __init__(self, network: Any, facts: dict[str, Any]) -> None:
        super().__init__()
        steps = network.config.max_source_positions
        self.step = 2 * facts["hop"]
        self.mel = WhisperMel(facts["rate_hz"], facts["bands"], facts["hop"], facts["window"], 2 * steps)

    def forward(self, network: Any, wave_BT: Tensor, mask_BT: Tensor) -> Tokens:
        states_BTH = network(self.mel(wave_BT, mask_BT)).last_hidden_state
        steps = -(-wave_BT.shape[1] // self.step)
        return _beginning(states_BTH[:, :steps], -(-mask_BT.sum(1) // self.step))


class _Patches(nn.Module):
    """A spectrogram of 10 s, cut into patches that overlap, then a transformer that looks at all of them."""

    def __init__(self, network: Any, facts: dict[str, Any]) -> None:
        super().__init__()
        config = network.config
        self.mel = KaldiMel(facts["rate_hz"], facts["bands"], config.max_length, facts["mean"], facts["std"])
        self.stride, self.rows = config.time_stride, (facts["bands"] - config.patch_size) // config.frequency_stride + 1

    def forward(self, network: Any, wave_BT: Tensor, mask_BT: Tensor) -> Tokens:
        states_BTH = network(self.mel(wave_BT, mask_BT)).last_hidden_state[:, 2:]  # behind the two that stand for all
        states_BTH = states_BTH.unflatten(1, (self.rows, -1)).transpose(1, 2).flatten(1, 2)
        columns_B = (self.mel.count(mask_BT.sum(1)) - 1) // self.stride + 1
        return _beginning(states_BTH, columns_B * self.rows)


def _beginning(states_BTH: Tensor, count_B: Tensor) -> Tokens:
    """States of which the first ones stand for something; of an absent row too, for it is masked later."""
    return Tokens(states_BTH, torch.arange(states_BTH.shape[1], device=states_BTH.device) < count_B.unsqueeze(1))
