"""A recorded library to look at without a Spotify: invented people and songs, and music that was computed for some.

The library is :func:`genre_lib.spotify.invented.library_of` of a table that is drawn here. The genres that
:mod:`genre_lib.data.synthetic_tracks` can play have files, named ``Artist - Title.wav`` as in many a folder of music;
of one song in six, and of all other genres, there is none.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd

from genre_lib import audio
from genre_lib.data.synthetic_tracks import SYNTH_GENRES, compose, render
from genre_lib.spotify import invented
from genre_lib.spotify import invented_names as names
from genre_lib.spotify.invented_world import Json, World
from genre_lib.spotify.library import Library

NAME = "invented-library"
VERSION = 1
"""Raised when the same arguments begin to give another library."""

ARTISTS = 8
"""Of each genre."""

SONGS, UNHEARD_SONGS = 48, 16
"""Of each genre that can be played, and of each that cannot."""

MISSING = 6
"""One song in so many has no file."""

SECONDS = 6.0
SAMPLE_RATE = 22050
WITH_PREVIEW = 0.3
"""Part of the tracks that come with an address of a preview, as they do for older apps; nothing is at it."""


@dataclass(frozen=True)
class Recorded:
    """The library, and the folder of the music that there is of it."""

    library: Library
    folder: Path


def make(root: Path, seed: int = 0) -> Recorded:
    """The library; its music is written into a folder ``root``, which is made whole or reused."""
    songs = table(seed)
    if not root.is_dir():
        root.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
        try:
            write(songs, aside, seed)
            aside.chmod(0o755)
            put(aside, root)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return Recorded(world(seed).library(), root)


def world(seed: int = 0) -> World:
    """What a Spotify that has this library would answer."""
    made = invented.library_of(table(seed), seed, playlists_per_genre=1)
    random = Random(f"previews {seed}")
    for track in made.tracks.values():
        add_preview(track, random)
    return made


def table(seed: int = 0) -> pd.DataFrame:
    """A row for each song: ``genre``, ``artist``, ``title``, ``duration`` in seconds, its ``number`` in the genre."""
    random = Random(f"songs {seed}")
    rows: list[dict[str, Any]] = []
    taken: set[str] = set()
    for genre in names.MICRO_GENRES:
        heard = genre in SYNTH_GENRES
        artists = [new(names.artist, taken, random) for _ in range(ARTISTS)]
        for number in range(SONGS if heard else UNHEARD_SONGS):
            row = {"genre": genre, "artist": artists[number % ARTISTS], "title": new(names.song, taken, random)}
            rows.append(row | {"duration": SECONDS, "number": number})
    return pd.DataFrame(rows)


def new(name: Any, taken: set[str], random: Random) -> str:
    """A name that nothing has yet."""
    found = name(random)
    while found in taken:
        found = name(random)
    taken.add(found)
    return str(found)


def write(songs: pd.DataFrame, folder: Path, seed: int) -> None:
    """The songs that can be played, but for one in :data:`MISSING`."""
    for song in songs[songs["genre"].isin(SYNTH_GENRES)].itertuples():
        number = int(str(song.number))
        if number % MISSING == 0:
            continue
        score = compose(str(song.genre), number % ARTISTS, number, SECONDS, SAMPLE_RATE, seed)
        path = folder / f"{song.artist} - {song.title}.wav"
        audio.write_wav(path, render(score, str(song.genre)), SAMPLE_RATE)


def put(aside: Path, root: Path) -> None:
    """Rename the finished folder, unless another process was faster."""
    try:
        aside.replace(root)
    except OSError:
        if not root.is_dir():
            raise


def add_preview(track: Json, random: Random) -> None:
    if random.random() < WITH_PREVIEW:
        track["preview_url"] = f"https://p.scdn.co/mp3-preview/{track['id']}"
