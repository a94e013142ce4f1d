"""Figures: one style, colours that colour-blind people can tell apart, a title and units on every axis.

Each function returns a :class:`Chart`, a Matplotlib ``Figure`` that shows itself in a notebook. Nothing here changes
Matplotlib's or seaborn's global settings, and no figure stays open behind the caller's back.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from genre_lib.metrics import Interval, ReliabilityBins

WIDTH = 8.0
"""Inches; all figures are as wide, so that they stand in one column."""

ROW_HEIGHT = 0.32
"""Inches of a bar, where a figure has a row for each genre, run or model."""

DPI = 110
PALETTE = [str(colour) for colour in sns.color_palette("colorblind").as_hex()]
BLUE, ORANGE, GREEN = PALETTE[:3]
INK, FAINT, PAPER = "#22272e", "#8b949e", "#ffffff"
SPLIT_COLOURS = {"train": BLUE, "valid": ORANGE, "test": GREEN, "": FAINT}
NO_SPLIT = "no split yet"

STYLE = {
    **sns.axes_style("whitegrid"),
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "font.size": 10.0,
    "axes.titlesize": 12.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10.0,
    "axes.labelsize": 10.0,
    "axes.edgecolor": "#d0d7de",
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": "#e6eaef",
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": DPI,
}

MAX_GENRE_LENGTH = 24
MEL_COLUMNS = 3
BANDS = [*PALETTE[:3], PALETTE[4], PALETTE[9]]
"""Colours of the genres that a timeline tells apart; the others share one grey band."""

CELL_NUMBERS_UP_TO = 20
"""Genres up to which a confusion matrix prints its numbers."""


class Scored(Protocol):
    """A genre and how sure the model is of it, as :class:`genre_lib.inference.Prediction`."""

    @property
    def genre(self) -> str: ...
    @property
    def confidence(self) -> float: ...


class Span(Protocol):
    """A stretch of a track in seconds, as :class:`genre_lib.inference.Segment`."""

    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def predictions(self) -> Sequence[Scored]: ...


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


class Chart(Figure):
    """A figure that a notebook shows, once, without pyplot's list of open figures."""

    def _repr_png_(self) -> bytes:
        return to_png(self)


@dataclass(frozen=True)
class Panel:
    """One of the learning curves' pictures: column of the history -> what it is called, and its colour."""

    title: str
    unit: str
    lines: Mapping[str, tuple[str, str]]
    top: float | None = None


PITCH_CLASSES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
DESCRIPTOR_UNITS = {
    **{"tempo": "beats per minute", "loudness": "LUFS", "energy": "0 to 1", "danceability": "0 to 1"},
    **{"valence": "0 to 1", "acousticness": "0 to 1"},
}
"""What the overview of a library shows, and the unit of each."""

CURVES = (
    Panel("Loss", "nats", {"train_loss": ("train", BLUE), "valid_loss": ("valid", ORANGE)}),
    Panel(
        "Validation score",
        "",
        {"valid_accuracy": ("accuracy", BLUE), "valid_macro_f1": ("macro-F1", GREEN)},
        1.02,
    ),
    Panel("Learning rate", "", {"learning_rate": ("learning rate", FAINT)}),
)


@contextmanager
def style() -> Iterator[None]:
    """The look of all figures, inside the ``with`` (or the decorated function) only."""
    with matplotlib.rc_context(STYLE):
        yield


