"""The look of all figures, and what they are drawn with."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import matplotlib
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

WIDTH = 8.0
"""Inches; all figures are as wide, so that they stand in one column."""

ROW_HEIGHT = 0.32
"""Inches of a bar, where a figure has a row for each genre, run or model."""

DPI = 110
PALETTE = [str(colour) for colour in sns.color_palette("colorblind").as_hex()]
BLUE, ORANGE, GREEN = PALETTE[:3]
MARKERS = "osD^vP"
INK, FAINT, PAPER = "#22272e", "#8b949e", "#ffffff"

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

MAX_NAME_LENGTH = 24

CLOCK_STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
"""Seconds from a tick of a clock to the next; the first that leaves room is taken."""

CLOCK_TICKS = 8


class Chart(Figure):
    """A figure that a notebook shows, once, without pyplot's list of open figures."""

    def _repr_png_(self) -> bytes:
        return to_png(self)

    @cached_property
    def print_png(self) -> bytes:
        """PNG for print, slides and fine screens: drawn once, for the file and for the page, so ask when all is in."""
        return to_png(self, dpi=2 * DPI)


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


def save(figure: Chart, path: Path) -> Path:
    """Write the figure for print and slides, as the path's ending says: PNG, SVG or PDF; the folder is made."""
    kind = path.suffix.lower().lstrip(".")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    if kind == "png":
        aside.write_bytes(figure.print_png)
    else:
        figure.savefig(aside, format=kind)
    return aside.replace(path)


def as_chart(axes: Axes) -> Chart:
    assert isinstance(axes.figure, Chart)
    return axes.figure


def rows_axes(rows: int) -> Axes:
    """Axes as tall as their rows need, the first row on top, lines for the values only."""
    figure = Chart(figsize=(WIDTH, 1.3 + ROW_HEIGHT * max(rows, 2)))
    axes = figure.subplots()
    axes.set_ylim(max(rows, 1) - 0.4, -0.6)
    axes.grid(False, axis="y")
    return axes


def name_axes(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def tick(axis: Axis, most: int = 8, whole: bool = False) -> None:
    """Ticks at steps of 1, 2 or 5, times a power of ten.

    Args:
        most: steps that the axis has at most.
        whole: whether the axis counts, so that there is nothing between two numbers.
    """
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10], integer=whole, min_n_ticks=1))


def tick_clock(axis: Axis, seconds: float) -> None:
    """Ticks at whole steps of a clock on an axis of so many seconds, told as minutes and seconds."""
    step = next((step for step in CLOCK_STEPS if seconds <= step * CLOCK_TICKS), seconds / CLOCK_TICKS)
    axis.set_major_locator(MultipleLocator(step))
    axis.set_major_formatter(FuncFormatter(lambda at, _: f"{int(at // 60)}:{int(at % 60):02d}"))


def looks_of(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each name, by its place: figures that are given the same names draw them alike."""
    places = enumerate(dict.fromkeys(names))
    return {name: (PALETTE[i % len(PALETTE)], MARKERS[i // len(PALETTE) % len(MARKERS)]) for i, name in places}


def number_bars(axes: Axes, ends: np.ndarray, numbers: Sequence[str]) -> None:
    for row, (end, number) in enumerate(zip(ends, numbers, strict=True)):
        axes.annotate(number, (end, row), (4, 0), textcoords="offset points", va="center", fontsize=9, color=INK)


def say_nothing_there(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=FAINT)


def short(text: str, length: int = MAX_NAME_LENGTH) -> str:
    """Cut a long name at the end, and keep ``$`` from being read as a formula."""
    cut = text if len(text) <= length else text[: length - 1] + "…"
    return cut.replace("$", r"\$")


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
