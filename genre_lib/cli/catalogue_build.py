"""``genre catalogue build``: the table of a source's tracks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genre_lib.cli.console import print_table, progress_bar, require_writable, say, shown
from genre_lib.errors import CatalogueError, ConfigurationError
from genre_lib.wording import counted

if TYPE_CHECKING:
    from genre_lib.data.catalogue import Catalogue

WINDOWS_DRIVE = re.compile(r"/[A-Za-z]:/")


class How(StrEnum):
    """Ways to read a source of music."""

    auto = "auto"
    folder = "folder"
    tags = "tags"
    csv = "csv"


def catalogue_build(
    source: Annotated[str, typer.Argument(help="A folder of music, a CSV, or 'synthetic'.")],
    output: Annotated[Path, typer.Option(help="The CSV to write.")],
    how: Annotated[How, typer.Option("--from", help="How to read the source.")] = How.auto,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="Of the splits that are drawn.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace --output, if it is there and says something else.")
    ] = False,
) -> None:
    """Write the table of a source's tracks, with splits."""
    from genre_lib.data.catalogue_source import build, open_one
    from genre_lib.data.opening import split

    require_writable(output)
    found = open_one(source) if how is How.auto else build(source, how.value)  # type: ignore[arg-type]
    for line in remarks(found):
        say(line)
    if not overwrite:
        require_same_music(output, found)
    if not found.has_splits:
        with progress_bar("listening for repeats") as bar:
            found = split(found, seed, lambda done, total: bar(done, total))
    if not overwrite:
        require_same_table(output, found)
    found.write(output)
    summary = found.summary()
    print_table(["genre", *summary.columns], ([str(genre), *map(shown, row)] for genre, *row in summary.itertuples()))
    size = f"{counted(len(found), 'track')} of {counted(len(found.genres), 'genre')}"
    say(f"{size}: {output}. What is wrong with them: genre catalogue check.")


def remarks(found: Catalogue) -> Iterator[str]:
    """What was read otherwise than it stands in the source, and how many files are not there."""
    told = found.spellings.told()
    if told:
        yield told
    absent = [path for path in found.tracks["path"] if not Path(path).exists()]
    if absent:
        why = "relative paths count from the table's own folder"
        if WINDOWS_DRIVE.search(absent[0]):
            why = "a path of Windows is none here; write it relative to the table's own folder"
        yield f"warning: {len(absent)} of {len(found)} files are not there, first {absent[0]}; {why}."


def require_same_music(output: Path, found: Catalogue) -> None:
    """Refuse at once, and not after hearing all, to replace a table of other tracks or one that is without splits."""
    from genre_lib.data.catalogue_table import read

    if not output.is_file():
        return
    columns = ["path", "genre", "artist"]
    try:
        there = read(output)
        same = there.has_splits and there.tracks[columns].equals(found.tracks[columns])
    except CatalogueError:
        same = False
    if not same:
        raise refusal(output)


def require_same_table(output: Path, found: Catalogue) -> None:
    """Refuse to replace a table by one that differs, as where it was edited; the same one may be written again."""
    if output.is_file() and output.read_bytes() != found.to_csv(output.absolute().parent):
        raise refusal(output)


def refusal(output: Path) -> ConfigurationError:
    return ConfigurationError(
        f"--output {output} is there already, and holds something else than what would be written; choose another, or "
        "say --overwrite."
    )
