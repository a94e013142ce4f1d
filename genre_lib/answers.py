"""What a model says about the tracks of a catalogue, and which of the catalogue's genres it can mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from genre_lib.data.catalogue import Catalogue
from genre_lib.data.features import given_features
from genre_lib.engines.names import FLOAT32
from genre_lib.errors import CatalogueInvalid
from genre_lib.inference import Predictor
from genre_lib.labels import canonical
from genre_lib.networks.folder import LoadedModel
from genre_lib.networks.fusion import CATALOGUE
from genre_lib.networks.fusion_features import FEATURES
from genre_lib.predictions import TrackPrediction
from genre_lib.runs import Run

UNKNOWN = -1
"""Id of a genre that the model does not know."""


@dataclass(frozen=True)
class Answers:
    """What one model says about the tracks of a split.

    Args:
        name: of the model.
        genres: that the model tells apart, in the order of the logits.
        logits: float [tracks, genres], at temperature 1; NaN where a track could not be decoded.
        targets: id of each track's genre among the model's, or ``UNKNOWN``; int [tracks].
        errors: why a track could not be decoded, or None; [tracks].
    """

    name: str
    genres: list[str]
    logits: np.ndarray
    targets: np.ndarray
    errors: list[str | None]

    @property
    def heard(self) -> np.ndarray:
        """Tracks that were predicted: bool [tracks]."""
        return np.array([error is None for error in self.errors])

    def predicted(self, among: np.ndarray | None = None) -> np.ndarray:
        """Id of the most likely genre of each track, of all or of some ids; int [tracks], ``UNKNOWN`` if not heard."""
        among = np.arange(len(self.genres)) if among is None else among
        best = among[np.nan_to_num(self.logits[:, among], nan=-np.inf).argmax(axis=1)]
        return np.where(self.heard, best, UNKNOWN)

    def names(self) -> list[str | None]:
        """Name of the most likely genre of each track, None if not heard."""
        return [None if found == UNKNOWN else self.genres[found] for found in self.predicted()]

    def right(self, among: np.ndarray | None = None) -> np.ndarray:
        """Tracks whose most likely genre is theirs: bool [tracks]."""
        return self.heard & (self.predicted(among) == self.targets)

    def of_catalogue(self) -> np.ndarray:
        """Ids of the genres that the tracks have: int [some genres]."""
        return np.unique(self.targets[self.targets != UNKNOWN])


Tell = Callable[[int, int], None]


def untold(done: int, total: int) -> None:
    """What is called where nobody asks how far it is."""


def telling(run: Run | None, model: str) -> Tell:
    """What tells the run, if there is one, how many tracks a model has heard."""
    return untold if run is None else partial(run.telling("tracks_scored"), model=model)


def match_genres(model_genres: Sequence[str], catalogue_genres: Sequence[str]) -> dict[str, int]:
    """Id of each of the catalogue's genres among the model's, by the same name, else by the same canonical name.

    >>> match_genres(["electronic", "Hip-Hop"], ["hiphop", "techno", "polka"])
    {'hiphop': 1, 'techno': 0, 'polka': -1}
    """
    exact = {genre: i for i, genre in enumerate(model_genres)}
    related = {canonical(genre): i for i, genre in reversed(list(enumerate(model_genres)))}
    return {genre: exact.get(genre, related.get(canonical(genre), UNKNOWN)) for genre in catalogue_genres}


def display_name(model: LoadedModel) -> str:
    """The model's name; that of its run where it still lies in the run's folder ``model``."""
    in_run = model.folder is not None and model.folder.name == "model"
    return model.folder.resolve().parent.name if in_run and model.folder else model.name or "unnamed model"


def answer(model: LoadedModel, chosen: Catalogue, device: str, tell: Tell = untold) -> Answers:
    # A score is to mean the same on every machine, whichever engine is the fastest there.
    return answer_by(Predictor(model, device=device, engine=FLOAT32), display_name(model), chosen, tell)


def answer_by(predictor: Predictor, name: str, chosen: Catalogue, tell: Tell = untold) -> Answers:
    """What a model that is ready to predict says about the tracks, under a name.

    Args:
        tell: called with the number of tracks heard and their total.
    """
    genres = predictor.genres
    ids = match_genres(genres, chosen.genres)
    predictions = predicted(predictor, chosen, tell)
    silence = np.full(len(genres), np.nan)
    logits = [silence if found.logits is None else found.logits for found in predictions]
    return Answers(
        name,
        genres,
        np.array(logits, dtype=np.float64),
        chosen.tracks["genre"].map(ids).to_numpy(),
        [found.error for found in predictions],
    )


def predicted(predictor: Predictor, chosen: Catalogue, tell: Tell = untold) -> list[TrackPrediction]:
    """What is predicted for each track, by its file, by the catalogue's columns, or by both, as the model learned."""
    paths = chosen.tracks["path"].tolist()
    # A model of descriptors describes each track itself, whatever a catalogue may say on other scales.
    given = given_features(chosen.tracks) if predictor.beside.source == CATALOGUE else {}
    if predictor.beside.hears:
        heard = []
        for track in predictor.files(paths, features=given):
            heard.append(track)
            tell(len(heard), len(paths))
        return heard
    if not given:
        raise CatalogueInvalid(
            f"{predictor.model.name or 'The model'} learned by a catalogue's columns alone, such as "
            f"{', '.join(FEATURES[:3])}, and this catalogue has none of them."
        )
    return predictor.told([given[path] for path in paths])


def require_something_to_score(answers: Answers, chosen: Catalogue) -> None:
    if not len(answers.of_catalogue()):
        raise CatalogueInvalid(
            f"Expected genres that {answers.name} knows ({', '.join(answers.genres)}); came only "
            f"{', '.join(chosen.genres)}. Rename them, or fine-tune the model on this catalogue."
        )
    if not answers.heard.any():
        raise CatalogueInvalid(
            f"None of the {len(chosen)} tracks could be decoded, first {chosen.tracks['path'][0]}: {answers.errors[0]}"
        )
