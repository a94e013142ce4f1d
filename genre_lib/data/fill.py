"""Fill up small genres of a catalogue with generated clips, for training alone.

A clip is made of its genre, a seed and how it is drawn, and its file is named by a digest of these: what was made once
is not made again, after an interruption as little as for a second catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from genre_lib.cache import combine
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.catalogue_table import resolve
from genre_lib.data.generated import are_generated, rows_of, source_of
from genre_lib.errors import CatalogueInvalid
from genre_lib.generation import BATCH, Clip, folder_name, write
from genre_lib.sampling import Sampling

if TYPE_CHECKING:
    from genre_lib.models.generator import Generator

CLIP = re.compile(r"-\d+-[0-9a-f]{12}\.wav$")
"""How a clip's name ends: its seed, and the digest of how it was drawn."""


@dataclass(frozen=True)
class Filling:
    """What is to be added to a catalogue: by genre, the clips; some may be there already."""

    catalogue: Catalogue
    clips: dict[str, list[Clip]]
    source: str
    seconds: float
    folder: Path

    @property
    def missing(self) -> list[Clip]:
        """The clips that have to be made."""
        return [clip for clips in self.clips.values() for clip in clips if not clip.path.is_file()]

    @property
    def lacking(self) -> dict[str, int]:
        """By genre, how many clips are added, the most first."""
        counts = {genre: len(clips) for genre, clips in self.clips.items() if clips}
        return dict(sorted(counts.items(), key=lambda item: -item[1]))

    def unused(self) -> list[Path]:
        """Clips in the folder that the filled catalogue has no row for: of another length, or of another catalogue."""
        used = set(self.filled().tracks["path"])
        return sorted(file for file in self.folder.glob("*/*.wav") if CLIP.search(file.name) and str(file) not in used)

    def filled(self) -> Catalogue:
        """The catalogue with a row for each clip: in train, with its source, its prompt and its seed."""
        rows = [self._row(genre, clip) for genre, clips in self.clips.items() for clip in clips]
        return Catalogue(pd.concat([self.catalogue.tracks, pd.DataFrame(rows)])) if rows else self.catalogue

    def _row(self, genre: str, clip: Clip) -> dict[str, Any]:
        known = {"path": str(clip.path), "genre": genre, "split": "train", "source": self.source}
        return known | {"duration": self.seconds, "prompt": clip.prompt, "seed": str(clip.seed)}


def plan(
    catalogue: Catalogue,
    generator: Generator,
    per_genre: int,
    folder: Path | str,
    seconds: float,
    sampling: Sampling,
    seed: int = 0,
    genres: Sequence[str] | None = None,
) -> Filling:
    """Clips for each genre with fewer than ``per_genre`` train tracks, so that it has so many.

    Args:
        folder: where the clips go, into a folder per genre.
        seed: of each genre's first clip; the next has the next one.
        genres: those to fill; none: all of the catalogue.

    Raises:
        CatalogueInvalid: a track has no split, so that it is not known which are for training; or a genre is unknown.
        ConfigurationError: the length is out of range.
    """
    if not catalogue.has_splits:
        raise CatalogueInvalid("Clips fill up the train split, and the catalogue has tracks without a split.")
    strangers = sorted(set(genres or ()) - set(catalogue.genres))
    if strangers:
        raise CatalogueInvalid(f"The catalogue has no {', '.join(strangers)}; it has {', '.join(catalogue.genres)}.")
    generator.steps(seconds)  # which refuses a length that cannot be
    have = rows_of(catalogue.tracks, "train")["genre"].value_counts()
    taken = set(catalogue.tracks["path"])
    drawn = combine(generator.version, str(seconds), str(sampling))
    place = Path(resolve(str(folder), Path.cwd()))  # as tables are read, or what is there would not be known again
    clips: dict[str, list[Clip]] = {}
    for genre in genres or catalogue.genres:
        offered = (clip for clip in _clips_of(genre, place, seed, drawn) if str(clip.path) not in taken)
        clips[genre] = list(islice(offered, max(per_genre - int(have.get(genre, 0)), 0)))
    return Filling(catalogue, clips, source_of(generator.name), seconds, place)


def continues(catalogue: Catalogue, filled: Catalogue) -> bool:
    """Whether a table is what an earlier filling made of the catalogue: its tracks as they are, and generated ones."""
    told = ["path", "genre", "artist", "split", "source"]
    added = ~filled.tracks["path"].isin(catalogue.tracks["path"])
    same = filled.tracks.loc[~added, told].sort_values("path", ignore_index=True)
    return bool(are_generated(filled.tracks.loc[added, "source"]).all()) and same.equals(
        catalogue.tracks[told].sort_values("path", ignore_index=True)
    )


def fill(
    filling: Filling,
    generator: Generator,
    sampling: Sampling,
    batch_size: int = BATCH,
    progress: Callable[[int, int], None] | None = None,
) -> Catalogue:
    """Make the clips that are not there yet, and give the catalogue with all of them.

    Args:
        progress: called with the steps that are done and their number.

    Raises:
        OSError: a clip cannot be written.
    """
    write(generator, filling.missing, filling.seconds, sampling, batch_size, progress)
    return filling.filled()


def _clips_of(genre: str, folder: Path, seed: int, drawn: str) -> Iterator[Clip]:
    """Clips of a genre, by one seed after the other.

    Args:
        drawn: a digest of the generator and of how it draws.
    """
    place = folder / folder_name(genre)
    for each in count(seed):
        clip = Clip.of(genre, each, place)
        digest = combine(drawn, clip.prompt, str(each))[:12]
        yield Clip(clip.prompt, each, place / f"{place.name}-{each}-{digest}.wav")
