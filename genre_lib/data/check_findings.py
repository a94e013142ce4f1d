"""What can be wrong with a catalogue's files, recordings, artists and genres, as findings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pandas as pd

from genre_lib import labels
from genre_lib.data import fingerprint
from genre_lib.data.check_hearing import Heard
from genre_lib.data.check_report import Finding
from genre_lib.data.fingerprint import Match
from genre_lib.data.generated import are_generated
from genre_lib.data.splits import artist_key, group_numbers
from genre_lib.errors import AudioNotFound
from genre_lib.wording import counted

EMPTY_TAGS = frozenset(
    {"", "other", "unknown", "misc", "miscellaneous", "genre", "none", "undefined", "music", "default"}
)
"""Genre tags, after :func:`labels.clean`, that say nothing."""

NEEDED_GROUPS = 3
"""Artists that a genre needs to stand in train, valid and test."""


def broken_files(heard: list[Heard]) -> Iterator[Finding]:
    missing = [each.path for each in heard if isinstance(each.error, AudioNotFound)]
    if missing:
        yield Finding("undecodable", f"{len(missing)} of {len(heard)} files are missing, first {missing[0]}.", missing)
    for each in heard:
        if each.error and not isinstance(each.error, AudioNotFound):
            yield Finding("undecodable", str(each.error), [each.path])
        if each.truncated:
            yield Finding("truncated", each.truncated, [each.path])


def repeated(tracks: pd.DataFrame, found: list[Match]) -> Iterator[Finding]:
    """For each recording that stands more than once, what makes it bad: two genres, two splits, or neither."""
    root = os.path.commonpath([Path(path).parent for path in tracks["path"]])
    for group in fingerprint.groups(found, len(tracks)):
        rows = tracks.iloc[group]
        common = [match.seconds for match in found if match.first in group]
        about = f"{listed(rows['path'], root)} hold the same recording ({max(common):.0f} s of it)"
        genres, splits = several(rows["genre"]), several(rows["split"])
        if genres:
            yield Finding("recording_under_two_genres", f"{about} under {' and '.join(genres)}.", list(rows["path"]))
        if splits:
            yield Finding("duplicate_across_splits", f"{about} in {' and '.join(splits)}.", list(rows["path"]))
        if not genres and not splits:
            yield Finding("duplicate", f"{about}.", list(rows["path"]))


def artists_in_two(tracks: pd.DataFrame, column: Literal["split", "genre"]) -> Iterator[Finding]:
    artists = tracks["artist"].map(artist_key)
    named = tracks[(artists != "") & (tracks[column] != "")]
    values_of = named.groupby(artists)[column].nunique()
    suspects = artists[artists.isin(values_of.index[values_of > 1])]
    for artist, rows in tracks.loc[suspects.index].groupby(suspects):
        values = several(rows[column])
        if values:
            counts = " and ".join(f"{value} ({int((rows[column] == value).sum())})" for value in values)
            name = rows["artist"].iloc[0] or artist
            yield Finding(f"artist_in_two_{column}s", f"{name} stands in {counts}.", list(rows["path"]))


def generated_outside_train(tracks: pd.DataFrame) -> Iterator[Finding]:
    wrong = tracks[are_generated(tracks["source"]) & tracks["split"].isin(["valid", "test"])]
    for split, rows in wrong.groupby("split"):
        yield Finding(
            "generated_outside_train",
            f"{counted(len(rows), 'generated track')} in {split}, first {Path(rows['path'].iloc[0]).name}; they are "
            "for train alone, and are left out of scores.",
            list(rows["path"]),
        )


def several(values: pd.Series) -> list[str]:
    """The sorted values if there are two or more; "" is none."""
    different = sorted(set(values) - {""})
    return different if len(different) > 1 else []


def listed(paths: pd.Series, root: str) -> str:
    """The first three paths as text, relative to the catalogue's common folder, and how many more there are."""
    names = [os.path.relpath(path, root) for path in paths]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def disagreeing_tags(tracks: pd.DataFrame) -> Iterator[Finding]:
    """One finding for each genre and tag that reads as another genre, the most frequent first."""
    speaks = ~tracks["tag"].map(labels.clean).isin(EMPTY_TAGS)
    differs = tracks["tag"].map(labels.canonical) != tracks["genre"].map(labels.canonical)
    pairs = tracks[speaks & differs].groupby(["genre", "tag"])
    for (genre, tag), rows in sorted(pairs, key=lambda pair: -len(pair[1])):
        total = int((tracks["genre"] == genre).sum())
        yield Finding("tag_disagrees", f"{len(rows)} of {total} {genre} tracks are tagged {tag!r}.", list(rows["path"]))


def small_classes(tracks: pd.DataFrame, copies: list[list[str]]) -> Iterator[Finding]:
    """Genres that are missing from a split that others have, or, without splits, that have too few artists for it.

    The latter cannot be trained on: :func:`genre_lib.data.splits.assign` refuses them.
    """
    if tracks["genre"].nunique() < 2:
        message = f"All tracks are {tracks['genre'].iloc[0]}; a model needs two genres to choose from."
        yield Finding("one_genre", message, [])
    splits = sorted(set(tracks["split"]) - {""})
    if (tracks["split"] != "").all():
        for genre, rows in tracks.groupby("genre"):
            missing = [split for split in splits if split not in set(rows["split"])]
            if missing:
                message = f"{genre} has {counted(len(rows), 'track')} and none in {' and '.join(missing)}."
                yield Finding("class_too_small", message, list(rows["path"]))
        return
    tracks = tracks[~are_generated(tracks["source"])]
    for genre, rows in tracks.assign(group=group_numbers(tracks, copies)).groupby("genre"):
        if rows["group"].nunique() < NEEDED_GROUPS:
            artists = counted(rows["group"].nunique(), "artist")
            message = f"{genre} has tracks by {artists}; {NEEDED_GROUPS} are needed for train, valid and test."
            kind = "cannot_be_split" if (tracks["split"] == "").all() else "class_too_small"
            yield Finding(kind, message, list(rows["path"]))
