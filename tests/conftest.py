"""Fixtures: small real things, written under ``tmp_path``."""

from __future__ import annotations

import os
import signal
import ssl
import wave
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from genre_lib.imports import uncollected

if TYPE_CHECKING:
    import trustme
    from accounts_service import Accounts
    from command_line import Outcome
    from fetch_sites import Site
    from library_server import LibraryServer

    from genre_lib.spotify.invented_world import World

os.environ.setdefault("WANDB_MODE", "disabled")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait sleep, and leave the core to the others

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure() -> None:
    """Heed SIGINT, and so let every child: where tests run in the background, the shell has it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import the tests, and with them nearly all there is, apart from the collector."""
    with uncollected("torch"):
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, or at the end one process would wait for the other's."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real audio; the test skips where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real audio (../shared/data) is absent")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the user's caches, models, runs and ``.env``."""
    home = tmp_path_factory.mktemp("home")
    for variable, folder in {"CACHE_PATH": "cache", "MODELS_PATH": "models", "RUNS_PATH": "runs"}.items():
        monkeypatch.setenv(variable, str(home / folder))


def make_tone(seconds: float = 1.0, frequency: float = 440.0, sample_rate: int = 22050) -> np.ndarray:
    """A sine at half of full scale: float32 [samples]."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return (0.5 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def write_pcm16(path: Path, waveform: np.ndarray, sample_rate: int = 22050) -> Path:
    """A mono 16-bit WAV by the standard library, so that the code under test does not write its own input."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((np.clip(waveform, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture
def tone() -> Callable[..., np.ndarray]:
    return make_tone


@pytest.fixture
def write_wav() -> Callable[..., Path]:
    return write_pcm16


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small network with random weights, saved as every model is."""
    import torch

    from genre_lib.data.synthetic_tracks import SYNTH_GENRES
    from genre_lib.models.cnn import GenreCNNConfig, GenreCNNForAudioClassification
    from genre_lib.models.folder import GenreModel, InferenceSettings, save
    from genre_lib.models.logmel import LogMelFeatureExtractor

    torch.manual_seed(0)
    config = GenreCNNConfig.tiny(labels=SYNTH_GENRES)
    model = GenreModel(
        network=GenreCNNForAudioClassification(config).eval(),
        extractor=LogMelFeatureExtractor(),
        inference=InferenceSettings(clip_seconds=3.0, hop_seconds=3.0),
    )
    return save(model, tmp_path_factory.mktemp("tiny") / "tiny").folder


@pytest.fixture(scope="session")
def synthetic_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small synthetic catalogue: four genres, six tracks of six seconds each."""
    from genre_lib.data import synthetic

    root = tmp_path_factory.mktemp("synthetic") / "music"
    synthetic.make(root, tracks_per_genre=6, seconds=6.0, seed=0)
    return root


@pytest.fixture
def accounts() -> Accounts:
    """What the accounts service of a Spotify on this machine shall do, and what it was asked."""
    from accounts_service import Accounts

    return Accounts()


@pytest.fixture
def server(world: World, accounts: Accounts) -> Iterator[LibraryServer]:
    """A Spotify on this machine, with the library that the tests of a module call ``world``."""
    from library_server import serving

    with serving(world, accounts) as running:
        yield running


@pytest.fixture
def site() -> Iterator[Site]:
    """A web site on loopback."""
    from fetch_sites import Site

    running = Site()
    yield running
    running.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Of certificates that only tests trust."""
    import trustme

    return trustme.CA()


@pytest.fixture
def secure_site(authority: trustme.CA) -> Iterator[Site]:
    """HTTPS, with a certificate for music.example alone."""
    from fetch_sites import Site

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("music.example").configure_cert(context)
    running = Site(tls=context)
    yield running
    running.close()


@pytest.fixture
def genre(capsys: pytest.CaptureFixture, monkeypatch, tiny_model: Path, tmp_path: Path) -> Callable[..., Outcome]:
    """Run a command in this process, as ``main`` does, with the tiny model as the starter."""
    from command_line import Outcome

    from genre_lib import cli

    monkeypatch.setenv("MODEL_PATH", str(tiny_model))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Outcome:
        code = cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run
