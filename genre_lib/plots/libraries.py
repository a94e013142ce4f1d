"""Figures of a streaming library: which genres its artists' names for them stand for, and which tracks have audio."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from genre_lib.plots.chart import (
    BLUE,
    FAINT,
    PALETTE,
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

NARROWEST_NAMED = 0.01
"""Share of the axis for each letter of a name: a narrower piece stands without it."""

OTHERS = "others"
MOST_PIECES = 6
MOST_PLAYLISTS = 16


@style()
def genre_map(names: pd.DataFrame, most: int = MOST_PIECES) -> Chart:
    """What the fine genre names of a library came to: a bar for each genre, cut by the names that led to it.

    Args:
        names: a row for each pair of ``genre`` and ``name`` (the fine one), with ``tracks``.
        most: names that a bar is cut by; the rarer ones are together.
    """
    totals = names.groupby("genre")["tracks"].sum().sort_values(ascending=False)
    axes = rows_axes(len(totals))
    axes.set_xlim(0, max(float(totals.max()) if len(totals) else 0.0, 1.0) * 1.1)
    for row, genre in enumerate(totals.index):
        pieces = names[names["genre"] == genre].groupby("name")["tracks"].sum().sort_values(ascending=False)
        _cut_bar(axes, row, _fewer(pieces, most), PALETTE[row % len(PALETTE)])
    axes.set_yticks(range(len(totals)), [short(str(genre)) for genre in totals.index])
    number_bars(axes, totals.to_numpy(), [f"{n:g}" for n in totals.round(0)])
    tick(axes.xaxis, whole=True)
    name_axes(axes, f"{count(names['name'].nunique(), 'genre name')} as {count(len(totals), 'genre')}", "tracks", "")
    return as_chart(axes)


@style()
def coverage(found: pd.DataFrame, tracks: int) -> Chart:
    """For how many tracks each source has audio; darker where no source before it had it.

    Args:
        found: a row for each source, in their order, with ``source``, ``has`` and ``adds`` (tracks).
        tracks: of the whole library.
    """
    axes = rows_axes(len(found))
    rows = range(len(found))
    axes.barh(rows, found["has"], color=FAINT, alpha=0.45, label="has it")
    axes.barh(rows, found["adds"], color=BLUE, label="and no source above")
    axes.set_yticks(rows, [short(name) for name in found["source"]])
    share = found["has"].to_numpy(dtype=float) / max(tracks, 1)
    numbers = [f"{has} ({part:.0%})" for has, part in zip(found["has"], share, strict=True)]
    number_bars(axes, found["has"].to_numpy(), numbers)
    axes.set_xlim(0, max(tracks, 1) * 1.15)
    tick(axes.xaxis, whole=True)
    covered = int(found["adds"].sum())
    name_axes(axes, f"Audio for {covered} of {count(tracks, 'track')}", "tracks", "")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return as_chart(axes)


@style()
def playlist_mix(tracks: pd.DataFrame, most: int = MOST_PLAYLISTS, unclear: str = "no clear genre") -> Chart:
    """Of what genres the largest playlists are: a bar for each, cut by the genres of its tracks.

    Args:
        tracks: a row for each pair of ``playlist`` and ``genre``, with the number of ``tracks``.
        most: playlists that are shown.
        unclear: the genre that stands for none; it is grey, and at the end of each bar.
    """
    table = tracks.pivot_table(index="playlist", columns="genre", values="tracks", aggfunc="sum", fill_value=0)
    sizes = table.sum(axis=1).sort_values(ascending=False)
    genres = sorted(map(str, table), key=lambda genre: (genre == unclear, -table[genre].sum(), genre))
    table = table.loc[sizes.index[:most], genres]
    axes = rows_axes(len(table))
    left = np.zeros(len(table))
    for genre, (colour, hatch) in zip(genres, _looks(genres, unclear), strict=True):
        axes.barh(
            *(range(len(table)), table[genre]),
            left=left,
            color=colour,
            alpha=0.75,
            hatch=hatch,
            edgecolor="white",
            label=short(str(genre)),
        )
        left += table[genre].to_numpy()
    axes.set_yticks(range(len(table)), [short(str(name)) for name in table.index])
    number_bars(axes, left, [f"{int(n)}" for n in left])
    tick(axes.xaxis, whole=True)
    fewer = f"{len(table)} largest of " if len(sizes) > most else ""
    name_axes(axes, f"What is on the {fewer}{count(len(sizes), 'playlist')}", "tracks", "")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return as_chart(axes)


def _looks(genres: Sequence[str], unclear: str) -> list[tuple[str, str | None]]:
    """Colour and hatching of each genre: the palette without its grey, once plain and then hatched."""
    colours = [*PALETTE[:7], *PALETTE[8:]]
    plain = [(colours[place % len(colours)], "//" if place >= len(colours) else None) for place in range(len(genres))]
    return [("#d0d7de", None) if genre == unclear else look for genre, look in zip(genres, plain, strict=True)]


def _fewer(pieces: pd.Series, most: int) -> pd.Series:
    """The largest pieces, and what is left of them as one."""
    if len(pieces) <= most + 1:
        return pieces
    return pd.concat([pieces.iloc[:most], pd.Series({OTHERS: pieces.iloc[most:].sum()})])


def _cut_bar(axes: Axes, row: int, pieces: pd.Series, colour: str) -> None:
    left, width = 0.0, axes.get_xlim()[1]
    for shade, (name, tracks) in zip(_shades(len(pieces)), pieces.items(), strict=True):
        axes.barh(row, tracks, left=left, color=colour, alpha=shade, edgecolor="white", linewidth=1)
        if tracks / width > NARROWEST_NAMED * len(str(name)):
            axes.text(left + tracks / 2, row, short(str(name)), ha="center", va="center", fontsize=8)
        left += tracks


def _shades(pieces: int) -> Sequence[float]:
    """From strong to faint, so that neighbours differ and the text on them can be read."""
    return list(np.linspace(0.6, 0.2, pieces))
