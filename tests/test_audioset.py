"""AudioSet's classes as genres: the table, whose classes they are, and what a model with them answers."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from genre_lib import cli, registry
from genre_lib.audioset import TABLE, genre_classes, read_table
from genre_lib.clips import cut, pool
from genre_lib.inference import Predictor
from genre_lib.labels import GENRES
from genre_lib.models import untrained
from genre_lib.outputs import Outputs
from genre_lib.settings import get_settings
from genre_lib.taxonomy import map_name

LABELS = untrained.audioset_labels()


@pytest.fixture(scope="session")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny AST with random weights and AudioSet's classes."""
    folder = untrained.make("ast", "tiny", tmp_path_factory.mktemp("tagger") / "ast", seed=3)
    config = json.loads((folder / "config.json").read_text())
    assert len(config["id2label"]) == 527
    return folder


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))


# --- the table


def test_the_table_has_the_branch_and_follows_the_taxonomy():
    table = read_table()
    assert len(table) == 50 and set(GENRES) <= set(table.values())
    with TABLE.open(newline="") as file:
        assert [*csv.DictReader(file)][2] == {"class": "Beatboxing", "genre": "hiphop"}
    for name, genre in table.items():
        mapped = map_name(name)
        if mapped and not mapped.rule.startswith("weak"):
            assert genre in mapped.weights, f"{name} is {genre}, and the taxonomy says {mapped.weights}"


def test_audiosets_classes_are_known_by_their_names_wherever_they_stand():
    places = genre_classes(LABELS)
    assert list(places) == sorted(set(read_table().values()) - {""})
    assert [LABELS[place] for place in places["reggae"]] == ["Reggae", "Ska"]
    backwards = [label.upper() for label in reversed(LABELS)]
    assert [backwards[place] for place in genre_classes(backwards)["reggae"]] == ["REGGAE", "SKA"]
    assert genre_classes([label for label in LABELS if label != "Ska"]) is None
    assert genre_classes([label for label in LABELS if label != "Speech"]) is None
    assert genre_classes(["rock", "jazz"]) is None and genre_classes([]) is None


# --- the definitions


def test_the_confidences_are_what_follows_of_independent_classes():
    """P(exactly this genre) over P(exactly one), and P(none) over P(at most one), counted out one by one."""
    outputs = Outputs(["a", "b", "c"], [[0, 1], [2], [4]])
    classes = np.array([0.4, -1.0, 1.2, 9.0, -2.0])
    logits = outputs.logits(classes)
    heard = np.array([max(sigmoid(0.4), sigmoid(-1.0)), sigmoid(1.2), sigmoid(-2.0)])
    assert sigmoid(logits) == pytest.approx(heard)
    alone = np.array([p * np.prod([1 - q for j, q in enumerate(heard) if j != i]) for i, p in enumerate(heard)])
    none = np.prod(1 - heard)
    softmax = np.exp(logits) / np.exp(logits).sum()
    assert softmax == pytest.approx(alone / alone.sum())
    assert outputs.outside(logits) == pytest.approx(none / (none + alone.sum()))


def test_labels_that_are_genres_stay_as_they_are():
    outputs, logits = Outputs.of(["rock", "jazz"]), np.array([[1.0, 2.0]])
    assert outputs.genres == ["rock", "jazz"] and outputs.logits(logits) is logits
    assert outputs.outside(logits[0]) is None


@pytest.mark.parametrize("height", [-800.0, 0.0, 800.0])
def test_sureness_without_end_is_still_a_probability(height):
    outputs = Outputs(["a", "b"], [[0], [1]])
    expected = 1 / 3 if height == 0 else float(height < 0)
    assert outputs.outside(np.array([height, height])) == pytest.approx(expected)


# --- a model with these classes


def test_predictions_are_those_of_plain_transformers_read_by_the_table(tagger, tone):
    import torch
    from transformers import ASTFeatureExtractor, ASTForAudioClassification

    predictor = Predictor.from_folder(tagger, device="cpu")
    track = predictor.waveform(tone(13.0, sample_rate=16000), timeline=True)
    clips = cut(tone(13.0, sample_rate=16000), 16000, 10.0)
    extractor = ASTFeatureExtractor.from_pretrained(tagger)
    with torch.no_grad():
        inputs = extractor(list(clips), sampling_rate=16000, return_tensors="pt")
        plain = ASTForAudioClassification.from_pretrained(tagger)(**inputs).logits.numpy()
    expected = {
        genre: pool(plain)[places].max() for genre, places in genre_classes(LABELS).items()
    }  # the mean of the clips first, as for all models
    total = sum(np.exp(value) for value in expected.values())
    assert predictor.genres == list(expected)
    assert {p.genre: p.confidence for p in track.predictions} == pytest.approx(
        {genre: np.exp(value) / total for genre, value in expected.items()}, abs=1e-4
    )
    assert track.outside == pytest.approx(1 / (1 + total), abs=1e-4)
    assert sum(p.confidence for p in track.predictions) == pytest.approx(1)
    assert len(track.timeline) == 2
    for segment, logits in zip(track.timeline, plain, strict=True):
        best = max(expected, key=lambda genre: logits[genre_classes(LABELS)[genre]].max())
        assert segment.predictions[0].genre == best and 0 < segment.outside < 1
    row = track.to_json(1)
    assert row["outside"] == track.outside and row["timeline"][0]["outside"] == track.timeline[0].outside


