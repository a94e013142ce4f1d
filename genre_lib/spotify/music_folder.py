"""The user's own music as a source of audio: the folder of MUSIC_PATH, indexed once and asked by track."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from genre_lib.spotify.folder_index import MusicFile, Progress, index
from genre_lib.spotify.library import Track
from genre_lib.spotify.matching import Match, Matcher
from genre_lib.spotify.sound import Sound


class MusicFolder:
    """A folder of music in which tracks are found; see :mod:`genre_lib.spotify.matching` for how.

    Args:
        root: the folder; nothing in it is written to.
        cache_path: where the index is kept, as ``Settings.cache_path``.
        progress: called with files done and all, while the folder is indexed at the first question.
    """

    name = "folder"

    def __init__(self, root: Path | str, cache_path: Path, progress: Progress | None = None) -> None:
        self.root = Path(root).expanduser().absolute()
        self.cache_path = cache_path
        self.progress = progress

    @cached_property
    def files(self) -> list[MusicFile]:
        """What is in it, as it was when first asked.

        Raises:
            CatalogueNotFound: there is no such folder.
        """
        return index(self.root, self.cache_path, self.progress)

    @cached_property
    def matcher(self) -> Matcher:
        return Matcher(self.files)

    def match(self, track: Track) -> Match | None:
        """Which of :attr:`files` is the track, how surely and by what; None where none is, or it cannot be told."""
        return self.matcher.match(track)

    def has(self, track: Track) -> float:
        """How surely one of the files is the track, from 0 to 1."""
        match = self.match(track)
        return match.sureness if match else 0.0

    def find(self, track: Track) -> Sound | None:
        """The file that is the track, if it is still there."""
        match = self.match(track)
        path = self.path_of(match) if match else None
        if match is None or path is None or not path.is_file():
            return None
        return Sound(self.name, match.how, match.sureness, path=path)

    def path_of(self, match: Match) -> Path:
        return self.root / self.files[match.file].path
