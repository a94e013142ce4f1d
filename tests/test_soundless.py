"""A model of a table's columns alone: learned, scored and asked without any file of audio."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genre_lib import cli
from genre_lib.data.check import check
from genre_lib.data.opening import open_catalogue
from genre_lib.data.soundless import SoundlessStore
from genre_lib.errors import CatalogueInvalid
from genre_lib.evaluation import evaluate
from genre_lib.inference import Predictor
from genre_lib.models.folder import load
from genre_lib.training import FitResult, fit
from genre_lib.training_config import TrainingConfig

GENRES = ("jazz", "rock", "techno")
ALONE = {"features": "catalogue", "audio_dropout": 1}


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 90 tracks that are no files, whose energy gives the genre away; one in ten of them is not known."""
    draw = np.random.default_rng(0)
    rows = [
        {
            "path": f"tracks/{number}",
            "genre": GENRES[number % 3],
            "artist": f"artist {number // 3 % 15}-{number % 3}",
            "energy": "" if number % 10 == 9 else f"{number % 3 / 2 + draw.uniform(0, 0.1):.3f}",
            "tempo": f"{draw.uniform(80, 160):.1f}",
        }
        for number in range(90)
    ]
    table = tmp_path_factory.mktemp("songs") / "songs.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    return table


@pytest.fixture(scope="module")
def trained(songs: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    """What changes sounds is asked for, too, as the experiments for sound do."""
    asked = ALONE | {
        "base_model": str(tiny_model),
        "data_path": str(songs),
        "run_path": str(tmp_path_factory.mktemp("run")),
        "augmentation": {"equalizer_db": 4.0},
        "mixup": 0.3,
        "num_epochs": 20,
        "learning_rate": 0.02,
        "accelerator": "cpu",
        "progress": False,
        "feature_network": {"width": 8, "members": 2},
    }
    return fit(asked, open_catalogue(songs, sound=False))


def test_there_is_nothing_to_hear():
    store = SoundlessStore()
    assert store.prepare(["a", "b"]).failed == {}
    track = store.track("a")
    assert (track.fitting, track.clips().shape, track.random(np.random.default_rng(0)).shape) == (1, (1, 0), (0,))


def test_only_columns_alone_are_without_sound():
    assert TrainingConfig(**ALONE).without_sound
    for other in ({"audio_dropout": 0.5}, {"features": "descriptors"}, {"features": "auto"}):
        assert not TrainingConfig(**ALONE | other).without_sound


def test_splits_are_by_artist_and_no_file_is_missed(songs: Path):
    catalogue = open_catalogue(songs, sound=False)
    assert catalogue.splits == ["train", "valid", "test"]
    assert catalogue.tracks.groupby("artist")["split"].nunique().max() == 1
    assert check(catalogue, sound=False).ok
    assert check(catalogue, decode=False).counts() == {"undecodable": 1}


def test_it_learns_what_the_columns_tell(trained: FitResult, songs: Path):
    network = load(trained.model_folder).network
    assert network.config.audio is None
    assert sorted(network.config.edges) == ["energy", "tempo"]
    catalogue = open_catalogue(songs, sound=False)
    for split in ("valid", "test"):
        known = (catalogue.split(split).tracks["energy"] != "").mean()
        assert evaluate(trained.model_folder, catalogue, split, device="cpu").metrics["accuracy"]["value"] >= known
    assert not trained.run.events("tracks_skipped")


def test_a_catalogue_without_its_columns_is_refused(trained: FitResult, synthetic_catalogue: Path):
    catalogue = open_catalogue(synthetic_catalogue)
    tracks = catalogue.tracks.assign(genre="rock")
    with pytest.raises(CatalogueInvalid, match="has none of them"):
        evaluate(trained.model_folder, type(catalogue)(tracks), "all", device="cpu")


def test_features_alone_are_enough_and_nothing_is_too_little(trained: FitResult, tmp_path: Path, write_wav, tone):
    predictor = Predictor.from_folder(trained.model_folder, device="cpu")
    assert not predictor.beside.hears
    tracks = predictor.told([{"energy": 0.02}, {"energy": 0.55}, {"energy": 1.0}])
    assert [track.predictions[0].genre for track in tracks] == list(GENRES)
    path = write_wav(tmp_path / "song.wav", tone(4.0))
    known, unknown = (predictor.file(path, features=features) for features in ({"energy": 1.0}, None))
    assert known.predictions[0] == tracks[2].predictions[0]
    assert known.warning is None
    assert "none is known, so its genres mean nothing" in unknown.warning


@pytest.fixture
def predict(trained: FitResult, capsys: pytest.CaptureFixture):
    def run(*arguments: object) -> tuple[int, list[dict], str]:
        command = ["predict", *map(str, arguments), "--model", str(trained.model_folder), "--format", "jsonl"]
        code = cli.main(command)
        captured = capsys.readouterr()
        return code, [json.loads(line) for line in captured.out.splitlines()], captured.err

    return run


def test_predict_a_table(predict, songs: Path):
    code, rows, _ = predict("--features", songs)
    table = pd.read_csv(songs)
    assert code == 0
    assert [row["path"] for row in rows] == [str(songs.parent / path) for path in table["path"]]
    right = [row["predictions"][0]["genre"] == genre for row, genre in zip(rows, table["genre"], strict=True)]
    assert np.mean(right) >= table["energy"].notna().mean()


def test_predict_files_with_a_table(predict, tmp_path: Path, write_wav, tone):
    write_wav(tmp_path / "a.wav", tone(4.0))
    write_wav(tmp_path / "b.wav", tone(4.0))
    (tmp_path / "features.csv").write_text("path,energy\nb.wav,1.0\n")
    code, rows, said = predict(tmp_path, "--features", tmp_path / "features.csv")
    assert (code, len(rows)) == (0, 2)
    assert rows[1]["predictions"][0]["genre"] == "techno"
    assert said.count("none is known") == 1


def test_a_table_for_a_model_of_sound_is_refused(tiny_model: Path, songs: Path, capsys: pytest.CaptureFixture):
    assert cli.main(["predict", "--features", str(songs), "--model", str(tiny_model)]) == 2
    assert "leave --features out" in capsys.readouterr().err
