from __future__ import annotations

import numpy as np
import pytest
import torch

from genre_lib.augmentation import Augmentation
from genre_lib.errors import ConfigurationError
from genre_lib.models.augment import NEPERS_PER_DB, LogMelAugment, blank_stripes, loop, mixup
from genre_lib.models.logmel import LogMelFeatureExtractor
from genre_lib.training_config import TrainingConfig

BANDS, FRAMES = 32, 20


def make(std: float = 1.0, **settings) -> LogMelAugment:
    hertz = 100.0 * 2 ** (np.arange(BANDS) / 12)  # one band a semitone
    return LogMelAugment(Augmentation(**settings), FRAMES, hertz, std)


def test_nothing_asked_is_a_plain_cut():
    logmel = torch.randn(3, BANDS, FRAMES + 2)
    assert torch.equal(make()(logmel), logmel[..., :FRAMES])


def test_pitch_moves_a_line_by_whole_bands(monkeypatch):
    logmel = torch.zeros(1, BANDS, FRAMES)
    logmel[:, 10] = 1.0
    monkeypatch.setattr(torch, "rand", lambda *size: torch.ones(*size))  # the largest shift: 3 semitones up
    moved = make(pitch_semitones=3.0)(logmel)
    assert moved.sum(2).argmax().item() == 13
    assert torch.allclose(moved[0, 13], torch.ones(FRAMES), atol=1e-4)


def test_tempo_stretches_time(monkeypatch):
    ramp = torch.arange(FRAMES * 2.0).expand(1, BANDS, -1)
    monkeypatch.setattr(torch, "rand", lambda *size: torch.ones(*size))
    stretched = make(time_stretch=0.5)(ramp)
    steps = stretched[0, 0].diff()
    assert torch.allclose(steps, torch.full((FRAMES - 1,), 1.5), atol=1e-3)


def test_the_equalizer_is_as_strong_as_it_says():
    torch.manual_seed(0)
    curves = make(std=2.0, equalizer_db=6.0, equalizer_share=1.0).equalizer(4000)
    knots = curves[:, [0, -1]]  # the ends are knots; between them the curve is a mean of two
    assert knots.std().item() == pytest.approx(6.0 * NEPERS_PER_DB / 2.0, rel=0.05)
    assert not make(equalizer_db=6.0, equalizer_share=0.0).equalizer(5).any()


def test_stripes_are_blank_and_not_too_wide():
    torch.manual_seed(0)
    clips = torch.randn(200, BANDS, FRAMES)
    for axis, other in ((1, 2), (2, 1)):
        blanked = blank_stripes(clips, axis, 1, 5)
        changed = (blanked != clips).all(dim=other).sum(1)
        assert changed.max() <= 5 and changed.float().mean() == pytest.approx(2.5, abs=0.4)
        means = clips.mean((1, 2), keepdim=True).expand_as(clips)
        assert torch.equal(blanked[blanked != clips], means[blanked != clips])


def test_mixup_blends_inputs_and_targets_alike():
    torch.manual_seed(0)
    inputs = torch.tensor([0.0, 1.0])[:, None, None].expand(2, 3, 4)
    targets = torch.eye(2)
    mixed, blended = mixup(inputs, targets, alpha=1.0)
    assert torch.allclose(mixed[:, 0, 0], blended[:, 1], atol=1e-6)
    assert torch.allclose(blended.sum(1), torch.ones(2))
    assert (blended.diagonal() >= 0.5).all()


def test_mixup_leaves_the_others_alone():
    inputs, targets = torch.randn(8, 3), torch.eye(8)
    for mixed, blended in (mixup(inputs, targets, 0.0), mixup(inputs, targets, 1.0, share=0.0)):
        assert torch.equal(mixed, inputs) and torch.equal(blended, targets)


def test_band_centres_are_where_a_sine_is_loudest():
    extractor = LogMelFeatureExtractor(feature_size=40, sampling_rate=16000, n_fft=2048)
    centre = extractor.band_hz()[20]
    sine = torch.sin(2 * torch.pi * centre * torch.arange(4096) / 16000)
    assert extractor.logmel(sine)[:, 0].argmax().item() == 20


def test_an_unknown_change_is_named():
    with pytest.raises(ConfigurationError, match=r"augmentation.pitch; did you mean pitch_semitones"):
        TrainingConfig(augmentation={"pitch": 1})


def test_loop_repeats_the_first_part():
    ramp = torch.arange(100.0).expand(64, 3, 100)
    torch.manual_seed(0)
    looped = loop(ramp, share=1.0)
    for clip in looped[:, 0]:
        part = int(clip.max()) + 1
        assert 50 <= part <= 100
        assert torch.equal(clip, torch.arange(100.0) % part)
    assert torch.equal(loop(ramp, share=0.0), ramp)
