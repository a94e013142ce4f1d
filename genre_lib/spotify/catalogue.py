"""A library as a catalogue to train on: its tracks whose labels are known and whose audio is in the user's own folder.

Previews are for prediction alone, for they may not be stored, let alone trained on; so only files go in here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd

from genre_lib.data.catalogue import Catalogue, genre_name
from genre_lib.data.splits import artist_key
from genre_lib.errors import CatalogueInvalid, LabelsInvalid, LibraryEmpty, NoAudio
from genre_lib.spotify.library import Library, Track
from genre_lib.spotify.matching import Match
from genre_lib.spotify.music_folder import MusicFolder
from genre_lib.wording import counted

SOURCE = "spotify"
FEWEST_ARTISTS = 3
"""Of a label that can stand in train, valid and test without an artist in two of them."""

CLEARLY = 0.05
"""Of two tracks that are matched to one file, the one that is surer by this is it, and the other is not."""


@dataclass(frozen=True)
class Numbers:
    """What became of a library's tracks.

    Args:
        tracks: in the library.
        labelled: of these.
        matched: of the labelled ones, with a file.
        by_code, by_name, by_file_name: how: by ISRC, by artist and title in the tags, by the file's name.
        no_file: labelled, and none of the files is surely the recording.
        unlabelled: left out for want of a label.
        repeats: tracks that another track's file stands for: releases of one recording.
        less_sure: tracks whose file is more surely another track.
        conflicts: files left out, since their tracks have different labels.
        small: files left out, since too few artists have their label to stand in every split.
        rows, artists: in the catalogue.
    """

    tracks: int = 0
    labelled: int = 0
    unlabelled: int = 0
    matched: int = 0
    by_code: int = 0
    by_name: int = 0
    by_file_name: int = 0
    no_file: int = 0
    repeats: int = 0
    less_sure: int = 0
    conflicts: int = 0
    small: int = 0
    rows: int = 0
    artists: int = 0

    def to_dict(self) -> dict[str, int]:
        """By name, for a summary or a file."""
        return asdict(self)


@dataclass(frozen=True)
class Built:
    """A catalogue, and how the library became it."""

    catalogue: Catalogue
    numbers: Numbers


@dataclass(frozen=True)
class Found:
    """A labelled track with its file."""

    track: Track
    genre: str
    match: Match


def build(
    library: Library,
    labels: Mapping[str, str],
    folder: MusicFolder,
    *,
    rules: Mapping[str, str] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Built:
    """The catalogue of a library's labelled tracks that are found in a folder of the user's own music.

    Its rows are files: path, genre, artist (the main one, for splits), title, album, isrc, duration, source
    ``spotify``, spotify_id, match (how the file was found), sureness, and label_rule where rules are given.

    Args:
        labels: genre, or name of a playlist, by track id.
        rules: what decided a label, by track id.
        progress: called with tracks looked up, and all of them.

    Raises:
        LibraryEmpty: there is no track in the library.
        LabelsInvalid: none of its tracks has a label.
        NoAudio: no labelled track is in the folder.
        CatalogueInvalid: all that are have one label.
        CatalogueNotFound: there is no such folder.
    """
    labelled = {key: genre_name(labels[key]) for key in library.tracks if labels.get(key, "").strip()}
    require_labels(library, labelled)
    found, missing = look_up(library, labelled, folder, progress)
    if not found:
        raise NoAudio(nothing_found(len(labelled), folder))
    numbers = counted_by_match(library, labelled, found, missing)
    kept, numbers = one_each(found, numbers)
    require_two(kept, numbers)
    catalogue = Catalogue(pd.DataFrame([row(each, folder, rules) for each in kept]))
    return Built(catalogue, replace(numbers, rows=len(kept), artists=len({each.track.artist for each in kept})))


def look_up(
    library: Library,
    labelled: Mapping[str, str],
    folder: MusicFolder,
    progress: Callable[[int, int], object] | None,
) -> tuple[list[Found], int]:
    """The labelled tracks that have a file, in the library's order, and how many have none."""
    found: list[Found] = []
    for done, (key, genre) in enumerate(labelled.items(), 1):
        match = folder.match(library.tracks[key])
        if match:
            found.append(Found(library.tracks[key], genre, match))
        if progress:
            progress(done, len(labelled))
    return found, len(labelled) - len(found)


