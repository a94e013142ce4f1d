"""``genre spotify fetch``: collect a library, and say in numbers what there is."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genre_lib.cli.console import print_table, progress_bar, require_writable, say, sink
from genre_lib.cli.options import get_settings
from genre_lib.wording import counted

if TYPE_CHECKING:
    from genre_lib.spotify.asking import Client
    from genre_lib.spotify.library import Library
    from genre_lib.spotify.music_folder import MusicFolder
    from genre_lib.spotify.store import Store
    from genre_lib.spotify.summary import Summary

TOLD_SECONDS = 5.0
"""Waits from here on are told."""
SEPARATOR = "; "
COLUMNS = ("id", "title", "artists", "album", "duration", "isrc", "added", "sources", "playlists", "artist_genres")


class Source(StrEnum):
    """Where tracks of a library are met."""

    playlists = "playlists"
    saved = "saved"
    top = "top"
    recent = "recent"


def fetch(
    user_id: Annotated[
        str | None, typer.Option("--user-id", help="Whose library.", show_default="of whoever signed in")
    ] = None,
    source: Annotated[
        list[Source] | None,
        typer.Option("--source", help="What of it; may be given more than once.", show_default="all"),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="A CSV to write the tracks to.")] = None,
) -> None:
    """Fetch your Spotify library, or what is missing of it; stopped at any point, it goes on where it was."""
    from genre_lib.spotify.client import Client
    from genre_lib.spotify.sources import music_folder
    from genre_lib.spotify.store import Store

    if output:
        require_writable(output)
    settings = get_settings()
    client = Client.for_user(settings)
    folder = music_folder(settings) if settings.music_path else None
    fetch_by(client, Store.of(settings), [each.value for each in source or Source], user_id, output, folder)


def fetch_by(
    client: Client,
    store: Store,
    sources: list[str],
    user_id: str | None,
    output: Path | None,
    folder: MusicFolder | None = None,
) -> None:
    """Fetch, tell and write; where Spotify gives no more, tell what is there, and leave the error to be said.

    Args:
        folder: of one's own music, to count the tracks that are in it.
    """
    from genre_lib.errors import LibraryEmpty, SpotifyError

    try:
        summary = run(client, store, sources, user_id)
    except (SpotifyError, KeyboardInterrupt):
        tell_kept(store, user_id)
        raise
    tell(summary, fit_to_train(store.library(summary.user_id), folder))
    for what, why in summary.not_told.items():
        say_refused(what, why)
    if not summary.tracks:
        raise LibraryEmpty(
            f"There is no track in the library of {summary.user_id}; save some on Spotify or put them on a playlist of "
            "your own, and fetch again."
        )
    if output:
        library = store.library(summary.user_id)
        write_tracks(library, output)
        say(f"{counted(len(library.tracks), 'track')}: {output}")


def run(client: Client, store: Store, sources: list[str], user_id: str | None) -> Summary:
    from genre_lib.spotify.collect import collect

    with progress_bar("fetching") as bar:
        return collect(client, store, sources, user_id, bar, sleep=told_sleep)


def told_sleep(seconds: float) -> None:
    """Wait, and say so where it is long enough to be taken for a hang."""
    if seconds >= TOLD_SECONDS:
        say(f"Spotify asks to wait; fetching goes on in {seconds:.0f} s.")
    time.sleep(seconds)


def fit_to_train(library: Library, folder: MusicFolder | None) -> dict[str, int | str]:
    """Of how many tracks the genre is clear, and how many are among one's own files."""
    from genre_lib.errors import LabelsInvalid
    from genre_lib.spotify.labelling import by_genre

    try:
        labels: int | str = len(by_genre(library).genres)
    except LabelsInvalid:
        labels = "too few genres"
    if folder is None:
        return {"with a label by genre": labels, "with a file": "MUSIC_PATH is not set"}
    with progress_bar("matching") as bar:
        folder.progress = lambda done, total: bar(done, total, "listing your music")
        return {"with a label by genre": labels, "with a file": sum(folder.has(t) > 0 for t in library.tracks.values())}


def tell(summary: Summary, fit: dict[str, int | str] | None = None) -> None:
    """The library in numbers, as a table."""
    rows: dict[str, Any] = {
        "tracks": summary.tracks,
        "  with a recording code (ISRC)": summary.with_isrc,
        "  with genres of an artist": summary.with_genres,
        **{f"  {name}": number for name, number in (fit or {}).items()},
        "artists": summary.artists,
        "playlists": summary.playlists,
        **{f"refused: {reason.replace('_', ' ')}": count for reason, count in summary.refused.items()},
        **{f"refused: {what}": "all" for what in summary.not_told},
        "calls to Spotify": summary.calls,
        "complete": "yes" if summary.complete else "no",
    }
    print_table(["what", "number"], ([name, f"{n:,}" if isinstance(n, int) else n] for name, n in rows.items()))


def say_refused(what: str, why: str) -> None:
    """That a whole listing was refused, and why."""
    say(f"Spotify refused the {what}: {why}")


def tell_kept(store: Store, user_id: str | None) -> None:
    """What is there of a library that could not be fetched to its end; of all where it is not known whose it is."""
    from genre_lib.spotify.summary import summarise

    libraries = {user: store.library(user) for user in ([user_id] if user_id else store.users())}
    met = {user: library for user, library in libraries.items() if library.tracks}  # of others Spotify told nothing
    for user, library in met.items():
        if len(met) > 1:
            say(f"Of {user}:")
        tell(summarise(library, store.budget.calls_in_day(), store.is_complete(user)))


def write_tracks(library: Library, output: Path) -> None:
    """A row for each track; several values of a column are separated by semicolons."""
    with sink(output) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(track_rows(library))


def track_rows(library: Library) -> Iterator[list[Any]]:
    from genre_lib.spotify.summary import genres_of

    playlists: dict[str, list[str]] = {}
    for playlist in library.playlists:
        for id in playlist.track_ids:
            playlists.setdefault(id, []).append(playlist.name)
    for id, track in library.tracks.items():
        several = (sorted(library.sources.get(id, ())), playlists.get(id, []), genres_of(track, library))
        one = [id, track.title, SEPARATOR.join(track.artists), track.album, track.duration, track.isrc, track.added]
        yield [*one, *map(SEPARATOR.join, several)]
