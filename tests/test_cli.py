"""The ``genre`` command itself: its help, its settings, its errors and its exit codes."""

from __future__ import annotations

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
