"""What the README and its pages say to type is typed, on a small collection; what takes minutes has its own tests."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from genre_lib.settings import REPOSITORY

DOCS = REPOSITORY / "docs"
README = (REPOSITORY / "README.md").read_text()
PAGES = [
    README,
    *((DOCS / f"{name}.md").read_text() for name in ("finetuning", "results", "serving", "spotify", "troubleshooting")),
]
"""What is read by people who type what they read; the README first."""
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
    "genre models download": "tests/test_download.py, from a hub on this machine",
    "genre models import": "tests/test_musicnn.py, without the package that this needs",
    "papermill": "tests/integration/test_notebooks.py",
    "python": "benchmarks, which take minutes",
}


def blocks(language: str) -> list[str]:
    return [block for page in PAGES for block in re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)]


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
    pages = [REPOSITORY / "README.md", *DOCS.glob("*.md")]
    linked = [(page, path) for page in pages for path in re.findall(r"\]\((?!http)([^)#\s]+)[^)]*\)", page.read_text())]
    assert {page.name for page, _ in linked} >= {"README.md", "finetuning.md", "serving.md", "troubleshooting.md"}
    assert not [(page.name, path) for page, path in linked if not (page.parent / path).exists()]


def test_the_readme_begins_with_what_is_needed_first():
    first = README[README.index("## Quick start") : README.index("![A prediction")]
    assert len(first.rstrip().splitlines()) <= 15
    for command in ("make install", "genre predict", "genre finetune", "genre serve"):
        assert command in first
    assert len(README.splitlines()) < 220


def test_the_errors_that_troubleshooting_names_are_those_of_the_code():
    table = re.findall(r"^\| (`.*?) \|", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    named = [text for cell in table for text in re.findall(r"`([^`]+)`", cell) if not text.startswith("genre:")]
    assert len(table) == 10
    said = "\n".join(sentences())
    pieces = [piece for text in named for piece in re.split("…|\\.{3}", text) if len(piece.strip()) > 3]
    assert pieces and not [piece for piece in pieces if piece.strip() not in said]


def sentences() -> list[str]:
    """Texts of the package's sources, as one where they are written in several; what is filled in is left out."""
    trees = [ast.parse(path.read_text()) for path in (REPOSITORY / "genre_lib").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    whole = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    filled = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    return whole + ["…".join(str(v.value) for v in f.values if isinstance(v, ast.Constant)) for f in filled]
