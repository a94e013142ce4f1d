"""``genre analyze``: tempo, key, loudness and the other descriptors of files and folders."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from genre_lib.cli.console import require_writable, say, sink
from genre_lib.cli.options import get_settings
from genre_lib.cli.rows import RowFormat, clock, find_all, format_of, names_in, with_progress
from genre_lib.cli.track_table import TrackTable
from genre_lib.errors import AudioError
from genre_lib.wording import counted

if TYPE_CHECKING:
    from genre_lib.described_files import TrackDescriptors
    from genre_lib.descriptors import Descriptors


def analyze(
    paths: Annotated[list[Path], typer.Argument(help="Files, and folders, which are walked.", metavar="PATH…")],
    format: Annotated[
        RowFormat | None,
        typer.Option(help="How to print the tracks.", show_default="by --output's ending, or table"),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="File to write, in place of standard output.")] = None,
) -> None:
    """Describe tracks: tempo, key, loudness, and estimates of the rest of what Spotify's audio features named.

    What was described once is remembered by its content. A file that cannot be read is a row with its error; then the
    exit code is 1.
    """
    format = format or format_of(output)
    if output:
        require_writable(output)
    files, absent = find_all(paths)
    total = len(files) + len(absent)
    quiet = format is not RowFormat.table and output is None and sys.stdout.isatty()
    with sink(output, names_in(format)) as file:
        write = {"table": write_table, "jsonl": write_jsonl, "csv": write_csv}[format.value]
        failed = write(file, with_warnings(with_progress(described(files, absent), total, "analysing", quiet)))
    if output:
        say(f"{counted(total, 'track')}: {output}")
    if failed:
        say(f"{failed} of {total} could not be described.")
        raise typer.Exit(1)


def described(files: list[Path], absent: list[tuple[Path, AudioError]]) -> Iterator[TrackDescriptors]:
    """A row for every file, and one for every path that led to none."""
    from genre_lib.described_files import TrackDescriptors, analyze_files

    yield from analyze_files(files, settings=get_settings())
    for path, error in absent:
        yield TrackDescriptors(str(path), error=str(error), code=error.code)


def with_warnings(tracks: Iterable[TrackDescriptors]) -> Iterator[TrackDescriptors]:
    """The tracks, and their warnings meanwhile."""
    for track in tracks:
        if track.warning:
            say(f"warning: {track.warning}")
        yield track


def write_jsonl(file: TextIO, tracks: Iterable[TrackDescriptors]) -> int:
    """A JSON object a line: path, features, error; returns how many hold an error."""
    failed = 0
    for track in tracks:
        file.write(json.dumps(track.to_json(), ensure_ascii=False) + "\n")
        failed += track.error is not None
    return failed


def write_csv(file: TextIO, tracks: Iterable[TrackDescriptors]) -> int:
    """A row a track: path, every descriptor but the tempo's candidates, error."""
    from genre_lib.descriptors import NUMBERS

    writer = csv.DictWriter(file, ["path", *NUMBERS, "error"], restval="", extrasaction="ignore")
    writer.writeheader()
    failed = 0
    for track in tracks:
        numbers = track.features.to_json() if track.features else {}
        writer.writerow({**numbers, "path": track.path, "error": track.error or ""})
        failed += track.error is not None
    return failed


def write_table(file: TextIO, tracks: Iterable[TrackDescriptors]) -> int:
    """What was measured, for a person; the estimates are in the other formats."""
    table = TrackTable(["track", "length", "tempo", "key", "loudness", "energy", "danceability"])
    for track in tracks:
        if track.features is None:
            table.add_failed(track.path, track.code, track.error or "")
        else:
            table.add(track.path, *cells(track.features))
    table.print(file)
    return len(table.errors)


def cells(found: Descriptors) -> list[str]:
    """What stands behind a track's name."""
    return [
        clock(found.duration),
        f"{found.tempo:.1f} BPM" if found.tempo else "–",
        found.key_name or "–",
        f"{found.loudness:.1f} LUFS",
        f"{found.energy:.2f}",
        f"{found.danceability:.2f}",
    ]
