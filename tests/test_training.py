from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from small_training import SMALL

from genre_lib.claim import claimed
from genre_lib.clips import cut
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.catalogue_folder import CatalogueWarning
from genre_lib.data.catalogue_table import read
from genre_lib.data.check import check
from genre_lib.data.datamodule import WholeTracks
from genre_lib.errors import (
    CatalogueInvalid,
    ConfigurationError,
    ModelExists,
    ModelNotFound,
    RunFailed,
    RunStopped,
)
from genre_lib.inference import Predictor
from genre_lib.job_progress import public
from genre_lib.models.folder import load
from genre_lib.models.untrained import FAMILIES, make
from genre_lib.training import TrainingConfig, fit, keep_best, load_experiment
from genre_lib.training_callbacks import NoBetter
from genre_lib.training_costs import seconds_before

SCRATCH = SMALL | {
    "init": "scratch",
    "architecture": {"channels": [4, 8]},
    "feature_extractor": {"feature_size": 32, "hop_length": 512},
}


@pytest.fixture(scope="module")
def cache_path(tmp_path_factory) -> str:
    """One cache for all, so that the catalogue is decoded once."""
    return str(tmp_path_factory.mktemp("features"))


@pytest.fixture
def asked(synthetic_catalogue, cache_path) -> dict:
    return {"data_path": str(synthetic_catalogue), "cache_path": cache_path}


@pytest.fixture
def tracks(synthetic_catalogue) -> Catalogue:
    return read(synthetic_catalogue / "catalogue.csv")


# ---- the configuration


def test_the_defaults_are_those_of_fine_tuning():
    config = TrainingConfig()
    assert (config.learning_rate, config.num_epochs, config.batch_size) == (2e-5, 10, 16)
    assert (config.warmup_steps, config.weight_decay, config.evaluation_strategy) == (500, 0.01, "epoch")


def test_every_field_has_its_help():
    assert not [name for name, field in TrainingConfig.model_fields.items() if not field.description]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"learning_rat": 1}, "Unknown field learning_rat; did you mean learning_rate?"),
        ({"num_epochs": 0}, "num_epochs: .*greater than or equal to 1, and is 0"),
        ({"learning_rate": "fast"}, "learning_rate: .*'fast'"),
        ({"evaluation_strategy": "never"}, "evaluation_strategy: .*'never'"),
        ({"evaluation_strategy": "steps"}, "needs eval_steps"),
        ({"resume": True}, "needs run_path"),
        ({"init": "scratch", "freeze": "backbone"}, "knows nothing"),
        ({"architecture": {"dropout": 0.1}}, "for init='scratch'"),
        ({"early_stopping_patience": 2, "evaluation_strategy": "no"}, "needs validation"),
        ({"solver": "lbfgs"}, "set freeze='backbone'"),
        ({"solver": "lbfgs", "freeze": "backbone", "mixup": 0.3}, "takes no steps; leave mixup out"),
        ({"solver": "lbfgs", "freeze": "backbone", "augmentation": {"equalizer_db": 3}}, "leave augmentation out"),
        ({"solver": "lbfgs", "freeze": "backbone", "num_epochs": 3}, "leave num_epochs out"),
        ({"solver": "lbfgs", "freeze": "backbone", "features": "auto"}, "leave features out"),
        ({"head_penalty": 10}, "for solver='lbfgs'"),
        ({"solver": "lbfgs", "freeze": "backbone", "head_penalty": float("inf")}, "head_penalty: .*finite"),
        ({"hop_seconds": 1e-9}, "hop_seconds: .*greater than or equal to 0.1"),
        ({"augmentation": {"time_stretch": float("nan")}}, "time_stretch: .*"),
        ({"solver": "lbfgs", "freeze": "backbone", "head_penalty": 0}, "head_penalty: .*greater than 0"),
    ],
)
def test_wrong_fields_are_explained(fields, message):
    with pytest.raises(ConfigurationError, match=message):
        TrainingConfig(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"architecture": {"chanels": [4]}}, r"architecture.chanels; did you mean channels"),
        ({"architecture": {"pooling": "sum"}}, "pooling must be one of"),
        ({"feature_extractor": {"hop": 4}}, r"feature_extractor.hop; did you mean hop_length"),
    ],
)
def test_wrong_architectures_are_explained(asked, fields, message):
    with pytest.raises(ConfigurationError, match=message):
        fit(SCRATCH | asked | fields)


