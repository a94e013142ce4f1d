"""Get to know a Spotify library: what is in it, what of it can be heard, and how its playlists sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from genre_lib import labels as spelling
from genre_lib.data.catalogue import Catalogue
from genre_lib.descriptors import NUMBERS
from genre_lib.errors import CatalogueInvalid, LabelsInvalid
from genre_lib.inference import Predictor
from genre_lib.predictions import Prediction
from genre_lib.settings import Settings
from genre_lib.spotify import coverage, invented_music
from genre_lib.spotify.catalogue import build
from genre_lib.spotify.labelling import Labels, by_genre
from genre_lib.spotify.library import Library
from genre_lib.spotify.music_folder import MusicFolder
from genre_lib.spotify.personal import library_of
from genre_lib.spotify.place import SpotifyPlace
from genre_lib.spotify.previews import SpotifyPreviews
from genre_lib.spotify.sound import AudioSource
from genre_lib.spotify.sources import music_folder, sources_of
from genre_lib.spotify.summary import summarise
from genre_lib.wording import counted

INVENTED = "invented"
"""The word that stands for the recorded library that comes with the package."""

OTHER = "no clear genre"
FEWEST_FILES, FEWEST_ARTISTS = 6, 3
"""That a playlist needs to be told apart from others by its sound."""

FOLDS = 5
SOUNDS = tuple(name for name in NUMBERS if name not in {"duration", "duration_ms", "key"})
"""Descriptors that playlists are told apart by: a track's length says nothing of its sound, and keys go in a circle."""


@dataclass(frozen=True)
class Opened:
    """A library, where audio of it may come from, and the folder of music that is the first of these."""

    library: Library
    sources: list[AudioSource]
    folder: MusicFolder


def open_library(user: str, settings: Settings) -> Opened:
    """What was fetched of a user's library, or the recorded one; Spotify is not asked.

    Args:
        user: ``invented``, ``me`` for whoever signed in, or Spotify's id.

    Raises:
        LibraryEmpty: nothing was fetched of it.
        ConfigurationError: ``MUSIC_PATH`` is not set, or is no folder; or the id is none.
    """
    if user != INVENTED:
        library = library_of(SpotifyPlace.of(user), settings)
        return Opened(library, sources_of(settings), music_folder(settings))
    made = invented_music.make(settings.cache_path / f"{invented_music.NAME}-{invented_music.VERSION}")
    folder = MusicFolder(made.folder, settings.cache_path)
    return Opened(made.library, [folder, SpotifyPreviews(settings)], folder)


def contents(library: Library) -> pd.DataFrame:
    """The library in numbers, a row each; what Spotify refused, too."""
    told = summarise(library)
    rows = {
        "tracks": told.tracks,
        "artists": told.artists,
        "playlists that can be read": told.playlists,
        "tracks with a recording code (ISRC)": told.with_isrc,
        "tracks with genres of an artist": told.with_genres,
        **{f"refused: {reason.replace('_', ' ')}": number for reason, number in told.refused.items()},
    }
    return pd.DataFrame({"number": rows}).rename_axis("what")


def genres_of(library: Library) -> Labels:
    """The artists' genres as coarse ones; none where Spotify names too few, as to many apps made since 2026."""
    try:
        return by_genre(library)
    except LabelsInvalid:
        return Labels(left_out=dict.fromkeys(library.tracks, "too few genres are named"))


def playlist_mix(library: Library, genres: Labels) -> pd.DataFrame:
    """Of what genres the playlists are: ``playlist``, ``genre`` and ``tracks``, a row each."""
    counts = Counter(
        (playlist.name, genres.genres.get(id, OTHER)) for playlist in library.playlists for id in playlist.track_ids
    )
    rows = [(playlist, genre, tracks) for (playlist, genre), tracks in counts.items()]
    return pd.DataFrame(rows, columns=["playlist", "genre", "tracks"])


def covered(opened: Opened) -> pd.DataFrame:
    """Of how many tracks each source has audio, for :func:`genre_lib.plots.coverage`; none is downloaded.

    Of a source that may be asked about few tracks alone, ``has`` is what it adds.
    """
    tracks = list(opened.library.tracks.values())
    found = coverage.coverage(tracks, opened.sources)
    rows = []
    for source, told in zip(opened.sources, found.sources, strict=True):
        few = source.name in coverage.SAMPLES
        has = told.estimate if few else sum(source.has(track) > 0 for track in tracks)
        rows.append((source.name, has, told.estimate))
    return pd.DataFrame(rows, columns=["source", "has", "adds"])


def heard(opened: Opened, labels: Labels) -> Catalogue:
    """The files of the labelled tracks, with their labels as genres.

    Raises:
        NoAudio, CatalogueInvalid: too few are in the folder of music.
    """
    return build(opened.library, labels.genres, opened.folder, rules=labels.rules).catalogue


