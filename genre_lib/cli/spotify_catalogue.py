"""``genre spotify catalogue``: label a fetched library, find its audio in one's own music, and write the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genre_lib.cli.console import print_table, progress_bar, require_writable, say, visible
from genre_lib.cli.options import get_settings
from genre_lib.cli.spotify_fetch import say_refused
from genre_lib.wording import counted

if TYPE_CHECKING:
    from genre_lib.settings import Settings
    from genre_lib.spotify.catalogue import Numbers
    from genre_lib.spotify.coverage import Coverage
    from genre_lib.spotify.labelling import Labels
    from genre_lib.spotify.library import Library
    from genre_lib.spotify.store import Store
    from genre_lib.spotify.tags import RecordingTags

MOST_TOLD = 20
"""Tracks that are named one by one."""

TOLD = {
    "labelled": "labelled",
    "matched": "  with a file",
    "by_code": "    by recording code (ISRC)",
    "by_name": "    by artist and title",
    "by_file_name": "    by the file's name",
    "no_file": "  without a file",
    "repeats": "releases of a recording that another one stands for",
    "less_sure": "whose file is more surely another track",
    "conflicts": "files left out: under several labels",
    "small": "files left out: fewer than three artists have their label",
    "rows": "files in the table",
    "artists": "artists in the table",
}
"""Names of :class:`genre_lib.spotify.catalogue.Numbers` for a person."""


def catalogue(
    labels: Annotated[
        str, typer.Option(help="genre (the artists'), playlist (your own are the classes), or csv:FILE (your column).")
    ] = "genre",
    user_id: Annotated[
        str | None, typer.Option("--user-id", help="Whose library.", show_default="of whoever signed in")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the labels, and how many tracks each source has audio of.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="A CSV to write the table to, beside the one in SPOTIFY_PATH.")
    ] = None,
) -> None:
    """Make of a fetched library the table that fine-tuning trains on; nothing is asked of Spotify."""
    from genre_lib.spotify.access import require_app
    from genre_lib.spotify.personal import label, library_of, make_table
    from genre_lib.spotify.place import ME, SpotifyPlace
    from genre_lib.spotify.store import Store
    from genre_lib.spotify.tags import tags_of

    if output:
        require_writable(output)
    settings = get_settings()
    require_app(settings)
    place, store = SpotifyPlace.of(user_id or ME, labels), Store.of(settings)
    library = library_of(place, settings, store)
    say_incomplete(library, store)
    with progress_bar("asking for tags") as bar:
        tags = tags_of(settings, store, lambda asked: bar(asked, None)) if place.kind == "genre" else None
        labelled = label(place, library, tags)
    tell_labels(labelled)
    say_tags(tags)
    if dry_run:
        return tell_coverage(library, labelled, settings)
    with progress_bar("matching") as bar:
        made = make_table(place, library, settings, labels=labelled, progress=lambda done, total: bar(done, total))
    tell_numbers(made.numbers)
    table = made.catalogue.write(output) if output else made.table
    say(f"{counted(made.numbers.rows, 'file')}: {table}. Train on it: genre finetune --data-path {table}")
    return None


class BarWatcher:
    """Shows on a progress bar how far the collecting is."""

    def __init__(self, bar: Callable[[int, int | None, str], object]) -> None:
        self.bar = bar

    def fetched(self, done: int, total: int, what: str) -> None:
        self.bar(done, total, f"fetching {what}")

    def matched(self, done: int, total: int, what: str) -> None:
        self.bar(done, total, f"matching {what}")

    def refused(self, what: str, why: str) -> None:
        say_refused(what, why)


def gather_table(user: str, labels: str, settings: Settings) -> Path:
    """Collect a library, make its table, and say what came of it; for whoever goes on with the table at once."""
    from genre_lib.spotify.gathering import gather
    from genre_lib.spotify.place import SpotifyPlace

    place = SpotifyPlace.of(user, labels)
    with progress_bar("collecting") as bar:
        made = gather(place, settings, BarWatcher(bar))
    tell_labels(made.labels)
    tell_numbers(made.numbers)
    say(f"{counted(made.numbers.rows, 'file')} by {counted(made.numbers.artists, 'artist')}: {made.table}.")
    return made.table


def say_incomplete(library: Library, store: Store) -> None:
    """That there is more on Spotify than here, where a fetch was interrupted."""
    if library.tracks and not store.is_complete(library.user_id):
        say("The library was not fetched to its end; `genre spotify fetch` goes on where it was.")


def say_tags(tags: RecordingTags | None) -> None:
    """Whose tags were used, and whether they came to their end."""
    from genre_lib.spotify.tags import TERMS

    if tags:
        say(TERMS)
    if tags and tags.silent:
        say(f"{tags.silent} The other tracks have no tags; what came is kept, and the rest is asked for next time.")


def tell_labels(labels: Labels) -> None:
    """How many tracks each rule decided, and what stayed without a label."""
    rows = labels.summary().itertuples(index=False)
    print_table(["label", "tracks"], ([str(row.what), f"{row.tracks:,}"] for row in rows))
    if labels.twice:
        say("Of these tracks the table names several genres, so they are left out; keep one line of each:")
    for told in labels.twice[:MOST_TOLD]:
        say(f"  {visible(told)}")
    if len(labels.twice) > MOST_TOLD:
        say(f"  and {len(labels.twice) - MOST_TOLD} more")


def tell_numbers(numbers: Numbers) -> None:
    print_table(["audio", "tracks"], ([said, f"{getattr(numbers, name):,}"] for name, said in TOLD.items()))


def tell_coverage(library: Library, labels: Labels, settings: Settings) -> None:
    """Which source has audio of how many labelled tracks; no audio is downloaded."""
    from genre_lib.spotify.coverage import coverage
    from genre_lib.spotify.sources import TERMS, sources_of

    tracks = [library.tracks[id] for id in labels.genres]
    with progress_bar("looking for audio") as bar:
        sources = sources_of(settings, lambda done, total: bar(done, total, "listing your music"))
        found = coverage(tracks, sources, progress=lambda done, total, name: bar(done, total, f"asking {name}"))
    print_table(["source", "tracks", "found", "note"], coverage_rows(found))
    for source in sources:
        if source.name in TERMS:
            say(f"{source.name}: {TERMS[source.name]}")
    say(
        f"Of {counted(len(tracks), 'labelled track')} about {found.estimate:,} have audio. Nothing was downloaded; "
        "only your own files are trained on."
    )


def coverage_rows(found: Coverage) -> list[list[Any]]:
    """A row for each source, those that are switched off too."""
    from genre_lib.spotify.sources import SWITCHES

    asked = {each.source: each for each in found.sources}
    return [
        [name, f"{(it := asked[name]).lacking:,}", f"{it.estimate:,}", it.note]
        if name in asked
        else [name, "–", "–", f"off: {switch}"]
        for name, switch in SWITCHES.items()
    ]
