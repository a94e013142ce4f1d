"""A Spotify library named where a folder of music may be: ``spotify:USER/LABELS``.

``spotify:me/playlist`` is the library of whoever signed in, with the own playlists as classes; ``spotify:me/genre``
takes the artists' genres, and ``spotify:me/csv:genres.csv`` a column of one's own. What such a name stands for is a
table that :mod:`genre_lib.spotify.personal` makes, and that anybody can open.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from genre_lib.cache import content_digest
from genre_lib.errors import ConfigurationError, LibraryEmpty
from genre_lib.settings import Settings

SCHEME = "spotify:"
ME = "me"
"""Whoever signed in."""

KINDS = ("genre", "playlist", "csv")
USER = re.compile(r"(?!\.)[A-Za-z0-9._~-]{1,100}")
TABLES = "catalogues"

FORMS = "genre (the artists' genres), playlist (your own playlists), or csv:FILE (a column of your own)"


@dataclass(frozen=True)
class SpotifyPlace:
    """Whose library, and what its tracks are called.

    Args:
        user: Spotify's id of the user, or ``me``.
        kind: one of :data:`KINDS`.
        file: of the labels, where ``kind`` is ``csv``.
    """

    user: str = ME
    kind: str = "genre"
    file: Path | None = None

    @classmethod
    def of(cls, user: str, labels: str = "genre") -> SpotifyPlace:
        """From what a person gives: a user's id, and ``genre``, ``playlist`` or ``csv:FILE``.

        Raises:
            ConfigurationError: it is none of these; says which there are.
        """
        kind, colon, file = labels.partition(":")
        if not USER.fullmatch(user):
            raise ConfigurationError(
                f"Expected the id of a Spotify user, or 'me' for whoever signed in, and got {user[:60]!r}; the id is "
                "the last part of the link to the profile."
            )
        if kind not in KINDS or bool(file) != (kind == "csv") or bool(colon) != (kind == "csv"):
            raise ConfigurationError(f"Expected as labels {FORMS}, and got {labels[:60]!r}.")
        return cls(user, kind, Path(file).expanduser().absolute() if file else None)

    @classmethod
    def parse(cls, text: str | Path) -> SpotifyPlace | None:
        """What the text names, or None where it names something else, such as a folder.

        Raises:
            ConfigurationError: it begins as such a name and does not go on as one.
        """
        if not str(text).startswith(SCHEME):
            return None
        user, _, labels = str(text).removeprefix(SCHEME).partition("/")
        return cls.of(user, labels or "genre")

    @property
    def labels(self) -> str:
        """As :meth:`of` takes it."""
        return f"csv:{self.file}" if self.file else self.kind

    def table(self, settings: Settings) -> Path:
        """Where the catalogue of this library lies once it was made."""
        which = f"csv-{content_digest(str(self.file).encode())[:8]}" if self.file else self.kind
        return settings.spotify_path.expanduser() / TABLES / f"{self.user}-{which}.csv"

    def made(self, settings: Settings) -> Path:
        """The table that it stands for.

        Raises:
            LibraryEmpty: it was not made yet.
        """
        table = self.table(settings)
        if not table.is_file():
            raise LibraryEmpty(f"{self} stands for a table that was not made yet; `genre spotify catalogue` makes it.")
        return table

    def __str__(self) -> str:
        return f"{SCHEME}{self.user}/{self.labels}"
