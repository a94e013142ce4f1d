"""What a model card says of the tracks that a model learned from or was judged by."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd

from genre_lib.data.catalogue import Catalogue


def describe_data(catalogue: Catalogue) -> dict[str, Any]:
    """What a model card says of the tracks: how many of each genre and source in each split, and their licences."""
    tracks = catalogue.tracks
    licences = next((tracks[name] for name in ("licence", "license") if name in tracks), None)
    return {
        "tracks": len(tracks),
        "digest": _digest(tracks),
        "splits": _counts(tracks["split"]),
        "sources": {str(source): _counts(rows["split"]) for source, rows in tracks.groupby("source")},
        "genres": {str(genre): _counts(rows["split"]) for genre, rows in tracks.groupby("genre")},
        "artists": int(tracks.loc[tracks["artist"] != "", "artist"].nunique()),
        "licences": [] if licences is None else sorted({str(name) for name in licences.dropna()} - {""}),
    }


def _digest(tracks: pd.DataFrame) -> str:
    """Twelve hexadecimal digits of what is in the catalogue: file names, genres and splits, wherever they lie."""
    rows = sorted(zip(tracks["path"].map(lambda path: Path(path).name), tracks["genre"], tracks["split"], strict=True))
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:12]


def read_digest(path: Path) -> str | None:
    """The digest in a ``metrics.json``; None where there is none to be read."""
    try:
        return str(json.loads(path.read_text("utf-8"))["data"]["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _counts(splits: pd.Series) -> dict[str, int]:
    counts = splits.value_counts()
    return {name or "none": int(counts[name]) for name in ("train", "valid", "test", "") if name in counts}
