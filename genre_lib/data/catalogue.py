"""A catalogue: the table of tracks that everything else starts from, and the ways to make one.

A row is a track: ``path`` (absolute), ``genre``, ``artist`` ("" where unknown), ``split`` ("train", "valid", "test", or
"" where none is given yet) and ``source`` (where it came from; ``generated:…`` where a model made it). ``title``,
``album``, ``date``, ``isrc``, ``tag_genre`` (the genre that the file's own tag names) and ``duration`` (seconds) stand
beside them where they are known, and any other column is kept as it came.
"""

from __future__ import annotations

import csv
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from genre_lib import audio, labels
from genre_lib.data import synthetic
from genre_lib.data.generated import are_generated, rows_of
from genre_lib.data.splits import SPLITS
from genre_lib.data.tags import TAGS, read_tags
from genre_lib.errors import CatalogueInvalid, CatalogueNotFound, first_line
from genre_lib.files import whole_file
from genre_lib.settings import get_settings
from genre_lib.spotify.place import SpotifyPlace
from genre_lib.wording import counted

SPLIT_ALIASES = {"training": "train", "val": "valid", "validation": "valid", "dev": "valid", "testing": "test"}

REQUIRED = ("path", "genre")
COLUMNS = ("path", "genre", "artist", "split", "source")
RENAMED = {"seconds": "duration"}
"""Other names that tables use for a column of ours."""

TABLE_NAMES = ("catalogue.csv", "tracks.csv")
"""A folder that holds one of these is read by it; the first one counts."""

SYNTHETIC = "synthetic"
How = Literal["auto", "folder", "csv", "tags"]


class CatalogueWarning(UserWarning):
    """Files were left out of a catalogue."""


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Tracks, one a row; see the module's text for the columns.

    Raises:
        CatalogueInvalid: a needed column is missing, a genre is empty, a split is none of :data:`SPLITS`, or there is
            no track.
    """

    tracks: pd.DataFrame

    def __post_init__(self) -> None:
        object.__setattr__(self, "tracks", normalise(self.tracks))

    def __len__(self) -> int:
        return len(self.tracks)

    @property
    def genres(self) -> list[str]:
        """Sorted names."""
        return sorted(self.tracks["genre"].unique())

    @property
    def has_splits(self) -> bool:
        """Whether every track stands in a split."""
        return bool((self.tracks["split"] != "").all())

    @property
    def splits(self) -> list[str]:
        """The splits that hold tracks, in the order train, valid, test."""
        present = set(self.tracks["split"])
        return [name for name in SPLITS if name in present]

    def split(self, name: str) -> Catalogue:
        """The tracks of one split; generated ones are train's alone.

        Raises:
            CatalogueInvalid: no track stands in it.
        """
        chosen = rows_of(self.tracks, name)
        if chosen.empty:
            came = ", ".join(self.splits) or "no splits yet"
            raise CatalogueInvalid(f"The catalogue has no tracks in the split {name!r}; it has {came}.")
        return Catalogue(chosen)

    def where(self, genres: Sequence[str]) -> Catalogue:
        """The tracks of some genres.

        Raises:
            CatalogueInvalid: none of them is in the catalogue.
        """
        return Catalogue(self.tracks[self.tracks["genre"].isin(list(genres))])

    def real(self) -> Catalogue:
        """The tracks that are no generated ones.

        Raises:
            CatalogueInvalid: all are generated.
        """
        made = are_generated(self.tracks["source"])
        if made.all():
            raise CatalogueInvalid(
                f"All {counted(len(self), 'track')} are generated; they say nothing of how well a model knows music."
            )
        return Catalogue(self.tracks[~made])

    def summary(self) -> pd.DataFrame:
        """Per genre (the index): tracks, artists, tracks without an artist, hours, and tracks in each split.

        Where there are generated tracks, their number too.
        """
        grouped = self.tracks.groupby("genre")
        table = pd.DataFrame({"tracks": grouped.size()})
        table["artists"] = grouped["artist"].agg(lambda artists: artists[artists != ""].nunique())
        table["unknown_artist"] = grouped["artist"].agg(lambda artists: int((artists == "").sum()))
        if "duration" in self.tracks:
            table["hours"] = grouped["duration"].sum() / 3600
        for name in self.splits:
            table[name] = (self.tracks["split"] == name).groupby(self.tracks["genre"]).sum()
        made = are_generated(self.tracks["source"])
        if made.any():
            table["generated"] = made.groupby(self.tracks["genre"]).sum()
        return table

    def write(self, csv_path: Path | str) -> Path:
        """Write the table whole; paths below the table's folder are written relative to it, others absolute."""
        csv_path = Path(csv_path).expanduser().absolute()
        table = self.tracks.copy()
        table["path"] = [portable(Path(path), csv_path.parent) for path in table["path"]]
        csv_path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(csv_path, newline="") as file:
            table.to_csv(file, index=False)
        return csv_path


