"""``genre finetune``: what it asks of the notebook, and what it refuses before a run begins."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from command_line import is_error

from genre_lib import jobs
from genre_lib.claim import claimed
from genre_lib.cli.finetune import assignments
from genre_lib.errors import ConfigurationError, RunStopped
from genre_lib.runs import Run
from genre_lib.settings import get_settings


@pytest.fixture
def notebooks(tmp_path: Path, monkeypatch) -> Path:
    """A notebook with the parameters of a training, in the real one's place."""
    from genre_lib.training_config import TrainingConfig

    names = [*TrainingConfig.model_fields, "check_audio"]
    cell = nbformat.v4.new_code_cell("\n".join(f"{name} = None" for name in names), metadata={"tags": ["parameters"]})
    folder = tmp_path / "notebooks"
    folder.mkdir()
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
    nbformat.write(notebook, folder / "02_finetune.ipynb")
    monkeypatch.setenv("NOTEBOOKS_PATH", str(folder))
    return folder


@pytest.fixture
def asked(monkeypatch, notebooks: Path) -> dict:
    """What ``finetune`` asks of the notebook; the run itself is left out."""
    parameters: dict = {}

    def run(notebook, given, output, *, on_event) -> None:
        parameters.update(given)
        on_event({"kind": "catalogue_checked", "ok": False, "said": "It has 1 error.", "see": "So."})
        on_event({"kind": "epoch_ended", "epoch": 1, "train_loss": 0.5, "valid_accuracy": 0.75})
        Run(given["run_path"]).write_result({"model_folder": "the/model"})

    monkeypatch.setattr(jobs, "run_notebook", run)
    return parameters


def test_that_spotify_is_off_is_said_before_that_there_is_no_music(genre, asked):
    outcome = genre("finetune", "--spotify-user", "me", "--output-path", "o")
    assert is_error(outcome, 1, "Spotify is off until SPOTIFY_CLIENT_ID") and not asked


def test_a_place_that_is_trained_for_already_is_refused_before_a_run(genre, asked, tmp_path: Path):
    with claimed(tmp_path / "o"):
        outcome = genre("finetune", "--data-path", "synthetic", "--output-path", "o")
    assert is_error(outcome, 1, f"Process {os.getpid()} is training a model for {tmp_path / 'o'} at present")
    assert not asked and not list(Path(os.environ["RUNS_PATH"]).glob("*"))


def test_finetune_passes_on_what_was_given(genre, asked, tiny_model: Path, tmp_path: Path):
    (tmp_path / "x.yaml").write_text("num_epochs: 7\nbatch_size: 8\nlearning_rate: 1e-3\nfreeze: backbone\n")
    given = ["-f", tmp_path / "x.yaml", "--epochs", 3, "--data-path", "synthetic", "--output-path", "o"]
    outcome = genre("finetune", *given, "--set", "weight_decay=1e-4", "--set", "check_audio=false")
    assert outcome.code == 0, outcome.err
    assert (asked["num_epochs"], asked["batch_size"], asked["learning_rate"]) == (3, 8, 0.001)
    assert (asked["freeze"], asked["weight_decay"], asked["check_audio"]) == ("backbone", 0.0001, False)
    assert (asked["data_path"], asked["output_path"]) == ("synthetic", str(tmp_path / "o"))
    assert asked["base_model"] == str(tiny_model)
    assert Path(asked["run_path"]).parent == Path(os.environ["RUNS_PATH"])
    assert "epoch 1/3: train loss 0.500, valid accuracy 0.750" in outcome.err
    assert outcome.err.count("warning: It has 1 error. So.\n") == 1
    assert "the/model" in outcome.out


def test_finetune_says_why_it_stopped(genre, asked, monkeypatch):
    def run(notebook, given, output, *, on_event) -> None:
        run = Run(given["run_path"])
        run.event("epoch_ended", epoch=1)
        run.write_result({"num_epochs": 9, "best_epoch": 1})

    monkeypatch.setattr(jobs, "run_notebook", run)
    outcome = genre("finetune", "--data-path", "synthetic", "--set", "early_stopping_patience=4", "--epochs", 9)
    assert "after epoch 1 of 9: none of the last 4 validations was better than the best before." in outcome.err


def test_finetune_takes_a_method(genre, asked):
    assert genre("finetune", "--data-path", "synthetic", "--method", "head", "--epochs", 2).code == 0
    assert (asked["method"], asked["num_epochs"]) == ("head", 2)
    outcome = genre("finetune", "--data-path", "synthetic", "--method", "lora", "--set", "freeze=front")
    assert outcome.code == 2 and "method='lora' and freeze='front' contradict each other" in outcome.err
    assert genre("finetune", "--data-path", "synthetic", "--method", "heads").code == 2


@pytest.mark.parametrize("command", [("finetune", "--data-path", "synthetic"), ("batch-size",)])
def test_what_a_base_model_cannot_learn_is_refused_before_a_run(genre, asked, command: tuple[str, ...]):
    assert is_error(genre(*command, "--method", "lora"), 2, "(genre_cnn) has none; take method='head'")
    assert not asked and not Path(os.environ["RUNS_PATH"]).exists()


def test_finetune_resumes_a_run(genre, asked, tiny_model: Path):
    run = Run.create(os.environ["RUNS_PATH"], "mine")
    run.write_parameters({"num_epochs": 5, "data_path": "synthetic", "base_model": str(tiny_model), "name": None})
    assert genre("finetune", "--resume", run.id, "--epochs", 9).code == 0
    assert (asked["resume"], asked["run_path"], asked["num_epochs"]) == (True, str(run.path), 9)
    assert is_error(genre("finetune", "--resume", "absent"), 1, "run folder")


