"""Tracks that a model made: the catalogue's column ``source`` says so, and they are for training alone.

A score is to say what is true of music, so that no generated track is ever in valid or test.
"""

from __future__ import annotations

import pandas as pd

GENERATED = "generated"


def source_of(generator: str) -> str:
    """What the column ``source`` says of the clips of a generator.

    >>> source_of("musicgen")
    'generated:musicgen'
    """
    return f"{GENERATED}:{generator}"


def generator_of(source: str) -> str | None:
    """The generator that a source names, "" where it names none; None where it is no generated one.

    >>> generator_of("generated:musicgen"), generator_of("Generated"), generator_of("gtzan")
    ('musicgen', '', None)
    """
    kind, _, name = str(source).strip().partition(":")
    return name if kind.casefold() == GENERATED else None


def are_generated(sources: pd.Series) -> pd.Series:
    """Whether each source is a generated one: bool, with the same index."""
    return sources.map(generator_of).notna()


def rows_of(tracks: pd.DataFrame, split: str) -> pd.DataFrame:
    """The tracks of a split; generated ones are train's alone, whatever the table says."""
    chosen = tracks[tracks["split"] == split]
    return chosen if split == "train" else chosen[~are_generated(chosen["source"])]