def portable(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


# --- the table's rules ------------------------------------------------------------------------------------------------


def normalise(tracks: pd.DataFrame) -> pd.DataFrame:
    """A clean copy: our columns first, text stripped, one spelling for splits, rows numbered anew."""
    missing = [name for name in REQUIRED if name not in tracks]
    if missing:
        came = ", ".join(map(str, tracks.columns)) or "none"
        are = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        raise CatalogueInvalid(f"A catalogue needs the columns path and genre; {are}, came: {came}.")
    if tracks.empty:
        raise CatalogueInvalid("The catalogue holds no track; it needs one row a track, with path and genre.")
    renamed = {old: new for old, new in RENAMED.items() if new not in tracks}
    table = tracks.rename(columns=renamed).reset_index(drop=True)
    for name in (*COLUMNS, *(tag for tag in TAGS if tag in table)):
        table[name] = text(table[name]) if name in table else ""
    if "duration" in table:
        table["duration"] = pd.to_numeric(table["duration"], errors="coerce")
    table["split"] = split_names(table)
    require_genres(table)
    return table[[*COLUMNS, *(name for name in table if name not in COLUMNS)]]


def text(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), "").astype(str).str.strip()


def split_names(table: pd.DataFrame) -> pd.Series:
    names = table["split"].str.casefold().replace(SPLIT_ALIASES)
    unknown = sorted(set(names) - {"", *SPLITS})
    if unknown:
        row = int(names[names == unknown[0]].index[0])
        raise CatalogueInvalid(
            f"A split is train, valid or test, or empty; came {', '.join(map(repr, unknown))}, first for "
            f"{table['path'][row]}."
        )
    return names


def require_genres(table: pd.DataFrame) -> None:
    for name in REQUIRED:
        empty = table.index[table[name] == ""]
        if len(empty):
            raise CatalogueInvalid(
                f"Every track needs a {name}; it is empty in {len(empty)} of {len(table)} rows, first in row "
                f"{empty[0] + 1} ({table['path'][empty[0]] or 'no path'})."
            )


def genre_name(name: str) -> str:
    """A user's genre in the package's spelling: ``Hip-Hop`` is hiphop, but a ``techno`` of their own stays techno.

    Unlike :func:`labels.canonical` it never reads one genre as another, because a folder or a table says on purpose
    what it says.
    """
    cleaned = labels.clean(name)
    joined = cleaned.replace(" ", "")
    return joined if joined in labels.GENRES else cleaned


# --- from a table -----------------------------------------------------------------------------------------------------


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
        table["genre"] = text(table["genre"]).map(genre_name)
        if "source" not in table:
            table["source"] = csv_path.parent.name
        catalogue = Catalogue(table)
    except CatalogueInvalid as error:
        raise CatalogueInvalid(f"{csv_path} cannot be used. {error}") from error
    refuse_repeats(catalogue.tracks, csv_path)
    return catalogue


def parse(csv_path: Path) -> pd.DataFrame:
    """The table as text, with the columns that a catalogue needs."""
    table = as_text(csv_path)
    missing = [name for name in REQUIRED if name not in table]
    if missing:
        raise CatalogueInvalid(
            f"A catalogue needs the columns path and genre; {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing, came: {', '.join(table.columns)}."
        )
    return table