def test_experiments_are_mappings(tmp_path):
    (tmp_path / "good.yaml").write_text("learning_rate: 1e-3\nfreeze: backbone\naugmentation: {equalizer_db: 4e0}\n")
    assert load_experiment(tmp_path / "good.yaml") == {
        "learning_rate": 0.001,
        "freeze": "backbone",
        "augmentation": {"equalizer_db": 4.0},
    }
    (tmp_path / "list.yaml").write_text("- a\n")
    (tmp_path / "bad.yaml").write_text("a: [")
    for name, message in (("list", "got list"), ("bad", "no YAML"), ("absent", "Expected an experiment file")):
        with pytest.raises(ConfigurationError, match=message):
            load_experiment(tmp_path / f"{name}.yaml")


# ---- the run


def test_a_run_leaves_a_model_that_predicts_as_it_was_scored(asked, tracks, tmp_path):
    from genre_lib import audio, metrics
    from genre_lib.clips import pool

    result = fit(SCRATCH | asked | {"output_path": str(tmp_path / "mine"), "ema_decay": 0.9, "mixup": 0.2})
    assert result.model_folder == tmp_path / "mine"
    assert result.run.status() == "completed"
    model = load(tmp_path / "mine")
    assert model.genres == tracks.genres
    assert model.inference.clip_seconds == 1.5 and model.inference.temperature > 0
    valid = tracks.split("valid").tracks
    logits = []
    for path in valid["path"]:
        clips = cut(audio.load(path, model.sample_rate).waveform, model.sample_rate, 1.5)
        with torch.no_grad():
            logits.append(pool(model.network(**model.extractor(clips, return_tensors="pt")).logits).numpy())
    targets = np.array([model.genres.index(genre) for genre in valid["genre"]])
    assert metrics.negative_log_likelihood(np.stack(logits), targets) == pytest.approx(
        result.metrics["valid_loss"], abs=0.02
    )
    assert (result.run.model / "model.safetensors").is_file()


def test_events_tell_the_run(asked):
    result = fit(SCRATCH | asked)
    kinds = [event["kind"] for event in result.run.events()]
    assert kinds[:3] == ["run_started", "catalogue_checked", "features_ready"]
    assert kinds.count("epoch_started") == kinds.count("epoch_ended") == 2
    assert kinds[-1] == "run_completed"
    ended = result.run.events("epoch_ended")[0]
    assert {"epoch", "train_loss", "valid_loss", "valid_accuracy", "valid_macro_f1", "learning_rate", "seconds",
            "load_seconds"} <= set(ended)  # fmt: skip
    assert result.history["epoch"].tolist() == [1, 2]
    assert result.run.parameters()["learning_rate"] == 5e-3
    assert result.run.result()["best_epoch"] == result.best_epoch


def test_what_is_wrong_with_the_music_is_told_once_and_nothing_is_decoded_for_it(asked, tracks, tmp_path):
    table = tracks.tracks.copy()
    rock, jazz = (
        table.index[(table["genre"] == genre) & (table["split"] == "train")][0] for genre in tracks.genres[:2]
    )
    shutil.copy(table.loc[rock, "path"], tmp_path / "again.wav")
    table.loc[jazz, "path"] = str(tmp_path / "again.wav")
    doubtful = Catalogue(table)
    check(doubtful)  # as drawing splits hears it
    with pytest.warns(CatalogueWarning, match="The music has 1 error") as told:
        result = fit(SCRATCH | asked | {"num_epochs": 1, "data_path": "my music"}, doubtful)
    (said,) = [str(each.message) for each in told if each.category is CatalogueWarning]
    assert said.endswith("genre catalogue check 'my music'")
    (checked,) = result.run.events("catalogue_checked")
    assert f"{checked['said']} {checked['see']}" == said
    assert checked["findings"]["recording_under_two_genres"] == 1
    assert "see" not in public(checked)  # where the music lies is no client's concern


