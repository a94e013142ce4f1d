"""Assign tracks to train, valid and test: stratified by genre, and never one artist in two of them.

A network that has heard an artist recognises the recording studio rather than the genre, so scores on tracks by the
same artist are too good (Flexer 2007, "A closer look on artist filters for musical genre classification"). Whole
groups are therefore placed: all tracks of an artist, and all copies of a recording. It is the greedy placement of
scikit-learn's StratifiedGroupKFold, with fractions in place of folds, and a repair that gives every split every genre.
Generated tracks are put into train, and count in no share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from scipy import sparse

from genre_lib import labels
from genre_lib.data.generated import are_generated
from genre_lib.errors import CatalogueInvalid, ConfigurationError

SPLITS: tuple[str, ...] = ("train", "valid", "test")
FRACTIONS = (0.8, 0.1, 0.1)
"""Shares of the tracks that the splits get, in their order."""

Tracks = TypeVar("Tracks", bound=Any)
"""A :class:`genre_lib.data.catalogue.Catalogue`, which is made of this module and so cannot be imported here."""

NOBODY = frozenset({"", "unknown", "unknown artist", "various", "various artists", "va", "n/a", "none"})
"""Artists, after :func:`labels.clean`, that say nothing about who plays."""


def artist_key(artist: str) -> str:
    """One spelling of an artist; "" for none, for "Various Artists" and for a label's "Compilation"."""
    cleaned = labels.clean(artist)
    return "" if cleaned in NOBODY or cleaned.endswith("compilation") else cleaned


def assign(
    catalogue: Tracks,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    groups: Iterable[Sequence[str]] | None = None,
) -> Tracks:
    """Give a split to every track that has none.

    Args:
        catalogue: A :class:`genre_lib.data.catalogue.Catalogue`. Splits that it gives already are kept. A track without
            one whose artist (or copy) stands in a split follows it. Where the given splits are two, such as train and
            valid, no third is invented.
        fractions: Shares of the tracks of each genre for train, valid and test; a share of 0 leaves that split out.
        seed: The same seed gives the same splits, in whatever order the tracks come.
        groups: Paths that must stay together besides those of an artist: the copies of a recording, from
            :mod:`genre_lib.data.fingerprint`. A track without an artist is a group of its own.

    Raises:
        CatalogueInvalid: a genre has fewer groups than there are splits.
        ConfigurationError: the fractions are no three shares that add up to one.
    """
    table = catalogue.tracks.copy()
    made = are_generated(table["source"])
    table.loc[made & (table["split"] == ""), "split"] = "train"
    if not made.all():
        table.loc[~made, "split"] = splits_of(table[~made].copy(), fractions, seed, groups or [])
    return replace(catalogue, tracks=table)


def splits_of(table: pd.DataFrame, fractions: Sequence[float], seed: int, groups: Iterable[Sequence[str]]) -> pd.Series:
    """The split of each of these tracks, none of which is generated; see :func:`assign`."""
    shares = shares_of(table, fractions)
    table["group"] = group_numbers(table, groups)
    follow_given(table)
    free = table["split"] == ""
    if free.all():
        require_groups(table, list(shares))
    if free.any():
        table.loc[free, "split"] = table.loc[free, "group"].map(place(table, shares, seed))
    return table["split"]


def require_splits(catalogue: Tracks) -> None:
    """Refuse, before its files are heard, a catalogue that :func:`assign` would refuse after it.

    Raises:
        CatalogueInvalid: no track has a split, and a genre has too few artists for one.
    """
    table = catalogue.tracks[~are_generated(catalogue.tracks["source"])].copy()
    if (table["split"] == "").all():
        table["group"] = group_numbers(table, [])
        require_groups(table, list(SPLITS))


def shares_of(table: pd.DataFrame, fractions: Sequence[float]) -> dict[str, float]:
    """The splits to fill and their shares, which add up to one: those given where two or more are, else all."""
    if len(fractions) != len(SPLITS) or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6 or fractions[0] == 0:
        raise ConfigurationError(
            "fractions are the shares of train, valid and test and add up to 1, with some for train; "
            f"came {tuple(fractions)}."
        )
    given = set(table["split"]) - {""}
    names = [name for name in SPLITS if name in given] if len(given) >= 2 else list(SPLITS)
    shares = {name: share for name, share in zip(SPLITS, fractions, strict=True) if share > 0 and name in names}
    return {name: share / sum(shares.values()) for name, share in shares.items()}


