"""A catalogue: the table of tracks that everything else starts from.

A row is a track: ``path`` (absolute), ``genre``, ``artist`` ("" where unknown), ``split`` ("train", "valid", "test", or
"" where none is given yet) and ``source`` (where it came from; ``generated:…`` where a model made it). ``title``,
``album``, ``date``, ``isrc``, ``tag_genre`` (the genre that the file's own tag names) and ``duration`` (seconds) stand
beside them where they are known, and any other column is kept as it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from genre_lib import labels
from genre_lib.data.generated import are_generated, rows_of
from genre_lib.data.spellings import Spellings
from genre_lib.data.splits import SPLITS
from genre_lib.data.tags import TAGS
from genre_lib.errors import CatalogueInvalid
from genre_lib.files import whole_file
from genre_lib.wording import counted

SPLIT_ALIASES = {"training": "train", "val": "valid", "validation": "valid", "dev": "valid", "testing": "test"}

REQUIRED = ("path", "genre")
COLUMNS = ("path", "genre", "artist", "split", "source")
AS_NAMED = "surrogateescape"
"""How names of files are written, which may be any bytes."""

RENAMED = {"seconds": "duration"}
"""Other names that tables use for a column of ours."""


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Tracks, one a row; see the module's text for the columns.

    Raises:
        CatalogueInvalid: a needed column is missing, a genre is empty, a split is none of :data:`SPLITS`, or there is
            no track.
    """

    tracks: pd.DataFrame
    spellings: Spellings = field(default_factory=Spellings)
    """How the source spelt genres and splits, where it was just read."""

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
        csv_path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(csv_path, newline="", errors=AS_NAMED) as file:
            file.write(self.to_csv(csv_path.parent).decode(errors=AS_NAMED))
        return csv_path

    def to_csv(self, folder: Path) -> bytes:
        """The table as it is written into a folder."""
        table = self.tracks.copy()
        table["path"] = [portable(Path(path), folder) for path in table["path"]]
        return table.to_csv(index=False, lineterminator="\n").encode(errors=AS_NAMED)


def concatenate(catalogues: Sequence[Catalogue]) -> Catalogue:
    """Several catalogues as one; the same file in two of them is kept once, the first one's row."""
    return Catalogue(pd.concat([each.tracks for each in catalogues]).drop_duplicates("path"))


def portable(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


# --- the table's rules ------------------------------------------------------------------------------------------------


def normalise(tracks: pd.DataFrame) -> pd.DataFrame:
    """A clean copy: our columns first, text stripped, one spelling for splits, rows numbered anew."""
    require_columns(tracks)
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


def require_columns(table: pd.DataFrame) -> None:
    missing = [name for name in REQUIRED if name not in table]
    if missing:
        came = ", ".join(map(str, table.columns)) or "none"
        are = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        raise CatalogueInvalid(f"A catalogue needs the columns path and genre; {are}, came: {came}.")


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
