"""Small files with tags: a folder of one's own music."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mutagen.id3 import TALB, TIT2, TPE1, TSRC
from mutagen.wave import WAVE

TAGS = {"artist": TPE1, "title": TIT2, "album": TALB, "isrc": TSRC}


def write_song(path: Path, seconds: float = 1.0, **tags: str) -> Path:
    """Silence with tags."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(bytes([128]) * round(8000 * seconds))
    if tags:
        song = WAVE(path)
        song.add_tags()
        for name, value in tags.items():
            song.tags.add(TAGS[name](encoding=3, text=value))
        song.save()
    return path


def songs_of(genres: Sequence[str], artists: int, songs: int) -> list[dict[str, Any]]:
    """Genres with so many artists, and artists with so many songs of a second, as rows of a table."""
    return [
        {"genre": genre, "artist": f"{genre} band {artist}", "title": f"Tune {genre} {artist} {song}", "duration": 1.0}
        for genre in genres
        for artist in range(artists)
        for song in range(songs)
    ]