def test_finetune_with_what_cannot_be(genre, asked, tmp_path: Path):
    data = ("--data-path", "synthetic")
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert is_error(genre("finetune"), 2, "nothing at", "--data-path")
    assert is_error(genre("finetune", *data, "--base-model", "absent"), 1, "no model 'absent'")
    assert is_error(genre("finetune", *data, "-f", tmp_path / "absent.yaml"), 2, "absent.yaml")
    assert is_error(genre("finetune", *data, "-f", tmp_path / "list.yaml"), 2, "num_epochs: 10")
    assert is_error(genre("finetune", *data, "--set", "epochs"), 2, "NAME=VALUE")
    assert is_error(genre("finetune", *data, "--set", "num_epoch=3"), 2, "num_epochs")
    assert is_error(genre("finetune", *data, "--set", "learning_rate=fast"), 2, "learning_rate")
    assert is_error(genre("finetune", *data, "--output-path", tmp_path / "full"), 1, "is there already")
    assert not asked
    assert not list(Path(os.environ["RUNS_PATH"]).glob("*"))


def test_finetune_without_notebooks(genre, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("NOTEBOOKS_PATH", str(tmp_path))
    assert is_error(genre("finetune", "--data-path", "synthetic"), 2, "NOTEBOOKS_PATH")


def test_set_reads_values_as_yaml():
    assert assignments(["a=1", "b=2e-5", "c=[1, 2]", "d=null", "e=x=y"]) == {
        "a": 1,
        "b": 2e-5,
        "c": [1, 2],
        "d": None,
        "e": "x=y",
    }
    with pytest.raises(ConfigurationError, match="YAML"):
        assignments(["a=[1"])


def test_finetune_refuses_at_once_what_cannot_be_trained_on(genre, tmp_path: Path):
    (tmp_path / "tracks.csv").write_text("path,genre\ngone/a.mp3,rock\ngone/b.mp3,jazz\n")
    assert is_error(genre("finetune", "--data-path", tmp_path / "tracks.csv"), 1, "None of the 2 files", "own folder")
    (tmp_path / "columns.csv").write_text("file,label\na.mp3,rock\n")
    assert is_error(genre("finetune", "--data-path", tmp_path / "columns.csv"), 1, "file, label")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    refused = genre("finetune", "--data-path", "synthetic", "--output-path", tmp_path / "photos")
    assert is_error(refused, 1, "is no model folder")
    assert not list(get_settings().runs_path.glob("*/parameters.json"))


def test_a_run_that_was_stopped_before_it_began_can_be_resumed(genre, asked, monkeypatch, tiny_model: Path):
    """The notebook had not yet come to write what was asked."""
    run_it = jobs.run_notebook

    def stopped(*_: object, **__: object) -> None:
        raise RunStopped("The run was stopped before it ended.")

    monkeypatch.setattr(jobs, "run_notebook", stopped)
    outcome = genre("finetune", "--data-path", "synthetic", "--output-path", "o", "--epochs", 3)
    assert outcome.code == 130
    run = outcome.err.split()[-1]
    assert Run(Path(os.environ["RUNS_PATH"]) / run).status() == "stopped"
    monkeypatch.setattr(jobs, "run_notebook", run_it)
    assert genre("finetune", "--resume", run).code == 0
    assert (asked["data_path"], asked["num_epochs"], asked["resume"]) == ("synthetic", 3, True)


def test_resuming_what_has_ended_says_so_and_a_folder_that_is_no_run_is_refused(genre, asked, tmp_path: Path):
    run = Run.create(os.environ["RUNS_PATH"], "done")
    run.write_parameters({"data_path": "synthetic", "num_epochs": 4, "init": "scratch"})
    run.write_result({"model_folder": "the/model", "num_epochs": 4})
    outcome = genre("finetune", "--resume", run.id)
    assert outcome.code == 0
    assert "has ended already" in outcome.err
    assert "the/model" in outcome.out
    assert not asked
    (tmp_path / "music").mkdir()
    assert is_error(genre("finetune", "--resume", tmp_path / "music"), 1, "no run's folder")


def test_music_that_cannot_be_split_is_refused_before_a_run_begins(genre, asked, tmp_path: Path, tone, write_wav):
    first = write_wav(tmp_path / "music" / "a.wav", tone())
    (tmp_path / "two.csv").write_text(f"path,genre\n{first},jazz\n{first}.copy.wav,rock\n")
    assert is_error(genre("finetune", "--data-path", tmp_path / "two.csv"), 1, "Each genre needs tracks by 3 artists")
    assert not Path(os.environ["RUNS_PATH"]).exists()
    outcome = genre("catalogue", "check", tmp_path / "two.csv", "--strict")
    assert outcome.code == 1
    assert "cannot_be_split" in outcome.out


def test_a_genre_that_will_be_called_otherwise_is_told_before_the_training(
    genre, asked, tmp_path: Path, tone, write_wav
):
    rows = [f"{write_wav(tmp_path / f'{n}.wav', tone())},{kind},train\n" for n, kind in enumerate(("K-Pop", "jazz"))]
    (tmp_path / "tracks.csv").write_text("path,genre,split\n" + "".join(rows))
    outcome = genre("finetune", "--data-path", tmp_path / "tracks.csv", "--output-path", tmp_path / "mine")
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("Read otherwise than it stands there: K-Pop as k pop.\n") == 1


def test_finetuning_without_music_says_how_to_name_it(genre, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_error(genre("finetune", "--output-path", "models/mine"), 2, "Name your music by --data-path")
