"""What LitServe 0.2.19 does by itself, and is kept from here: see also ``tests/integration/test_serve.py``."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import queue
import subprocess
import sys
import time
from pathlib import Path

import pytest
from service_fakes import client_of
from starlette.formparsers import MultiPartParser
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES

from genre_lib.errors import ConfigurationError
from genre_lib.service import loop, status
from genre_lib.service.analysis_api import AnalysisAPI
from genre_lib.service.analyze import Features
from genre_lib.service.api import NOT_LOADED, GenreAPI, WorkerAPI
from genre_lib.service.app import create_server
from genre_lib.service.limits import MIB, STREAMS
from genre_lib.service.loop import PatientLoop
from genre_lib.service.messages import Answer, PredictRequest, TrackRequest, refusal
from genre_lib.service.server import GenreServer
from genre_lib.service.status import WorkerStatus
from genre_lib.settings import Settings, get_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return get_settings(models_path=tmp_path / "models")


@pytest.fixture
def server(settings: Settings, tmp_path: Path) -> GenreServer:
    return create_server(settings, tmp_path)


def test_readiness_is_keyed_on_the_last_segment_so_these_differ(server: GenreServer):
    last = [api.api_path.split("/")[-1] for api in server.apis]
    assert len(set(last)) == len(last) == 2


def test_each_worker_is_ready_by_itself(server: GenreServer):
    server.workers_setup_status = {"predict_0": "ready", "features_0": "starting"}
    assert (server.worker.ready(), server.analysis.ready()) == (True, False)
    server.workers_setup_status = {"predict_0": "starting", "features_0": "ready"}
    assert (server.worker.ready(), server.analysis.ready()) == (False, True)
    server.workers_setup_status = {}
    assert (server.worker.ready(), server.analysis.ready()) == (False, False)


def test_one_worker_each_whatever_the_machine_has(server: GenreServer):
    assert [server._inference_workers_config_for_api(api.api_path) for api in server.apis] == [["cpu"], ["cpu"]]


def test_its_own_routes_are_not_there(settings: Settings, tmp_path: Path):
    client = client_of(settings, tmp_path)
    assert client.get("/info").status_code == client.post("/shutdown").status_code == 404
    assert client.get("/").json()["name"] == "genre_lib"  # not "litserve running"


def test_its_key_guards_nothing_and_opens_nothing(settings: Settings, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("litserve.server.LIT_SERVER_API_KEY", "theirs")
    client = client_of(settings, tmp_path)
    assert client.get("/models").status_code == 200
    assert client.delete("/models/x", headers={"X-API-Key": "theirs"}).status_code == 403


def test_its_own_limit_of_bodies_is_off_for_ours_tells_routes_apart(server: GenreServer):
    assert server.max_payload_size is None
    assert "MaxSizeMiddleware" not in {layer.cls.__name__ for layer in server.app.user_middleware}


def test_uploads_are_not_held_in_memory(server: GenreServer):
    assert MultiPartParser.spool_max_size == MIB  # LitServe sets it to sys.maxsize when it is imported


def test_the_http_process_loads_no_network():
    """It would take seconds to start, and hundreds of MB beside the worker's."""
    code = (
        "import sys; from pathlib import Path; from genre_lib.service.app import create_server; "
        "from genre_lib.settings import get_settings; create_server(get_settings(), Path('.')).app.openapi(); "
        "print({'torch', 'transformers', 'librosa', 'scipy', 'pandas', 'lightning'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_streams_are_not_compressed_which_would_hold_them_back():
    assert "text/event-stream" in DEFAULT_EXCLUDED_CONTENT_TYPES
    assert STREAMS == ("/finetune/events/",)


def test_apis_can_be_sent_to_their_processes(server: GenreServer):
    for api in server.apis:
        assert pickle.loads(pickle.dumps(api)).api_path == api.api_path


def test_an_idle_worker_sleeps(settings: Settings, tmp_path: Path):
    """LitServe's own loop asks its queue a thousand times a second."""

    class Counted(queue.Queue):
        waits: list[float | None]

        def get(self, block: bool = True, timeout: float | None = None):
            self.waits.append(timeout)
            raise queue.Empty

    for api in (GenreAPI(settings, tmp_path), AnalysisAPI(settings, tmp_path)):
        empty = Counted()
        empty.waits = []
        assert isinstance(api.loop, PatientLoop)
        assert PatientLoop.get_batch_requests(api.loop, api, empty, None) == ([], [])
        assert empty.waits == [loop.IDLE_SECONDS]


def test_a_worker_whose_manager_is_gone_ends(settings: Settings, tmp_path: Path):
    class Gone(queue.Queue):
        def get(self, block: bool = True, timeout: float | None = None):
            raise EOFError

    with pytest.raises(SystemExit):
        GenreAPI(settings, tmp_path).loop.get_batch_requests(GenreAPI(settings, tmp_path), Gone(), None)


def test_whatever_a_worker_meets_can_be_sent_back():
    """An error that cannot be pickled would kill the worker: answers hold texts alone."""

    class Unpicklable(Exception):
        def __reduce__(self):
            raise TypeError("no")

    answer = refusal(Unpicklable("x"), PredictRequest("/p", "x.mp3"))
    assert pickle.loads(pickle.dumps(answer)) == answer
    assert answer.status == 500


def test_answers_and_requests_are_small(tmp_path: Path):
    """They go through a manager's queue; what is heard goes as a file."""
    assert len(pickle.dumps(PredictRequest("/tmp/x" * 20, "name", digest="0" * 64))) < 1000


# --- what workers say of themselves -----------------------------------------------------------------------------------


class Idle(WorkerAPI):
    """Needs nothing, and answers nothing."""

    def load(self) -> None:
        pass

    def answers(self, requests: list) -> list[Answer]:
        return []


def test_starts_are_counted_over_processes(settings: Settings, tmp_path: Path):
    for starts in (1, 2, 3):
        said = WorkerStatus.begun(tmp_path)
        said.write(tmp_path)
        assert status.read(tmp_path).starts == starts
    assert status.read(tmp_path, status.ANALYSIS_FILE).starts == 0


def test_a_process_is_alive_or_not():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert WorkerStatus(pid=os.getpid()).alive
    assert not WorkerStatus(pid=child).alive
    assert not WorkerStatus().alive
    assert WorkerStatus().uptime == 0


def test_work_is_remembered_until_memory_was_given_back(settings: Settings, tmp_path: Path):
    api = Idle(settings, tmp_path, api_path="/x")
    assert not api.worked
    assert api.predict([]) == []
    assert api.worked


NO_DEVICE = "There is no such device."


class Broken(Idle):
    """Cannot begin."""

    def load(self) -> None:
        raise ConfigurationError(NO_DEVICE)


def ended(api: WorkerAPI) -> multiprocessing.Process:
    """A process that began with the worker's setup, and has ended."""
    process = multiprocessing.get_context("fork").Process(target=api.setup, args=("cpu",))
    process.start()
    process.join()
    return process


def test_the_log_says_why_a_worker_ended_if_it_left_the_reason(server: GenreServer, tmp_path: Path, caplog):
    server.workers_setup_status = {"x_0": "ready"}
    broken = Broken(server.apis[0].settings, tmp_path, api_path="/x")
    server._tell_of_the_end(broken, ended(broken), 4.0)
    said = f"a worker ended by itself ({NOT_LOADED}) and is started again in 4 seconds: {NO_DEVICE}"
    assert caplog.messages[-1] == said
    assert server.workers_setup_status == {"x_0": "starting"}  # so that its requests are released, pause or not
    idle = Idle(server.apis[0].settings, tmp_path, api_path="/x")
    server._tell_of_the_end(idle, ended(idle), 0.0)
    assert caplog.messages[-1] == "a worker ended by itself (0) and is started again"


def test_a_damaged_track_is_described_with_a_warning(settings: Settings, tmp_path: Path, tone, write_wav):
    whole = write_wav(tmp_path / "laid_down", tone(4.0)).read_bytes()
    (tmp_path / "laid_down").write_bytes(whole[: len(whole) // 2])
    api = AnalysisAPI(settings.model_copy(update={"cache_path": tmp_path / "cache"}), tmp_path)
    api.setup("cpu")
    answer = api.answer(TrackRequest(tmp_path / "laid_down", "song.wav"))
    assert answer.content["warning"].startswith("song.wav claims 4.00 s, but only 2.00 s could be decoded")
    assert Features.model_validate(answer.content).claimed_duration == pytest.approx(4, abs=0.01)


@pytest.mark.parametrize(("seconds", "code"), [(59.0, 0), (61.0, 1)])
def test_an_analysis_that_nobody_waits_for_ends_its_process(settings: Settings, tmp_path: Path, seconds, code):
    api = AnalysisAPI(settings, tmp_path)
    assert settings.request_timeout == 60
    api.busy_since = time.monotonic() - seconds
    child = os.fork()
    if child == 0:
        api.look_after()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code
