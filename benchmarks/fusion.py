"""What a track's features are worth: without any sound beside gradient boosting, and beside the sound.

    OMP_NUM_THREADS=1 python benchmarks/fusion.py table SONGS.csv.gz --seeds 5 --first-seed 10 [--base-model MODEL]
    OMP_NUM_THREADS=1 python benchmarks/fusion.py sound FOLDER --seeds 3 [--base-model MODEL]

``table``: a table of tracks with Spotify's features and no audio (playlist_genre, track_artist, track_id and the
features by their names), learned as ``experiments/features_alone.yaml`` says, and by scikit-learn's
HistGradientBoosting on the same rows. A fifth of the rows is for testing and chooses nothing; neither an artist, in
any spelling, nor a track is on both sides. Both learn from all other rows, the network for as many epochs as the
experiment says.

``sound``: a folder of music with train and valid tracks, learned by its sound alone
(``experiments/finetune_all.yaml``), by our descriptors alone, and by both (``experiments/finetune_features.yaml``).
The same seed draws the same clips for all three, and the last epoch's weights are kept. What has both is asked again
without its sound, without its features, and without a group of them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GroupShuffleSplit

from genre_lib import metrics
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.opening import open_catalogue
from genre_lib.data.splits import group_numbers
from genre_lib.described_files import cached_file
from genre_lib.evaluation import evaluate
from genre_lib.inference import Predictor
from genre_lib.networks.fusion_features import FEATURES
from genre_lib.settings import REPOSITORY, get_settings
from genre_lib.training import fit, load_experiment

TEST_SHARE = 0.2

BOOSTING: dict[str, dict[str, Any]] = {
    "boosting": {},
    "boosting, tuned": {"max_iter": 400, "learning_rate": 0.05, "l2_regularization": 1.0, "early_stopping": True},
}

LAST_EPOCH: dict[str, Any] = {"evaluation_strategy": "no", "early_stopping_patience": None}
"""The tracks that are scored choose nothing."""

GROUPS = {
    "tempo, danceability, time_signature": ("tempo", "danceability", "time_signature"),
    "key, mode": ("key", "mode"),
    "loudness, energy": ("loudness", "energy"),
    "acousticness, instrumentalness": ("acousticness", "instrumentalness"),
    "speechiness, liveness, valence": ("speechiness", "liveness", "valence"),
    "duration_ms": ("duration_ms",),
}

Names = np.ndarray
"""Genres by name [tracks]."""


# --- a table without sound -------------------------------------------------------------------------------------------


def songs(path: Path) -> pd.DataFrame:
    """The table under a catalogue's names; each row has a path of its own, where no file is."""
    table = pd.read_csv(path).rename(columns={"playlist_genre": "genre", "track_artist": "artist"})
    names = [f"{track}-{row}" for row, track in enumerate(table["track_id"])]
    known = [name for name in FEATURES if name in table]
    return table.assign(path=names, artist=table["artist"].fillna(""))[["path", "genre", "artist", "track_id", *known]]


