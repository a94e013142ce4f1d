"""Figures of what a model says of tracks, and how right it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from genre_lib.metrics import Interval, ReliabilityBins, wilson_interval
from genre_lib.plots.chart import (
    BLUE,
    FAINT,
    INK,
    ORANGE,
    PALETTE,
    WIDTH,
    Chart,
    as_chart,
    count,
    looks_of,
    name_axes,
    number_bars,
    rows_axes,
    say_nothing_there,
    short,
    style,
    tick,
    tick_clock,
)

BANDS = [*PALETTE[:3], PALETTE[4], PALETTE[9]]
"""Colours of the genres that a timeline tells apart; the others share one grey band."""

CELL_NUMBERS_UP_TO = 20
"""Genres up to which a confusion matrix prints its numbers."""


class Scored(Protocol):
    """A genre and how sure the model is of it, as :class:`genre_lib.predictions.Prediction`."""

    @property
    def genre(self) -> str: ...
    @property
    def confidence(self) -> float: ...


class Span(Protocol):
    """A stretch of a track in seconds, as :class:`genre_lib.predictions.Segment`."""

    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def predictions(self) -> Sequence[Scored]: ...


@style()
def prediction_bars(predictions: Sequence[Scored], top_k: int = 5, title: str = "Predicted genre") -> Chart:
    """The most likely genres of one track, as bars."""
    shown = sorted(predictions, key=lambda p: p.confidence, reverse=True)[:top_k]
    values = np.array([p.confidence for p in shown])
    axes = rows_axes(len(shown))
    colours = [BLUE] + [FAINT] * (len(shown) - 1)
    axes.barh(range(len(shown)), values, color=colours)
    axes.set_yticks(range(len(shown)), [short(p.genre) for p in shown])
    number_bars(axes, values, [f"{v:.0%}" for v in values])
    axes.set_xlim(0, 1.12)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    name_axes(axes, short(title, 70), "confidence", "")
    return as_chart(axes)


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
        edges, levels, labels=[short(str(band)) for band in bands], colors=colours, step="post", edgecolor="white"
    )
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1))
    axes.grid(False)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    tick_clock(axes.xaxis, edges[-1] - edges[0])
    name_axes(axes, short(title, 70), "time (minutes:seconds)", "confidence")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@style()
def confusion_matrix(matrix: np.ndarray, genres: Sequence[str], what: str = "genre") -> Chart:
    """Where the tracks of each genre went: coloured by share of the row, printed as number of tracks.

    Args:
        matrix: tracks, int [genres, genres]; a row is the true genre, a column the predicted one.
        what: a class is called.
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
    labels = [short(genre) for genre in genres]
    axes.set_xticks(range(len(genres)), labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
    axes.set_yticks(range(len(genres)), labels, fontsize=size)
    axes.grid(False)
    right, tracks = int(np.trace(matrix)), int(matrix.sum())
    name_axes(axes, f"{right} of {count(tracks, 'track')} right", f"predicted {what}", f"true {what}")
    axes.yaxis.labelpad = 10
    figure.colorbar(picture, ax=axes, format=PercentFormatter(1), label=f"share of the true {what}", shrink=0.8)
    return figure


@style()
def reliability(before: ReliabilityBins, after: ReliabilityBins | None = None) -> Chart:
    """Does a confidence of 0.8 mean right 8 times in 10? Accuracy over confidence, and how many tracks are where.

    A point for each bin, larger where it holds more tracks, with the interval that so many tracks leave.

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
    top.set(xlim=(0, 1), ylim=(-0.04, 1.06), aspect="auto")
    name_axes(top, f"Reliability over {count(int(before.count.sum()), 'track')}", "", "accuracy in the bin")
    name_axes(bottom, "", "confidence of the top genre", "tracks")
    tick(bottom.yaxis, most=3, whole=True)
    top.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@style()
def accuracy_intervals(
    intervals: Mapping[str, Interval | None], label: str = "track accuracy", among: Sequence[str] = ()
) -> Chart:
    """A score of several models or runs, with its confidence interval, a row each.

    Args:
        intervals: name -> interval; None where a model was not evaluated. A name may say after a comma what the model
            was asked: its rows have the model's colour.
        among: all models of the figures that this one stands beside, in their order, for one colour in all of them.
    """
    known = {name: interval for name, interval in intervals.items() if interval is not None}
    axes, looks = rows_axes(len(known)), looks_of(among or intervals)
    for row, (name, interval) in enumerate(known.items()):
        colour, marker = next(look for model, look in looks.items() if f"{name}, ".startswith(f"{model}, "))
        bar: dict[str, Any] = {"color": colour, "linewidth": 3, "alpha": 0.45, "solid_capstyle": "round"}
        axes.plot([interval.low, interval.high], [row, row], **bar)
        axes.plot(interval.value, row, marker, color=colour, markersize=7)
        axes.annotate(
            f"{interval.value:.1%}", (interval.value, row), (0, 7), textcoords="offset points", ha="center", fontsize=9
        )
    axes.set_yticks(range(len(known)), [short(name, 40) for name in known])
    axes.set_ylim(len(known) - 0.4, -0.7)
    axes.set_xlim(-0.03, 1.05)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    name_axes(axes, f"{label[:1].upper()}{label[1:]} with 95 % interval", label, "")
    if not known:
        say_nothing_there(axes, "nothing evaluated yet")
    return as_chart(axes)


def _print_cells(axes: Axes, matrix: np.ndarray, share: np.ndarray) -> None:
    for row, column in np.argwhere(matrix > 0):
        colour = "white" if share[row, column] > 0.55 else INK
        axes.text(column, row, f"{matrix[row, column]}", ha="center", va="center", color=colour, fontsize=9)


def _draw_bins(top: Axes, bottom: Axes, bins: ReliabilityBins, name: str, colour: str, place: int, places: int) -> None:
    full = bins.count > 0
    sizes = 18 + 160 * bins.count[full] / bins.count.max()
    counts = bins.count[full].astype(int)
    rights = np.round(bins.accuracy[full] * counts).astype(int)
    spans = [wilson_interval(int(right), int(tracks)) for right, tracks in zip(rights, counts, strict=True)]
    lows, highs = [span.low for span in spans], [span.high for span in spans]
    top.vlines(bins.confidence[full], lows, highs, color=colour, linewidth=1.5, alpha=0.35)
    top.scatter(bins.confidence[full], bins.accuracy[full], s=sizes, color=colour, label=name, zorder=3, linewidths=0)
    width = (bins.high - bins.low) * 0.9 / places
    bottom.bar(bins.low + 0.05 * (bins.high - bins.low) + place * width, bins.count, width, align="edge", color=colour)