def to_png(figure: Figure, dpi: int = DPI) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> Path:
    """Write the figure as a PNG for print and slides; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    aside.write_bytes(to_png(figure, dpi=2 * DPI))
    return aside.replace(path)


@style()
def class_balance(tracks: pd.DataFrame) -> Chart:
    """Number of tracks of each genre, stacked by split.

    Args:
        tracks: a row for each track, with ``genre`` and ``split``.
    """
    counts = pd.crosstab(tracks["genre"], tracks["split"])
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False).index]
    axes = _rows_axes(len(counts))
    labels = [_short(genre) for genre in counts.index]
    left = np.zeros(len(counts))
    for split in [name for name in SPLIT_COLOURS if name in counts]:
        axes.barh(labels, counts[split], left=left, color=SPLIT_COLOURS[split], label=split or NO_SPLIT)
        left += counts[split].to_numpy()
    _number_bars(axes, left, [f"{int(n)}" for n in left])
    _name_axes(axes, f"{_count(len(tracks), 'track')} of {_count(len(counts), 'genre')}", "tracks", "")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4)
    return _chart(axes)


@style()
def durations(tracks: pd.DataFrame) -> Chart:
    """Length of the tracks of each genre, a dot for each, with the median.

    Args:
        tracks: a row for each track, with ``genre`` and ``duration`` in seconds; unknown lengths are left out.
    """
    known = tracks.dropna(subset=["duration"]).sort_values("genre")
    genres = sorted(known["genre"].unique())
    axes = _rows_axes(len(genres))
    # Seconds in a horizontal strip; the jitter is vertical and means nothing.
    jitter = np.random.default_rng(0).uniform(-0.28, 0.28, len(known))
    rows = known["genre"].map({genre: i for i, genre in enumerate(genres)}).to_numpy() + jitter
    axes.scatter(known["duration"], rows, s=12, color=BLUE, alpha=0.35, linewidths=0)
    medians = known.groupby("genre")["duration"].median().reindex(genres)
    axes.scatter(medians, range(len(genres)), marker="|", s=260, linewidths=2.5, color=ORANGE, label="median")
    axes.set_yticks(range(len(genres)), [_short(genre) for genre in genres])
    axes.set_xlim(left=0)
    hours = known["duration"].sum() / 3600
    _name_axes(axes, f"Length of {_count(len(known), 'track')}, {hours:.1f} hours in all", "seconds", "")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1))
    return _chart(axes)


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
        axes.set_title(_short(genre), fontsize=10, pad=4)
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
def confusion_matrix(matrix: np.ndarray, genres: Sequence[str]) -> Chart:
    """Where the tracks of each genre went: coloured by share of the row, printed as number of tracks.

    Args:
        matrix: tracks, int [genres, genres]; a row is the true genre, a column the predicted one.
    """
    matrix = np.asarray(matrix)
    support = matrix.sum(axis=1, keepdims=True)
    share = np.divide(matrix, support, out=np.zeros(matrix.shape), where=support > 0)
    side = float(np.clip(1.6 + 0.45 * len(genres), 4.2, 11))
    figure = Chart(figsize=(side + 1.2, side))
    axes = figure.subplots()
    picture = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if len(genres) <= CELL_NUMBERS_UP_TO:
        _print_cells(axes, matrix, share)
    size = 10 if len(genres) <= CELL_NUMBERS_UP_TO else 7
    labels = [_short(genre) for genre in genres]
    axes.set_xticks(range(len(genres)), labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
    axes.set_yticks(range(len(genres)), labels, fontsize=size)
    axes.grid(False)
    right, tracks = int(np.trace(matrix)), int(matrix.sum())
    _name_axes(axes, f"{right} of {_count(tracks, 'track')} right", "predicted genre", "true genre")
    figure.colorbar(picture, ax=axes, format=PercentFormatter(1), label="share of the true genre", shrink=0.8)
    return figure


@style()
def reliability(before: ReliabilityBins, after: ReliabilityBins | None = None) -> Chart:
    """Does a confidence of 0.8 mean right 8 times in 10? Accuracy over confidence, and how many tracks are where.

    Args:
        before: bins at temperature 1.
        after: bins with the fitted temperature, if there is one.
    """
    figure = Chart(figsize=(WIDTH, 5.2))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    top.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle="--", label="perfectly calibrated")
    named = {"before scaling" if after else "model": (before, ORANGE if after else BLUE)}
    if after:
        named["after scaling"] = (after, BLUE)
    for i, (name, (bins, colour)) in enumerate(named.items()):
        _draw_bins(top, bottom, bins, name, colour, i, len(named))
    top.set(xlim=(0, 1), ylim=(-0.02, 1.02), aspect="auto")
    _name_axes(top, f"Reliability over {_count(int(before.count.sum()), 'track')}", "", "accuracy in the bin")
    _name_axes(bottom, "", "confidence of the top genre", "tracks")
    bottom.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    top.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@style()
def learning_curves(history: pd.DataFrame, best_epoch: int | None = None) -> Chart:
    """Loss, track-level scores and learning rate over the epochs.

    Args:
        history: a row for each epoch, with ``epoch`` and any of ``train_loss``, ``valid_loss``,
            ``valid_accuracy``, ``valid_macro_f1`` and ``learning_rate``; what is missing is not drawn.
        best_epoch: marked with a line: the epoch whose weights were kept.
    """
    shown = [panel for panel in CURVES if any(_drawable(history, column) for column in panel.lines)]
    figure = Chart(figsize=(WIDTH, 3.4))
    for axes, panel in zip(figure.subplots(1, max(1, len(shown)), squeeze=False).flat, shown, strict=False):
        _draw_panel(axes, panel, history, best_epoch)
    if not shown:
        _say_nothing_there(figure.axes[0], "no epochs yet")
    return figure


@style()
def prediction_bars(predictions: Sequence[Scored], top_k: int = 5, title: str = "Predicted genre") -> Chart:
    """The most likely genres of one track, as bars."""
    shown = sorted(predictions, key=lambda p: p.confidence, reverse=True)[:top_k]
    values = np.array([p.confidence for p in shown])
    axes = _rows_axes(len(shown))
    colours = [BLUE] + [FAINT] * (len(shown) - 1)
    axes.barh(range(len(shown)), values, color=colours)
    axes.set_yticks(range(len(shown)), [_short(p.genre) for p in shown])
    _number_bars(axes, values, [f"{v:.0%}" for v in values])
    axes.set_xlim(0, 1.12)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    _name_axes(axes, _short(title, 70), "confidence", "")
    return _chart(axes)


@style()
def timeline(segments: Sequence[Span], title: str = "Genre over the length of the track") -> Chart:
    """How sure the model is of each genre, over the length of a track, as stacked bands."""
    confidences = pd.DataFrame([{p.genre: p.confidence for p in segment.predictions} for segment in segments])
    named = confidences.mean().sort_values(ascending=False).index[: len(BANDS)]
    bands = confidences[named].fillna(0.0)
    if len(named) < confidences.shape[1]:
        bands["other"] = (1 - bands.sum(axis=1)).clip(lower=0)
    edges = [segment.start for segment in segments] + [segments[-1].end]
    figure = Chart(figsize=(WIDTH, 3.2))
    axes = figure.subplots()
    colours = [*BANDS[: len(named)], "#dfe3e8"]
    levels = np.vstack([bands.to_numpy(), bands.to_numpy()[-1:]]).T
    axes.stackplot(
        edges, levels, labels=[_short(str(band)) for band in bands], colors=colours, step="post", edgecolor="white"
    )
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1))
    axes.grid(False)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{int(seconds // 60)}:{int(seconds % 60):02d}"))
    _name_axes(axes, _short(title, 70), "time (minutes:seconds)", "confidence")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@style()
def track_curves(heard: Heard, title: str = "A track") -> Chart:
    """What a track's tempo, key and loudness were read from: onsets with the beats, pitch classes, loudness."""
    figure = Chart(figsize=(WIDTH, 6.2))
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(1, 1.5, 1))
    described, seconds = heard.described, len(heard.onsets) / heard.onset_rate
    top.vlines(heard.beats, 0, 1, transform=top.get_xaxis_transform(), color=ORANGE, linewidth=1, label="even beats")
    top.plot(np.arange(len(heard.onsets)) / heard.onset_rate, heard.onsets, color=BLUE, linewidth=0.9, label="onsets")
    tempo = f"{described.tempo:.1f} beats per minute" if described.tempo else "no tempo"
    _name_axes(top, f"{_short(title, 60)}: {tempo}", "", "onset strength")
    top.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    extent = (0.5 / heard.chroma_rate, (len(heard.chroma) + 0.5) / heard.chroma_rate, -0.5, 11.5)
    picture = middle.imshow(heard.chroma.T, origin="lower", aspect="auto", cmap="magma", vmin=0, vmax=1, extent=extent)
    middle.set_yticks(range(12), PITCH_CLASSES, fontsize=8)
    middle.grid(False)
    _name_axes(middle, f"Pitch classes: {described.key_name or 'no key'}", "", "pitch class")
    figure.colorbar(picture, ax=(top, middle, bottom), label="strength", pad=0.01, aspect=50)
    bottom.plot((np.arange(len(heard.loudness)) + 2) / heard.loudness_rate, heard.loudness, color=BLUE, linewidth=1.2)
    bottom.axhline(described.loudness, color=ORANGE, linewidth=1.2, label="integrated")
    _name_axes(bottom, f"Loudness: {described.loudness:.1f} LUFS", "seconds", "LUFS")
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
        axes.set_yticks(range(len(genres)), [_short(genre) for genre in genres])
        axes.set_ylim(len(genres) - 0.4, -0.6)
        axes.grid(False, axis="y")
        if unit == "0 to 1":
            axes.set_xlim(-0.03, 1.03)
        _name_axes(axes, name, unit, "")
    figure.suptitle(
        f"Descriptors of {_count(len(shown), 'track')}, medians marked", x=0.01, ha="left", fontsize=12, weight="bold"
    )
    return figure


