"""A catalogue of invented music: seeded clips whose rhythm, timbre and harmony differ by genre.

It is small enough to write in seconds and to learn in minutes, so that every part of the package can be tried without
a download. Artists have habits, so that a split by artist is a real one.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from genre_lib import audio
from genre_lib.data.synthetic_tracks import SYNTH_GENRES, compose, render
from genre_lib.errors import CatalogueInvalid, ConfigurationError

MIN_TRACKS = 4
"""Tracks a genre needs, so that each split gets an artist and train gets two."""

MAX_ARTISTS = 10
RECIPE = "synthetic.json"
VERSION = 1
"""Raised when the same arguments begin to sound different."""

FIRST_NAMES = ("Amber", "Birch", "Cobalt", "Dahlia", "Ember", "Fern", "Garnet", "Hazel", "Indigo", "Juniper")
BANDS = {"classical": "{} Quartet", "electronic": "{} Circuit", "hiphop": "MC {}", "rock": "The {} Engines"}


def artist_count(tracks: int) -> int:
    return int(np.clip(tracks // 2, 4, MAX_ARTISTS))


def split_of(artist: int, artists: int) -> str:
    """The last artists are tested on, those before them validated on: a sixth each, but one at least."""
    held = max(1, artists // 6)
    return "test" if artist >= artists - held else "valid" if artist >= artists - 2 * held else "train"


@dataclass(frozen=True)
class Recipe:
    """All that decides the catalogue's bytes; kept beside it."""

    genres: tuple[str, ...]
    tracks_per_genre: int
    seconds: float
    sample_rate: int
    seed: int
    version: int = VERSION

    def __post_init__(self) -> None:
        unknown = sorted(set(self.genres) - set(SYNTH_GENRES))
        if unknown or not self.genres:
            came = ", ".join(unknown) or "none"
            raise ConfigurationError(f"Synthetic genres are {', '.join(SYNTH_GENRES)}; came: {came}.")
        if self.tracks_per_genre < MIN_TRACKS:
            raise ConfigurationError(
                f"tracks_per_genre must be {MIN_TRACKS} or more, so that each split gets an artist; "
                f"came {self.tracks_per_genre}."
            )
        if self.seconds <= 0 or self.sample_rate < 4000:
            raise ConfigurationError(
                "A synthetic track needs seconds above 0 and a sample_rate of 4000 or more; "
                f"came {self.seconds} and {self.sample_rate}."
            )

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


def make(
    root: Path | str,
    *,
    genres: Sequence[str] = SYNTH_GENRES,
    tracks_per_genre: int = 12,
    seconds: float = 12.0,
    sample_rate: int = 22050,
    seed: int = 0,
) -> Path:
    """Write the catalogue as a real folder, or reuse the one that the same arguments made before; returns the folder.

    ``root/<genre>/<artist>/<title>.wav``, with ``root/catalogue.csv`` beside them. The folder appears whole or not at
    all. The same arguments give the same bytes. :func:`genre_lib.data.catalogue_table.read` reads it.

    Raises:
        ConfigurationError: an unknown genre, fewer tracks than four a genre, or no length.
        CatalogueInvalid: ``root`` holds something else.
    """
    root, recipe = Path(root), Recipe(tuple(genres), tracks_per_genre, float(seconds), sample_rate, seed)
    if root.exists() and any(root.iterdir() if root.is_dir() else [root]):
        refuse_other(root, recipe)
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        write(recipe, aside)
        aside.chmod(0o755)
        move_into_place(aside, root, recipe)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return root


def refuse_other(root: Path, recipe: Recipe) -> None:
    note = root / RECIPE if root.is_dir() else root
    if not root.is_dir() or not note.is_file() or note.read_text() != recipe.to_json():
        raise CatalogueInvalid(
            f"{root} should be absent, empty or a synthetic catalogue made with the same arguments; it holds something "
            "else. Name another folder or remove it."
        )


def move_into_place(aside: Path, root: Path, recipe: Recipe) -> None:
    """Rename the finished folder; where another process was faster, keep what it made."""
    try:
        aside.replace(root)
    except OSError:
        refuse_other(root, recipe)


def write(recipe: Recipe, folder: Path) -> None:
    rows = []
    artists = artist_count(recipe.tracks_per_genre)
    for genre in recipe.genres:
        for index in range(recipe.tracks_per_genre):
            artist = index % artists
            name, title = BANDS[genre].format(FIRST_NAMES[artist]), f"Take {index + 1:03d}"
            score = compose(genre, artist, index, recipe.seconds, recipe.sample_rate, recipe.seed)
            path = Path(genre, name, f"{title}.wav")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            audio.write_wav(folder / path, render(score, genre), recipe.sample_rate)
            row = {"path": path.as_posix(), "genre": genre, "artist": name, "split": split_of(artist, artists)}
            rows.append(row | {"source": "synthetic", "title": title, "duration": recipe.seconds})
    pd.DataFrame(rows).to_csv(folder / "catalogue.csv", index=False)
    (folder / RECIPE).write_text(recipe.to_json())
