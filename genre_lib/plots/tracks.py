"""Figures of music: what a catalogue holds, and what was measured of its tracks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from genre_lib.plots.chart import (
    BLUE,
    FAINT,
    GREEN,
    ORANGE,
    ROW_HEIGHT,
    WIDTH,
    Chart,
    as_chart,
    count,
    name_axes,
    number_bars,
    rows_axes,
    short,
    style,
    tick,
)

SPLIT_COLOURS = {"train": BLUE, "valid": ORANGE, "test": GREEN, "": FAINT}
NO_SPLIT = "no split yet"
MEL_COLUMNS = 3
OCTAVES = (8000, 4000, 2000, 1000, 500, 250, 125)
"""Hertz that a spectrogram's axis may name, the first ones first."""

OCTAVE_ROOM = 0.1
"""Share of the axis that a number takes; one that would stand closer to another is left out."""
PITCH_CLASSES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
DESCRIPTOR_UNITS = {
    **{"tempo": "beats per minute", "loudness": "LUFS", "energy": "0 to 1", "danceability": "0 to 1"},
    **{"valence": "0 to 1", "acousticness": "0 to 1"},
}
"""What the overview of a library shows, and the unit of each."""


class Described(Protocol):
    """What a track's curves were read as, as :class:`genre_lib.descriptors.Descriptors`."""

    @property
    def tempo(self) -> float: ...
    @property
    def key_name(self) -> str | None: ...
    @property
    def loudness(self) -> float: ...


class Heard(Protocol):
    """A track's curves over time, as :class:`genre_lib.descriptors.Curves`."""

    @property
    def described(self) -> Described: ...
    @property
    def onsets(self) -> np.ndarray: ...
    @property
    def onset_rate(self) -> float: ...
    @property
    def beats(self) -> np.ndarray: ...
    @property
    def chroma(self) -> np.ndarray: ...
    @property
    def chroma_rate(self) -> float: ...
    @property
    def loudness(self) -> np.ndarray: ...
    @property
    def loudness_rate(self) -> float: ...


@style()
def class_balance(tracks: pd.DataFrame) -> Chart:
    """Number of tracks of each genre, stacked by split.

    Args:
        tracks: a row for each track, with ``genre`` and ``split``.
    """
    counts = pd.crosstab(tracks["genre"], tracks["split"])
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False).index]
    axes = rows_axes(len(counts))
    labels = [short(genre) for genre in counts.index]
    left = np.zeros(len(counts))
    for split in [name for name in SPLIT_COLOURS if name in counts]:
        axes.barh(labels, counts[split], left=left, color=SPLIT_COLOURS[split], label=split or NO_SPLIT)
        left += counts[split].to_numpy()
    number_bars(axes, left, [f"{int(n)}" for n in left])
    name_axes(axes, f"{count(len(tracks), 'track')} of {count(len(counts), 'genre')}", "tracks", "")
    tick(axes.xaxis, whole=True)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4)
    return as_chart(axes)


@style()
def durations(tracks: pd.DataFrame) -> Chart:
    """Length of the tracks of each genre, a dot for each, with the median.

    Args:
        tracks: a row for each track, with ``genre`` and ``duration`` in seconds; unknown lengths are left out.
    """
    known = tracks.dropna(subset=["duration"]).sort_values("genre")
    genres = sorted(known["genre"].unique())
    axes = rows_axes(len(genres))
    # Seconds in a horizontal strip; the jitter is vertical and means nothing.
    jitter = np.random.default_rng(0).uniform(-0.28, 0.28, len(known))
    rows = known["genre"].map({genre: i for i, genre in enumerate(genres)}).to_numpy() + jitter
    axes.scatter(known["duration"], rows, s=12, color=BLUE, alpha=0.35, linewidths=0)
    medians = known.groupby("genre")["duration"].median().reindex(genres)
    axes.scatter(medians, range(len(genres)), marker="|", s=260, linewidths=2.5, color=ORANGE, label="median")
    axes.set_yticks(range(len(genres)), [short(genre) for genre in genres])
    axes.set_xlim(left=0)
    tick(axes.xaxis)
    hours = known["duration"].sum() / 3600
    name_axes(axes, f"Length of {count(len(known), 'track')}, {hours:.1f} hours in all", "seconds", "")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1))
    return as_chart(axes)


@style()
def mel_per_genre(
    mels: Mapping[str, np.ndarray], hop_seconds: float, frequencies: Sequence[float] | None = None
) -> Chart:
    """A log-mel picture of one track of each genre, on one scale of loudness.

    Args:
        mels: genre -> decibels, [mels, frames].
        hop_seconds: time between two frames.
        frequencies: centre of each mel band in Hz, [mels]; bands are numbered where it is not given.
    """
    columns = min(MEL_COLUMNS, len(mels))
    rows = math.ceil(len(mels) / columns)
    figure = Chart(figsize=(WIDTH, 0.7 + 1.75 * rows))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    low, high = np.percentile(np.concatenate([mel.ravel() for mel in mels.values()]), [2, 99.8])
    for axes, (genre, mel) in zip(grid.flat, mels.items(), strict=False):
        seconds = mel.shape[1] * hop_seconds
        extent = (0, seconds, -0.5, mel.shape[0] - 0.5)
        picture = axes.imshow(mel, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high, extent=extent)
        axes.set_title(short(genre), fontsize=10, pad=4)
        axes.grid(False)
        _frequency_ticks(axes, frequencies)
    for axes in grid.flat[len(mels) :]:
        axes.set_visible(False)
    figure.supxlabel("seconds", fontsize=10)
    figure.supylabel("hertz" if frequencies is not None else "mel band", fontsize=10)
    figure.suptitle("Log-mel spectrogram of one track of each genre", x=0.01, ha="left", fontsize=12, weight="bold")
    figure.colorbar(picture, ax=grid, label="level (dB)", aspect=12 * rows, pad=0.01)
    return figure