def counted_by_match(library: Library, labelled: Mapping[str, str], found: list[Found], missing: int) -> Numbers:
    hows = [each.match.how for each in found]
    by_code, by_file_name = hows.count("isrc"), hows.count("file_name")
    return Numbers(
        tracks=len(library.tracks),
        labelled=len(labelled),
        unlabelled=len(library.tracks) - len(labelled),
        matched=len(found),
        by_code=by_code,
        by_file_name=by_file_name,
        by_name=len(found) - by_code - by_file_name,
        no_file=missing,
    )


def one_each(found: list[Found], numbers: Numbers) -> tuple[list[Found], Numbers]:
    """One row a file: of the tracks that it was found for, the surest; none where equally sure ones differ in label."""
    by_file: dict[int, list[Found]] = {}
    for each in found:
        by_file.setdefault(each.match.file, []).append(each)
    kept: list[Found] = []
    repeats = less_sure = conflicts = 0
    for group in by_file.values():
        best = max(group, key=lambda each: each.match.sureness)
        equal = [each for each in group if each.match.sureness >= best.match.sureness - CLEARLY]
        less_sure += len(group) - len(equal)
        if len({each.genre for each in equal}) > 1:
            conflicts += 1
            continue
        repeats += len(equal) - 1
        kept.append(best)
    return kept, replace(numbers, repeats=repeats, less_sure=less_sure, conflicts=conflicts)


def with_enough_artists(built: Built, fewest: int = FEWEST_ARTISTS) -> Built:
    """Without the labels that too few artists have: nothing could be trained on them and tried on others.

    Raises:
        CatalogueInvalid: fewer than two labels are left.
    """
    tracks = built.catalogue.tracks
    artists = tracks["artist"].map(artist_key).groupby(tracks["genre"]).nunique()
    large = list(artists[artists >= fewest].index)
    if len(large) < 2:
        has = "has" if len(large) == 1 else "have"
        raise CatalogueInvalid(
            f"Training needs two labels or more with files by {fewest} artists each; of "
            f"{counted(len(artists), 'label')} {len(large)} {has}. Add music to MUSIC_PATH, or take other labels."
        )
    if len(large) == len(artists):
        return built
    catalogue = built.catalogue.where(large)
    numbers = replace(
        built.numbers,
        small=len(tracks) - len(catalogue),
        rows=len(catalogue),
        artists=catalogue.tracks["artist"].nunique(),
    )
    return Built(catalogue, numbers)


def row(found: Found, folder: MusicFolder, rules: Mapping[str, str] | None) -> dict[str, Any]:
    track, file = found.track, folder.files[found.match.file]
    values: dict[str, Any] = {
        "path": str(folder.path_of(found.match)),
        "genre": found.genre,
        "artist": track.artist,
        "split": "",
        "source": SOURCE,
        "title": track.title,
        "album": track.album,
        "isrc": track.isrc or file.isrc,
        "duration": file.duration or track.duration,
        "spotify_id": track.id,
        "match": found.match.how,
        "sureness": round(found.match.sureness, 3),
    }
    return values if rules is None else values | {"label_rule": rules.get(track.id, "")}


# --- what cannot be used ----------------------------------------------------------------------------------------------


def require_labels(library: Library, labelled: Mapping[str, str]) -> None:
    if not library.tracks:
        raise LibraryEmpty(
            "The library holds no track. Fetch it with `genre spotify fetch`, or name another source of it."
        )
    if not labelled:
        raise LabelsInvalid(
            f"None of the {counted(len(library.tracks), 'track')} in the library has a label. Take other labels: "
            "genre, playlist or csv:FILE."
        )


def nothing_found(labelled: int, folder: MusicFolder) -> str:
    if not folder.files:
        return f"There is no audio file in {folder.root}. Set MUSIC_PATH to the folder of your own music."
    return (
        f"None of the {counted(labelled, 'labelled track')} is among the {counted(len(folder.files), 'file')} in "
        f"{folder.root}. Files are found by ISRC, or by artist, title and length: check that their tags name artist "
        "and title, or add the music."
    )


def require_two(kept: list[Found], numbers: Numbers) -> None:
    genres = sorted({each.genre for each in kept})
    if len(genres) >= 2:
        return
    came = f"only {genres[0]!r} ({counted(len(kept), 'file')})" if genres else "none"
    conflicts = f"; {counted(numbers.conflicts, 'file')} stood under several labels" if numbers.conflicts else ""
    raise CatalogueInvalid(
        f"Training needs tracks of two labels or more; with a file there is {came}, of {numbers.labelled:,} labelled "
        f"tracks, {numbers.no_file:,} without a file{conflicts}. Add music of other labels to MUSIC_PATH, or "
        "take other labels."
    )