def test_an_ast_with_other_labels_is_read_as_it_is(tmp_path, tone):
    folder = untrained.make("ast", "tiny", tmp_path / "ast", genres=["rock", "jazz"])
    track = Predictor.from_folder(folder, device="cpu").waveform(tone(1.0, sample_rate=16000))
    assert {p.genre for p in track.predictions} == {"rock", "jazz"} and track.outside is None
    assert "outside" not in track.to_json()


@pytest.fixture
def genre(tagger, tmp_path, monkeypatch, capsys):
    """Run a command with the tagger as the model ``ast``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELS_PATH", str(tmp_path / "models"))
    registry.publish(tagger, "ast", get_settings())

    def run(*arguments: object) -> tuple[int, str, str]:
        code = cli.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


def test_the_command_tells_what_is_outside(genre, tone, write_wav, tmp_path):
    (tmp_path / "broken.mp3").write_bytes(b"no audio")
    song = write_wav(tmp_path / "song.wav", tone(12.0))
    code, out, _ = genre("predict", song, "--model", "ast", "--timeline")
    assert code == 0 and out.count("(outside 0.") == 3  # the track and two segments
    row = json.loads(genre("predict", song, "--model", "ast", "--format", "jsonl")[1])
    assert 0 < row["outside"] < 1 and len(row["predictions"]) == 3
    code, out, _ = genre("predict", "broken.mp3", song, "--model", "ast", "--format", "csv", "--top-k", 1)
    header, broken, good = csv.reader(out.splitlines())
    assert code == 1 and header == ["path", "duration", "genre_1", "confidence_1", "outside", "error"]
    assert float(good[4]) == pytest.approx(row["outside"], abs=1e-6) and broken[4] == "" and "not audio" in broken[5]


def test_the_service_tells_what_is_outside(tagger, tone, write_wav, tmp_path):
    from genre_lib.audio import Limits
    from genre_lib.service.batch import BatchPredictor
    from genre_lib.service.messages import PredictRequest
    from genre_lib.service.model_cache import ModelCache
    from genre_lib.service.prediction_cache import PredictionCache
    from genre_lib.service.schemas import PredictAnswer
    from genre_lib.service.status import WorkerStatus

    models = ModelCache(get_settings(model_path=tagger), lambda folder: Predictor.from_folder(folder, device="cpu"))
    models.start()
    batch = BatchPredictor(models, Limits(), WorkerStatus(), PredictionCache(2**20))
    song = write_wav(tmp_path / "song.wav", tone(12.0))
    expected = Predictor.from_folder(tagger, device="cpu").file(song, timeline=True)
    first, again = (
        batch.answers([PredictRequest(str(song), "song.wav", timeline=True, digest="same")])[0] for _ in range(2)
    )
    assert again.headers["X-Cache"] == "hit" and first.content == again.content
    told = PredictAnswer.model_validate(first.content)
    assert told.outside == pytest.approx(expected.outside, abs=1e-5)
    assert [part.outside for part in told.timeline] == pytest.approx([p.outside for p in expected.timeline], abs=1e-5)
    assert told.predictions[0].genre == expected.predictions[0].genre


def test_it_is_listed_by_the_genres_that_it_answers_with(genre):
    shown = json.loads(genre("models", "show", "ast", "--format", "json")[1])
    assert shown["kind"] == "audio-spectrogram-transformer" and shown["genres"] == list(genre_classes(LABELS))


def test_it_is_evaluated_on_a_catalogue_and_compared(genre, tiny_model, write_wav, tone, tmp_path):
    from genre_lib.data.opening import open_catalogue
    from genre_lib.evaluation import evaluate

    for number, name in enumerate(["jazz", "Hip-Hop", "polka"]):
        for track in range(3):
            write_wav(tmp_path / "music" / name / f"{track}.wav", tone(11.0, 200.0 + 90 * number + 7 * track))
    catalogue = open_catalogue(str(tmp_path / "music"))
    found = evaluate("models/ast", catalogue, "all", "models/ast", device="cpu")
    predictor = Predictor.from_folder("models/ast", device="cpu")
    said = [predictor.file(path).predictions[0] for path in found.tracks["path"]]
    assert found.tracks["predicted"].tolist() == [one.genre for one in said]
    assert found.tracks["confidence"].tolist() == pytest.approx([one.confidence for one in said], abs=1e-5)
    assert found.metrics["not_covered"] == {"polka": 3} and found.metrics["comparison"]["tracks"] == 9
    code, out, _ = genre(
        "evaluate", "--model", "ast", "--data-path", "music", "--split", "all", "--compare-to", tiny_model
    )
    assert code == 0 and "9 (all)" in out and "tiny" in out
