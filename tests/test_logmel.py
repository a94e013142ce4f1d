from __future__ import annotations

import numpy as np
import pytest
import torch
from torchaudio.functional import melscale_fbanks
from torchaudio.transforms import MelSpectrogram
from transformers import AutoFeatureExtractor

import genre_lib.models  # noqa: F401
from genre_lib.models.logmel import LogMelFeatureExtractor
from genre_lib.networks import logmel
from genre_lib.networks.logmel import LogMel, mel_banks


@pytest.fixture
def extractor() -> LogMelFeatureExtractor:
    return LogMelFeatureExtractor(feature_size=32, sampling_rate=8000, n_fft=512, hop_length=128, mean=0.0, std=1.0)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)


def test_frames_by_arithmetic(extractor, noise):
    # (8000 - 512) // 128 = 58 whole hops after the first frame
    assert extractor(noise, return_tensors="pt").input_values.shape == (1, 32, 59)
    assert extractor.frames(1.0) == 59
    assert extractor.frames(0.001) == 1


def test_frames_of_a_clip_are_a_slice_of_the_tracks(extractor, noise):
    track = extractor.logmel(torch.from_numpy(noise))
    clip = extractor.logmel(torch.from_numpy(noise[10 * 128 : 10 * 128 + 2048]))
    assert torch.allclose(clip, track[:, 10 : 10 + clip.shape[1]], atol=1e-5)


def test_silence_is_the_floor(extractor):
    values = extractor(np.zeros(512, np.float32), return_tensors="np").input_values
    assert np.allclose(values, np.log(LogMel.floor))


def test_ten_times_the_amplitude_is_a_hundred_times_the_power(extractor, noise):
    quiet, loud = (extractor.logmel(torch.from_numpy(noise * gain)) for gain in (1, 10))
    assert torch.allclose(loud - quiet, torch.tensor(np.log(100.0), dtype=torch.float32), atol=1e-2)


def test_mean_and_std_are_applied(extractor, noise):
    plain = extractor(noise, return_tensors="np").input_values
    scaled = LogMelFeatureExtractor(feature_size=32, sampling_rate=8000, n_fft=512, hop_length=128, mean=-3.0, std=2.0)(
        noise, return_tensors="np"
    ).input_values
    assert np.allclose(scaled, (plain + 3) / 2, atol=1e-5)


@pytest.mark.parametrize("form", ["array", "list", "tensor"])
def test_forms_of_a_batch_agree(extractor, noise, form):
    pair = np.stack([noise, noise[::-1]])
    batch = {"array": pair, "list": [list(map(float, row)) for row in pair], "tensor": torch.from_numpy(pair.copy())}
    values = extractor(batch[form], sampling_rate=8000, return_tensors="np").input_values
    assert np.allclose(values[0], extractor(noise, return_tensors="np").input_values[0], atol=1e-5)
    assert values.shape == (2, 32, 59)


def test_shorter_ones_are_filled_with_silence(extractor, noise):
    values = extractor([noise, noise[:600]], return_tensors="np").input_values
    assert values.shape == (2, 32, 59)
    assert np.allclose(values[1, :, -1], np.log(LogMel.floor))
    assert extractor(noise[:5], return_tensors="np").input_values.shape == (1, 32, 1)


def test_another_rate_is_refused(extractor, noise):
    with pytest.raises(ValueError, match="expects 8000 samples a second and got 44100"):
        extractor(noise, sampling_rate=44100)


@pytest.mark.parametrize("bad", [np.zeros((2, 2, 9), np.float32), np.zeros(0, np.float32), []])
def test_what_is_no_mono_waveform_is_refused(extractor, bad):
    with pytest.raises(ValueError, match="mono"):
        extractor(bad)


def test_comes_back_from_its_file(extractor, noise, tmp_path):
    extractor.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "genre_cnn"}')
    again = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert type(again) is LogMelFeatureExtractor
    assert again.to_dict() == extractor.to_dict()
    assert np.array_equal(
        again(noise, return_tensors="np").input_values, extractor(noise, return_tensors="np").input_values
    )


def test_equals_torchaudio_on_frames_that_are_not_centred():
    waveform = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, 30_000).astype(np.float32))
    extractor = LogMelFeatureExtractor(f_max=10500.0, mean=0.0, std=1.0)
    reference = MelSpectrogram(
        22050, 2048, None, 512, f_min=30.0, f_max=10500.0, n_mels=128, center=False, norm="slaney", mel_scale="slaney"
    )
    expected = torch.log(reference(waveform) + 1e-8)
    torch.testing.assert_close(extractor.logmel(waveform), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "form", [(1025, 30.0, 10500.0, 128, 22050), (257, 0.0, 4000.0, 32, 8000), (1025, 30.0, 900.0, 16, 22050)]
)
def test_the_bands_are_torchaudios_to_the_last_bit(form):
    assert torch.equal(mel_banks(*form), melscale_fbanks(*form, norm="slaney", mel_scale="slaney"))


def test_the_plain_front_end_is_the_extractors(extractor, noise):
    plain = LogMel.from_json(extractor.to_dict())
    assert torch.equal(plain.features(noise), extractor(noise, return_tensors="pt").input_values)
    assert plain.frames(1.0) == extractor.frames(1.0)


def test_long_waveforms_are_transformed_in_parts(monkeypatch: pytest.MonkeyPatch):
    waveform = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (2, 40_000)).astype(np.float32))
    extractor = LogMelFeatureExtractor()
    whole = extractor.logmel(waveform)
    monkeypatch.setattr(logmel, "FRAMES_AT_ONCE", 7)
    torch.testing.assert_close(extractor.logmel(waveform), whole)
