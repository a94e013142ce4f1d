"""The synthetic catalogue: the same bytes again, every genre in every split, and no giving away by loudness."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from genre_lib import audio
from genre_lib.data import synthetic
from genre_lib.data.catalogue_source import build
from genre_lib.data.catalogue_table import read
from genre_lib.data.check import check
from genre_lib.data.synthetic_tracks import LEVEL, compose, render
from genre_lib.errors import CatalogueInvalid, ConfigurationError
from genre_lib.labels import GENRES


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(tmp_path: Path):
    arguments = {"tracks_per_genre": 4, "seconds": 1.0}
    for name, seed in {"one": 3, "two": 3, "other": 4}.items():
        synthetic.make(tmp_path / name, seed=seed, **arguments)
    one, two, other = (digests(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two
    assert len(one) == 4 * 4 + 2
    assert not {digest for path, digest in one.items() if path.endswith(".wav")} & set(other.values())


def test_a_track_does_not_depend_on_the_genres_beside_it(tmp_path: Path):
    synthetic.make(tmp_path / "all", tracks_per_genre=4, seconds=0.5)
    synthetic.make(tmp_path / "two", tracks_per_genre=4, seconds=0.5, genres=("rock", "hiphop"))
    wavs = {path: digest for path, digest in digests(tmp_path / "two").items() if path.endswith(".wav")}
    assert len(wavs) == 8
    assert wavs.items() <= digests(tmp_path / "all").items()


@pytest.mark.parametrize("tracks", [4, 5, 6, 12, 31])
def test_every_split_has_every_genre_and_its_own_artists(tracks: int):
    artists = synthetic.artist_count(tracks)
    of_split = [synthetic.split_of(index % artists, artists) for index in range(tracks)]
    assert {"train", "valid", "test"} == set(of_split)
    assert of_split.count("train") >= tracks / 2
    assert artists >= 4


def test_artists_belong_to_one_genre_and_one_split(synthetic_catalogue: Path):
    report = check(build(synthetic_catalogue))
    assert report.findings == []
    assert report.tracks == 24
    assert report.seconds == pytest.approx(24 * 6.0)


def test_genres_are_of_one_level_and_none_clips(tmp_path: Path):
    synthetic.make(tmp_path / "music", tracks_per_genre=4, seconds=3.0)
    for path in audio.find(tmp_path / "music"):
        waveform = audio.load(path, 22050).waveform
        assert np.sqrt(np.mean(waveform**2)) == pytest.approx(LEVEL, rel=1e-4)
        assert np.abs(waveform).max() < 0.99


def test_the_names_are_the_starter_s(tmp_path: Path):
    assert set(synthetic.SYNTH_GENRES) <= set(GENRES)
    catalogue = read(synthetic.make(tmp_path / "music", tracks_per_genre=4, seconds=0.5) / "catalogue.csv")
    assert catalogue.genres == list(synthetic.SYNTH_GENRES)
    assert catalogue.splits == ["train", "valid", "test"]


def test_a_finished_folder_is_reused(tmp_path: Path):
    synthetic.make(tmp_path / "music", tracks_per_genre=4, seconds=0.5)
    stamp = (tmp_path / "music" / "catalogue.csv").stat().st_mtime_ns
    synthetic.make(tmp_path / "music", tracks_per_genre=4, seconds=0.5)
    assert (tmp_path / "music" / "catalogue.csv").stat().st_mtime_ns == stamp


def test_a_folder_of_other_things_is_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear diary")
    with pytest.raises(CatalogueInvalid, match="holds something else"):
        synthetic.make(tmp_path / "mine", tracks_per_genre=4, seconds=0.5)
    synthetic.make(tmp_path / "music", tracks_per_genre=4, seconds=0.5)
    with pytest.raises(CatalogueInvalid, match="same arguments"):
        synthetic.make(tmp_path / "music", tracks_per_genre=4, seconds=0.5, seed=1)
    assert (tmp_path / "mine" / "diary.txt").read_text() == "dear diary"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "music"]


def test_nothing_is_left_where_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(synthetic.audio, "write_wav", full)
    with pytest.raises(OSError, match="No space"):
        synthetic.make(tmp_path / "music", tracks_per_genre=4, seconds=0.5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"genres": ("rock", "polka")}, "came: polka"),
        ({"genres": ()}, "came: none"),
        ({"tracks_per_genre": 3}, "came 3"),
        ({"seconds": 0}, "came 0"),
        ({"sample_rate": 100}, "100"),
    ],
)
def test_arguments_that_cannot_work_are_named(tmp_path: Path, arguments: dict, message: str):
    with pytest.raises(ConfigurationError, match=message):
        synthetic.make(tmp_path / "music", **arguments)


def test_rhythm_tells_electronic_from_classical():
    """Energy that returns with the beat: the onset envelope's autocorrelation at one beat."""

    def pulse(genre: str) -> float:
        score = compose(genre, artist=0, index=0, seconds=8.0, sample_rate=22050, seed=0)
        frames = render(score, genre)[: 22050 * 8].reshape(-1, 441)  # 20 ms
        onsets = np.maximum(0, np.diff(np.sqrt((frames**2).mean(axis=1))))
        onsets -= onsets.mean()
        lag = round(score.beat / 0.02)
        return float(onsets[:-lag] @ onsets[lag:] / (onsets @ onsets))

    assert pulse("electronic") > pulse("classical") + 0.2


@pytest.mark.parametrize("seed", range(3))
def test_no_track_passes_for_another(tmp_path: Path, seed: int):
    made = read(synthetic.make(tmp_path / "music", seed=seed) / "catalogue.csv")
    assert check(made).findings == []
