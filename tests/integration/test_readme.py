"""What the README says to type is typed, on a small collection; what takes minutes has tests of its own."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from genre_lib.settings import REPOSITORY

README = (REPOSITORY / "README.md").read_text()
ELSEWHERE = {
    "make": "installs, or runs this suite",
    "source": "a shell's own",
    "conda": "another installer",
    "git": "fetches the repository",
    "curl": "tests/integration/test_serve.py posts the same over HTTP",
    "genre serve": "tests/integration/test_serve.py",
    "genre evaluate --model genre_classifier": "needs the sets that the results are of",
    "genre finetune": "tests/integration/test_notebooks.py runs its notebook",
    "genre predict --features": "tests/test_soundless.py, with a model of features alone",
    "genre spotify": "tests/integration/test_serve_spotify.py, with a Spotify on this machine",
    "genre models tune": "tests/test_engine_tuning.py",
    "genre models import": "tests/test_musicnn.py, without the package that this needs",
    "papermill": "tests/integration/test_notebooks.py",
    "python": "benchmarks, which take minutes",
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    """Lines of bash blocks and commands in the table of questions, in their order, without comments."""
    in_blocks = [line for block in blocks("bash") for line in block.splitlines()]
    in_table = re.findall(r"`((?:genre|curl) [^`]+)`", README)
    return [line.split("  #")[0].strip() for line in [*in_table, *in_blocks] if line.strip() and line[0] != "#"]


def is_elsewhere(command: str) -> bool:
    return any(command == name or command.startswith(f"{name} ") for name in ELSEWHERE)


@pytest.fixture(scope="module")
def user_folder(tmp_path_factory: pytest.TempPathFactory, synthetic_catalogue: Path) -> Path:
    """A folder as the README takes it: a song, music in a folder per genre, the starter, and models of one's own."""
    folder = tmp_path_factory.mktemp("user")
    shutil.copytree(synthetic_catalogue, folder / "music", ignore=shutil.ignore_patterns("*.csv", "*.json"))
    shutil.copy(next((folder / "music").rglob("*.wav")), folder / "song.mp3")
    for model in ("pretrained/genre_classifier", "models/mine", "models/playlists"):
        shutil.copytree(REPOSITORY / "pretrained" / "genre_classifier", folder / model)
    return folder


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, user_folder: Path) -> None:
    """The user's own settings: models beside the music."""
    monkeypatch.setenv("MODELS_PATH", str(user_folder / "models"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")


@pytest.mark.slow
def test_every_command_runs_as_it_stands(user_folder: Path, environment: None):
    typed = [command for command in dict.fromkeys(commands()) if not is_elsewhere(command)]
    assert len(typed) >= 8
    order = sorted(typed, key=lambda command: "catalogue build" not in command)  # the others read what it writes
    for command in order:
        done = subprocess.run(shlex.split(command), cwd=user_folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("code", blocks("python"))
def test_every_python_example_runs(code: str, user_folder: Path, environment: None):
    done = subprocess.run([sys.executable, "-c", code], cwd=user_folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_every_linked_file_is_there():
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert linked
    assert not [path for path in linked if not (REPOSITORY / path).exists()]
