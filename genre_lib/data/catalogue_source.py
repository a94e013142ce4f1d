"""A catalogue of whatever a person names: a table, a folder, a Spotify library, or the invented one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pandas as pd

from genre_lib import audio, labels
from genre_lib.data import synthetic
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.catalogue_folder import from_folder, from_tags, warn
from genre_lib.data.catalogue_table import read, read_table, table_in
from genre_lib.errors import CatalogueInvalid, CatalogueNotFound
from genre_lib.settings import get_settings
from genre_lib.spotify.place import SpotifyPlace
from genre_lib.wording import but_device

SYNTHETIC = "synthetic"

How = Literal["auto", "folder", "csv", "tags"]


def build(source: Path | str, how: How = "auto") -> Catalogue:
    """A catalogue from a CSV, a folder per genre, or a folder of tagged files.

    ``auto`` reads a file as a CSV; a folder by its ``catalogue.csv`` or ``tracks.csv`` where it has one, else by its
    folders per genre where two or more hold audio and are not named by the artists in them, else by tags.

    Raises:
        CatalogueNotFound, CatalogueInvalid: as the function that fits.
    """
    makers: dict[str, Callable[[Path], Catalogue]] = {
        "auto": detect,
        "folder": from_folder,
        "csv": read_table,
        "tags": from_tags,
    }
    if how not in makers:
        raise CatalogueInvalid(f"A catalogue is built how = {', '.join(makers)}; came {how!r}.")
    return makers[how](Path(source).expanduser().absolute())


def detect(source: Path) -> Catalogue:
    if source.is_file():
        return read(source)
    if not source.is_dir():
        raise CatalogueNotFound(
            f"There is nothing at {source}{but_device(source)}; name a folder of music with a folder per genre, or a "
            "CSV with the columns path and genre."
        )
    if table_in(source):
        return read_table(source)
    folders = {path.relative_to(source).parts[0] for path in audio.find(source) if path.parent != source}
    if len(folders) < 2 and audio.find(source):
        warn(
            f"{source} holds {listed_folders(folders)}, where a folder per genre was expected; so genres are read from "
            "the files' tags."
        )
        return from_tags(source)
    catalogue = from_folder(source)
    return from_tags(source) if folders_are_artists(catalogue.tracks, source) else catalogue


def listed_folders(folders: set[str]) -> str:
    return f"one folder with audio ({folders.pop()})" if folders else "audio files and no folders"


def folders_are_artists(tracks: pd.DataFrame, root: Path) -> bool:
    """Whether most files lie in a folder of their artist's name, as music players sort them."""
    top = [labels.clean(Path(path).relative_to(root).parts[0]) for path in tracks["path"]]
    return bool((tracks["artist"].map(labels.clean) == pd.Series(top)).mean() > 0.5)


def open_one(name: Path | str) -> Catalogue:
    """One source as it is, with the splits that it gives or none; ``synthetic`` is made in the cache folder.

    Raises:
        CatalogueNotFound, CatalogueInvalid: as :func:`build`.
        LibraryEmpty: it names a Spotify library, such as ``spotify:me/playlist``, of which no table was made yet.
    """
    place = SpotifyPlace.parse(name)
    if place:
        return read(place.made(get_settings()))
    if str(name) != SYNTHETIC:
        return build(name)
    return read_table(synthetic.make(get_settings().cache_path / f"{SYNTHETIC}-{synthetic.VERSION}"))
