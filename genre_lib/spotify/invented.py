"""A library of invented people, bands and songs: seeded, of any size, with all that makes real ones difficult.

Nobody in it exists, and no code of a recording in it can be given to one (``ZZ`` is no country). Playlists lean to a
genre; some belong to others or to Spotify and may not be read; entries may be null, episodes or local files; artists
may have no genres. :func:`library_of` makes a library of a catalogue's own tracks, to be matched with their audio.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from random import Random
from typing import TYPE_CHECKING, Any

from genre_lib.errors import ConfigurationError
from genre_lib.spotify import invented_names as names
from genre_lib.spotify.invented_world import Json, World
from genre_lib.spotify.listings import TIME_RANGES

if TYPE_CHECKING:
    import pandas as pd

USER = "invented-listener"
TODAY = datetime(2026, 11, 1)
"""The day on which everything was asked, so that the same seed gives the same library forever."""

OWN, COLLABORATIVE, OTHERS = 0.68, 0.07, 0.15
"""Parts of the playlists; the rest are Spotify's own."""

SAVED, WITHOUT_GENRES, WITHOUT_ISRC, FEATURING = 0.35, 0.2, 0.04, 0.15
"""Parts of the tracks, artists, tracks and tracks."""

OTHERWISE = 0.25
"""Part of a playlist's tracks that are of another genre than most."""

ODD = 0.01
"""Part of the entries that are null, and episodes, and local files."""

TOP, RECENT = 99, 50


def world(*, tracks: int = 400, playlists: int = 24, artists: int = 90, seed: int = 0) -> World:
    """A library of so many tracks, playlists of all kinds, and artists, each of whom has a track.

    Raises:
        ConfigurationError: fewer tracks than artists, or no artist or playlist.
    """
    if not 1 <= artists <= tracks or playlists < 4:
        raise ConfigurationError(
            "An invented library needs an artist or more, as many tracks as artists or more, and four playlists or "
            f"more; came {artists} artists, {tracks} tracks and {playlists} playlists."
        )
    random = Random(f"library {seed}")
    made = World(user=_user(USER, "Invented Listener"))
    genre_of = _artists(made, artists, random)
    people = list(made.artists)
    for number in range(tracks):
        main = people[number] if number < artists else people[int(artists * random.random() ** 2)]
        guests = random.sample(people, 1) if random.random() < FEATURING else []
        _add_track(made, names.song(random), [main, *(guest for guest in guests if guest != main)], random)
    genres = {id: genre_of[track["artists"][0]["id"]] for id, track in made.tracks.items()}
    _playlists(made, genres, playlists, random)
    _listening(made, random)
    return made


def library_of(catalogue: pd.DataFrame, seed: int = 0, playlists_per_genre: int = 2) -> World:
    """A library whose tracks are the rows of a catalogue, with its artists, titles and lengths.

    Args:
        catalogue: with ``genre`` and ``artist``; ``title`` (else the file's name), ``duration`` and ``isrc`` where they
            are known.
        playlists_per_genre: own playlists that lean to each genre.
    """
    random = Random(f"catalogue {seed}")
    made = World(user=_user(USER, "Invented Listener"))
    ids: dict[str, str] = {}
    genres: dict[str, str] = {}
    for row in catalogue.to_dict("records"):
        genre, artist = str(row["genre"]), str(row["artist"])
        if artist not in ids:
            ids[artist] = _add_artist(made, artist, genre, random)
        title = str(_given(row.get("title")) or PurePosixPath(str(row.get("path", ""))).stem)
        known = {"isrc": row.get("isrc"), "seconds": row.get("duration")}
        genres[_add_track(made, title, [ids[artist]], random, known)] = genre
    own = playlists_per_genre * len(set(genres.values()))
    _playlists(made, genres, max(4, round(own / (OWN + COLLABORATIVE))), random)
    _listening(made, random)
    return made


# --- artists and tracks -----------------------------------------------------------------------------------------------


def _artists(made: World, count: int, random: Random) -> dict[str, str]:
    """So many artists of different names; the coarse genre of each, by id."""
    genre_of: dict[str, str] = {}
    taken: set[str] = set()
    while len(genre_of) < count:
        name = names.artist(random)
        if name not in taken:
            taken.add(name)
            genre = random.choice(list(names.MICRO_GENRES))
            genre_of[_add_artist(made, name, genre, random)] = genre
    return genre_of


def _add_artist(made: World, name: str, genre: str, random: Random) -> str:
    id, fine = _id(random), names.MICRO_GENRES.get(genre, (genre,))
    told = random.sample(fine, random.randint(1, min(3, len(fine)))) if random.random() >= WITHOUT_GENRES else []
    made.artists[id] = {"id": id, "name": name, "type": "artist", "uri": f"spotify:artist:{id}", "genres": told}
    return id


