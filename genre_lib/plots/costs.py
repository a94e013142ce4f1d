"""How good models are, over what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from genre_lib.metrics import Interval
from genre_lib.plots.chart import (
    FAINT,
    WIDTH,
    Chart,
    as_chart,
    looks_of,
    name_axes,
    say_nothing_there,
    short,
    style,
    tick,
)

LOG_FROM = 8.0
"""From this ratio of the dearest to the cheapest on, costs stand on a logarithmic axis."""

APART = 11.0
"""Points of 1/72 inch between two that cost almost the same, so that one bar does not hide the other."""

NAMED_UP_TO = 6
"""Points up to which each has its name beside it; the names of more stand in a legend."""

PLACES = tuple(
    (x, sign * y, "left" if x > 0 else "right", "bottom" if sign > 0 else "top")
    for y in (7, 21, 35, 49)
    for sign in (1, -1)
    for x in (8, -8)
)
"""Where a name may stand beside its point, the first that is free: offsets in points, and alignments."""


Looks = Mapping[str, tuple[str, str]]
"""Colour and marker by a model's name."""


@dataclass(frozen=True)
class Point:
    """A model in the figure.

    Args:
        cost: above zero, in whatever the axis says.
        score: with its interval, which is drawn as a bar.
        spread: lowest and highest cost of most measurements, drawn as a bar, too; None for a cost that is known.
    """

    name: str
    cost: float
    score: Interval
    spread: tuple[float, float] | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """What the cost may be: its spread, or itself."""
        return self.spread or (self.cost, self.cost)


@style()
def score_against_cost(
    points: Sequence[Point], cost: str, score: str = "track accuracy", among: Sequence[str] = ()
) -> Chart:
    """A point for each model, the score with its interval over the cost, and the line of those that none beats.

    Points that cost almost the same are drawn beside each other. Where one model is the best at any cost, there is no
    line.

    Args:
        among: all models of the figures that this one stands beside, in their order, for one colour in all of them.
    """
    figure = Chart(figsize=(WIDTH, 4.8))
    axes = figure.subplots()
    name_axes(axes, f"{score[:1].upper()}{score[1:]} against {cost.split(' (')[0]}", cost, score)
    tick(axes.yaxis)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}" if -1e-9 < value < 1.001 else ""))
    if not points:
        say_nothing_there(axes, "nothing measured yet")
        return figure
    _limit(axes, points)
    best = {point.name for point in front(points)}
    _draw(axes, points, best, looks_of(among or [point.name for point in points]))
    return figure


def front(points: Sequence[Point]) -> list[Point]:
    """The points that none beats, the cheapest first.

    One beats another that is better and not surely dearer, or as good and surely cheaper: where the spreads of two
    costs overlap, chance may have put either first.
    """
    found = [point for point in points if not any(_beats(other, point) for other in points)]
    return sorted(found, key=lambda point: point.cost)


def _beats(one: Point, other: Point) -> bool:
    better = one.score.value - other.score.value
    return (better > 0 and one.ends[0] <= other.ends[1]) or (better == 0 and one.ends[1] < other.ends[0])


def _limit(axes: Axes, points: Sequence[Point]) -> None:
    """Axes that hold all bars and names; costs that hardly differ do not fill the width as if they did."""
    ends = [end for point in points for end in point.ends]
    lowest, highest = min(ends), max(ends)
    if highest / lowest >= LOG_FROM:
        axes.set_xscale("log")
        axes.set_xlim(lowest / 2, highest * 2)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(0, 1.3 * highest)
        tick(axes.xaxis)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bars = [end for point in points for end in (point.score.low, point.score.high)]
    axes.set_ylim(max(-0.03, min(bars) - 0.06), min(1.06, max(bars) + 0.06))


def _draw(axes: Axes, points: Sequence[Point], best: set[str], looks: Looks) -> None:
    as_chart(axes).draw_without_rendering()  # from here on it is known which pixel a cost stands at
    drawn = _beside_each_other(axes, points)
    if len(best) > 1:
        _draw_front(axes, sorted((point for point in drawn if point.name in best), key=lambda point: point.cost))
    for point in drawn:
        _draw_point(axes, point, *looks[point.name])
    if len(points) <= NAMED_UP_TO:
        if len(best) > 1:
            axes.legend(handles=axes.lines[:1], loc="lower right", bbox_to_anchor=(1.0, 1.0))
        _draw_names(axes, drawn, looks)
    else:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.4)


def _beside_each_other(axes: Axes, points: Sequence[Point]) -> list[Point]:
    """The points, those of a group that costs almost the same moved aside, around the middle of the group."""
    pixel = axes.figure.get_dpi() / 72
    places = axes.transData.transform([(point.cost, 0.5) for point in points])[:, 0]
    moved = places.copy()
    for group in _groups(places, APART * pixel):
        steps = APART * pixel * (np.arange(len(group)) - (len(group) - 1) / 2)
        moved[group] = places[group].mean() + steps if len(group) > 1 else places[group]
    costs = axes.transData.inverted().transform(np.column_stack([moved, moved]))[:, 0]
    return [_moved(point, float(cost)) for point, cost in zip(points, costs, strict=True)]


