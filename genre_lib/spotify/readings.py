"""Who plays what in a file, by its tags, or by its name and folders where it has none; there may be several readings.

``Artist - Title.mp3``, ``Artist/Album/03 Title.mp3`` and a title tag that repeats the artist are all common. A reading
that is wrong does no harm: no track is by an artist called ``CD 1``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from genre_lib.spotify import titles
from genre_lib.spotify.folder_index import MusicFile
from genre_lib.spotify.names import artist_key, artist_keys
from genre_lib.spotify.titles import Title

NOBODY = frozenset({"", "various", "variousartists", "va", "unknown", "unknownartist", "soundtrack", "noartist"})
COMPILATION = "compilation"
NUMBER = re.compile(r"^\(?\d{1,3}(?:-\d{1,2})?[\s._)-]+")
DASH = re.compile(r"\s+[-–—]+\s+|\s*_-_\s*")
FOLDERS = 3
"""So many folders above a file may be named by the artist."""


@dataclass(frozen=True)
class Reading:
    """One way to read a file.

    Args:
        file: its number in the index.
        named: whether only the file's name says so, and not its tags.
    """

    file: int
    artist: str
    title: str
    album: str
    named: bool = False

    @cached_property
    def parsed(self) -> Title:
        return titles.parse(self.title, self.album)

    @cached_property
    def artists(self) -> tuple[str, ...]:
        """Keys: of the whole, of the main artist, of the others and of the guests that the title names."""
        guests = [key for guest in self.parsed.guests for key in artist_keys(guest)]
        return tuple(dict.fromkeys((*artist_keys(self.artist), *guests)))


def readings(number: int, file: MusicFile) -> list[Reading]:
    """All readings of a file, the likeliest first, without repeats."""
    if file.title:
        found = by_tags(number, file)
    else:
        album = file.album
        pairs = [(file.artist, title) for title in bare_titles(file)] if somebody(file.artist) else by_name(file)
        found = [Reading(number, artist, title, album, named=True) for artist, title in pairs]
    return list(dict.fromkeys(reading for reading in found if reading.artist and reading.title))


def by_tags(number: int, file: MusicFile) -> list[Reading]:
    """By the title's tag, with the artist's where it names one."""
    known = somebody(file.artist)
    found = [Reading(number, file.artist, file.title, file.album)]
    first, *rest = DASH.split(file.title, maxsplit=1)
    if rest and (not known or artist_key(first) == artist_key(file.artist)):
        found.append(Reading(number, first.strip(), rest[0].strip(), file.album))
    if not known:
        found += [Reading(number, folder, file.title, file.album, named=True) for folder in folders(file)]
    return found


def by_name(file: MusicFile) -> list[tuple[str, str]]:
    """Artist and title by the file's name, and by its folders."""
    pairs: list[tuple[str, str]] = []
    for name in bare_titles(file):
        pieces = [piece.strip() for piece in DASH.split(name)]
        if len(pieces) >= 2:
            pairs += [(pieces[0], " - ".join(pieces[1:])), (pieces[0], pieces[-1])]
        pairs += [(folder, name) for folder in folders(file)]
    return pairs


def bare_titles(file: MusicFile) -> list[str]:
    """The file's name without its ending, and without the number that it may begin with."""
    name = PurePosixPath(file.path).stem
    name = name if " " in name else name.replace("_-_", " - ").replace("_", " ")
    return list(dict.fromkeys(each for each in (NUMBER.sub("", name).strip(), name.strip()) if each))


def folders(file: MusicFile) -> list[str]:
    return list(reversed(PurePosixPath(file.path).parent.parts))[:FOLDERS]


def somebody(artist: str) -> bool:
    """Whether a tag names an artist, and not that there are many or none."""
    key = artist_key(artist) if artist else ""
    return key not in NOBODY and COMPILATION not in key
