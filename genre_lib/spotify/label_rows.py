"""A table of one's own that says what tracks are called: its rows, and those that contradict each other."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genre_lib import labels as spelling
from genre_lib.errors import LabelsInvalid
from genre_lib.spotify.library import Track

ID_COLUMNS = ("id", "spotify_id", "track_id", "uri", "spotify_uri", "link", "url")
GENRE_COLUMNS = ("genre", "label")


@dataclass(frozen=True)
class Row:
    """A line of such a table: what names the track, its genre, and the line's number, from 1."""

    key: str
    genre: str
    line: int


def genres_in(rows: Sequence[Row]) -> set[str]:
    """The genres of several rows, however they are spelt."""
    return {spelling.clean(row.genre) for row in rows}


def twice_told(track: Track, rows: Sequence[Row]) -> str:
    """A track with the rows that give it several genres."""
    said = " and ".join(f"{row.genre} in line {row.line} ({row.key})" for row in rows)
    return f"{track.title} by {track.artist} is {said}"


def read_rows(csv_path: Path) -> list[Row]:
    """The lines that name a genre."""
    try:
        with Path(csv_path).expanduser().open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = {spelling.clean(name).replace(" ", "_"): name for name in reader.fieldnames or ()}
            key = next((columns[name] for name in (*ID_COLUMNS, "isrc") if name in columns), None)
            genre = next((columns[name] for name in GENRE_COLUMNS if name in columns), None)
            if not key or not genre:
                raise LabelsInvalid(
                    f"{csv_path} needs a column {', '.join(ID_COLUMNS[:2])} or isrc, and one called genre; came "
                    f"{', '.join(columns) or 'no header'}."
                )
            rows = [Row((line[key] or "").strip(), (line[genre] or "").strip(), reader.line_num) for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabelsInvalid(f"{csv_path} cannot be read as a CSV of labels: {error}.") from error
    named = [row for row in rows if row.key and row.genre]
    if not named:
        raise LabelsInvalid(f"{csv_path} names no track with a genre; each line needs both.")
    return named
