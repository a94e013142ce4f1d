"""Clips of a person's own music, by which engines are compared and calibrated."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from genre_lib.audio import AudioTruncatedWarning, Limits, load
from genre_lib.clips import cut
from genre_lib.errors import AudioError, CatalogueInvalid
from genre_lib.networks.folder import LoadedModel

FEWEST = 8
"""Clips that say something of an engine."""


def heard(
    paths: Sequence[Path | str], model: LoadedModel, wanted: int, seed: int = 0, limits: Limits | None = None
) -> np.ndarray:
    """So many clips [clips, samples] of as many different tracks as there are, drawn by the seed.

    Tracks are taken in a drawn order and in rounds; a round takes a clip that was not taken before of each. A file that
    cannot be decoded is passed over.

    Raises:
        CatalogueInvalid: there are fewer than :data:`FEWEST` clips in the music.
    """
    rng = np.random.default_rng(seed)
    order = [Path(paths[row]) for row in rng.permutation(len(paths))]
    found: list[np.ndarray] = []
    rest: list[np.ndarray] = []
    for clips in _drawn(order, model, rng, limits):
        if len(found) == wanted:
            break
        found.append(clips[0])
        rest += list(clips[1:])
    found += [rest[row] for row in rng.permutation(len(rest))[: wanted - len(found)]]
    if len(found) < FEWEST:
        raise CatalogueInvalid(
            f"Expected music of at least {FEWEST} clips of {model.inference.clip_seconds:g} s that can be decoded, and "
            f"found {len(found)}; name a folder with more of it."
        )
    return np.stack(found)


def shared_out(clips: np.ndarray, first: int, second: int) -> tuple[np.ndarray, np.ndarray]:
    """Clips as two parts of so many each; in the same proportion where there are fewer than both together."""
    cut_at = min(first, max(1, round(len(clips) * first / (first + second))))
    return clips[:cut_at], clips[cut_at : cut_at + second]


def _drawn(
    order: Sequence[Path], model: LoadedModel, rng: np.random.Generator, limits: Limits | None
) -> Iterator[np.ndarray]:
    """The clips [clips, samples] of each track, in an order that is drawn."""
    for path in order:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AudioTruncatedWarning)
                waveform = load(path, model.sample_rate, limits=limits).waveform
        except AudioError:
            continue
        settings = model.inference
        clips = cut(waveform, model.sample_rate, settings.clip_seconds, settings.hop_seconds)
        yield clips[rng.permutation(len(clips))]
