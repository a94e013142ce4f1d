"""Where a Spotify track's audio may come from: one protocol, asked in order until one has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from genre_lib.spotify.library import Track


@dataclass(frozen=True)
class Sound:
    """Audio of a track: a file of the user's own, or bytes that are decoded and then forgotten.

    Args:
        source: the name of where it came from, such as ``folder`` or ``deezer``.
        how: by what it was found: ``isrc``, ``artist_title``, ``preview``.
        sureness: from 0 to 1, that it is this very recording.
    """

    source: str
    how: str
    sureness: float
    path: Path | None = None
    content: bytes | None = None


class AudioSource(Protocol):
    """One place where audio may be."""

    @property
    def name(self) -> str:
        """Its word in settings, tables and catalogues."""

    def has(self, track: Track) -> float:
        """How surely it has the track's audio, from 0 (it has not) to 1, without fetching it."""

    def find(self, track: Track) -> Sound | None:
        """The audio, or None where there is none of this track.

        Raises:
            RateLimited, SpotifyUnreachable: the source does not answer now.
        """
