"""Get to know a collection before training: lengths, artists, and an excerpt of each genre to see and to hear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from genre_lib import audio
from genre_lib.data.catalogue import Catalogue
from genre_lib.described_files import analyze_files
from genre_lib.descriptors import NUMBERS
from genre_lib.errors import AudioError
from genre_lib.networks.logmel import LogMel
from genre_lib.settings import Settings

EXCERPT_SECONDS = 6.0
DECIBELS_PER_NEPER = 10 / np.log(10)
"""Of power: the front end's natural logarithm in decibels."""


@dataclass(frozen=True)
class Excerpt:
    """Some seconds from the middle of a track: its path, float32 [samples], and samples a second."""

    path: str
    waveform: np.ndarray
    sample_rate: int


def with_durations(catalogue: Catalogue) -> pd.DataFrame:
    """The tracks with a ``duration`` in seconds for each, asked of the file's head where the table does not say.

    NaN where the file does not say either.
    """
    tracks = catalogue.tracks.copy()
    known = tracks["duration"] if "duration" in tracks else pd.Series(np.nan, index=tracks.index)
    tracks["duration"] = [
        _duration(path) if np.isnan(seconds) else seconds for path, seconds in zip(tracks["path"], known, strict=True)
    ]
    return tracks


def artists_per_split(catalogue: Catalogue) -> pd.DataFrame:
    """Number of known artists of each genre (row) in each split (column), and in all."""
    named = catalogue.tracks[catalogue.tracks["artist"] != ""]
    table = named.pivot_table(index="genre", columns="split", values="artist", aggfunc="nunique", fill_value=0)
    table = table.reindex(index=catalogue.genres, columns=catalogue.splits, fill_value=0)
    return table.assign(all=named.groupby("genre")["artist"].nunique()).fillna(0).astype(int)


def excerpts(
    catalogue: Catalogue, seconds: float = EXCERPT_SECONDS, sample_rate: int = 22050, seed: int = 0
) -> dict[str, Excerpt]:
    """An excerpt of a track of each genre, drawn by the seed; a genre of which no track decodes is left out."""
    shuffled = catalogue.tracks.sample(frac=1, random_state=seed)
    found = {
        genre: _first_excerpt(shuffled["path"][shuffled["genre"] == genre], seconds, sample_rate)
        for genre in catalogue.genres
    }
    return {genre: excerpt for genre, excerpt in found.items() if excerpt is not None}


def log_mels(found: Mapping[str, Excerpt], extractor: LogMel | None = None) -> dict[str, np.ndarray]:
    """Log-mel of each excerpt in decibels, [mels, frames], as the CNN's front end hears it."""
    extractor = extractor or LogMel()
    normalised = {genre: extractor.logmel(torch.from_numpy(one.waveform)).numpy() for genre, one in found.items()}
    return {genre: DECIBELS_PER_NEPER * (mel * extractor.std + extractor.mean) for genre, mel in normalised.items()}


def described(catalogue: Catalogue, settings: Settings, tracks_per_genre: int = 20, seed: int = 0) -> pd.DataFrame:
    """Descriptors of some tracks of each genre, drawn by the seed: a row each, with ``path`` and ``genre``.

    They are remembered, as by :func:`genre_lib.described_files.cached_file`; what does not decode is left out.
    """
    drawn = catalogue.tracks.sample(frac=1, random_state=seed).groupby("genre").head(tracks_per_genre)
    rows = analyze_files(drawn["path"], settings=settings)
    found = [
        {"path": row.path, "genre": genre, **row.features.to_json()}
        for row, genre in zip(rows, drawn["genre"], strict=True)
        if row.features
    ]
    return pd.DataFrame(found, columns=["path", "genre", *NUMBERS])


def _duration(path: str) -> float:
    try:
        return audio.probe(path).duration or np.nan
    except AudioError:
        return np.nan


def _first_excerpt(paths: pd.Series, seconds: float, sample_rate: int) -> Excerpt | None:
    for path in paths:
        try:
            waveform = audio.load(path, sample_rate, on_truncated="ignore").waveform
        except AudioError:
            continue
        length = round(seconds * sample_rate)
        begin = max(0, (len(waveform) - length) // 2)
        return Excerpt(path, waveform[begin : begin + length], sample_rate)
    return None