def test_the_same_seed_is_the_same_model(asked):
    first, second = (fit(SCRATCH | asked | {"num_epochs": 1, "mixup": 0.4, "seed": 7}) for _ in range(2))
    a, b = load(first.run.model).network.state_dict(), load(second.run.model).network.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_fine_tuning_keeps_a_frozen_backbone(asked, tiny_model):
    before = load(tiny_model).network.backbone.state_dict()
    result = fit(SMALL | asked | {"base_model": str(tiny_model), "freeze": "backbone", "num_epochs": 1, "name": "head"})
    after = load(result.model_folder).network
    assert all(torch.equal(before[name], value) for name, value in after.backbone.state_dict().items())
    assert after.config.base_model == "tiny"
    assert result.run.id.endswith("-head")
    assert result.run.events("run_started")[0]["copied_genres"] == load(tiny_model).genres


def test_sources_may_understand_a_genre_differently(asked, tracks):
    table = tracks.tracks.copy()
    table["source"] = np.where(table["genre"].isin(["rock", "hiphop"]) & (table.index % 2 == 0), "a", "b")
    options = {"subclasses": "source", "source_shares": {"a": 0.5, "b": 0.5}, "num_epochs": 1, "logit_adjustment": 1.0}
    result = fit(SCRATCH | asked | options, Catalogue(table))
    model = load(result.model_folder)
    assert model.genres == tracks.genres
    assert model.network.config.subclass_genre == [2, 3, 0, 1, 2, 3]  # a: hiphop, rock; b: all four
    again = fit(SMALL | asked | {"base_model": str(result.model_folder), "num_epochs": 1}, Catalogue(table))
    assert load(again.model_folder).network.config.subclass_genre == [2, 3, 0, 1, 2, 3]
    with pytest.raises(ConfigurationError, match="source_shares must name the sources of the train tracks, a, b"):
        fit(SCRATCH | asked | {"source_shares": {"a": 1.0}}, Catalogue(table))


def test_without_validation_the_last_epoch_is_kept(asked, tracks):
    only = Catalogue(tracks.tracks.assign(split="train"))
    with pytest.raises(ConfigurationError, match="evaluation_strategy to 'no'"):
        fit(SCRATCH | asked, only)
    result = fit(SCRATCH | asked | {"evaluation_strategy": "no"}, only)
    assert (result.best_epoch, result.metrics) == (2, {})
    assert load(result.model_folder).inference.temperature == 1.0


def test_validation_every_few_steps_and_early_stopping(asked):
    steps = {"evaluation_strategy": "steps", "eval_steps": 1, "num_epochs": 30, "early_stopping_patience": 1}
    result = fit(SCRATCH | asked | steps | {"learning_rate": 1e-6, "keep": "valid_accuracy"})
    assert len(result.history) < 30


def test_it_stops_where_no_weights_were_kept_any_more(asked):
    result = fit(SCRATCH | asked | {"num_epochs": 12, "early_stopping_patience": 2, "keep": "valid_accuracy"})
    best = [each["epoch"] for each in result.run.events("checkpoint_saved") if each["file"] == "best.ckpt"]
    assert len(result.history) == min(best[-1] + 2, 12) and result.best_epoch == best[-1]
    assert all(later - earlier <= 2 for earlier, later in pairwise(best))


def test_of_equal_scores_one_with_a_lower_loss_is_better():
    patient = NoBetter("valid_accuracy", "max", 1)
    assert [validated(patient, 0.5, loss) for loss in (2.0, 1.9, 1.8, 1.8)] == [False, False, False, True]


def test_a_stop_counts_on_after_an_interruption():
    first, second = (NoBetter("valid_accuracy", "max", 3) for _ in range(2))
    assert [validated(first, 0.5, loss) for loss in (2.0, 1.9, 1.9, 1.9)] == [False] * 4
    second.load_state_dict(first.state_dict())
    assert validated(second, 0.5, 2.0)