def split_by_artist(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The table with a split for each row; artists in any spelling, and rows of one track, stay together."""
    rows = table.groupby("track_id")["path"].agg(list)
    groups = group_numbers(table, rows[rows.map(len) > 1])
    _, test = next(GroupShuffleSplit(1, test_size=TEST_SHARE, random_state=seed).split(groups, groups=groups))
    split = np.full(len(table), "train", object)
    split[test] = "test"
    return table.assign(split=split)


def boosted(table: pd.DataFrame, seed: int, settings: dict[str, Any]) -> Names:
    """What gradient boosting says of the test rows."""
    known = [name for name in FEATURES if name in table]
    is_test = table["split"] == "test"
    learned = HistGradientBoostingClassifier(random_state=seed, **settings)
    learned.fit(table.loc[~is_test, known], table.loc[~is_test, "genre"])
    return learned.predict(table.loc[is_test, known])


def learned(table: pd.DataFrame, seed: int, base_model: str) -> Names:
    """What the model of features alone says of the test rows, once trained and read again from its folder."""
    advice = load_experiment(REPOSITORY / "experiments" / "features_alone.yaml") | LAST_EPOCH
    catalogue = Catalogue(table)
    with tempfile.TemporaryDirectory() as folder:
        result = fit(
            advice | {"base_model": base_model, "run_path": folder, "seed": seed, "progress": False}, catalogue
        )
        return evaluate(result.model_folder, catalogue, "test", device="cpu").tracks["predicted"].to_numpy()


def compare_on_table(path: Path, seeds: Sequence[int], base_model: str) -> pd.DataFrame:
    """Each way's scores over the splits, and how far it is above tuned boosting on the same split."""
    table = songs(path)
    ways: dict[str, Callable[[pd.DataFrame, int], Names]] = {
        **{name: partial(boosted, settings=settings) for name, settings in BOOSTING.items()},
        "features alone": partial(learned, base_model=base_model),
    }
    scores = []
    for seed in seeds:
        rows = split_by_artist(table, seed)
        targets = rows.loc[rows["split"] == "test", "genre"].to_numpy()
        for name, way in ways.items():
            began = time.process_time()
            said = way(rows, seed)
            scores.append({"way": name, "seed": seed, "seconds": time.process_time() - began, **score(targets, said)})
            print({k: round(v, 4) if isinstance(v, float) else v for k, v in scores[-1].items()}, flush=True)
    return over_splits(pd.DataFrame(scores))


def over_splits(scores: pd.DataFrame) -> pd.DataFrame:
    """Means and standard deviations over the splits; ``gain`` is paired, split by split."""
    by_split = scores.pivot(index="seed", columns="way", values="accuracy")
    gains = by_split.sub(by_split["boosting, tuned"], axis=0)
    grouped = scores.groupby("way", sort=False)
    table = grouped[["accuracy", "macro_f1", "seconds"]].mean()
    return table.assign(
        accuracy_sd=grouped["accuracy"].std(), gain=gains.mean(), gain_sd=gains.std(), least_gain=gains.min()
    )


# --- beside the sound ------------------------------------------------------------------------------------------------


def train(catalogue: Catalogue, seed: int, base_model: str, folder: str, **changes: Any) -> Predictor:
    """A model of the catalogue's train tracks; changes to an experiment's fields say by what it learns."""
    experiment = "finetune_features" if changes.get("features") else "finetune_all"
    asked = load_experiment(REPOSITORY / "experiments" / f"{experiment}.yaml") | LAST_EPOCH | changes
    run = tempfile.mkdtemp(dir=folder)
    result = fit(asked | {"base_model": base_model, "run_path": run, "seed": seed, "progress": False}, catalogue)
    return Predictor.from_folder(result.model_folder, device="cpu")


def without(described: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in described.items() if name not in names}


def answers(predictor: Predictor, paths: list[str], described: Sequence[Mapping[str, Any]], sound: bool) -> np.ndarray:
    """Genres by name [tracks], of sound and features, or of features alone."""
    if not sound:
        tracks = predictor.told(described)
    else:
        tracks = list(predictor.files(paths, features=dict(zip(paths, described, strict=True))))
    return np.array([track.predictions[0].genre for track in tracks])


def compare_on_sound(folder: Path, seeds: Sequence[int], base_model: str) -> pd.DataFrame:
    """Each way's scores on the valid tracks, mean of the seeds, with 95 % intervals over other tracks like these."""
    catalogue = open_catalogue(folder)
    valid = catalogue.split("valid").tracks
    paths, targets = valid["path"].tolist(), valid["genre"].to_numpy()
    described = [cached_file(path, get_settings()).to_json() for path in paths]
    said: dict[str, list[Names]] = defaultdict(list)

    def note(seed: int, way: str, names: Names) -> None:
        said[way].append(names)
        print(seed, way, {name: round(value, 4) for name, value in score(targets, names).items()}, flush=True)

    with tempfile.TemporaryDirectory() as runs:
        for seed in seeds:
            heard = train(catalogue, seed, base_model, runs)
            note(seed, "sound alone", answers(heard, paths, described, sound=True))
            told = train(catalogue, seed, base_model, runs, features="descriptors", **FEATURES_ALONE)
            note(seed, "features alone", answers(told, paths, described, sound=False))
            both = train(catalogue, seed, base_model, runs, features="descriptors")
            note(seed, "both", answers(both, paths, described, sound=True))
            note(seed, "both, without the sound", answers(both, paths, described, sound=False))
            gaps = {"all features": FEATURES} | GROUPS
            for name, names in gaps.items():
                left = [without(each, names) for each in described]
                note(seed, f"both, without {name}", answers(both, paths, left, sound=True))
    return over_tracks(targets, said)


def over_tracks(targets: Names, said: Mapping[str, Sequence[Names]]) -> pd.DataFrame:
    """Percentile intervals over drawn tracks; ``gain`` is the accuracy above that of the sound, on the same draws."""
    draws = np.random.default_rng(0).multinomial(len(targets), [1 / len(targets)] * len(targets), size=2000)

    def mean(statistic: metrics.Statistic, way: str, weights: np.ndarray | None = None) -> Any:
        return np.mean(np.array([statistic(targets, names, weights) for names in said[way]]), axis=0)

    rows = {}
    for way in said:
        accuracies, f1 = mean(metrics.accuracy, way, draws), mean(metrics.macro_f1, way, draws)
        gains = accuracies - mean(metrics.accuracy, "sound alone", draws)
        rows[way] = {
            **interval("accuracy", mean(metrics.accuracy, way), accuracies),
            **interval("macro_f1", mean(metrics.macro_f1, way), f1),
            **interval("gain", mean(metrics.accuracy, way) - mean(metrics.accuracy, "sound alone"), gains),
        }
    return pd.DataFrame(rows).T


def interval(name: str, value: float, draws: np.ndarray) -> dict[str, float]:
    low, high = np.quantile(draws, [0.025, 0.975])
    return {name: value, f"{name}_low": low, f"{name}_high": high}


FEATURES_ALONE: dict[str, Any] = {"audio_dropout": 1, "freeze": "none", "learning_rate": 3e-3, "mixup": 0.0}
"""Nothing is heard, so nothing rests, and a small network learns faster than the one over the sound."""


# --- scores ----------------------------------------------------------------------------------------------------------


def score(targets: Names, said: Names) -> dict[str, float]:
    return {
        "accuracy": float(metrics.accuracy(targets, said)),
        "macro_f1": float(metrics.macro_f1(targets, said)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=["table", "sound"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--base-model", default=str(REPOSITORY / "pretrained" / "genre_classifier"))
    arguments = parser.parse_args()
    compare = {"table": compare_on_table, "sound": compare_on_sound}[arguments.which]
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    with pd.option_context("display.width", 200, "display.max_columns", 20, "display.precision", 3):
        print(compare(arguments.data, seeds, arguments.base_model))


if __name__ == "__main__":
    main()
