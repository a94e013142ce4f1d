"""Prediction by pretrained encoders: the logits of plain transformers, on clips of any length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from genre_lib.inference import Predictor
from genre_lib.models.folder import load, save
from genre_lib.models.untrained import FAMILIES, make

RATE = 16000
LENGTHS = (16000, 5000, 16000, 14000, 900, 5000)
GENRES = ["jazz", "polka", "rock"]


def stirred(folder: Path) -> Path:
    """The model with weights so far from zero that clips are told apart."""
    model = load(folder)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return Path(save(model, folder).folder)


@pytest.fixture(params=[*FAMILIES, "hubert-layer", "wav2vec2-layer"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Of each family, and of those with a norm over each frame, which are told by a mask what is there."""
    family, _, norm = request.param.partition("-")
    fields = {"feat_extract_norm": norm} if norm else {}
    return stirred(make(family, "tiny", tmp_path / request.param, GENRES, **fields))


def clips(*lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    noises = [rng.normal(0, 0.1, length) for length in lengths]
    return [np.convolve(noise, np.ones(1 + 8 * i), "same").astype(np.float32) for i, noise in enumerate(noises)]


def by_transformers(folder: Path, waveforms: list[np.ndarray]) -> np.ndarray:
    """Logits of each clip alone, with nothing of ours."""
    network = AutoModelForAudioClassification.from_pretrained(folder).eval()
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    with torch.inference_mode():
        each = [network(**extractor(w, sampling_rate=RATE, return_tensors="pt")).logits for w in waveforms]
    return torch.cat(each).numpy()


def calls_of(predictor: Predictor) -> list[tuple[int, ...]]:
    """Shapes of what goes through the network from here on."""
    shapes: list[tuple[int, ...]] = []

    def note(_: Any, __: Any, given: dict[str, torch.Tensor]) -> None:
        shapes.append(tuple(given["input_values"].shape))

    predictor.network.register_forward_pre_hook(note, with_kwargs=True)
    return shapes


def test_logits_are_those_of_transformers_whatever_the_length(folder):
    expected = by_transformers(folder, clips(*LENGTHS))
    assert expected.std(0).min() > 1e-3
    assert np.abs(Predictor.from_folder(folder, device="cpu").clips(clips(*LENGTHS)) - expected).max() < 1e-4


def test_tracks_are_heard_together_and_short_ones_at_their_own_length(folder):
    predictor = Predictor.from_folder(folder, device="cpu")
    seconds = predictor.model.inference.clip_seconds
    tracks = clips(round(RATE * seconds * 2), RATE * 2, RATE * 3)
    shapes = calls_of(predictor)
    told = predictor.waveforms(tracks)
    whole = [tracks[0][: len(tracks[0]) // 2], tracks[0][len(tracks[0]) // 2 :]]
    expected = by_transformers(folder, [*whole, *tracks[1:]])
    assert np.abs(told[0].logits - expected[:2].mean(0)).max() < 1e-4
    for track, logits in zip(told[1:], expected[2:], strict=True):
        assert np.abs(track.logits - logits).max() < 1e-4
    assert sum(shape[0] for shape in shapes) == 4
    if predictor.front.fixed:
        assert len(shapes) == 1
    else:
        assert [shape[1] for shape in shapes] == [RATE * 2, RATE * 3, RATE * 10]


def test_a_network_that_is_told_no_mask_never_sees_a_clip_that_is_filled_up(tmp_path):
    predictor = Predictor.from_folder(make("hubert", "tiny", tmp_path / "m", GENRES), device="cpu")
    shapes = calls_of(predictor)
    predictor.clips(clips(16000, 15999, 16000, 15998))
    assert shapes == [(1, 15998), (1, 15999), (2, 16000)]


def test_with_a_mask_clips_of_about_one_length_go_together(tmp_path):
    folder = make("hubert", "tiny", tmp_path / "m", GENRES, feat_extract_norm="layer")
    predictor = Predictor.from_folder(folder, device="cpu")
    shapes = calls_of(predictor)
    predictor.clips(clips(16000, 15999, 16000, 13000, 5000))
    assert shapes == [(1, 5000), (4, 16000)]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_blink_of_sound_is_predicted(family, tmp_path):
    predictor = Predictor.from_folder(make(family, "tiny", tmp_path / "m", GENRES), device="cpu")
    track = predictor.waveform(np.full(3, 0.1, np.float32))
    assert np.isfinite(track.logits).all() and len(track.predictions) == 3
