"""The ``genre`` command itself: its help, its settings, its errors and its exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import is_error


def test_a_slip_in_the_settings_file_is_told_and_the_command_goes_on(genre, tmp_path: Path):
    (tmp_path / ".env").write_text("MODELS_PAHT=elsewhere\n")
    outcome = genre("models", "list")
    assert outcome.code == 0
    assert outcome.err.splitlines() == [
        "warning: .env names MODELS_PAHT, which is no setting and changes nothing; did you mean MODELS_PATH?"
    ]
    assert genre("models", "list", "--help").err == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("predict", ""), "An argument is empty"),
        (("predict", "a.wav", "--model", ""), "The value of --model is empty"),
        (("",), "An argument is empty"),
        (("predic",), "Did you mean 'predict'? See"),
        (("evaluate", "--seed", "-1"), "'--seed'"),
        (("catalogue", "review", "x", "--seed", str(2**32)), "'--seed'"),
        (("models", "tune", "x", "--seed", "-1"), "'--seed'"),
        (("generate", "--output", "a.wav", "--prompt", "x" * 1001), "has 1,001 letters, of which 1,000 are the most"),
        (("batch-size", "--method", "head", "--set", "solver=lbfgs"), "solved for at once and without batches"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(genre, arguments: tuple[str, ...], said: str):
    assert is_error(genre(*arguments), 2, said)


def test_a_name_without_end_does_not_fill_the_terminal(genre):
    outcome = genre("predict", "a.wav", "--model", "x" * 5000)
    assert is_error(outcome, 1, "x" * 100 + "…")
    assert len(outcome.err) < 500


def test_a_folder_that_is_gone_is_said_to_be_so(tmp_path: Path):
    code = "import os, sys; os.rmdir(os.getcwd()); from genre_lib.cli import main; sys.exit(main(['models', 'list']))"
    (tmp_path / "gone").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "gone", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: The folder that this is run in is not there any more")


def test_a_pipe_is_told_from_nothing(genre, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    assert is_error(genre("catalogue", "check", tmp_path / "pipe"), 1, "pipe, but a pipe or a device; name a folder")
    assert "pipe, but a pipe or a device. Check" in genre("predict", tmp_path / "pipe", "--format", "jsonl").out


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
