"""Figures: one style, colours that colour-blind people can tell apart, a title and units on every axis.

Each function returns a :class:`Chart`, a Matplotlib ``Figure`` that shows itself in a notebook. Nothing here changes
Matplotlib's or seaborn's global settings, and no figure stays open behind the caller's back.
"""

from genre_lib.plots.chart import Chart, save, style, to_png
from genre_lib.plots.costs import Point, score_against_cost
from genre_lib.plots.libraries import coverage, genre_map, playlist_mix
from genre_lib.plots.predictions import accuracy_intervals, confusion_matrix, prediction_bars, reliability, timeline
from genre_lib.plots.runs import compare_runs, learning_curves
from genre_lib.plots.tracks import (
    DESCRIPTOR_UNITS,
    class_balance,
    descriptors_by_genre,
    durations,
    mel_per_genre,
    track_curves,
)

__all__ = [
    "DESCRIPTOR_UNITS",
    "Chart",
    "Point",
    "accuracy_intervals",
    "class_balance",
    "compare_runs",
    "confusion_matrix",
    "coverage",
    "descriptors_by_genre",
    "durations",
    "genre_map",
    "learning_curves",
    "mel_per_genre",
    "playlist_mix",
    "prediction_bars",
    "reliability",
    "save",
    "score_against_cost",
    "style",
    "timeline",
    "to_png",
    "track_curves",
]