@style()
def compare_runs(histories: Mapping[str, pd.DataFrame], score: str = "valid_accuracy") -> Chart:
    """A score of several runs over their epochs, a line each.

    Args:
        histories: run -> a row for each epoch, with ``epoch`` and the score.
    """
    figure = Chart(figsize=(WIDTH, 3.8))
    axes = figure.subplots()
    for i, (run, history) in enumerate(histories.items()):
        if score in history:
            marker, colour = "osD^v"[i // len(PALETTE) % 5], PALETTE[i % len(PALETTE)]
            axes.plot(
                history["epoch"], history[score], color=colour, marker=marker, markersize=4, label=_short(run, 40)
            )
    _name_axes(axes, f"{_count(len(histories), 'run')} over the epochs", "epoch", score.replace("_", " "))
    axes.set_ylim(0, None if score.endswith("loss") else 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if histories:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    else:
        _say_nothing_there(axes, "no runs yet")
    return figure


@style()
def accuracy_intervals(intervals: Mapping[str, Interval | None], label: str = "track accuracy") -> Chart:
    """A score of several models or runs, with its confidence interval, a row each.

    Args:
        intervals: name -> interval; None where a model was not evaluated.
    """
    known = {name: interval for name, interval in intervals.items() if interval is not None}
    axes = _rows_axes(len(known))
    for row, interval in enumerate(known.values()):
        axes.plot(
            [interval.low, interval.high], [row, row], color=BLUE, linewidth=3, alpha=0.45, solid_capstyle="round"
        )
        axes.plot(interval.value, row, "o", color=BLUE, markersize=7)
        axes.annotate(
            f"{interval.value:.1%}", (interval.value, row), (0, 7), textcoords="offset points", ha="center", fontsize=9
        )
    axes.set_yticks(range(len(known)), [_short(name, 40) for name in known])
    axes.set_ylim(len(known) - 0.4, -0.7)
    axes.set_xlim(0, 1.05)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    _name_axes(axes, f"{label[:1].upper()}{label[1:]} with 95 % interval", label, "")
    if not known:
        _say_nothing_there(axes, "nothing evaluated yet")
    return _chart(axes)


def _chart(axes: Axes) -> Chart:
    assert isinstance(axes.figure, Chart)
    return axes.figure


def _rows_axes(rows: int) -> Axes:
    """Axes as tall as their rows need, the first row on top, lines for the values only."""
    figure = Chart(figsize=(WIDTH, 1.3 + ROW_HEIGHT * max(rows, 2)))
    axes = figure.subplots()
    axes.set_ylim(max(rows, 1) - 0.4, -0.6)
    axes.grid(False, axis="y")
    return axes


def _name_axes(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _number_bars(axes: Axes, ends: np.ndarray, numbers: Sequence[str]) -> None:
    for row, (end, number) in enumerate(zip(ends, numbers, strict=True)):
        axes.annotate(number, (end, row), (4, 0), textcoords="offset points", va="center", fontsize=9, color=INK)


def _frequency_ticks(axes: Axes, frequencies: Sequence[float] | None) -> None:
    if frequencies is None:
        return
    wanted = [hertz for hertz in (250, 1000, 4000) if frequencies[0] <= hertz <= frequencies[-1]]
    axes.set_yticks(np.interp(wanted, frequencies, np.arange(len(frequencies))), [f"{hertz}" for hertz in wanted])


def _print_cells(axes: Axes, matrix: np.ndarray, share: np.ndarray) -> None:
    for row, column in np.argwhere(matrix > 0):
        colour = "white" if share[row, column] > 0.55 else INK
        axes.text(column, row, f"{matrix[row, column]}", ha="center", va="center", color=colour, fontsize=9)


def _draw_bins(top: Axes, bottom: Axes, bins: ReliabilityBins, name: str, colour: str, place: int, places: int) -> None:
    full = bins.count > 0
    sizes = 18 + 160 * bins.count[full] / bins.count.max()
    top.plot(bins.confidence[full], bins.accuracy[full], color=colour, linewidth=1.5, alpha=0.7)
    top.scatter(bins.confidence[full], bins.accuracy[full], s=sizes, color=colour, label=name, zorder=3, linewidths=0)
    width = (bins.high - bins.low) * 0.9 / places
    bottom.bar(bins.low + 0.05 * (bins.high - bins.low) + place * width, bins.count, width, align="edge", color=colour)


def _drawable(history: pd.DataFrame, column: str) -> bool:
    return column in history and bool(history[column].notna().any())


def _draw_panel(axes: Axes, panel: Panel, history: pd.DataFrame, best_epoch: int | None) -> None:
    for column, (name, colour) in panel.lines.items():
        if _drawable(history, column):
            known = history.dropna(subset=[column])
            axes.plot(known["epoch"], known[column], color=colour, marker="o", markersize=4, label=name, clip_on=False)
    if best_epoch is not None:
        axes.axvline(best_epoch, color=INK, linewidth=1, linestyle=":", label=f"epoch {best_epoch} kept")
    _name_axes(axes, panel.title, "epoch", panel.unit)
    axes.set_ylim(bottom=0, top=panel.top)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, columnspacing=1, handlelength=1.5)


def _say_nothing_there(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=FAINT)


def _short(text: str, length: int = MAX_GENRE_LENGTH) -> str:
    """Cut a long name at the end, and keep ``$`` from being read as a formula."""
    cut = text if len(text) <= length else text[: length - 1] + "…"
    return cut.replace("$", r"\$")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
