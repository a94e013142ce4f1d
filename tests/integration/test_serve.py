"""The whole service: real processes on a free port, asked over HTTP."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av
import httpx
import numpy as np
import psutil
import pytest

from genre_lib import registry
from genre_lib.settings import get_settings

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 120
MAX_SECONDS = 60

PLAIN = {"verify": False}
"""Of what is asked many times over plain HTTP: the certificates that would be read each time take 20 ms."""


@dataclass
class Server:
    """A running server, and what it was started with."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    environment: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def health(self) -> dict:
        return httpx.get(f"{self.url}/health", timeout=10, **PLAIN).json()

    def predict(self, name: str, content: bytes, **fields) -> httpx.Response:
        files = {"file": (name, content)}
        return httpx.post(f"{self.url}/predict", files=files, data=fields, timeout=150, **PLAIN)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def worker(self) -> psutil.Process:
        """The process with the model in it."""
        return psutil.Process(self.health()["worker"]["pid"])

    def analysis(self) -> psutil.Process:
        """The process that computes descriptors."""
        return psutil.Process(self.health()["analysis"]["pid"])

    def analyze(self, name: str, content: bytes) -> httpx.Response:
        files = {"file": (name, content)}
        return httpx.post(f"{self.url}/analyze/features", files=files, timeout=150, **PLAIN)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.2)


