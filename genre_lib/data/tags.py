"""What a music file says of itself: artist, title, album, date, ISRC and genre, whatever kind of tags it has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mutagen

TAG_NAMES: dict[str, tuple[str, ...]] = {
    "artist": ("artist", "TPE1", "\xa9ART", "Author", "albumartist", "TPE2", "aART"),
    "title": ("title", "TIT2", "\xa9nam", "Title"),
    "album": ("album", "TALB", "\xa9alb", "WM/AlbumTitle"),
    "date": ("date", "TDRC", "TYER", "\xa9day", "year", "WM/Year"),
    "isrc": ("isrc", "TSRC", "----:com.apple.iTunes:ISRC", "WM/ISRC"),
    "tag_genre": ("genre", "TCON", "\xa9gen", "WM/Genre"),
}
"""Names of a tag in Vorbis comments and APE, ID3, MP4 and ASF."""

TAGS = tuple(TAG_NAMES)


def read_tags(path: Path) -> dict[str, str]:
    """What the file says of itself, "" for what it does not say; a file that cannot be parsed says nothing."""
    try:
        file = mutagen.File(path)
    except Exception:  # mutagen raises many kinds on broken files; the check decodes them and names them
        file = None
    tags = file.tags if file is not None and file.tags is not None else {}
    return {name: first_value(tags, keys) for name, keys in TAG_NAMES.items()}


def first_value(tags: object, keys: Sequence[str]) -> str:
    for key in keys:
        try:
            value = tags[key]  # type: ignore[index]
        except (KeyError, ValueError):  # Vorbis comments refuse keys that are not ASCII
            continue
        if text_of(value):
            return text_of(value)
    return ""


def text_of(value: object) -> str:
    """The first of a tag's values as text; ID3 genres such as ``(17)`` come as their names."""
    value = getattr(value, "genres", None) or getattr(value, "text", value)
    if isinstance(value, list):
        value = value[0] if value else ""
    return value.decode("utf-8", "replace").strip() if isinstance(value, bytes) else str(value).strip()
