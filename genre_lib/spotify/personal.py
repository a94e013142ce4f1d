"""From a fetched library to the table that a personal model is trained on: label, find the audio, write it down.

A name such as ``spotify:me/playlist`` (:mod:`genre_lib.spotify.place`) stands for that table wherever a folder of music
may be named. It is made anew whenever it is asked for here, and read as it is everywhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from genre_lib.data.catalogue import Catalogue
from genre_lib.errors import LibraryEmpty
from genre_lib.settings import Settings
from genre_lib.spotify.catalogue import Numbers, build, with_enough_artists
from genre_lib.spotify.labelling import Labels, Tags, by_genre, by_playlist, by_table
from genre_lib.spotify.library import Library
from genre_lib.spotify.music_folder import MusicFolder
from genre_lib.spotify.place import ME, SpotifyPlace
from genre_lib.spotify.signed_in import remembered_user
from genre_lib.spotify.sources import music_folder
from genre_lib.spotify.store import Store
from genre_lib.spotify.tokens import Tokens


@dataclass(frozen=True)
class Personal:
    """The table, and how the library became it.

    Args:
        catalogue: a row for each file, as :func:`genre_lib.spotify.catalogue.build` makes them.
        table: the CSV that holds it.
    """

    catalogue: Catalogue
    table: Path
    labels: Labels
    numbers: Numbers


def user_of(place: SpotifyPlace, settings: Settings, store: Store) -> str:
    """Spotify's id of whose library a place names, without asking Spotify.

    ``me`` is whoever signed in, and after a ``genre spotify disconnect`` the one whose library is still here.

    Raises:
        LibraryEmpty: it cannot be told, for nothing was fetched yet, or several people's and nobody is signed in.
        ReauthNeeded: the authorisation cannot be read.
    """
    if place.user != ME:
        return place.user
    authorisation = Tokens.of(settings).read()
    known = remembered_user(authorisation.account, store) if authorisation else ""
    users = store.users()
    if known or len(users) == 1:
        return known or users[0]
    several = f", or name one of {', '.join(users)} with --user-id" if users else ""
    raise LibraryEmpty(f"Nothing was fetched for whoever is signed in; run `genre spotify fetch` first{several}.")


def library_of(place: SpotifyPlace, settings: Settings, store: Store | None = None) -> Library:
    """What was fetched of the library that a place names; Spotify is not asked.

    Raises:
        LibraryEmpty, ReauthNeeded: as :func:`user_of`.
    """
    store = store or Store.of(settings)
    return store.library(user_of(place, settings, store))


def label(place: SpotifyPlace, library: Library, tags: Tags | None = None) -> Labels:
    """The labels that a place names.

    Raises:
        LibraryEmpty: no track is in the library.
        LabelsInvalid: as the kind of labels says.
    """
    if not library.tracks:
        raise LibraryEmpty(
            f"There are no tracks in the library of {place.user}; run `genre spotify fetch` first, and see there what "
            "was refused."
        )
    if place.kind == "playlist":
        return by_playlist(library)
    return by_table(library, place.file) if place.file else by_genre(library, tags)


def make_table(
    place: SpotifyPlace,
    library: Library,
    settings: Settings,
    *,
    labels: Labels | None = None,
    folder: MusicFolder | None = None,
    tags: Tags | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Personal:
    """Label the library, find its tracks in the user's own music, and write the table that the place stands for.

    Args:
        labels: where they are known already; None: as :func:`label` gives them.
        folder: of the user's own music; None: ``MUSIC_PATH``'s.
        tags: genre tags of a recording, for tracks whose artists have none on Spotify.
        progress: called with tracks looked up, and all of them.

    Raises:
        LibraryEmpty, LabelsInvalid: as :func:`label`.
        ConfigurationError: ``MUSIC_PATH`` is not set, or is no folder.
        NoAudio, CatalogueInvalid: too little of it is in the folder.
    """
    labels = labels or label(place, library, tags)
    folder = folder or music_folder(settings)
    built = with_enough_artists(build(library, labels.genres, folder, rules=labels.rules, progress=progress))
    return Personal(built.catalogue, built.catalogue.write(place.table(settings)), labels, built.numbers)
