"""What our front ends make of clips, beside what the extractors of transformers make of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from transformers import ASTFeatureExtractor, EncodecFeatureExtractor, Wav2Vec2FeatureExtractor

from genre_lib.networks.front_ends import Filterbank, Samples, front_end_of

RATE = 16000


def clips(*lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(0.02, 0.1, length).astype(np.float32) for length in lengths]


@pytest.mark.parametrize("settings", [{}, {"do_normalize": False}, {"mean": -3.0, "std": 2.5}], ids=str)
@pytest.mark.parametrize("lengths", [(16000, 16000), (48000, 16000, 400)], ids=str)
def test_ast(settings, lengths):
    extractor = ASTFeatureExtractor(num_mel_bins=32, max_length=128, **settings)  # 48000 samples have 298 frames
    expected = extractor(clips(*lengths), sampling_rate=RATE, return_tensors="pt")["input_values"]
    made = front_end_of(extractor).inputs(clips(*lengths), "cpu")
    assert list(made) == ["input_values"] and made["input_values"].shape == (len(lengths), 128, 32)
    assert torch.allclose(made["input_values"], expected, atol=1e-4)


@pytest.mark.parametrize("normalises", [True, False])
@pytest.mark.parametrize("masks", [True, False])
def test_samples(normalises, masks):
    extractor = Wav2Vec2FeatureExtractor(do_normalize=normalises, return_attention_mask=masks)
    lengths = (16000, 9000, 12000) if masks else (16000, 16000)
    expected = extractor(clips(*lengths), sampling_rate=RATE, padding=masks, return_tensors="pt")
    made = front_end_of(extractor).inputs(clips(*lengths), "cpu")
    assert set(made) == set(expected)
    for name, value in expected.items():
        assert torch.allclose(made[name], value, atol=1e-5) and made[name].dtype == value.dtype


def test_what_is_kept_of_a_track_does_not_depend_on_how_clips_are_finished():
    plain, other = ASTFeatureExtractor(), ASTFeatureExtractor(mean=0.0, std=1.0, max_length=512)
    assert front_end_of(plain).key == front_end_of(other).key
    assert front_end_of(plain).key != front_end_of(ASTFeatureExtractor(num_mel_bins=64)).key
    assert len({front_end_of(extractor).key for extractor in (plain, Wav2Vec2FeatureExtractor())}) == 2


def test_which_lengths_go_together():
    assert front_end_of(ASTFeatureExtractor()).stretch == math.inf
    assert front_end_of(Wav2Vec2FeatureExtractor()).stretch == 1.0
    assert front_end_of(Wav2Vec2FeatureExtractor(return_attention_mask=True)).stretch > 1.0


@pytest.mark.parametrize("front", [Filterbank(RATE, 32, 128, None, None), Samples(RATE, True, False)], ids=str)
@pytest.mark.parametrize("samples", [1, 400, 559, 560, 16000])
def test_rows_are_counted_as_they_come(front, samples):
    assert len(front.track(torch.zeros(samples))) == front.rows(samples)


def test_other_extractors_and_those_derived_from_these_are_used_as_they_are():
    class Own(ASTFeatureExtractor):
        """May do anything."""

    assert front_end_of(EncodecFeatureExtractor()) is None and front_end_of(Own()) is None
