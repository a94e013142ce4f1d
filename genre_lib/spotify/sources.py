"""The sources of audio that the settings switch on, in the order in which they are asked.

The user's own folder comes first: it is whole tracks, and the only one that may be trained on. All else is off until
its own setting switches it on, and each has terms to be shown to whoever uses it.
"""

from __future__ import annotations

from genre_lib.errors import ConfigurationError
from genre_lib.settings import Settings
from genre_lib.spotify import deezer, itunes, previews
from genre_lib.spotify.deezer import Deezer
from genre_lib.spotify.folder_index import Progress
from genre_lib.spotify.itunes import Itunes
from genre_lib.spotify.music_folder import MusicFolder
from genre_lib.spotify.pace import PATIENCE
from genre_lib.spotify.previews import SpotifyPreviews
from genre_lib.spotify.sound import AudioSource

SWITCHES = {
    "folder": "MUSIC_PATH",
    "spotify": "SPOTIFY_PREVIEWS",
    "deezer": "DEEZER_PREVIEWS",
    "itunes": "ITUNES_PREVIEWS",
}
"""The setting that switches a source on, by its name, in the order in which they are asked."""

TERMS = {"spotify": previews.TERMS, "deezer": deezer.TERMS, "itunes": itunes.TERMS}
"""What to show a person who uses the source."""


def sources_of(settings: Settings, progress: Progress | None = None, patience: float = PATIENCE) -> list[AudioSource]:
    """The sources that the settings switch on, in the order in which they are asked.

    Args:
        progress: told while the folder is indexed, at the first question.
        patience: seconds that a call to a source of previews may wait for its turn; else it is refused.

    Raises:
        ConfigurationError: MUSIC_PATH is no folder.
    """
    found: list[AudioSource] = []
    if settings.music_path is not None:
        found.append(music_folder(settings, progress))
    if settings.spotify_previews:
        found.append(SpotifyPreviews(settings))
    if settings.deezer_previews:
        found.append(Deezer(settings, deezer.pace_of(patience)))
    if settings.itunes_previews:
        found.append(Itunes(settings, itunes.pace_of(patience)))
    return found


def music_folder(settings: Settings, progress: Progress | None = None) -> MusicFolder:
    """The user's own music.

    Raises:
        ConfigurationError: MUSIC_PATH is not set, or is no folder.
    """
    if settings.music_path is None:
        raise ConfigurationError("The folder of your own music is not known; set MUSIC_PATH to it.")
    folder = MusicFolder(settings.music_path, settings.cache_path, progress)
    if not folder.root.is_dir():
        raise ConfigurationError(f"MUSIC_PATH should be the folder of your own music; there is none at {folder.root}.")
    return folder