@style()
def track_curves(heard: Heard, title: str = "A track") -> Chart:
    """What a track's tempo, key and loudness were read from: onsets with the beats, pitch classes, loudness."""
    figure = Chart(figsize=(WIDTH, 6.2))
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(1, 1.5, 1))
    described, seconds = heard.described, len(heard.onsets) / heard.onset_rate
    top.vlines(heard.beats, 0, 1, transform=top.get_xaxis_transform(), color=ORANGE, linewidth=1, label="even beats")
    strength = heard.onsets / max(float(heard.onsets.max(initial=0.0)), 1e-9)
    top.plot(np.arange(len(strength)) / heard.onset_rate, strength, color=BLUE, linewidth=0.9, label="onsets")
    tempo = f"{described.tempo:.1f} beats per minute" if described.tempo else "no tempo"
    name_axes(top, f"{short(title, 60)}: {tempo}", "", "onsets (0 to 1)")
    top.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    edges = (np.arange(len(heard.chroma) + 1) + 0.5) / heard.chroma_rate
    edges[0], edges[-1] = 0, seconds  # what the first and the last frame hear reaches to the ends
    picture = middle.pcolormesh(edges, np.arange(13) - 0.5, heard.chroma.T, cmap="magma", vmin=0, vmax=1)
    middle.set_yticks(range(12), PITCH_CLASSES, fontsize=8)
    middle.grid(False)
    name_axes(middle, f"Pitch classes: {described.key_name or 'no key'}", "", "pitch class")
    figure.colorbar(picture, ax=(top, middle, bottom), label="strength", pad=0.01, aspect=50)
    bottom.plot((np.arange(len(heard.loudness)) + 2) / heard.loudness_rate, heard.loudness, color=BLUE, linewidth=1.2)
    bottom.axhline(described.loudness, color=ORANGE, linewidth=1.2, label="integrated")
    name_axes(bottom, f"Loudness: {described.loudness:.1f} LUFS", "seconds", "LUFS")
    bottom.set_xlim(0, seconds)
    bottom.legend(loc="lower right", bbox_to_anchor=(1, 1))
    return figure


@style()
def descriptors_by_genre(tracks: pd.DataFrame) -> Chart:
    """Descriptors of the tracks of each genre, a dot for each, with the median.

    Args:
        tracks: a row for each track, with ``genre`` and the names of :data:`DESCRIPTOR_UNITS`; a tempo of 0 is none.
    """
    genres = sorted(tracks["genre"].unique())
    figure = Chart(figsize=(WIDTH, 1.6 + 2 * (0.5 + 0.75 * ROW_HEIGHT * max(len(genres), 3))))
    shown = tracks.replace({"tempo": {0: np.nan}}).sort_values("genre")
    rows = shown["genre"].map({genre: i for i, genre in enumerate(genres)}).to_numpy()
    jitter = np.random.default_rng(0).uniform(-0.25, 0.25, len(shown))
    grid = figure.subplots(2, 3, sharey=True)
    for axes, (name, unit) in zip(grid.flat, DESCRIPTOR_UNITS.items(), strict=True):
        axes.scatter(shown[name], rows + jitter, s=12, color=BLUE, alpha=0.4, linewidths=0)
        medians = shown.groupby("genre")[name].median().reindex(genres)
        axes.scatter(medians, range(len(genres)), marker="|", s=160, linewidths=2.5, color=ORANGE)
        axes.set_yticks(range(len(genres)), [short(genre) for genre in genres])
        axes.set_ylim(len(genres) - 0.4, -0.6)
        axes.grid(False, axis="y")
        if unit == "0 to 1":
            axes.set_xlim(-0.03, 1.03)
        tick(axes.xaxis, most=5)
        name_axes(axes, name, unit, "")
    figure.suptitle(
        f"Descriptors of {count(len(shown), 'track')}, medians marked", x=0.01, ha="left", fontsize=12, weight="bold"
    )
    return figure


def _frequency_ticks(axes: Axes, frequencies: Sequence[float] | None) -> None:
    if frequencies is None:
        return
    room, places = OCTAVE_ROOM * len(frequencies), dict[int, float]()
    for hertz in OCTAVES:
        place = float(np.interp(hertz, frequencies, np.arange(len(frequencies))))
        if frequencies[0] <= hertz <= frequencies[-1] and all(abs(place - other) >= room for other in places.values()):
            places[hertz] = place
    named = sorted(places)
    axes.set_yticks([places[hertz] for hertz in named], [f"{hertz}" for hertz in named], fontsize=8)
