"""Spotify's own previews of 30 s, where an app still gets their addresses: fetched into memory, and never stored."""

from __future__ import annotations

from genre_lib import audio
from genre_lib.errors import AudioError
from genre_lib.settings import Settings
from genre_lib.spotify.downloads import Downloads, Service
from genre_lib.spotify.library import Track
from genre_lib.spotify.sound import Sound

HOSTS = (".scdn.co",)

TERMS = (
    'Spotify\'s Developer Policy, III.14: "Do not use the Spotify Platform or any Spotify Content to train a machine '
    "learning or AI model or otherwise ingest Spotify Content into a machine learning or AI model.\" Previews are such "
    "content: you answer for hearing them, and they are never trained on."
)  # fmt: skip


class SpotifyPreviews:
    """The address that came with a track; most apps get none."""

    name = "spotify"

    def __init__(self, settings: Settings) -> None:
        service = Service("Spotify", settings.spotify_api_url, HOSTS)
        self.downloads = Downloads(service, settings.spotify_timeout)

    def has(self, track: Track) -> float:
        """1 where an address came and it is Spotify's; whether it still lives is not asked."""
        return float(self.downloads.service.owns(track.preview_url))

    def find(self, track: Track) -> Sound | None:
        """The preview; None where there is no address, or a dead one.

        Raises:
            RateLimited, SpotifyUnreachable: nothing comes now, and may later.
        """
        content = self.downloads.audio(track.preview_url) if track.preview_url else None
        return Sound(self.name, "preview", 1.0, content=content) if content and is_audio(content) else None


def is_audio(content: bytes) -> bool:
    """Whether bytes are what they should be, and not a page that says sorry."""
    try:
        audio.probe(content)
    except AudioError:
        return False
    return True
