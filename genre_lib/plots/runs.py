"""Figures of training runs over their epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from genre_lib.plots.chart import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    WIDTH,
    Chart,
    count,
    looks_of,
    name_axes,
    say_nothing_there,
    short,
    style,
    tick,
)


@dataclass(frozen=True)
class Panel:
    """One of the learning curves' pictures: column of the history -> what it is called, and its colour."""

    title: str
    unit: str
    lines: Mapping[str, tuple[str, str]]
    top: float | None = None


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
        say_nothing_there(figure.axes[0], "no epochs yet")
    return figure


@style()
def compare_runs(
    histories: Mapping[str, pd.DataFrame], score: str = "valid_accuracy", among: Sequence[str] = ()
) -> Chart:
    """A score of several runs over their epochs, a line each.

    Args:
        histories: run -> a row for each epoch, with ``epoch`` and the score.
        among: all runs of the figures that this one stands beside, in their order, for one colour in all of them.
    """
    figure = Chart(figsize=(WIDTH, 3.8))
    axes = figure.subplots()
    looks = looks_of(among or histories)
    for run, history in histories.items():
        if score in history:
            colour, marker = looks[run]
            axes.plot(history["epoch"], history[score], color=colour, marker=marker, markersize=4, label=short(run, 40))
    name_axes(axes, f"{count(len(histories), 'run')} over the epochs", "epoch", score.replace("_", " "))
    axes.set_ylim(0, None if score.endswith("loss") else 1.02)
    tick(axes.xaxis, whole=True)
    if histories:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    else:
        say_nothing_there(axes, "no runs yet")
    return figure


def _drawable(history: pd.DataFrame, column: str) -> bool:
    return column in history and bool(history[column].notna().any())


def _draw_panel(axes: Axes, panel: Panel, history: pd.DataFrame, best_epoch: int | None) -> None:
    for column, (name, colour) in panel.lines.items():
        if _drawable(history, column):
            known = history.dropna(subset=[column])
            axes.plot(known["epoch"], known[column], color=colour, marker="o", markersize=4, label=name, clip_on=False)
    if best_epoch is not None:
        axes.axvline(best_epoch, color=INK, linewidth=1, linestyle=":", label=f"epoch {best_epoch} kept")
    name_axes(axes, panel.title, "epoch", panel.unit)
    axes.set_ylim(bottom=0, top=panel.top)
    tick(axes.xaxis, most=5, whole=True)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    tick(axes.yaxis, most=5)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, columnspacing=1, handlelength=1.5)