def group_numbers(table: pd.DataFrame, together: Iterable[Sequence[str]]) -> np.ndarray:
    """Number of each track's group, int [tracks]: joined by artist, and by the lists of paths."""
    row_of = {path: row for row, path in enumerate(table["path"])}
    artists = table["artist"].map(artist_key)
    same_artist = [list(rows) for artist, rows in artists.groupby(artists).indices.items() if artist]
    copies = [[row_of[path] for path in paths if path in row_of] for paths in together]
    links = [(rows[0], row) for rows in same_artist + copies for row in rows[1:]]
    ones, twos = zip(*links, strict=True) if links else ((), ())
    graph = sparse.coo_matrix((np.ones(len(links)), (ones, twos)), shape=(len(table), len(table)))
    return sparse.csgraph.connected_components(graph, directed=False)[1]


def follow_given(table: pd.DataFrame) -> None:
    """Tracks without a split take the one that most of their group has, in place."""
    given = table[table["split"] != ""]
    usual = given.groupby("group")["split"].agg(lambda splits: splits.mode().iloc[0])
    free = table["split"] == ""
    table.loc[free, "split"] = table.loc[free, "group"].map(usual).fillna("")


def require_groups(table: pd.DataFrame, names: list[str]) -> None:
    counts = table.groupby("genre")["group"].nunique()
    scarce = counts[counts < len(names)]
    if len(scarce):
        came = ", ".join(f"{genre} has {count}" for genre, count in scarce.items())
        raise CatalogueInvalid(
            f"Each genre needs tracks by {len(names)} artists or more, one for each of {', '.join(names)}, so that no "
            f"artist stands in two; {came}. Add tracks by others, leave the genre out, or give the splits yourself in "
            "a CSV with a column split."
        )


def place(table: pd.DataFrame, shares: dict[str, float], seed: int) -> dict[int, str]:
    """The split of each free group."""
    names = list(shares)
    counts = pd.crosstab(table["group"], table["genre"])  # [groups, genres] tracks
    placed = table[table["split"] != ""].groupby("group")["split"].first()
    order = shuffled_by_size(table, counts, set(placed.index), seed)
    where = {
        group: names.index(split) for group, split in zip(placed.index.tolist(), placed, strict=True) if split in shares
    }
    where |= greedy(counts, where, order, np.array(list(shares.values())))
    give_each_split_each_genre(counts, where, order, len(names))
    return {group: names[where[group]] for group in order}


def shuffled_by_size(table: pd.DataFrame, counts: pd.DataFrame, placed: set[int], seed: int) -> list[int]:
    """Free groups, the largest first, those of one size in an order that only the seed and the paths decide."""
    free = table[~table["group"].isin(placed)]
    by_path = free.groupby("group")["path"].min().sort_values().index.to_numpy()
    shuffled = np.random.default_rng(seed).permutation(by_path)
    sizes = counts.loc[shuffled].sum(axis=1).to_numpy()
    return [int(group) for group in shuffled[np.argsort(-sizes, kind="stable")]]


def greedy(counts: pd.DataFrame, placed: dict[int, int], order: list[int], shares: np.ndarray) -> dict[int, int]:
    """Put each group where its genres' shares of tracks come nearest to the wanted ones (least squares)."""
    totals = counts.to_numpy().sum(axis=0)  # [genres]
    excess = -np.outer(shares, totals).astype(float)  # [splits, genres] tracks above what is wanted
    for group, split in placed.items():
        excess[split] += counts.loc[group].to_numpy()
    chosen = {}
    for group, tracks in zip(order, counts.loc[order].to_numpy(), strict=True):
        chosen[group] = int(np.argmin(excess @ (tracks / totals**2)))
        excess[chosen[group]] += tracks
    return chosen


def give_each_split_each_genre(counts: pd.DataFrame, where: dict[int, int], free: list[int], splits: int) -> None:
    """Move the smallest groups that can be spared to splits that lack their genre, in place; scarce genres first."""
    present = counts.to_numpy() > 0  # [groups, genres]
    row_of = {group: row for row, group in enumerate(counts.index)}
    held = np.zeros((splits, present.shape[1]), dtype=int)  # groups of a genre in a split
    for group, split in where.items():
        held[split] += present[row_of[group]]
    smallest_first = free[::-1]
    for genre in np.argsort(present.sum(axis=0), kind="stable"):
        for split in np.flatnonzero(held[:, genre] == 0).tolist():
            for group in smallest_first:
                genres = present[row_of[group]]
                if genres[genre] and (held[where[group]][genres] >= 2).all():
                    held[where[group]] -= genres
                    held[split] += genres
                    where[group] = split
                    break
