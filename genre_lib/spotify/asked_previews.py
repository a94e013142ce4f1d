"""Previews of a service that is asked about each track: fetched into memory, and never stored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from genre_lib.spotify.downloads import Downloads, Service
from genre_lib.spotify.library import Track
from genre_lib.spotify.pace import Pace
from genre_lib.spotify.previews import is_audio
from genre_lib.spotify.sound import Sound


@dataclass(frozen=True)
class Preview:
    """Where a track's preview is, and how surely it is this very recording."""

    url: str
    sureness: float


class AskedPreviews(ABC):
    """A source of audio by calls that are counted.

    Args:
        service: that is asked.
        timeout: seconds that an answer may take.
        pace: shared by all who ask the service from this process.
    """

    name: str
    how: str
    """By what it finds a track: ``isrc`` or ``artist_title``."""

    def __init__(self, service: Service, timeout: float, pace: Pace) -> None:
        self.pace = pace
        self.downloads = Downloads(service, timeout, pace.now)

    @abstractmethod
    def preview(self, track: Track) -> Preview | None:
        """What the service has of a track; None where it has no preview that may be opened.

        Raises:
            RateLimited, SpotifyUnreachable: it does not answer now.
        """

    def has(self, track: Track) -> float:
        """How surely it has a preview; this asks the service, and fetches no audio.

        Raises:
            RateLimited, SpotifyUnreachable: it does not answer now.
        """
        preview = self.preview(track)
        return preview.sureness if preview else 0.0

    def find(self, track: Track) -> Sound | None:
        """The preview; None where the service has none of the track, or it is gone.

        Raises:
            RateLimited, SpotifyUnreachable: it does not answer now.
        """
        preview = self.preview(track)
        content = self.downloads.audio(preview.url) if preview else None
        if preview is None or not content or not is_audio(content):
            return None
        return Sound(self.name, self.how, preview.sureness, content=content)