# --- how playlists sound ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ToldApart:
    """How well playlists are told apart by their sound.

    Args:
        names: of the playlists.
        matrix: tracks, int [playlists, playlists]; a row is the playlist that a track is on, a column the guess.
    """

    names: list[str]
    matrix: np.ndarray

    @property
    def right(self) -> int:
        return int(np.trace(self.matrix))

    def sentence(self) -> str:
        """How many are right, beside what a guess would have."""
        tracks, largest = int(self.matrix.sum()), int(self.matrix.sum(axis=1).max())
        return (
            f"By sound alone {self.right} of {counted(tracks, 'track')} are put on the playlist that they are on; "
            f"naming the largest one always would be right {largest} times."
        )


def told_apart(described: pd.DataFrame, catalogue: Catalogue, seed: int = 0) -> ToldApart:
    """Guess each track's playlist by its descriptors, from tracks of other artists alone.

    A logistic regression on :data:`SOUNDS`, in folds that hold all tracks of an artist together: what is told apart is
    the sound and no voice. Playlists with too few files or artists are left out.

    Args:
        described: a row for each track, with ``path``, ``genre`` (the playlist) and the descriptors.
        catalogue: of the same tracks, for their artists.

    Raises:
        CatalogueInvalid: fewer than two playlists are left.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import confusion_matrix
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    tracks = of_large_playlists(described, catalogue)
    names = sorted(tracks["genre"].unique())
    folds = StratifiedGroupKFold(min(FOLDS, tracks["artist"].nunique()), shuffle=True, random_state=seed)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced"))
    sounds, playlists = tracks[list(SOUNDS)].to_numpy(float), tracks["genre"].to_numpy()
    guessed = cross_val_predict(model, sounds, playlists, groups=tracks["artist"], cv=folds)
    return ToldApart(names, confusion_matrix(playlists, guessed, labels=names))


def of_large_playlists(described: pd.DataFrame, catalogue: Catalogue) -> pd.DataFrame:
    """The described tracks of playlists with enough files and artists, with their ``artist``.

    Raises:
        CatalogueInvalid: fewer than two playlists have.
    """
    tracks = described.merge(catalogue.tracks[["path", "artist"]], on="path")
    sizes = tracks.groupby("genre")["artist"].agg(["size", "nunique"])
    large = sizes[(sizes["size"] >= FEWEST_FILES) & (sizes["nunique"] >= FEWEST_ARTISTS)].index
    if len(large) < 2:
        raise CatalogueInvalid(
            f"To tell playlists apart takes two with {FEWEST_FILES} files by {FEWEST_ARTISTS} artists or more; there "
            f"{'is' if len(large) == 1 else 'are'} {len(large)}. Add music to MUSIC_PATH."
        )
    return tracks[tracks["genre"].isin(large)]


# --- what a model says of a playlist ----------------------------------------------------------------------------------


def playlist_named(catalogue: Catalogue, name: str | None) -> str:
    """A playlist among those that are heard; without a name the one with most files.

    Raises:
        LabelsInvalid: there is no such playlist; names those that there are.
    """
    if name is None:
        return str(catalogue.tracks["genre"].value_counts().index[0])
    if spelling.clean(name) not in catalogue.genres:
        raise LabelsInvalid(f"None of the playlists with files is {name!r}; there are {', '.join(catalogue.genres)}.")
    return spelling.clean(name)


def predicted(catalogue: Catalogue, playlist: str, predictor: Predictor) -> pd.DataFrame:
    """What a model says of a playlist's tracks: ``artist``, ``title``, ``genre``, ``confidence``; the surest first.

    The column ``all`` holds every genre with its confidence. Files that cannot be heard are left out.
    """
    tracks = catalogue.tracks[catalogue.tracks["genre"] == playlist]
    told = predictor.files(list(tracks["path"]))
    rows = [
        (artist, title, one.predictions[0].genre, one.predictions[0].confidence, one.predictions)
        for artist, title, one in zip(tracks["artist"], tracks["title"], told, strict=True)
        if one.predictions
    ]
    table = pd.DataFrame(rows, columns=["artist", "title", "genre", "confidence", "all"])
    return table.sort_values("confidence", ascending=False, ignore_index=True)


def on_the_whole(every: Sequence[Sequence[Prediction]]) -> list[Prediction]:
    """The mean of several tracks' predictions: what a playlist as a whole sounds like."""
    table = pd.DataFrame([{one.genre: one.confidence for one in predictions} for predictions in every])
    return [Prediction(str(genre), float(mean)) for genre, mean in table.mean().sort_values(ascending=False).items()]
