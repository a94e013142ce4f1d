"""A catalogue read from a table: a CSV with the columns path and genre, with commas, semicolons or tabs."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

import pandas as pd

from genre_lib import audio
from genre_lib.data.catalogue import REQUIRED, Catalogue, genre_name, require_columns, text
from genre_lib.data.spellings import Spellings, spelt
from genre_lib.errors import CatalogueInvalid, CatalogueNotFound, first_line
from genre_lib.files import is_text, name_as_text

TABLE_NAMES = ("catalogue.csv", "tracks.csv")
"""A folder that holds one of these is read by it; the first one counts."""


def read(csv_path: Path | str) -> Catalogue:
    """Read a table with at least the columns path and genre; other columns are kept.

    Paths may be absolute, begin with ``~``, or be relative to the table's folder. Separators may be commas, semicolons
    or tabs. A track need not exist: that is for :func:`genre_lib.data.check.check` to say, about all at once.

    Raises:
        CatalogueNotFound: there is no such file.
        CatalogueInvalid: it is no table, lacks columns or rows, names a file twice, or holds an unknown split.
    """
    csv_path = Path(csv_path).expanduser().absolute()
    if not csv_path.is_file():
        raise CatalogueNotFound(f"There is no table at {csv_path}; name a CSV with the columns path and genre.")
    if csv_path.suffix.lower() in audio.AUDIO_SUFFIXES:
        raise CatalogueInvalid(
            f"{csv_path} is a file of audio; name the folder it lies in, or a CSV with path and genre."
        )
    try:
        table = parse(csv_path)
        table["path"] = text(table["path"]).map(lambda path: resolve(path, csv_path.parent))
        given = table.assign(genre=text(table["genre"]), split=text(table["split"]) if "split" in table else "")
        table["genre"] = given["genre"].map(genre_name)
        require_filled(table, csv_path)
        if "source" not in table:
            table["source"] = name_as_text(csv_path.parent.name)
        tracks = Catalogue(table).tracks
    except CatalogueInvalid as error:
        raise CatalogueInvalid(f"{csv_path} cannot be used. {error}") from error
    refuse_repeats(tracks, csv_path)
    spellings = Spellings(spelt(given["genre"], tracks["genre"]), spelt(given["split"], tracks["split"]))
    return Catalogue(tracks, spellings)


def parse(csv_path: Path) -> pd.DataFrame:
    """The table as text, with the columns that a catalogue needs."""
    table = as_text(csv_path)
    require_columns(table)
    return table


def as_text(csv_path: Path) -> pd.DataFrame:
    """Any table as text, header names folded to lower case."""
    content = csv_path.read_bytes()
    separator = separator_of(content.decode("utf-8-sig", "surrogateescape"))
    reading: dict[str, Any] = {"encoding": "utf-8-sig", "encoding_errors": "surrogateescape"}
    try:
        table = pd.read_csv(csv_path, sep=separator, dtype=str, keep_default_na=False, **reading)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        raise CatalogueInvalid(
            f"It should be a table of comma-separated values with a line for each track: {table_fault(error)}."
        ) from error
    table.columns = [str(name).strip().casefold() for name in table.columns]
    require_utf8(content, table, csv_path.parent)
    return table


def require_utf8(content: bytes, table: pd.DataFrame, folder: Path) -> None:
    """Refuse text of another encoding. A path may hold other bytes where a file is called by them, as Linux allows."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        odd = [name for name in table if name != "path" and not all(map(is_text, [name, *table[name]]))]
        paths = [] if "path" not in table else [path for path in table["path"] if not is_text(path)]
        if odd or not paths or not all(Path(resolve(path.strip(), folder)).is_file() for path in paths):
            raise CatalogueInvalid(
                f"It should be text in UTF-8; {error.reason} at byte {error.start}. Save it as UTF-8 CSV."
            ) from error


def require_filled(table: pd.DataFrame, csv_path: Path) -> None:
    """Refuse a table with a track that has no path or no genre, and say on which line it stands."""
    for name in REQUIRED:
        empty = table.index[table[name] == ""]
        if len(empty):
            raise CatalogueInvalid(
                f"Every track needs a {name}; it is empty for {len(empty)} of {len(table)}, first on line "
                f"{line_of(csv_path, int(empty[0]))} of the file ({table['path'][empty[0]] or 'no path'})."
            )


def line_of(csv_path: Path, row: int) -> int:
    """The line, from one, on which a row of the table begins, from zero; a cell may hold breaks of lines."""
    content = csv_path.read_bytes().decode("utf-8-sig", "surrogateescape")
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator_of(content))
    begins, lines = 1, []
    for cells in reader:
        if "".join(cells).strip() or len(cells) > 1:  # pandas passes over blank lines
            lines.append(begins)
        begins = reader.line_num + 1
    return lines[row + 1]


def separator_of(content: str) -> str:
    """What parts the cells of a table, by its header."""
    header = next(iter(content.splitlines()), "")
    return max(",;\t", key=header.count)


def resolve(path: str, folder: Path) -> str:
    """An absolute path without ``..``; links are kept, so that a library of links stays as it is named."""
    if not path:
        return ""
    if os.sep == "/" and "/" not in path:
        path = path.replace("\\", "/")  # a table that was made on Windows
    return os.path.normpath(folder / Path(path).expanduser())


def refuse_repeats(tracks: pd.DataFrame, csv_path: Path) -> None:
    repeated = tracks["path"][tracks["path"].duplicated()].unique()
    if len(repeated):
        raise CatalogueInvalid(
            f"{csv_path} should name each file once; {len(repeated)} came twice or more, first {repeated[0]}. "
            "Keep one row of each."
        )


def table_fault(error: Exception) -> str:
    """pandas' words for a table that cannot be read, for who made it in a spreadsheet."""
    said = first_line(str(error)).removeprefix("Error tokenizing data. C error: ")
    if "No columns to parse" in said:
        return "the file is empty"
    return said.replace("EOF inside string starting at", "a quote is never closed, from") if "EOF" in said else said


def read_table(source: Path) -> Catalogue:
    return read(table_in(source) or source)


def table_in(folder: Path) -> Path | None:
    return next((folder / name for name in TABLE_NAMES if (folder / name).is_file()), None)