def validated(callback: NoBetter, accuracy: float, loss: float) -> bool:
    """Whether the training ends after a validation with these scores."""
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.callback_metrics.update(valid_accuracy=torch.tensor(accuracy), valid_loss=torch.tensor(loss))
    callback.on_validation_end(trainer, LightningModule())
    return trainer.should_stop


def test_a_network_of_another_maker(asked, tmp_path):
    from test_folder import make_foreign

    make_foreign("ast", tmp_path / "ast")
    result = fit(SMALL | asked | {"base_model": str(tmp_path / "ast"), "num_epochs": 1, "mixup": 0.2})
    assert load(result.model_folder).network.config.model_type == "audio-spectrogram-transformer"
    with pytest.raises(ConfigurationError, match="log-mels, and ASTFeatureExtractor makes none"):
        fit(SMALL | asked | {"base_model": str(tmp_path / "ast"), "augmentation": {"noise": 0.1}})


PLAIN_TRANSFORMERS = """
import json, sys
import numpy as np
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification, pipeline

clip = np.random.default_rng(0).normal(0, 0.1, 24000).astype(np.float32)
for folder in sys.argv[1:]:
    network, report = AutoModelForAudioClassification.from_pretrained(folder, output_loading_info=True)
    inputs = AutoFeatureExtractor.from_pretrained(folder)(clip, sampling_rate=16000, return_tensors="pt")
    logits = network.eval()(**inputs).logits[0].tolist()
    rows = pipeline("audio-classification", model=folder)(clip, top_k=99, function_to_apply="none")
    AutoModel.from_pretrained(folder)
    assert not report["missing_keys"] and "genre_lib" not in sys.modules
    told = {row["label"]: row["score"] for row in rows}
    print(json.dumps([dict(zip(network.config.id2label.values(), logits)), told]))
"""


def test_published_encoders_become_plain_classifiers(asked, tmp_path, tracks):
    results = [
        fit(SMALL | asked | {"base_model": str(make(family, "tiny", tmp_path / family)), "num_epochs": 1})
        for family in FAMILIES
    ]
    folders = [str(result.model_folder) for result in results]
    assert [load(folder).genres for folder in folders] == [tracks.genres] * len(folders)
    # Another process, in which nothing of ours is known.
    command = [sys.executable, "-c", PLAIN_TRANSFORMERS, *folders]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == len(folders)
    for logits, piped in map(json.loads, lines):
        assert sorted(logits) == tracks.genres and piped == pytest.approx(logits, abs=1e-5)


def test_tracks_shorter_than_a_clip_are_learnt_and_validated(asked, tmp_path, tracks):
    base = make("hubert", "tiny", tmp_path / "hubert")
    clip = {"base_model": str(base), "clip_seconds": 8.0, "num_epochs": 1}  # tracks last 6 s
    result = fit(SMALL | asked | clip)
    valid = tracks.split("valid")
    told = [Predictor.from_folder(result.model_folder, device="cpu").file(path) for path in valid.tracks["path"]]
    right = [track.top(1)[0].genre == genre for track, genre in zip(told, valid.tracks["genre"], strict=True)]
    assert result.metrics["valid_accuracy"] == pytest.approx(np.mean(right))


def test_undecodable_tracks_are_left_out_and_named(asked, tracks, tmp_path):
    bad = tmp_path / "bad.mp3"
    bad.write_text("no audio")
    table = tracks.tracks.copy()
    row = table.index[table["split"] == "train"][0]
    table.loc[row, "path"] = str(bad)
    with pytest.warns(UserWarning, match="1 track cannot be decoded"):
        result = fit(SCRATCH | asked | {"num_epochs": 1}, Catalogue(table))
    assert list(result.run.events("tracks_skipped")[0]["tracks"]) == [str(bad)]
    with pytest.raises(CatalogueInvalid, match=r"bad\.mp3"):
        fit(SCRATCH | asked | {"num_epochs": 1, "strict": True}, Catalogue(table))


