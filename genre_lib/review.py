"""Review the labels of a catalogue: every track is heard by a head that was learned from tracks of other artists.

The base model's network rests and hears each track once; then its head is solved for again and again, each time without
a part of the artists, and tells the genres of their tracks. So all tracks are scored, not the valid ones alone, and a
label that the rest of the collection contradicts is found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from genre_lib import metrics, registry
from genre_lib.clips import probabilities
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.check import check
from genre_lib.data.datamodule import TrackTable
from genre_lib.data.generated import are_generated
from genre_lib.data.splits import artist_key, group_numbers
from genre_lib.doubtful_labels import doubts
from genre_lib.errors import CatalogueInvalid, ConfigurationError
from genre_lib.models.classifier import inverse_frequency
from genre_lib.models.probe import Examples, Head, best_penalty, solve, split_by_group, started
from genre_lib.networks.files import is_plain
from genre_lib.settings import get_settings
from genre_lib.training_config import TrainingConfig
from genre_lib.training_defaults import completed, has_linear_head
from genre_lib.training_embeddings import track_embeddings
from genre_lib.training_inputs import store_of
from genre_lib.training_network import Built, build
from genre_lib.training_probe import require_linear

FOLDS = 5
COLUMNS = ["path", "genre", "predicted", "genre_confidence", "confidence", "doubtful"]

Progress = Callable[..., None]
"""Called with what is being done, how many tracks (or heads) it is done for, and ``total``, how many there are."""


def _untold(what: str, done: int, total: int) -> None: ...


@dataclass(frozen=True)
class Review:
    """What heads that never heard a track's artist say of it.

    Args:
        tracks: a row for each track that was judged, the most contradicted labels first: path, genre (its label),
            predicted, the confidences of both, and whether the label is doubtful.
        scores: accuracy and macro-F1 with intervals, per_genre, and the confusion of genres.
        genres: in the order of the confusion's rows.
        folds: how often the head was solved for.
        penalties: what each of these heads was held to its start by.
        failed: by path, why a track could not be heard.
        unjudged: paths of the tracks in whose turn no other artist's track of their genre was left to learn from.
        unnamed: judged tracks that name no artist.
    """

    tracks: pd.DataFrame
    scores: dict[str, Any]
    genres: list[str]
    folds: int
    penalties: list[float]
    failed: dict[str, str]
    unjudged: list[str]
    unnamed: int

    def doubtful(self) -> pd.DataFrame:
        """The tracks whose labels are doubtful."""
        return self.tracks[self.tracks["doubtful"]]


def review(
    catalogue: Catalogue,
    base_model: str | None = None,
    folds: int = FOLDS,
    seed: int = 0,
    progress: Progress = _untold,
) -> Review:
    """Have every track judged by a head that was learned from tracks of other artists.

    Generated tracks are left out. Copies of a recording are held together as those of an artist are; a track without an
    artist stands for itself, which flatters where its artist's others are in the collection.

    Args:
        base_model: name or folder of the model whose network listens; None for the settings' ``model_path``. One that
            was trained on these very tracks has learnt their labels, and hides what is wrong with them.
        folds: parts that the artists are put into.

    Raises:
        CatalogueInvalid: there are not two genres with tracks of several artists, or no track can be decoded.
        ConfigurationError: the base model's head is not linear, or wants more than sound.
        ModelNotFound, ModelInvalid: there is no such base model.
    """
    config = _config(base_model)
    music = Catalogue(catalogue.tracks[~are_generated(catalogue.tracks["source"])].reset_index(drop=True))
    _require_genres(music.genres)
    built = build(config, music.genres, None)
    require_linear(built.model, config.method)
    heard = _hear(config, music, built, progress)
    logits, penalties = _held_out(heard, built, folds, seed, progress)
    judged = np.isfinite(logits).all(axis=1)
    tracks, logits, targets = heard.tracks[judged], logits[judged], heard.examples.targets.numpy()[judged]
    return Review(
        _rows(tracks, logits, targets, music.genres),
        _scores(logits, targets, music.genres, seed),
        music.genres,
        len(penalties),
        penalties,
        heard.failed,
        heard.tracks["path"][~judged].tolist(),
        int((tracks["artist"].map(artist_key) == "").sum()),
    )


@dataclass(frozen=True)
class _Heard:
    """The tracks that decode, with a column ``group``; what a head is solved on, in their order; and why others did not
    decode, by path.
    """

    tracks: pd.DataFrame
    examples: Examples
    failed: dict[str, str]


def _hear(config: TrainingConfig, music: Catalogue, built: Built, progress: Progress) -> _Heard:
    """Find which tracks belong together, and have the network hear each once."""
    told = check(music, progress=partial(progress, "listening for repeats"))
    tracks = music.tracks.assign(group=group_numbers(music.tracks, told.copies))
    store, paths = store_of(config, built.model), tracks["path"].tolist()
    features = partial(progress, "computing features", total=len(paths))
    failed = store.prepare(paths, progress=features, heard_whole=paths).failed
    tracks = tracks[~tracks["path"].isin(list(failed))].reset_index(drop=True)
    _require_artists(tracks, failed)
    table = TrackTable.of(tracks, music.genres, store)
    tell = partial(progress, "listening")
    embeddings = track_embeddings(built.model, [table], store, config.accelerator, tell)
    weights = inverse_frequency(table.targets, len(music.genres))[table.targets]
    return _Heard(tracks, Examples(embeddings, torch.tensor(table.targets), torch.tensor(weights)), failed)


def _config(base_model: str | None) -> TrainingConfig:
    """How ``genre finetune`` solves for a head on this base model."""
    settings = get_settings()
    base = registry.base(base_model, settings)
    plain = is_plain(base)
    if plain and not has_linear_head(base):
        raise ConfigurationError(
            f"A review solves for a linear head over the sound alone, and {base.name} learned from features beside it, "
            "or adds up sub-classes; name another base model."
        )
    asked = {"solver": "lbfgs", "evaluation_strategy": "no"} | ({} if plain else {"method": "head"})
    return TrainingConfig(**completed(asked, base) | {"base_model": str(base)})


def _held_out(heard: _Heard, built: Built, count: int, seed: int, progress: Progress) -> tuple[np.ndarray, list[float]]:
    """Logits of every track [tracks, genres] by a head that was solved for without its group, and the penalties.

    A penalty is chosen within the tracks that its head is solved on. NaN for a track in whose turn its genre had none.
    """
    examples, groups = heard.examples, heard.tracks["group"].to_numpy()
    targets, network_head = examples.targets.numpy(), Head.of(built.model.network)
    logits, penalties = np.full((len(targets), len(network_head.bias)), np.nan), []
    most = min(len(set(groups.tolist())), int(np.bincount(targets).max()))  # no more parts can be filled
    parts = split_by_group(targets, groups, min(count, most), seed)
    for done, (train, rest) in enumerate(parts, 1):
        known = examples[train]
        start = started(network_head, known) if built.from_tags else network_head
        penalty, _ = best_penalty(known, groups[train], start, seed=seed)
        able = rest[np.isin(targets[rest], targets[train])]
        logits[able] = solve(known, start, penalty).logits(examples.embeddings[able]).numpy()
        penalties.append(penalty)
        progress("solving", done, len(parts))
    return logits, penalties


def _rows(tracks: pd.DataFrame, logits: np.ndarray, targets: np.ndarray, genres: list[str]) -> pd.DataFrame:
    """The rows of :class:`Review`: confidences are at the temperature that fits these answers best."""
    found = probabilities(logits, metrics.fit_temperature(logits, targets))
    told = doubts(found, targets)
    doubtful = told.doubtful(targets)
    predicted = np.where(doubtful, told.suggested, found.argmax(axis=1))
    rows, names = np.arange(len(targets)), np.array(genres, dtype=object)
    columns = [
        tracks["path"].to_numpy(),
        tracks["genre"].to_numpy(),
        names[predicted],
        found[rows, targets],
        found[rows, predicted],
        doubtful,
    ]
    table = pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
    return table.iloc[np.lexsort((told.margin, ~doubtful))].reset_index(drop=True)


def _scores(logits: np.ndarray, targets: np.ndarray, genres: list[str], seed: int) -> dict[str, Any]:
    predicted = logits.argmax(axis=1)
    matrix = metrics.confusion(targets, predicted, len(genres))
    return {
        "accuracy": metrics.bootstrap_interval(targets, predicted, metrics.accuracy, seed=seed).to_json(),
        "macro_f1": metrics.bootstrap_interval(targets, predicted, metrics.macro_f1, seed=seed).to_json(),
        "per_genre": metrics.per_genre_report(matrix, genres),
        "confusion": matrix.tolist(),
    }


def _require_genres(genres: list[str]) -> None:
    if len(genres) < 2:
        raise CatalogueInvalid(f"A review needs tracks of two genres or more; got {', '.join(genres) or 'none'}.")


def _require_artists(tracks: pd.DataFrame, failed: dict[str, str]) -> None:
    """Refuse tracks of which none could be judged."""
    if tracks.empty:
        raise CatalogueInvalid(f"No track can be decoded; the first: {next(iter(failed.values()), 'there is none')}")
    artists = tracks.groupby("genre")["group"].nunique()
    if (artists >= 2).sum() < 2:
        came = ", ".join(f"{genre} has {count}" for genre, count in artists.items())
        raise CatalogueInvalid(
            "A review judges a track by those of other artists, and needs two genres with tracks of two artists or "
            f"more; {came}."
        )
