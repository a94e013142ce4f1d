"""Options that several commands share, and what they mean."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genre_lib.cli.console import say

if TYPE_CHECKING:
    from genre_lib.settings import Settings

SYNTHETIC = "synthetic"
"""The word that stands for the built-in catalogue, where a path is expected."""


class ListFormat(StrEnum):
    table = "table"
    json = "json"


BaseModelOption = Annotated[
    str | None,
    typer.Option(help="Name or folder of the model to start from.", show_default="MODEL_PATH, the starter"),
]
ModelOption = Annotated[str | None, typer.Option(help="Name or folder of the model.", show_default="the active one")]
EngineOption = Annotated[
    str | None, typer.Option(help="auto, torch, openvino, or such as openvino-int8.", show_default="ENGINE, auto")
]
DataOption = Annotated[
    str | None,
    typer.Option(
        help="A folder per genre, a CSV, 'synthetic', or spotify:me/playlist.", show_default="FINE_TUNE_DATA_PATH"
    ),
]
ListFormatOption = Annotated[ListFormat, typer.Option("--format", help="How to print it.")]


def get_settings(**overrides: object) -> Settings:
    """The settings; what reads them is imported here, for neither help nor a wrong option needs it."""
    from genre_lib import settings

    return settings.get_settings(**overrides)


def existing(place: str, option: str = "--data-path") -> str:
    """The music's place, absolute; ``synthetic`` is a word and no place, and a Spotify library is named as it is.

    Args:
        option: that it was given by.
    """
    from genre_lib.errors import CatalogueNotFound
    from genre_lib.spotify.place import SpotifyPlace

    path = Path(place).expanduser().absolute()
    library = SpotifyPlace.parse(place)
    if library:
        library.made(get_settings())
        return str(library)
    if place == SYNTHETIC:
        return place
    if not path.exists():
        raise CatalogueNotFound(
            f"There is nothing at {path}; {option} takes a folder with a folder per genre, a CSV, 'synthetic', or a "
            "Spotify library such as spotify:me/playlist."
        )
    return str(path)


def warn_where_overruled(settings: Settings) -> None:
    """Say where ``MODEL_PATH`` does not decide what predicts."""
    from genre_lib import registry

    if sentence := registry.overruled(settings):
        say(f"warning: {sentence}")


def model_folder(name: str | None, settings: Settings) -> Path:
    """The folder of a model that predicts, by name or path; the active one without a name.

    Raises:
        ModelNotFound, ModelInvalid: there is none, or it has no genres.
    """
    from genre_lib import registry
    from genre_lib.networks.files import require_genres

    if not name:
        warn_where_overruled(settings)
    folder = registry.resolve(name, settings) if name else registry.active(settings)
    require_genres(folder)
    return folder