# ---- what cannot be done


def test_one_genre_is_none(asked, tracks):
    with pytest.raises(CatalogueInvalid, match="two genres or more"):
        fit(SCRATCH | asked, tracks.where(["rock"]))


def test_a_genre_to_validate_on_must_be_learnt(asked, tracks):
    table = tracks.tracks
    with pytest.raises(CatalogueInvalid, match="rock"):
        fit(SCRATCH | asked, Catalogue(table[(table["genre"] != "rock") | (table["split"] == "valid")]))


def test_an_absent_base_model(asked):
    with pytest.raises(ModelNotFound, match="no-such"):
        fit(SMALL | asked | {"base_model": "no-such"})


def test_a_place_that_is_taken_is_refused_before_training(asked, tiny_model, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "m")
    with pytest.raises(ModelExists, match="set overwrite"):
        fit(SCRATCH | asked | {"output_path": str(tmp_path / "m")})
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "a.mp3").touch()
    with pytest.raises(ModelExists, match="no model folder"):
        fit(SCRATCH | asked | {"output_path": str(tmp_path / "music"), "overwrite": True})


def test_a_place_that_cannot_be_filled_is_refused_before_training(asked, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="no folder can be made there"):
        fit(SCRATCH | asked | {"output_path": str(tmp_path / "file" / "m")})
    assert not [*tmp_path.rglob("events.jsonl")]


def test_a_place_that_another_training_is_for_is_refused_at_once(asked, tmp_path):
    place = {"output_path": str(tmp_path / "m")}
    with claimed(tmp_path / "m"), pytest.raises(ModelExists, match="is training a model"):
        fit(SCRATCH | asked | place)
    assert not [*tmp_path.rglob("events.jsonl")]
    fit(SCRATCH | asked | place | {"num_epochs": 1})
    assert (tmp_path / "m" / "config.json").is_file() and not [*tmp_path.glob(".m.*")]


def test_a_run_is_not_overwritten(asked, tmp_path):
    run = {"run_path": str(tmp_path / "run")}
    first = fit(SCRATCH | asked | run | {"num_epochs": 1})
    with pytest.raises(ConfigurationError, match="set resume"):
        fit(SCRATCH | asked | run)
    again = fit(SCRATCH | asked | run | {"num_epochs": 1, "resume": True})
    assert again.metrics == first.metrics and len(again.run.events("run_started")) == 1
    longer = fit(SCRATCH | asked | run | {"resume": True})
    assert longer.history["epoch"].tolist() == [1, 2] and longer.run.events("epoch_started")[-1]["epoch"] == 2
    assert longer.seconds > seconds_before(longer.run) > 0
    assert longer.run.result()["training"]["seconds"] == round(longer.seconds, 1)


@pytest.fixture
def breaks(monkeypatch):
    """Let the first training step end in an error, or in a loss of another value."""
    from genre_lib.models.classifier import GenreClassifier

    def install(effect) -> None:
        def loss(self, logits, targets):
            if isinstance(effect, BaseException):
                raise effect
            return logits.sum() * effect

        monkeypatch.setattr(GenreClassifier, "loss", loss)

    return install


def only_run(path: Path):
    from genre_lib.runs import Run

    return Run(next(path.iterdir()))


def test_a_loss_that_is_no_number_ends_with_advice(asked, breaks, tmp_path):
    breaks(float("nan"))
    with pytest.raises(RunFailed, match="Lower learning_rate"):
        fit(SCRATCH | asked | {"run_path": str(tmp_path / "runs" / "r")})
    run = only_run(tmp_path / "runs")
    assert run.status() == "failed" and run.result() is None


def test_an_interrupt_leaves_a_stopped_run(asked, breaks, tmp_path):
    breaks(KeyboardInterrupt())
    with pytest.raises(RunStopped, match="resume"):
        fit(SCRATCH | asked | {"run_path": str(tmp_path / "runs" / "r")})
    run = only_run(tmp_path / "runs")
    assert run.status() == "stopped" and len(run.events("run_stopped")) == 1


