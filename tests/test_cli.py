"""The ``genre`` command: every word once as it should be, and once with wrong input."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from genre_lib import cli, jobs
from genre_lib.cli.finetune import assignments
from genre_lib.errors import ConfigurationError, RunStopped
from genre_lib.runs import Run
from genre_lib.settings import get_settings


@dataclass
class Outcome:
    """What a command left on the terminal."""

    code: int
    out: str
    err: str


@pytest.fixture
def genre(capsys: pytest.CaptureFixture, monkeypatch, tiny_model: Path, tmp_path: Path) -> Callable[..., Outcome]:
    """Run a command in this process, as ``main`` does, with the tiny model as the starter."""
    monkeypatch.setenv("MODEL_PATH", str(tiny_model))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Outcome:
        code = cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def music(tmp_path: Path, tone, write_wav) -> Path:
    """Two good tracks, one broken, and a file that is none."""
    folder = tmp_path / "music [live]"  # rich would take the brackets for a style
    write_wav(folder / "a.wav", tone(4.0))
    write_wav(folder / "deep" / "b.wav", tone(7.0, 330.0))
    (folder / "broken.mp3").write_bytes(b"no audio " * 99)
    (folder / "notes.txt").write_text("not audio by its name")
    return folder


def is_error(outcome: Outcome, code: int, *says: str) -> bool:
    """One line, the code, and no traceback."""
    lines = outcome.err.strip().splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("error: ")
    assert all(word in lines[0] for word in says), lines[0]
    return outcome.code == code


# --- the command itself -----------------------------------------------------------------------------------------------


def test_a_slip_in_the_settings_file_is_told_and_the_command_goes_on(genre, tmp_path: Path):
    (tmp_path / ".env").write_text("MODELS_PAHT=elsewhere\n")
    outcome = genre("models", "list")
    assert outcome.code == 0
    assert outcome.err.splitlines() == [
        "warning: .env names MODELS_PAHT, which is no setting and changes nothing; did you mean MODELS_PATH?"
    ]
    assert genre("models", "list", "--help").err == ""


def test_help_and_version(genre):
    assert "finetune" in genre("--help").out
    assert genre("--version").out.startswith("genre_lib ")
    assert genre("models", "promote", "--help").code == 0


def test_help_imports_nothing_heavy():
    code = "import sys; from genre_lib.cli import main; main(['--help']); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "typer" in modules
    heavy = {"torch", "pandas", "av", "litserve", "papermill", "transformers", "matplotlib", "numpy", "pydantic"}
    assert not set(modules) & heavy


@pytest.mark.parametrize("arguments", [["models", "list"], ["predict", "--help"], ["predict", "x", "--loud"]])
def test_what_predicts_nothing_imports_no_torch(arguments: list[str]):
    code = f"import sys; from genre_lib.cli import main; main({arguments}); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not set(modules) & {"torch", "numpy", "av", "transformers"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sing"], "No such command 'sing'"),
        (["predict"], "Missing argument"),
        (["predict", "x", "--loud"], "No such option"),
        (["predict", "x", "--top-k", "0"], "--top-k': Input should be greater than or equal to 1, and is '0'. See"),
        (["predict", "x", "--format", "xml"], "--format': 'xml' is not one of 'table', 'jsonl', 'csv'. See"),
        (["catalogue", "build", "x"], "--output"),
        (["finetune", "--epochs", "0"], "--epochs"),
        (["serve", "--port", "high"], "--port"),
    ],
)
def test_wrong_use_is_2(genre, arguments: list[str], says: str):
    assert is_error(genre(*arguments), 2, says)


def test_a_wrong_setting_is_2(genre, monkeypatch):
    monkeypatch.setenv("PORT", "high")
    assert is_error(genre("models", "list"), 2, "PORT")


def test_an_unexpected_error_is_one_line_and_more_on_request(genre, monkeypatch):
    monkeypatch.setattr("genre_lib.registry.list_models", lambda settings: 1 / 0)
    assert is_error(genre("models", "list"), 1, "ZeroDivisionError", "GENRE_DEBUG=1")
    monkeypatch.setenv("GENRE_DEBUG", "1")
    assert "Traceback" in genre("models", "list").err


def test_ctrl_c_is_130(genre, monkeypatch):
    def interrupted(settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("genre_lib.registry.list_models", interrupted)
    assert is_error(genre("models", "list"), 130, "stopped")


# --- predict ----------------------------------------------------------------------------------------------------------


def test_predict_as_jsonl_has_every_row(genre, music: Path):
    outcome = genre("predict", music, music / "absent.wav", "--format", "jsonl", "--top-k", "2")
    rows = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.code == 1
    assert [set(row) for row in rows] == [{"path", "duration", "predictions", "error"}] * 4
    assert [Path(row["path"]).name for row in rows] == ["a.wav", "broken.mp3", "b.wav", "absent.wav"]
    assert [row["duration"] for row in rows] == [4.0, None, 7.0, None]
    assert [len(row["predictions"]) for row in rows] == [2, 0, 2, 0]
    assert [row["error"] is None for row in rows] == [True, False, True, False]
    assert outcome.err == "2 of 4 could not be predicted.\n"


def test_predict_good_files_is_0(genre, music: Path):
    outcome = genre("predict", music / "a.wav", "--timeline", "--format", "jsonl")
    assert (outcome.code, outcome.err) == (0, "")
    assert json.loads(outcome.out)["timeline"][-1]["end"] == 4.0


def test_a_track_of_three_samples_stops_no_other(genre, tmp_path: Path, tone, write_wav):
    short = write_wav(tmp_path / "short.wav", tone()[:3], 32000)
    outcome = genre("predict", short, write_wav(tmp_path / "whole.wav", tone(2)), "--format", "jsonl")
    rows = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.code == 0 and "internal" not in outcome.err
    assert [Path(row["path"]).name for row in rows if row["predictions"]] == ["short.wav", "whole.wav"]


def test_predict_as_table_shows_whole_paths(genre, music: Path):
    outcome = genre("predict", music, "--timeline")
    assert str(music / "deep" / "b.wav") in outcome.out
    assert "0:07.0" in outcome.out
    assert "is not audio" in outcome.out


def test_predict_as_csv_into_a_file(genre, music: Path, tmp_path: Path):
    outcome = genre("predict", music, "--format", "csv", "--output", tmp_path / "rows.csv", "--top-k", "1")
    assert (outcome.code, outcome.out) == (1, "")
    rows = list(csv.DictReader((tmp_path / "rows.csv").open()))
    assert list(rows[0]) == ["path", "duration", "genre_1", "confidence_1", "error"]
    assert [row["duration"] for row in rows] == ["4.000", "", "7.000"]
    assert not list(tmp_path.glob(".rows.csv*"))


def test_predict_writes_what_the_ending_says(genre, music: Path, tmp_path: Path):
    genre("predict", music, "--output", tmp_path / "rows.jsonl")
    assert [json.loads(line)["path"] for line in (tmp_path / "rows.jsonl").open()]
    genre("predict", music, "--output", tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text().startswith("path,duration")


def test_predict_does_not_write_over_music(genre, music: Path):
    before = (music / "a.wav").read_bytes()
    assert is_error(genre("predict", music / "a.wav", "--output", music / "a.wav"), 2, "named as audio")
    assert is_error(genre("catalogue", "build", music, "--output", music / "a.wav"), 2, "named as audio")
    (music / "kept.csv").touch(0o444)
    assert is_error(genre("predict", music / "a.wav", "--output", music / "kept.csv"), 2, "may only be read")
    assert (music / "a.wav").read_bytes() == before


def test_predict_leaves_no_half_file(genre, music: Path, tmp_path: Path, monkeypatch):
    (tmp_path / "rows.jsonl").write_text("from before")

    def break_off(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.predict, "write_jsonl", break_off)
    assert genre("predict", music, "--format", "jsonl", "--output", tmp_path / "rows.jsonl").code == 130
    assert (tmp_path / "rows.jsonl").read_text() == "from before"
    assert not list(tmp_path.glob(".rows.jsonl*"))


def test_predict_an_empty_folder_is_a_row(genre, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    outcome = genre("predict", tmp_path / "empty", "--format", "jsonl")
    assert outcome.code == 1
    assert "without audio files" in json.loads(outcome.out)["error"]


def test_predict_with_what_cannot_be(genre, music: Path, tmp_path: Path):
    assert is_error(genre("predict", music, "--model", "absent"), 1, "no model 'absent'", "tiny")
    assert is_error(genre("predict", music, "--model", music), 1, "config.json")
    assert is_error(genre("predict", music, "--timeline", "--format", "csv"), 2, "--timeline")
    assert is_error(genre("predict", music, "--output", tmp_path), 2, "is a folder")
    assert is_error(genre("predict", music, "--output", tmp_path / "no" / "x"), 2, "there is no folder")


def test_a_reader_that_has_seen_enough(music: Path, tiny_model: Path):
    command = f"{sys.executable} -m genre_lib.cli predict {' '.join([repr(str(music))] * 50)} --format jsonl | head -1"
    environment = os.environ | {"MODEL_PATH": str(tiny_model)}
    ended = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True)
    assert ended.stdout.count("\n") == 1
    assert "Traceback" not in ended.stderr
    assert "BrokenPipe" not in ended.stderr


# --- catalogue --------------------------------------------------------------------------------------------------------


def test_catalogue_build_and_check(genre, synthetic_catalogue: Path, tmp_path: Path):
    built = genre("catalogue", "build", synthetic_catalogue, "--output", tmp_path / "tracks.csv")
    assert built.code == 0
    assert "24 tracks of 4 genres" in built.err
    assert len(list(csv.DictReader((tmp_path / "tracks.csv").open()))) == 24
    checked = genre("catalogue", "check", tmp_path / "tracks.csv", "--format", "jsonl", "--strict")
    assert checked.code == 0
    assert re.fullmatch(r"24 tracks, 0 errors, \d+ warnings?: fit to train on\.\n", checked.err)
    assert all(set(json.loads(line)) == {"kind", "severity", "message", "paths"} for line in checked.out.splitlines())


def test_catalogue_check_refuses_when_strict(genre, tmp_path: Path, tone, write_wav):
    for number, genre_name in enumerate(("jazz", "rock")):
        for track in range(2):
            write_wav(tmp_path / "music" / genre_name / f"{track}.wav", tone(3.0, 200 + 90 * track + 37 * number))
    (tmp_path / "music" / "rock" / "2.wav").write_bytes(b"broken")
    told = genre("catalogue", "check", tmp_path / "music")
    assert told.code == 0
    assert told.err.startswith("5 tracks, 2 errors, 0 warnings: the exit code is 0")
    strict = genre("catalogue", "check", tmp_path / "music", "--strict")
    assert strict.code == 1
    assert strict.out == told.out
    assert [line.split()[:2] for line in strict.out.splitlines()[1:]] == [
        ["error", "undecodable"],
        ["error", "cannot_be_split"],
    ]
    assert strict.err.startswith("5 tracks, 2 errors, 0 warnings: refused, and the exit code is 1")


def test_catalogue_of_nothing(genre, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.csv").write_text("a,b\n1,2\n")
    output = tmp_path / "out.csv"
    assert is_error(genre("catalogue", "build", tmp_path / "absent", "--output", output), 1, "nothing at")
    assert genre("catalogue", "build", tmp_path / "empty", "--output", output).code == 1
    assert is_error(genre("catalogue", "build", tmp_path / "words.csv", "--output", output), 1, "path", "genre")
    assert is_error(genre("catalogue", "check", tmp_path / "absent.csv"), 1, "nothing at")
    assert is_error(genre("catalogue", "build", "synthetic", "--output", tmp_path / "no" / "x.csv"), 2, "no folder")
    assert not output.exists()


# --- models -----------------------------------------------------------------------------------------------------------


def test_models(genre, tiny_model: Path):
    from genre_lib import registry
    from genre_lib.settings import get_settings

    registry.publish(tiny_model, "mine", get_settings(model_path=tiny_model))
    assert [row["name"] for row in json.loads(genre("models", "list", "--format", "json").out)] == ["mine", "tiny"]
    assert "mine is the active model now" in genre("models", "promote", "mine").out
    shown = json.loads(genre("models", "show", "mine", "--format", "json").out)
    assert (shown["active"], shown["kind"]) == (True, "genre_cnn")
    assert "genre_cnn" in genre("models", "show", tiny_model).out
    assert "●" in genre("models", "list").out
    assert is_error(genre("models", "remove", "mine"), 1, "served at present")
    genre("models", "promote", "tiny")
    assert genre("models", "remove", "mine").out == "mine is removed.\n"
    assert is_error(genre("models", "show", "mine"), 1, "no model 'mine'")
    assert is_error(genre("models", "promote", "mine"), 1, "no model 'mine'")
    assert is_error(genre("models", "remove", "tiny"), 1, "starter")


# --- evaluate ---------------------------------------------------------------------------------------------------------


def test_evaluate(genre, synthetic_catalogue: Path, tiny_model: Path, tmp_path: Path):
    outcome = genre(
        "evaluate", "--data-path", synthetic_catalogue, "--compare-to", "tiny", "--output-path", tmp_path / "e"
    )
    assert outcome.code == 0, outcome.err
    assert "accuracy" in outcome.out
    assert "95 % interval" in outcome.out
    assert (tmp_path / "e" / "report.html").is_file()


def test_evaluate_several_side_by_side(genre, synthetic_catalogue: Path, tiny_model: Path, tmp_path: Path):
    other = shutil.copytree(tiny_model, tmp_path / "other")
    asked = ("evaluate", "--data-path", synthetic_catalogue, "--output-path", tmp_path / "e")
    outcome = genre(*asked, "--compare-to", other)
    assert outcome.code == 0, outcome.err
    assert "better on 0, worse on 0" in outcome.out and "ms per 30 s" in outcome.out
    assert "Side by side" in (tmp_path / "e" / "report.html").read_text()
    third = shutil.copytree(tiny_model, tmp_path / "third")
    outcome = genre(*asked, *(word for model in (tiny_model, other, third) for word in ("--model", model)))
    assert outcome.code == 0, outcome.err
    assert "<p>tiny, other, third</p>" in (tmp_path / "e" / "report.html").read_text()


def test_evaluate_with_what_cannot_be(genre, synthetic_catalogue: Path, tmp_path: Path):
    assert is_error(genre("evaluate", "--data-path", tmp_path / "absent"), 1, "nothing at")
    assert is_error(genre("evaluate", "--data-path", synthetic_catalogue, "--split", "half"), 2, "--split")
    assert is_error(genre("evaluate", "--data-path", synthetic_catalogue, "--compare-to", "absent"), 1, "no model")
    twice = ("--model", "tiny", "--model", "tiny")
    assert is_error(genre("evaluate", "--data-path", synthetic_catalogue, *twice), 2, "names tiny twice")


# --- finetune ---------------------------------------------------------------------------------------------------------


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
        on_event({"kind": "epoch_ended", "epoch": 1, "train_loss": 0.5, "valid_accuracy": 0.75})
        Run(given["run_path"]).write_result({"model_folder": "the/model"})

    monkeypatch.setattr(jobs, "run_notebook", run)
    return parameters


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


def test_ctrl_c_in_a_terminal_ends_without_a_traceback(tiny_model: Path, tmp_path: Path, tone, write_wav):
    track = write_wav(tmp_path / "a.wav", tone(60.0))
    command = [sys.executable, "-m", "genre_lib.cli", "predict", *[str(track)] * 500, "--format", "jsonl"]
    environment = os.environ | {"MODEL_PATH": str(tiny_model)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.decode() == "error: stopped.\n"


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


def test_a_name_that_is_no_text_is_written_as_json_writes_it(genre, tmp_path: Path, tone, write_wav):
    song = tmp_path / os.fsdecode(b"caf\xe9.wav")
    write_wav(song, tone())
    outcome = genre("predict", song, "--format", "jsonl", "--output", tmp_path / "o.jsonl")
    assert outcome.code == 0, outcome.err
    assert json.loads((tmp_path / "o.jsonl").read_text(encoding="utf-8"))["path"] == str(song)


def test_music_that_cannot_be_split_is_refused_before_a_run_begins(genre, asked, music: Path, tmp_path: Path):
    first = next(path for path in music.rglob("*.wav"))
    (tmp_path / "two.csv").write_text(f"path,genre\n{first},jazz\n{first}.copy.wav,rock\n")
    assert is_error(genre("finetune", "--data-path", tmp_path / "two.csv"), 1, "Each genre needs tracks by 3 artists")
    assert not Path(os.environ["RUNS_PATH"]).exists()
    outcome = genre("catalogue", "check", tmp_path / "two.csv", "--strict")
    assert outcome.code == 1
    assert "cannot_be_split" in outcome.out


def test_names_of_files_cannot_command_the_terminal(genre, music: Path):
    (music / "esc\x1b[31mred\n.wav").write_bytes((music / "a.wav").read_bytes())
    out = genre("predict", music).out
    assert "\x1b" not in out and "esc\\x1b[31mred\\n.wav" in out


def test_finetuning_without_music_says_how_to_name_it(genre, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_error(genre("finetune", "--output-path", "models/mine"), 2, "Name your music by --data-path")