def start(folder: Path, model: Path, **settings: str) -> Server:
    port = free_port()
    environment = (
        os.environ
        | {
            "MODEL_PATH": str(model),
            "MODELS_PATH": str(folder / "models"),
            "TMPDIR": str(folder),
            "OMP_NUM_THREADS": "1",
            "CACHE_PATH": str(folder / "cache"),
            "MAX_AUDIO_BYTES": str(3 * 1024**2),
            "MAX_AUDIO_SECONDS": str(MAX_SECONDS),
            "REQUEST_TIMEOUT": "120",
        }
        | settings
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, REPOSITORY / "serve.py", "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    server = Server(process, port, folder, environment)
    until(lambda: answers(server) or process.poll() is not None, "the server starts")
    assert process.poll() is None, server.log
    return server


def answers(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/health", timeout=5, **PLAIN).status_code == 200
    except httpx.TransportError:
        return False


def ended(processes: list[psutil.Process]) -> bool:
    return all(not process.is_running() or process.status() == psutil.STATUS_ZOMBIE for process in processes)


def clean(server: Server) -> None:
    """What a test left: the processes of the server's own session."""
    for process in [*(server.children() if server.process.poll() is None else []), server.process]:
        try:
            process.kill()
        except (psutil.Error, OSError):
            continue
    server.process.wait()


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start(tmp_path_factory.mktemp("serve"), tiny_model)
    yield running
    clean(running)


@pytest.fixture
def wav(tmp_path: Path, tone, write_wav) -> bytes:
    return write_wav(tmp_path / "tone.wav", tone(5.0)).read_bytes()


def other(wav: bytes, number: int) -> bytes:
    """The same sound as other content: bytes behind the samples, which no decoder reads."""
    return wav + b"other" + number.to_bytes(4, "big")


def bomb(path: Path, seconds: int) -> bytes:
    """Silence in FLAC: hours of it in less than a MiB."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("flac", rate=8000, layout="mono", format="s16")
        for start in range(0, seconds * 8000, 4000):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.int16), "s16", "mono")
            frame.sample_rate, frame.pts = 8000, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path.read_bytes()


def is_error(response: httpx.Response, status: int, code: str) -> bool:
    return (response.status_code, response.json()["code"], set(response.json())) == (status, code, {"detail", "code"})


def test_it_says_where_it_serves_and_what(server: Server):
    assert f"Serving tiny ({server.health()['model']['version']}) at {server.url}" in server.log
    assert httpx.get(f"{server.url}/models").json()["models"][1]["name"] == "tiny"


def test_a_good_file(server: Server, wav: bytes):
    answer = server.predict("tone.wav", wav, top_k=2).json()
    assert set(answer) == {"model_name", "model_version", "duration", "predictions"}
    assert (answer["model_name"], answer["duration"], len(answer["predictions"])) == ("tiny", 5.0, 2)
    assert answer["predictions"][0]["confidence"] >= answer["predictions"][1]["confidence"]
    assert server.predict("tone.wav", wav, timeline=True).json()["timeline"][-1]["end"] == 5.0


def test_the_same_content_is_predicted_once(server: Server, wav: bytes):
    fresh = server.predict("one.wav", other(wav, 1000), top_k=4)
    again = server.predict("two.wav", other(wav, 1000), top_k=4)
    assert fresh.headers["X-Batch-Size"] == "1"
    assert (again.headers["X-Cache"], again.content) == ("hit", fresh.content)


def test_a_batch_shares_passes_and_keeps_its_order(server: Server, wav: bytes):
    before = server.health()["batches"]
    contents = [other(wav, 2000 + number) for number in range(8)]
    contents[3] = b"broken " * 99
    files = [("files", (f"{number}.wav", content)) for number, content in enumerate(contents)]
    response = httpx.post(f"{server.url}/predict/batch", files=files, data={"top_k": 1}, timeout=150)
    items = response.json()["results"]
    assert [item["name"] for item in items] == [f"{number}.wav" for number in range(8)]
    assert [item["status"] for item in items] == [200, 200, 200, 415, 200, 200, 200, 200]
    until(
        lambda: server.health()["batches"]["tracks"] >= before["tracks"] + 7, "the worker told its counts", seconds=10
    )
    assert server.health()["batches"]["passes"] - before["passes"] < 7


def test_descriptors(server: Server, wav: bytes):
    until(lambda: server.health()["analysis"]["state"] == "ready", "the analysis process is warm")
    answer = server.analyze("tone.wav", wav)
    assert answer.status_code == 200
    told = answer.json()
    assert told["duration"] == pytest.approx(5.0)
    assert told["loudness"] == pytest.approx(-9.7, abs=0.5)  # a sine at half of full scale, at -9.03 dB
    assert server.analyze("again.wav", wav).json() == told
    assert is_error(server.analyze("x.mp3", b"no audio " * 100), 415, "not_audio")


def test_a_track_that_unfolds_to_hours_ends_at_the_limit(server: Server, tmp_path: Path):
    content = bomb(tmp_path / "bomb.flac", seconds=2 * 3600)
    assert len(content) < 2 * 1024**2
    decoded = MAX_SECONDS * 22050 * 4
    for process, ask in ((server.worker(), server.predict), (server.analysis(), server.analyze)):
        before = process.memory_info().rss
        response = ask("bomb.flac", content)
        assert is_error(response, 422, "audio_too_long")
        assert str(server.folder) not in response.text
        assert process.memory_info().rss < before + 8 * decoded  # two hours would take 120 times as much


def test_bad_requests(server: Server, wav: bytes):
    assert is_error(server.predict("x.mp3", b"no audio " * 100), 415, "not_audio")
    assert is_error(server.predict("x.mp3", b""), 422, "empty_audio")
    assert is_error(server.predict("x.wav", wav, top_k=0), 422, "invalid_request")
    assert is_error(server.predict("x.wav", wav, model_name="absent"), 404, "model_not_found")
    assert is_error(server.predict("x.wav", wav, model_name="../tiny"), 404, "model_not_found")
    assert is_error(server.predict("x.wav", bytes(3 * 1024**2 + 1)), 413, "audio_too_large")
    assert is_error(server.predict("x.wav", bytes(5 * 1024**2)), 413, "audio_too_large")
    assert is_error(httpx.post(f"{server.url}/predict", files={"audio": wav}), 422, "invalid_request")
    assert is_error(httpx.get(f"{server.url}/nowhere"), 404, "not_found")


def test_every_odd_file(server: Server, real_data: Path):
    refused = {"corrupt_headeronly.wav": 415, "empty.mp3": 422, "text_renamed.mp3": 415}
    for file in sorted((real_data / "odd_files").iterdir()):
        response = server.predict(file.name, file.read_bytes())
        assert response.status_code == refused.get(file.name, 200), f"{file.name}: {response.text}"


def test_eight_clients_with_one_broken_file_in_ten(server: Server, wav: bytes):
    def post(number: int) -> tuple[bool, httpx.Response]:
        broken = number % 10 == 9
        return broken, server.predict("x.mp3", b"broken " * 99 if broken else other(wav, number))

    with ThreadPoolExecutor(8) as clients:
        responses = list(clients.map(post, range(80)))
    assert [response.status_code for broken, response in responses if broken] == [415] * 8
    good = [response for broken, response in responses if not broken]
    assert [response.status_code for response in good] == [200] * 72
    passes = sum(1 / int(response.headers["X-Batch-Size"]) for response in good)
    assert passes == pytest.approx(round(passes))  # every track of a pass names its size
    assert 72 / passes > 1
    until(lambda: server.health()["batches"]["tracks"] >= 72, "the worker told its counts", seconds=10)


def test_a_promoted_model_is_served_without_a_restart(server: Server, wav: bytes):
    models = server.folder / "models"
    shutil.copytree(server.environment["MODEL_PATH"], models / "better")
    processes = {process.pid for process in server.children()}
    registry.promote("better", get_settings(models_path=models))
    names = []
    until(lambda: names.append(server.predict("x.wav", wav).json()["model_name"]) or names[-1] == "better", "exchanged")
    assert set(names) <= {"tiny", "better"}
    assert server.health()["model"]["name"] == "better"
    assert {process.pid for process in server.children()} == processes
    assert server.predict("x.wav", wav, model_name="tiny").json()["model_name"] == "tiny"


def test_a_killed_worker_is_started_again(server: Server, wav: bytes):
    worker = server.worker()
    with ThreadPoolExecutor(1) as client:
        os.kill(worker.pid, signal.SIGSTOP)  # so that it dies with the request in its hands, or in its queue
        request = client.submit(server.predict, "x.wav", wav)
        time.sleep(0.5)
        worker.kill()
        until(lambda: httpx.get(f"{server.url}/health", **PLAIN).status_code == 503, "the death is noticed")
        response = request.result()
    assert response.status_code == 200 or is_error(response, 503, "worker_died")
    until(lambda: answers(server), "the worker is back")
    assert server.predict("x.wav", wav).status_code == 200
    assert server.worker().pid != worker.pid


def test_a_killed_analysis_holds_up_no_prediction_and_is_started_again(server: Server, wav: bytes):
    analysis, worker = server.analysis(), server.worker()
    with ThreadPoolExecutor(1) as client:
        os.kill(analysis.pid, signal.SIGSTOP)
        request = client.submit(server.analyze, "x.wav", other(wav, 3000))
        until(lambda: list(server.folder.glob("genre-serve-*/upload-*")) != [], "the track lies there", seconds=10)
        assert server.predict("x.wav", wav).status_code == 200
        analysis.kill()
        until(lambda: server.health()["analysis"]["state"] != "ready", "the death is noticed")
        assert server.predict("x.wav", other(wav, 3001)).status_code == 200
        response = request.result()
    assert response.status_code == 200 or is_error(response, 503, "worker_died")
    until(lambda: server.health()["analysis"]["state"] == "ready", "the analysis process is back")
    assert server.analyze("x.wav", wav).status_code == 200
    assert server.health()["analysis"]["restarts"] == 1
    assert server.analysis().pid != analysis.pid
    assert server.worker().pid == worker.pid


def test_a_port_in_use_is_told_before_anything_starts(server: Server):
    command = [sys.executable, REPOSITORY / "serve.py", "--port", str(server.port)]
    second = subprocess.run(command, env=server.environment, capture_output=True, text=True)
    assert second.returncode == 2
    assert second.stderr.startswith(f"error: Port {server.port} of 127.0.0.1 cannot be used")
    assert second.stderr.count("\n") == 1


def test_sigterm_ends_everything(server: Server):
    processes = server.children()
    assert len(processes) >= 4
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=30) == 0
    until(lambda: ended(processes), "no process is left", seconds=5)
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", server.port))
    assert not list(server.folder.glob("genre-serve-*"))
    assert "Traceback" not in server.log


def test_a_killed_http_process_ends_the_server(tiny_model: Path, tmp_path: Path):
    """LitServe itself would go on without a port."""
    server = start(tmp_path, tiny_model)
    processes = server.children()
    with httpx.Client() as client:
        client.get(f"{server.url}/health")
        answering = next(process for process in processes if answers_at(process, server.port))
    answering.kill()
    assert server.process.wait(timeout=60) == 1
    assert "The HTTP process ended by itself" in server.log
    until(lambda: ended(processes), "no process is left", seconds=20)


def answers_at(process: psutil.Process, port: int) -> bool:
    """Whether the process has a client: others hold the port, too, which they were started with."""
    connections = process.net_connections("tcp")
    return any(one.laddr.port == port and one.status == psutil.CONN_ESTABLISHED for one in connections)


def test_a_killed_main_process_leaves_no_orphans(tiny_model: Path, tmp_path: Path):
    server = start(tmp_path, tiny_model)
    processes = server.children()
    server.process.kill()
    server.process.wait()
    until(lambda: ended(processes), "no process is left", seconds=20)
    assert [*tmp_path.glob("genre-serve-*"), *tmp_path.glob("pymp-*")] == []


def test_a_model_that_cannot_be_loaded_is_told_in_one_line(tiny_model: Path, tmp_path: Path):
    shutil.copytree(tiny_model, tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"broken")
    environment = os.environ | {"MODEL_PATH": str(tmp_path / "broken"), "PORT": str(free_port())}
    command = [sys.executable, REPOSITORY / "serve.py"]
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert "weights that cannot be read" in ended.stderr
    assert ended.stderr.count("\n") == 1
