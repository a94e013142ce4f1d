"""The music that a client asks to train on: found below configured folders alone, read, and checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genre_lib.errors import CatalogueInvalid, CatalogueNotFound, GenresUnknown, PathNotAllowed
from genre_lib.settings import Settings

if TYPE_CHECKING:
    from genre_lib.data.catalogue import Catalogue

SYNTHETIC = "synthetic"
"""The word that stands for the built-in catalogue, where a catalogue is expected."""

MOST_NAMED = 10
LONGEST_PATH = 4000


def roots(settings: Settings) -> list[Path]:
    """The folders that music may lie below."""
    named = settings.finetune_data_roots or (settings.fine_tune_data_path,)
    return [Path(root).expanduser().resolve() for root in named]


def place_of(catalogue: str | None, data_path: str | None, settings: Settings) -> Path | str:
    """The one place that was named, if it may be."""
    if catalogue == SYNTHETIC:
        return SYNTHETIC
    if catalogue is not None:
        return found(catalogue, [catalogue, f"{catalogue}.csv"], settings, "catalogue", "a CSV")
    return found(data_path or "", [data_path or ""], settings, "data_path", "a folder of music")


def found(asked: str, names: list[str], settings: Settings, field: str, what: str) -> Path:
    """The first of the names that is there; a relative one counts from each root.

    Links are followed before anything is looked at, so that what lies outside is refused alike whether it is there.
    """
    allowed = roots(settings)
    places = candidates(names, allowed) if is_path(asked) else []
    if not places or not all(is_below(place, allowed) for place in places):
        raise PathNotAllowed(
            f"{field} may only name what lies below the folders in FINETUNE_DATA_ROOTS, by a path relative to one of "
            "them; whoever runs the service can add others."
        )
    there = next((place for place in places if os.path.exists(place)), None)  # noqa: PTH110  (a long name is just absent)
    if there is None:
        raise CatalogueNotFound(f"{field} should name {what} below FINETUNE_DATA_ROOTS; there is no {asked[:200]!r}.")
    return there


def candidates(names: list[str], allowed: list[Path]) -> list[Path]:
    """Where the names lead, links followed; nowhere, where they lead in circles or are too long."""
    places = []
    for root in allowed:
        for name in names:
            try:
                places.append((root / name).resolve())
            except (OSError, RuntimeError):
                return []
    return places


def is_path(text: str) -> bool:
    """Whether a text can be a path that stays where it begins."""
    try:
        return "\0" not in text and ".." not in Path(text).parts and len(os.fsencode(text)) < LONGEST_PATH
    except UnicodeEncodeError:  # half a pair of surrogates, which JSON can bring
        return False


def is_below(place: Path, allowed: list[Path]) -> bool:
    return any(place == root or root in place.parents for root in allowed)


def opened(place: Path | str, settings: Settings) -> Catalogue:
    """Read the catalogue; its tracks must be there, and below the roots as it is itself."""
    from genre_lib.data.catalogue_source import open_one  # pandas

    catalogue = open_one(place)
    if place != SYNTHETIC:
        require_below(catalogue, roots(settings))
    return catalogue


def without_roots(sentence: str, settings: Settings) -> str:
    """An error of the library's as a client may see it: its paths begin below the roots."""
    for root in roots(settings):
        sentence = sentence.replace(f"{root}{os.sep}", "")
    return sentence


def require_below(catalogue: Catalogue, allowed: list[Path]) -> None:
    outside = [path for path in catalogue.tracks["path"] if not is_below(Path(os.path.realpath(path)), allowed)]
    if outside:
        raise PathNotAllowed(
            f"{len(outside)} of the catalogue's {len(catalogue)} tracks lie outside the folders in "
            "FINETUNE_DATA_ROOTS, perhaps by a link; whoever runs the service can add others."
        )


def chosen(catalogue: Catalogue, labels: Sequence[str] | None, sound: bool = True) -> Catalogue:
    """The tracks of some genres, such that they can be trained on: by their files, or without ``sound`` by columns."""
    from genre_lib.data.catalogue import genre_name
    from genre_lib.data.splits import require_splits

    if labels is not None:
        named = {genre_name(label): label for label in labels}
        unknown = [label for genre, label in named.items() if genre not in catalogue.genres]
        if unknown:
            shown = ", ".join(label[:60] for label in unknown[:MOST_NAMED])
            raise GenresUnknown(
                f"labels: the catalogue has no tracks of {shown}; it has {', '.join(catalogue.genres)}."
            )
        catalogue = catalogue.where(list(named))
    train = catalogue.split("train") if catalogue.has_splits else catalogue
    if len(train.genres) < 2:
        raise CatalogueInvalid(
            f"Training needs tracks of two genres or more; got only {', '.join(train.genres) or 'none'}."
        )
    if sound and not any(Path(path).is_file() for path in catalogue.tracks["path"]):
        raise CatalogueInvalid(f"None of the {len(catalogue)} files that the catalogue names is there.")
    require_splits(catalogue)
    return catalogue
