"""A catalogue made of a folder of music: a folder per genre, or files with genre tags."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd

from genre_lib import audio, labels
from genre_lib.data.catalogue import Catalogue, genre_name
from genre_lib.data.spellings import Spellings, spelt
from genre_lib.data.tags import read_tags
from genre_lib.errors import CatalogueInvalid, CatalogueNotFound
from genre_lib.files import name_as_text
from genre_lib.wording import counted


class CatalogueWarning(UserWarning):
    """Files were left out of a catalogue, or something is wrong with it."""


def from_folder(root: Path | str) -> Catalogue:
    """A folder per genre, with anything below it: ``root/<genre>/…/track.mp3``.

    Artist, title, album, date, ISRC and the tag's own genre are read from the files.

    Raises:
        CatalogueNotFound: there is no such folder.
        CatalogueInvalid: there is no folder with audio in it, or only one.
    """
    root = existing_folder(root)
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    found = {folder: audio.find(folder) for folder in folders}
    hidden = [each for each in root.iterdir() if each.is_dir() and each.name.startswith(".") and audio.find(each)]
    loose = [path for path in audio.find(root) if path.parent == root]
    rows = [
        {"path": str(path), "genre": genre_name(name_as_text(folder.name)), "source": name_as_text(root.name)}
        | read_tags(path)
        for folder, paths in found.items()
        for path in paths
    ]
    require_two_genres(root, rows, loose)
    if loose:
        warn(f"{len(loose)} audio files directly in {root} belong to no genre folder and are left out, first "
             f"{loose[0].name}.")  # fmt: skip
    if hidden:
        names = ", ".join(sorted(folder.name for folder in hidden))
        warn(f"Folders whose names begin with a dot are hidden, and left out, though audio is in them: {names}.")
    given = [name_as_text(folder.name) for folder, paths in found.items() if paths]
    return Catalogue(pd.DataFrame(rows), Spellings(spelt(given, map(genre_name, given))))


def from_tags(root: Path | str) -> Catalogue:
    """Any folder of tagged files; the genre is the tag's, in the one spelling of :func:`labels.canonical`.

    Files without a genre tag are left out and counted in a warning.

    Raises:
        CatalogueNotFound: there is no such folder.
        CatalogueInvalid: no file has a genre tag, or all have the same.
    """
    root = existing_folder(root)
    rows = [{"path": str(path), "source": name_as_text(root.name), **read_tags(path)} for path in audio.find(root)]
    tagged = [row | {"genre": labels.canonical(row["tag_genre"])} for row in rows if row["tag_genre"]]
    if not tagged:
        raise CatalogueInvalid(
            f"The genres should come from the tags of the files in {root}; none of its {len(rows)} audio files has a "
            "genre tag. Sort them into a folder per genre or write a CSV with the columns path and genre."
        )
    require_two_genres(root, tagged, [])
    if len(tagged) < len(rows):
        warn(f"{len(rows) - len(tagged)} of {len(rows)} audio files in {root} have no genre tag and are left out.")
    table = pd.DataFrame(tagged)
    return Catalogue(table, Spellings(spelt(table["tag_genre"], table["genre"])))


def warn(message: str) -> None:
    warnings.warn(message, CatalogueWarning, stacklevel=3)


def existing_folder(root: Path | str) -> Path:
    root = Path(root).expanduser().absolute()
    if not root.is_dir():
        came = "that is a file" if root.exists() else "there is nothing"
        raise CatalogueNotFound(f"A folder of music should be at {root}; {came}.")
    return root


def require_two_genres(root: Path, rows: list[dict[str, str]], loose: list[Path]) -> None:
    genres = sorted({row["genre"] for row in rows})
    if len(genres) >= 2:
        return
    if genres:
        came = f"{genres[0]!r} ({counted(len(rows), 'track')})"
        raise CatalogueInvalid(f"{root} should hold two genres or more; came only {came}.")
    if loose:
        raise CatalogueInvalid(
            f"{root} should hold a folder per genre; came {len(loose)} audio files that lie in none. Sort them into "
            "folders, or build the catalogue from their tags."
        )
    raise CatalogueInvalid(f"{root} should hold a folder of audio files per genre; no audio file is in it.")
