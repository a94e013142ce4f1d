"""Open music for training or evaluation: the catalogue that comes back has splits, and they do not leak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from genre_lib.data.catalogue import Catalogue, concatenate
from genre_lib.data.catalogue_source import open_one
from genre_lib.data.check import check
from genre_lib.data.splits import assign


def open_catalogue(
    data_path: Path | str | Sequence[Path | str],
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    *,
    sound: bool = True,
) -> Catalogue:
    """A folder, a CSV, the word ``synthetic``, or several of these, with splits.

    Splits that are given are kept; missing ones are drawn by :func:`split`.

    Args:
        sound: whether the files are there to be heard; without, splits are drawn by artist alone.

    Raises:
        CatalogueNotFound, CatalogueInvalid: as :func:`genre_lib.data.catalogue_source.build`, or the tracks cannot be
            split.
    """
    names = [data_path] if isinstance(data_path, str | Path) else list(data_path)
    parts = [open_one(name) for name in names]
    catalogue = parts[0] if len(parts) == 1 else concatenate(parts)
    if catalogue.has_splits:
        return catalogue
    return split(catalogue, seed, progress) if sound else assign(catalogue, seed=seed)


def split(catalogue: Catalogue, seed: int = 0, progress: Callable[[int, int], None] | None = None) -> Catalogue:
    """Draw the missing splits so that neither an artist nor a recording that stands twice is in two of them.

    Which recordings stand twice is heard, so every file is decoded once, and remembered.

    Raises:
        CatalogueInvalid: a genre has too few artists to be split.
    """
    return assign(catalogue, seed=seed, groups=check(catalogue, progress=progress).copies)