def _groups(places: np.ndarray, apart: float) -> Iterator[list[int]]:
    """Indices of places that lie closer than ``apart`` to the next one, from left to right."""
    group: list[int] = []
    for index in np.argsort(places, kind="stable").tolist():
        if group and places[index] - places[group[-1]] >= apart:
            yield group
            group = []
        group.append(index)
    yield group


def _moved(point: Point, cost: float) -> Point:
    spread = point.spread and (point.spread[0] * cost / point.cost, point.spread[1] * cost / point.cost)
    return replace(point, cost=cost, spread=spread)


def _draw_front(axes: Axes, best: Sequence[Point]) -> None:
    """Steps from each to the next one that is better and dearer; beyond the last one nothing is known."""
    costs, scores = [point.cost for point in best], [point.score.value for point in best]
    line: dict[str, Any] = {"color": FAINT, "linewidth": 1.2, "linestyle": "--", "zorder": 1}
    axes.step(costs, scores, where="post", label="the best for its cost", **line)


def _draw_point(axes: Axes, point: Point, colour: str, marker: str) -> None:
    bar: dict[str, Any] = {"color": colour, "linewidth": 3, "alpha": 0.4, "solid_capstyle": "round"}
    axes.plot([point.cost] * 2, [point.score.low, point.score.high], **bar)
    axes.plot(point.ends, [point.score.value] * 2, **bar)
    axes.plot(point.cost, point.score.value, marker, color=colour, markersize=7.5, zorder=3, label=_text(point, 26))


def _text(point: Point, length: int) -> str:
    return f"{short(point.name, length)}  {point.score.value:.1%}"


def _draw_names(axes: Axes, points: Sequence[Point], looks: Looks) -> None:
    """A name beside each point, where it hides neither another name nor a point, if there is such a place."""
    as_chart(axes).draw_without_rendering()
    taken = [box for point in points for box in (_marker(axes, point), *_bars(axes, point))]
    for index in sorted(range(len(points)), key=lambda index: -points[index].score.value):
        taken.append(_named(axes, points[index], looks[points[index].name][0], taken))


def _named(axes: Axes, point: Point, colour: str, taken: Sequence[Bbox]) -> Bbox:
    """The name at the first place that is free, or else at the one that hides least; the room it takes."""
    look: dict[str, Any] = {"textcoords": "offset points", "fontsize": 9, "color": colour, "zorder": 4}
    tried: list[tuple[float, Annotation, Bbox]] = []
    for x, y, ha, va in PLACES:
        name = axes.annotate(_text(point, 32), (point.cost, point.score.value), (x, y), ha=ha, va=va, **look)
        box = name.get_window_extent()
        tried.append((_hidden(box, taken, axes.get_window_extent()), name, box))
        if tried[-1][0] == 0:
            break
    kept = min(tried, key=lambda attempt: attempt[0])
    for attempt in tried:
        if attempt is not kept:
            attempt[1].remove()
    return kept[2]


def _hidden(box: Bbox, taken: Sequence[Bbox], inside: Bbox) -> float:
    """Square pixels of the box that lie on what is drawn already, and many for those outside of the axes."""
    overlaps = [Bbox.intersection(box, other) for other in taken]
    within = Bbox.intersection(box, inside)
    outside = _area(box) - (0.0 if within is None else _area(within))
    return sum(_area(overlap) for overlap in overlaps if overlap is not None) + 10 * max(0.0, outside - 0.5)


def _area(box: Bbox) -> float:
    return float(box.width * box.height)


def _marker(axes: Axes, point: Point) -> Bbox:
    """The room of a point's marker, in pixels."""
    pixel = axes.figure.get_dpi() / 72
    x, y = axes.transData.transform((point.cost, point.score.value))
    return Bbox.from_extents(x - 5 * pixel, y - 5 * pixel, x + 5 * pixel, y + 5 * pixel)


def _bars(axes: Axes, point: Point) -> tuple[Bbox, Bbox]:
    """The room of the bars of a score's interval and of a cost's spread, in pixels, with some air around them."""
    air = 4 * axes.figure.get_dpi() / 72
    x, low = axes.transData.transform((point.cost, point.score.low))
    high = axes.transData.transform((point.cost, point.score.high))[1]
    (left, y), (right, _) = axes.transData.transform([(end, point.score.value) for end in point.ends])
    upright = Bbox.from_extents(x - air, low - air, x + air, high + air)
    return upright, Bbox.from_extents(left - air, y - air, right + air, y + air)
