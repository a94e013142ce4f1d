"""Commands that answer with a row for each track: which tracks, in which format, and how far they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from genre_lib.cli.console import AS_NAMED, UNWRITABLE, progress_bar
from genre_lib.errors import AudioError

Row = TypeVar("Row")


class RowFormat(StrEnum):
    table = "table"
    jsonl = "jsonl"
    csv = "csv"


def format_of(output: Path | None) -> RowFormat:
    """What the file's ending says; a table where it says nothing."""
    ending = output.suffix.lstrip(".").lower() if output else ""
    return RowFormat(ending) if ending in set(RowFormat) else RowFormat.table


def names_in(format: RowFormat) -> str:
    """What becomes of files' names that are no text: in a CSV their bytes, for it is read back; else escapes."""
    return AS_NAMED if format is RowFormat.csv else UNWRITABLE


def find_all(paths: list[Path]) -> tuple[list[Path], list[tuple[Path, AudioError]]]:
    """The audio files at the paths, and the paths where there are none, with the reason."""
    from genre_lib.audio import find
    from genre_lib.errors import AudioNotFound

    files: list[Path] = []
    absent: list[tuple[Path, AudioError]] = []
    for path in paths:
        try:
            found = find(path)
            if not found:
                raise AudioNotFound(f"{path} is a folder without audio files.")
            files += found
        except AudioError as error:
            absent.append((path, error))
    return files, absent


def with_progress(rows: Iterable[Row], total: int, title: str, quiet: bool) -> Iterator[Row]:
    """The rows as they come, and a progress bar meanwhile."""
    with progress_bar(title, quiet, total) as bar:
        for done, row in enumerate(rows, 1):
            bar(done, total)
            yield row


def clock(seconds: float | None) -> str:
    """Minutes and seconds."""
    return "" if seconds is None else f"{int(seconds // 60)}:{seconds % 60:04.1f}"
