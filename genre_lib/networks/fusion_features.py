"""The thirteen features of a track that stand beside its sound, as a row of numbers in which any may be missing.

Their names and encodings are those of Spotify's audio features; :mod:`genre_lib.descriptors` describes sound by the
same. A missing one is NaN, so that one array holds both the numbers and the mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

FEATURES = (
    *("danceability", "energy", "key", "loudness", "mode", "speechiness", "acousticness", "instrumentalness"),
    *("liveness", "valence", "tempo", "duration_ms", "time_signature"),
)
"""The features, in the order of a row."""

KEY, MODE = FEATURES.index("key"), FEATURES.index("mode")
KEYS, MODES = 12, 2

MEASURED = tuple(name for name in FEATURES if name not in ("key", "mode"))
"""Those that are more or less of something, where key and mode are one of several."""

NEVER_ZERO = tuple(FEATURES.index(name) for name in ("tempo", "duration_ms", "time_signature"))
"""Where zero says that none was found."""

TRACKS_A_BIN = 25
MOST_BINS = 48


def feature_row(values: Mapping[str, Any]) -> np.ndarray:
    """Features by their names → float32 [13]; what is not named, no number or out of range is NaN.

    >>> feature_row({"key": "9", "mode": 0, "tempo": 120.5, "title": "Blue"})[[2, 4, 10]].tolist()
    [9.0, 0.0, 120.5]
    """
    row = np.array([_number(values.get(name)) for name in FEATURES], dtype=np.float32)
    row[[place for place in NEVER_ZERO if row[place] <= 0]] = np.nan
    if row[KEY] not in range(KEYS):  # -1 where nothing has a pitch, and then the mode means nothing
        row[[KEY, MODE]] = np.nan
    if row[MODE] not in range(MODES):
        row[MODE] = np.nan
    return row


def bin_edges(rows: np.ndarray, bins: int | None = None) -> dict[str, list[float]]:
    """Edges of bins that hold equally many tracks, of each measured feature that has two values or more.

    Args:
        rows: of the training tracks, [tracks, 13].
        bins: of a feature; None for one for every :data:`TRACKS_A_BIN` tracks, 4 to :data:`MOST_BINS`.
    """
    bins = bins or int(np.clip(len(rows) // TRACKS_A_BIN, 4, MOST_BINS))
    edges = {}
    for name in MEASURED:
        known = rows[:, FEATURES.index(name)].astype(np.float64)
        known = known[np.isfinite(known)]
        cuts = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1))) if len(known) else known
        if len(cuts) > 1:
            edges[name] = [float(f"{cut:.6g}") for cut in cuts]
    return {name: sorted(set(cuts)) for name, cuts in edges.items() if len(set(cuts)) > 1}


def require_edges(edges: Any) -> None:
    """Refuse what are no edges of bins.

    Raises:
        ValueError: says what they must be.
    """
    fits = isinstance(edges, dict) and all(name in MEASURED and _rising(cuts) for name, cuts in edges.items())
    if not fits:
        raise ValueError(f"edges must be two or more rising numbers for features among {', '.join(MEASURED)}.")


def _rising(cuts: Any) -> bool:
    numbers = isinstance(cuts, list) and len(cuts) > 1 and all(type(cut) in (int, float) for cut in cuts)
    return numbers and bool(np.isfinite(cuts).all()) and bool((np.diff(cuts) > 0).all())


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return np.nan
    return number if np.isfinite(number) else np.nan
