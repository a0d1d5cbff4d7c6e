"""The audio processor: waveforms of one rate with a mask, facts of the file, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Column
from omnifuse.data.fetch import BadValue
from omnifuse.data.modalities import MODALITIES
from omnifuse.data.modalities.audio import AudioProcessor
from omnifuse.data.modalities.config import AudioConfig, column_config


def tone(seconds: float, rate_hz: int = 8000, pitch_hz: float = 440.0) -> tuple[np.ndarray, int]:
    return np.sin(2 * np.pi * pitch_hz * np.arange(round(seconds * rate_hz)) / rate_hz).astype(np.float32) / 2, rate_hz


def test_a_batch_is_padded_to_its_longest_sound_with_a_mask():
    audio = AudioProcessor(AudioConfig(rate_hz=8000, channels=2))
    values = audio.encode([audio.canonical(tone(0.1)), None, audio.canonical(tone(0.25))])
    assert values.data.shape == (3, 2, 2000)
    assert values.data.dtype == torch.float32
    assert values.mask is not None
    assert values.mask.sum(1).tolist() == [800, 0, 2000]
    assert values.mask[0, :800].all()
    assert not values.data[0, :, 800:].any()
    assert np.array_equal(values.data[2, 0].numpy(), tone(0.25)[0])
    assert values.present.tolist() == [True, False, True]


def test_a_batch_of_absent_sounds_has_one_sample_that_is_masked():
    values = AudioProcessor(AudioConfig()).encode([None, None])
    assert values.data.shape == (2, 1, 1)
    assert values.mask is not None
    assert not values.mask.any()


def test_the_spec_tells_rate_channels_and_longest():
    spec = AudioProcessor(AudioConfig(rate_hz=8000, channels=2, max_s=1.5)).spec
    assert (spec.shape, spec.rate_hz, spec.max_length) == ((2, None), 8000, 12_000)


def test_longer_sounds_are_cut():
    audio = AudioProcessor(AudioConfig(rate_hz=8000, max_s=0.1))
    assert audio.item(audio.canonical(tone(2.0))).shape == (1, 800)


def test_facts_tell_what_the_file_is_and_a_fingerprint_that_another_rate_hardly_changes():
    audio = AudioProcessor(AudioConfig())
    data = audio.canonical((np.stack([tone(1.5)[0]] * 2), 8000))
    facts = audio.inspect(data)
    assert facts.numbers == {"seconds": 1.5, "rate_hz": 8000, "channels": 2}
    assert facts.fingerprint
    assert facts.fingerprint == audio.inspect(audio.canonical(tone(1.5))).fingerprint, "of the mean of the channels"


def test_the_hugging_face_form_is_read():
    audio = AudioProcessor(AudioConfig(rate_hz=8000))
    array, rate_hz = tone(0.1)
    assert np.array_equal(audio.item(audio.canonical({"path": "a.wav", "array": array, "sampling_rate": rate_hz}))[0], array)


def test_an_array_alone_tells_no_rate():
    with pytest.raises(BadValue, match="does not tell its rate"):
        AudioProcessor(AudioConfig()).canonical(np.zeros(100))


def test_a_path_stays_a_path_and_bytes_stay_bytes():
    audio = AudioProcessor(AudioConfig())
    assert audio.canonical(" a/b.wav ") == "a/b.wav"
    assert audio.canonical(Path("a.wav")) == "a.wav"
    assert audio.canonical(memoryview(b"RIFF")) == b"RIFF"
    assert audio.canonical("") is audio.canonical(None) is audio.canonical(float("nan")) is None


@pytest.mark.parametrize("options", [{"rate_hz": 0}, {"channels": 0}, {"max_s": 0}, {"rate": 16000}])
def test_wrong_options_are_refused(options: dict[str, int]):
    with pytest.raises(OmnifuseError, match=r"columns\.sound"):
        column_config(Column("sound", "audio", **options))


def test_spoken_digits_keep_their_length_at_another_rate(shared_data: Path):
    files = sorted((shared_data / "fsdd" / "recordings").glob("7_*_1.wav"))
    if not files:
        pytest.skip("the Free Spoken Digit Dataset is not there")
    audio = MODALITIES.build(AudioConfig(rate_hz=16_000))
    raws = [file.read_bytes() for file in files]
    values = audio.encode(raws)
    for raw, mask in zip(raws, values.mask, strict=True):
        facts = audio.inspect(raw)
        assert facts.numbers["rate_hz"] == 8000
        assert abs(int(mask.sum()) - facts.numbers["seconds"] * 16_000) <= 1
    assert float(values.data.abs().max()) <= 1.05