def test_any_other_error_is_a_sentence(asked, breaks, tmp_path):
    breaks(RuntimeError("the sky\nfell"))
    with pytest.raises(RunFailed, match=r"RuntimeError: the sky\. The run is in"):
        fit(SCRATCH | asked | {"run_path": str(tmp_path / "runs" / "r")})
    assert only_run(tmp_path / "runs").status() == "failed"


def test_nothing_is_said_that_is_of_no_concern(asked, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(SCRATCH | asked | {"num_epochs": 1})
    out, err = capfd.readouterr()
    assert len(out.splitlines()) == 1 and out.startswith("epoch 1/1  train loss")
    assert not err


# ---- the head at once

HEAD = {"freeze": "backbone", "solver": "lbfgs", "accelerator": "cpu"}


def test_a_head_is_solved_for_and_scored_as_it_will_predict(asked, tiny_model):
    """The tiny network's features are random, and say enough of the synthetic genres for its head to tell them."""
    found = fit(HEAD | asked | {"base_model": str(tiny_model)})
    event = found.run.history().iloc[-1]
    assert len(found.run.history()) == 1 and found.best_epoch == 1
    assert found.metrics["valid_accuracy"] == pytest.approx(event["valid_accuracy"])
    assert found.metrics["valid_loss"] == event["valid_loss"]
    assert event["train_loss"] < np.log(4)
    model, base = load(found.model_folder), load(tiny_model)
    heads = {
        name for name, value in model.network.state_dict().items() if not value.equal(base.network.state_dict()[name])
    }
    assert heads == {"classifier.weight", "classifier.bias"}
    assert found.run.result()["status"] == "completed"


def test_a_solved_head_hears_each_track_once_and_is_calibrated_as_by_hearing_it_again(
    asked, tiny_model, tracks, monkeypatch
):
    heard: list[str] = []
    read_one = WholeTracks.__getitem__
    monkeypatch.setattr(
        WholeTracks, "__getitem__", lambda self, row: heard.append(self.table.paths[row]) or read_one(self, row)
    )
    config = TrainingConfig(**HEAD, **asked, base_model=str(tiny_model))
    found = fit(config)
    assert sorted(heard) == sorted(path for split in ("train", "valid") for path in tracks.split(split).tracks["path"])
    temperature = load(found.model_folder).inference.temperature
    assert load(found.model_folder).inference.calibrated_on == len(tracks.split("valid"))
    again = keep_best(config.model_copy(update={"run_path": str(found.run.path)}))
    assert len(heard) == len(tracks.split("train")) + 2 * len(tracks.split("valid"))
    assert found.metrics == pytest.approx(again.metrics, abs=1e-5)
    assert temperature == pytest.approx(load(again.model_folder).inference.temperature, rel=1e-4)


def test_the_penalty_is_told_and_may_be_given(asked, tiny_model):
    given = fit(HEAD | asked | {"base_model": str(tiny_model), "head_penalty": 1e7})
    assert given.run.history()["head_penalty"].iloc[-1] == 1e7 and not given.run.events("penalty_chosen")
    chosen = fit(HEAD | asked | {"base_model": str(tiny_model)})
    (event,) = chosen.run.events("penalty_chosen")
    assert event["head_penalty"] == chosen.run.history()["head_penalty"].iloc[-1]
    if event["losses"]:
        assert f"{event['head_penalty']:g}" == min(event["losses"], key=event["losses"].get)


def test_a_solved_head_needs_no_valid_tracks(asked, tiny_model):
    found = fit(HEAD | asked | {"base_model": str(tiny_model), "evaluation_strategy": "no"})
    assert found.metrics == {} and found.model_folder.is_dir()


def test_only_a_tagger_has_tags_to_start_from(asked, tiny_model):
    wrong = {"base_model": str(tiny_model), "start_tags": {"rock": ["guitar"]}}
    with pytest.raises(ConfigurationError, match="tells genres"):
        fit(HEAD | asked | wrong)
