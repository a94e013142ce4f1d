"""A table of tracks' features, such as ``genre analyze --format csv`` writes: what a model may be told beside sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genre_lib.data.catalogue_table import as_text, resolve
from genre_lib.data.features import given_features
from genre_lib.errors import CatalogueInvalid, CatalogueNotFound
from genre_lib.networks.fusion_features import FEATURES


def read_features(csv_path: Path | str) -> dict[str, dict[str, Any]]:
    """Features by absolute path, of a table with the column path and some by the names of Spotify's audio features.

    Paths are relative to the table's folder; no file has to be there.

    Raises:
        CatalogueNotFound: there is no such table.
        CatalogueInvalid: it is none, or lacks such columns or rows.
    """
    csv_path = Path(csv_path).expanduser().absolute()
    if not csv_path.is_file():
        raise CatalogueNotFound(f"There is no table of features at {csv_path}; name a CSV with path and features.")
    try:
        table = as_text(csv_path)
    except CatalogueInvalid as error:
        raise CatalogueInvalid(f"{csv_path} cannot be used. {error}") from error
    known = [name for name in FEATURES if name in table]
    if "path" not in table or not known or table.empty:
        raise CatalogueInvalid(
            f"{csv_path} should have a row for each track, with the column path and some of {', '.join(FEATURES)}; "
            f"came {len(table)} rows with the columns {', '.join(table.columns)}."
        )
    return given_features(table.assign(path=[resolve(path, csv_path.parent) for path in table["path"]]))