def as_text(csv_path: Path) -> pd.DataFrame:
    """Any table as text, header names folded to lower case."""
    try:
        content = csv_path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CatalogueInvalid(f"It should be text in UTF-8; {error.reason} at byte {error.start}. Save it as UTF-8 "
                               "CSV.") from error  # fmt: skip
    header = next(iter(content.splitlines()), "")
    separator = max(",;\t", key=header.count)
    try:
        table = pd.read_csv(csv_path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        raise CatalogueInvalid(
            f"It should be a table of comma-separated values with a line for each track: {table_fault(error)}."
        ) from error
    table.columns = [str(name).strip().casefold() for name in table.columns]
    return table


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


# --- from folders and tags --------------------------------------------------------------------------------------------


def from_folder(root: Path | str) -> Catalogue:
    """A folder per genre, with anything below it: ``root/<genre>/…/track.mp3``.

    Artist, title, album, date, ISRC and the tag's own genre are read from the files.

    Raises:
        CatalogueNotFound: there is no such folder.
        CatalogueInvalid: there is no folder with audio in it, or only one.
    """
    root = existing_folder(root)
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    found = {folder: audio.find(folder) for folder in folders}
    loose = [path for path in audio.find(root) if path.parent == root]
    rows = [
        {"path": str(path), "genre": genre_name(folder.name), "source": root.name, **read_tags(path)}
        for folder, paths in found.items()
        for path in paths
    ]
    require_two_genres(root, rows, loose)
    if loose:
        warn(f"{len(loose)} audio files directly in {root} belong to no genre folder and are left out, first "
             f"{loose[0].name}.")  # fmt: skip
    return Catalogue(pd.DataFrame(rows))


def from_tags(root: Path | str) -> Catalogue:
    """Any folder of tagged files; the genre is the tag's, in the one spelling of :func:`labels.canonical`.

    Files without a genre tag are left out and counted in a warning.

    Raises:
        CatalogueNotFound: there is no such folder.
        CatalogueInvalid: no file has a genre tag, or all have the same.
    """
    root = existing_folder(root)
    rows = [{"path": str(path), "source": root.name, **read_tags(path)} for path in audio.find(root)]
    tagged = [row | {"genre": labels.canonical(row["tag_genre"])} for row in rows if row["tag_genre"]]
    if not tagged:
        raise CatalogueInvalid(
            f"The genres should come from the tags of the files in {root}; none of its {len(rows)} audio files has a "
            "genre tag. Sort them into a folder per genre or write a CSV with the columns path and genre."
        )
    require_two_genres(root, tagged, [])
    if len(tagged) < len(rows):
        warn(f"{len(rows) - len(tagged)} of {len(rows)} audio files in {root} have no genre tag and are left out.")
    return Catalogue(pd.DataFrame(tagged))


def warn(message: str) -> None:
    warnings.warn(message, CatalogueWarning, stacklevel=3)


def existing_folder(root: Path | str) -> Path:
    root = Path(root).expanduser().absolute()
    if not root.is_dir():
        came = "that is a file" if root.exists() else "there is nothing"
        raise CatalogueNotFound(f"A folder of music should be at {root}; {came}.")
    return root


def require_two_genres(root: Path, rows: list[dict[str, str]], loose: list[Path]) -> None:
    genres = sorted({row["genre"] for row in rows})
    if len(genres) >= 2:
        return
    if genres:
        came = f"{genres[0]!r} ({counted(len(rows), 'track')})"
        raise CatalogueInvalid(f"{root} should hold two genres or more; came only {came}.")
    if loose:
        raise CatalogueInvalid(
            f"{root} should hold a folder per genre; came {len(loose)} audio files that lie in none. Sort them into "
            "folders, or build the catalogue from their tags."
        )
    raise CatalogueInvalid(f"{root} should hold a folder of audio files per genre; no audio file is in it.")


# --- from anything ----------------------------------------------------------------------------------------------------


def build(source: Path | str, how: How = "auto") -> Catalogue:
    """A catalogue from a CSV, a folder per genre, or a folder of tagged files.

    ``auto`` reads a file as a CSV; a folder by its ``catalogue.csv`` or ``tracks.csv`` where it has one, else by its
    folders per genre where two or more hold audio and are not named by the artists in them, else by tags.

    Raises:
        CatalogueNotFound, CatalogueInvalid: as the function that fits.
    """
    makers: dict[str, Callable[[Path], Catalogue]] = {
        "auto": detect,
        "folder": from_folder,
        "csv": read_table,
        "tags": from_tags,
    }
    if how not in makers:
        raise CatalogueInvalid(f"A catalogue is built how = {', '.join(makers)}; came {how!r}.")
    return makers[how](Path(source).expanduser().absolute())


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


def detect(source: Path) -> Catalogue:
    if source.is_file():
        return read(source)
    if not source.is_dir():
        raise CatalogueNotFound(
            f"There is nothing at {source}; name a folder of music with a folder per genre, or a CSV with the columns "
            "path and genre."
        )
    if table_in(source):
        return read_table(source)
    folders = {path.relative_to(source).parts[0] for path in audio.find(source) if path.parent != source}
    if len(folders) < 2 and audio.find(source):
        warn(
            f"{source} holds {listed_folders(folders)}, where a folder per genre was expected; so genres are read from "
            "the files' tags."
        )
        return from_tags(source)
    catalogue = from_folder(source)
    return from_tags(source) if folders_are_artists(catalogue.tracks, source) else catalogue


def listed_folders(folders: set[str]) -> str:
    return f"one folder with audio ({folders.pop()})" if folders else "audio files and no folders"


def folders_are_artists(tracks: pd.DataFrame, root: Path) -> bool:
    """Whether most files lie in a folder of their artist's name, as music players sort them."""
    top = [labels.clean(Path(path).relative_to(root).parts[0]) for path in tracks["path"]]
    return bool((tracks["artist"].map(labels.clean) == pd.Series(top)).mean() > 0.5)


def concatenate(catalogues: Sequence[Catalogue]) -> Catalogue:
    """Several catalogues as one; the same file in two of them is kept once, the first one's row."""
    return Catalogue(pd.concat([each.tracks for each in catalogues]).drop_duplicates("path"))


def open_one(name: Path | str) -> Catalogue:
    """One source as it is, with the splits that it gives or none; ``synthetic`` is made in the cache folder.

    Raises:
        CatalogueNotFound, CatalogueInvalid: as :func:`build`.
        LibraryEmpty: it names a Spotify library, such as ``spotify:me/playlist``, of which no table was made yet.
    """
    place = SpotifyPlace.parse(name)
    if place:
        return read(place.made(get_settings()))
    if str(name) != SYNTHETIC:
        return build(name)
    return read_table(synthetic.make(get_settings().cache_path / f"{SYNTHETIC}-{synthetic.VERSION}"))