def _add_track(
    made: World, title: str, artist_ids: Sequence[str], random: Random, known: Mapping[str, Any] | None = None
) -> str:
    """A track in Spotify's words; what is known of it instead of what would be drawn."""
    id, known = _id(random), known or {}
    code = f"ZZ{''.join(random.choices(string.ascii_uppercase, k=3))}{random.randint(0, 26):02}{len(made.tracks):05}"
    isrc = _given(known.get("isrc")) or (code if random.random() >= WITHOUT_ISRC else None)
    seconds = _given(known.get("seconds")) or random.uniform(95, 420)
    people = [made.artists[artist] for artist in artist_ids]
    made.tracks[id] = {
        "id": id,
        "name": title,
        "type": "track",
        "uri": f"spotify:track:{id}",
        "artists": [{key: artist[key] for key in ("id", "name", "type", "uri")} for artist in people],
        "album": {"id": _id(random), "name": names.song(random), "type": "album"},
        "duration_ms": round(1000 * float(seconds)),
        "external_ids": {"isrc": isrc} if isrc else {},
        "preview_url": None,
        "is_local": False,
    }
    return id


def _given(value: Any) -> Any:
    """A table's value; None where it is empty, which pandas may write as NaN."""
    return None if value is None or value != value or value == "" else value


# --- playlists --------------------------------------------------------------------------------------------------------


def _playlists(made: World, genres: Mapping[str, str], count: int, random: Random) -> None:
    """Playlists of all kinds, such that every track is saved or on one that can be read."""
    readable = max(1, round(count * (OWN + COLLABORATIVE)))
    collaborative = round(count * COLLABORATIVE)
    by_genre: dict[str, list[str]] = {}
    present = list(dict.fromkeys(genres.values()))
    for number in range(readable):
        genre = present[number % len(present)]
        owner = "invented-friend" if number >= readable - collaborative else USER
        id = _add_playlist(made, names.playlist(genre, random), owner, random, shared=owner != USER)
        by_genre.setdefault(genre, []).append(id)
    for id, genre in genres.items():
        _place(made, id, by_genre.get(genre, []), random)
    for number in range(count - readable):
        _add_unreadable(made, number < round(count * OTHERS), random)
    for head in filter(None, made.playlists):
        if head["id"] not in made.refused:
            head["items"] = {"total": len(made.entries[head["id"]])}
    random.shuffle(made.playlists)
    made.playlists.insert(len(made.playlists) // 2, None)


def _place(made: World, track: str, fitting: Sequence[str], random: Random) -> None:
    """Save a track, or put it on a playlist or two."""
    if random.random() < SAVED:
        made.saved.append({"added_at": _day(random), "track": made.tracks[track]})
        if random.random() < 0.5:
            return
    every = list(made.entries)
    for _ in range(random.randint(1, 2)):
        likely = every if random.random() < OTHERWISE or not fitting else fitting
        entries = made.entries[likely[int(len(likely) * random.random() ** 2)]]  # some are much longer than others
        entries.append({"added_at": _day(random), "is_local": False, "item": made.tracks[track]})
        if random.random() < 3 * ODD:
            entries.append(_odd(random))


def _odd(random: Random) -> Json | None:
    """What is on playlists beside tracks."""
    local: Json = {"id": None, "name": names.song(random), "type": "track", "artists": [], "is_local": True}
    episode = {"id": _id(random), "name": random.choice(names.EPISODES), "type": "episode", "duration_ms": 3_000_000}
    item = random.choice([None, episode, local | {"uri": "spotify:local:::demo:200"}])
    return {"added_at": _day(random), "is_local": bool(item and item.get("is_local")), "item": item}


def _add_playlist(made: World, name: str, owner: str, random: Random, shared: bool = False) -> str:
    id = _id(random)
    made.entries[id] = []
    head = {"id": id, "name": name, "type": "playlist", "owner": _user(owner, owner.replace("-", " ").title())}
    made.playlists.append(head | {"collaborative": shared, "public": not shared, "snapshot_id": _id(random)})
    return id


def _add_unreadable(made: World, others: bool, random: Random) -> None:
    name = names.playlist("Borrowed", random) if others else random.choice(names.SPOTIFYS)
    id = _add_playlist(made, name, "invented-stranger" if others else "spotify", random)
    made.refused[id] = 403 if others else 404


# --- listening --------------------------------------------------------------------------------------------------------


def _listening(made: World, random: Random) -> None:
    """What was heard most and last: some artists much more than others."""
    artists, tracks = list(made.artists.values()), list(made.tracks.values())
    for time in TIME_RANGES:
        made.top_artists[time] = random.sample(artists[: 2 * TOP], min(TOP, 1 + len(artists) // 3))
        made.top_tracks[time] = random.sample(tracks, min(TOP, 1 + len(tracks) // 3))
    for number in range(RECENT):
        played = (TODAY - timedelta(minutes=4 * number)).isoformat(timespec="seconds") + "Z"
        made.recent.append({"track": random.choice(tracks[:RECENT]), "played_at": played, "context": None})


# --- small things -----------------------------------------------------------------------------------------------------


def _user(id: str, name: str) -> Json:
    return {"id": id, "display_name": name, "type": "user", "uri": f"spotify:user:{id}"}


def _id(random: Random) -> str:
    return "".join(random.choices(string.ascii_letters + string.digits, k=22))


def _day(random: Random) -> str:
    return (TODAY - timedelta(seconds=random.randrange(4 * 365 * 86400))).isoformat(timespec="seconds") + "Z"
