"""Models that come from outside: what is refused, by what it is; what is taken in, whole; and what is left behind."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from service_fakes import client_of, is_error

from genre_lib import api_keys
from genre_lib.errors import ModelInvalid, UploadRefused
from genre_lib.service import model_check, model_trial, model_zip, upload
from genre_lib.service.app import FORM_BYTES
from genre_lib.service.model_schemas import ModelEntry
from genre_lib.settings import Settings, get_settings

Files = dict[str, bytes]


@pytest.fixture
def files(tiny_model: Path) -> Files:
    """A model folder's files by name."""
    return {path.name: path.read_bytes() for path in sorted(tiny_model.iterdir())}


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def with_entry(files: Files, name: str, data: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> bytes:
    """A good model, and beside it one more entry as it stands."""
    content = io.BytesIO(zipped(files))
    info = zipfile.ZipInfo(name)
    info.filename = info.orig_filename = name  # ZipInfo itself cuts at a NUL
    info.create_system, info.external_attr = 3, mode << 16
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr(info, data)
    return content.getvalue()


def config_with(files: Files, **fields) -> Files:
    return files | {"config.json": json.dumps(json.loads(files["config.json"]) | fields).encode()}


def unpack(content: bytes, folder: Path, max_bytes: int = 2**30) -> dict[str, bytes]:
    model_zip.unpack(io.BytesIO(content), folder, max_bytes)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- the zip ----------------------------------------------------------------------------------------------------------


def test_a_zip_is_unpacked_without_its_top_folder(files: Files, tmp_path: Path):
    for number, prefix in enumerate(("", "model/", "a model/")):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        assert unpack(zipped({f"{prefix}{name}": data for name, data in files.items()}), folder) == files


def test_what_file_managers_leave_is_passed_over(files: Files, tmp_path: Path):
    left = {"m/.DS_Store": b"x", "__MACOSX/m/._config.json": b"x", "m/.gitattributes": b"x", "m/": b""}
    assert unpack(zipped({f"m/{name}": data for name, data in files.items()} | left), tmp_path) == files


ESCAPES = [
    "../evil.json",
    "m/../../evil.json",
    "/etc/evil.json",
    "C:/evil.json",
    "C:evil.json",
    "..\\evil.json",
    "a\\b.json",
]
ESCAPES += [
    "\\\\host\\share\\evil.json",
    "evil.json\0.txt",
    "//evil.json",
    "./evil.json",
    "a//b.json",
    "..",
    "new\nline.json",
]


@pytest.mark.parametrize("name", ESCAPES)
def test_names_that_lead_elsewhere_are_refused(files: Files, tmp_path: Path, name: str):
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    with pytest.raises(UploadRefused, match="The zip names"):
        unpack(with_entry(files, name), inside)
    assert not list(inside.iterdir())
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused(files: Files, tmp_path: Path, kind: int):
    with pytest.raises(UploadRefused, match="link or device"):
        unpack(with_entry(files, "evil.json", b"/etc/passwd", kind | 0o777), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pytorch_model.bin", "may hold code"),
        ("model.PT", "may hold code"),
        ("weights.pkl", "may hold code"),
        ("last.ckpt", "may hold code"),
        ("modeling_genre.py", "may hold code"),
        ("run.sh", "no kind"),
        ("model", "no kind"),
        (".hidden.json", "no kind"),
        ("model.safetensors.exe", "no kind"),
        ("figures/a.png", "within"),
        ("ünicode.json", "no kind"),
    ],
)
def test_files_of_other_kinds_are_refused(files: Files, tmp_path: Path, name: str, says: str):
    with pytest.raises(UploadRefused, match=says):
        unpack(with_entry(files, name), tmp_path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["config.json", "CONFIG.json", "Model.SafeTensors"])
def test_a_name_that_comes_twice_is_refused(files: Files, tmp_path: Path, name: str):
    with pytest.raises(UploadRefused, match="same name"):
        unpack(with_entry(files, name), tmp_path)


def test_an_encrypted_member_is_refused(files: Files, tmp_path: Path):
    content = bytearray(zipped(files))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    with pytest.raises(UploadRefused, match="encrypted"):
        unpack(bytes(content), tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_methods_are_refused(files: Files, tmp_path: Path, method: int):
    with pytest.raises(UploadRefused, match="deflate"):
        unpack(zipped(files, method), tmp_path)


def test_too_many_entries_are_refused(tmp_path: Path):
    with pytest.raises(UploadRefused, match="65 entries"):
        unpack(zipped({f"{number}.json": b"{}" for number in range(65)}), tmp_path)


def test_bytes_are_counted_as_they_come_out(files: Files, tmp_path: Path):
    zeros = bytes(3 * 2**20)
    with pytest.raises(UploadRefused, match="1 MiB"):
        unpack(zipped(files | {"more.safetensors": zeros}), tmp_path, max_bytes=2**20)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2**20


def test_a_header_that_lies_about_the_size_is_not_believed(files: Files, tmp_path: Path):
    name = b"more.safetensors"
    content = bytearray(zipped({"more.safetensors": bytes(3 * 2**20)}))
    at = content.index(b"PK\x01\x02")
    assert content[at + 46 : at + 46 + len(name)] == name
    content[at + 24 : at + 28] = struct.pack("<I", 10)  # the uncompressed size, in the list of members
    with pytest.raises(UploadRefused):
        unpack(bytes(content), tmp_path, max_bytes=2**20)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2**20


def test_a_bomb_ends_at_its_ratio(tmp_path: Path):
    bomb = zipped({"model.safetensors": bytes(40 * 2**20)})
    assert len(bomb) < 2**16
    with pytest.raises(UploadRefused, match="16 MiB"):
        unpack(bomb, tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= model_zip.RATIO_FROM


def test_a_file_without_weights_is_small(files: Files, tmp_path: Path):
    noise = os.urandom(9 * 2**20)
    with pytest.raises(UploadRefused, match=r"config\.json unpacks to more than the 8 MiB"):
        unpack(zipped(files | {"config.json": noise}), tmp_path)


@pytest.mark.parametrize("broken", ["text", "cut", "crc", "empty", "no files", "header"])
def test_a_broken_zip_is_refused(files: Files, tmp_path: Path, broken: str):
    content = bytearray(zipped(files, zipfile.ZIP_STORED))
    if broken == "text":
        content = bytearray(b"no zip at all " * 100)
    elif broken == "cut":
        del content[len(content) // 2 :]
    elif broken == "crc":
        content[200] ^= 0xFF
    elif broken == "empty":
        content = bytearray()
    elif broken == "no files":
        content = bytearray(zipped({}))
    elif broken == "header":
        content[30] ^= 0xFF  # the first name, and not in the list of members
    with pytest.raises(UploadRefused, match=r"no zip|empty"):
        unpack(bytes(content), tmp_path)


# --- the model --------------------------------------------------------------------------------------------------------


def check(files: Files, folder: Path) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    model_check.check(folder)


def test_a_good_model_passes(files: Files, tmp_path: Path):
    check(files, tmp_path)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"auto_map": {"AutoConfig": "evil.Config"}}, r"code of its own \(auto_map\)"),
        ({"deep": [{"auto_map": {}}]}, r"code of its own \(auto_map\)"),
        ({"custom_pipelines": {}}, "code of its own"),
        ({"weight_map": {"a": "../../other.safetensors"}}, "not in the zip"),
        ({"model_type": "bert"}, "could not be read"),
        ({"model_type": "no_such_type"}, "could not be read"),
        ({"id2label": {"0": "rock"}, "label2id": {"rock": 0}}, "could not be read|genres"),
        ({"inference": {"clip_seconds": 1e9}}, "cuts clips of 1e\\+09 s"),
        ({"inference": {"clip_seconds": 3.0, "hop_seconds": 1e-6}}, "every 1e-06 s"),
        ({"inference": {"clip_seconds": -1}}, "must be positive"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(files: Files, tmp_path: Path, fields: dict, says: str):
    with pytest.raises((UploadRefused, ModelInvalid), match=says):
        check(config_with(files, **fields), tmp_path)


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "ro\nck", "jazz ", "\u202ekcor"])
def test_genres_that_cannot_be_shown_are_refused(files: Files, tmp_path: Path, name: str):
    labels = json.loads(files["config.json"])["id2label"] | {"0": name}
    with pytest.raises(UploadRefused, match="A genre is called"):
        check(config_with(files, id2label=labels), tmp_path)


def test_genres_are_told_apart(files: Files, tmp_path: Path):
    labels = json.loads(files["config.json"])["id2label"]
    with pytest.raises(UploadRefused, match="same name"):
        check(config_with(files, id2label=labels | {"0": labels["1"].upper()}), tmp_path)


def test_numbers_that_are_not_finite_are_refused(files: Files, tmp_path: Path):
    from safetensors.torch import load, save

    tensors = load(files["model.safetensors"])
    last = max(name for name in tensors if name.endswith("weight") and tensors[name].ndim == 2)
    tensors[last] = tensors[last] * float("nan")
    with pytest.raises(UploadRefused, match="not finite"):
        check(files | {"model.safetensors": save(tensors, {"format": "pt"})}, tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.json", b"{", "no JSON"),
        ("config.json", b"[" * 100_000, "no JSON"),
        ("config.json", b"[]", "must hold an object"),
        ("model.safetensors", b"broken", "weights that cannot be read"),
        ("more.safetensors", b"broken", "weights that cannot be read"),
        ("model.safetensors", struct.pack("<Q", 2) + b"{}", "weights lack"),
        ("preprocessor_config.json", b'{"sampling_rate": 1}', "could not be read|samples a second"),
        ("metrics.json", b'{"accuracy": "good"}', r"metrics\.json is no evaluation that can be read \(accuracy"),
        ("metrics.json", b'{"accuracy": {"value": 1e999}}', "no evaluation"),
    ],
)
def test_broken_files_are_refused(files: Files, tmp_path: Path, name: str, content: bytes, says: str):
    with pytest.raises((UploadRefused, ModelInvalid), match=says):
        check(files | {name: content}, tmp_path)


def test_missing_files_are_refused(files: Files, tmp_path: Path):
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        folder = tmp_path / name
        folder.mkdir()
        with pytest.raises(ModelInvalid, match=f"missing: {name}|{name} is missing|no safetensors file"):
            check({other: data for other, data in files.items() if other != name}, folder)


# --- the process ------------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(tiny_model: Path, tmp_path: Path) -> Settings:
    return get_settings(
        model_path=tiny_model,
        models_path=tmp_path / "models",
        runs_path=tmp_path / "runs",
        model_check_timeout=600,
        model_timeout=1200,
    )


def tried(folder: Path, settings: Settings) -> str | None:
    return model_trial.refusal(folder, "mine", settings, threading.Event())


def test_a_model_is_tried_in_a_process_of_its_own(tiny_model: Path, settings: Settings, tmp_path: Path):
    assert tried(tiny_model, settings) is None
    shutil.copytree(tiny_model, tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"broken")
    reason = tried(tmp_path / "broken", settings)
    assert reason.startswith("mine holds weights that cannot be read")
    assert str(tmp_path) not in reason


def test_a_trial_that_takes_too_long_is_killed(tiny_model: Path, settings: Settings, monkeypatch):
    begun = []
    real = model_trial.begin
    monkeypatch.setattr(model_trial, "begin", lambda *given: begun.append(real(*given)) or begun[-1])
    hurried = settings.model_copy(update={"model_check_timeout": 0.01})
    assert tried(tiny_model, hurried) == "mine took longer than 0.01 seconds to be unpacked, loaded and run."
    assert begun[0].returncode == -9


def test_a_trial_ends_when_nobody_can_wait_for_it_any_more(tiny_model: Path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    command = [sys.executable, "-m", "genre_lib.service.model_check", str(tiny_model), "--parent", str(gone.pid)]
    assert subprocess.run(command, stdout=subprocess.PIPE).returncode == 1


def test_an_upload_that_is_given_up_is_told(tiny_model: Path):
    told = threading.Event()

    def work(cancelled: threading.Event) -> None:
        assert cancelled.wait(10)
        told.set()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(model_trial.in_turn(work), 0.1)

    asyncio.run(give_up())
    assert told.wait(10)


@pytest.mark.parametrize(("code", "says"), [("import os; os.abort()", "ended the process"), ("1 / 0", None)])
def test_a_trial_that_ends_by_itself(tiny_model: Path, settings: Settings, monkeypatch, code: str, says: str | None):
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: real([sys.executable, "-c", code], **options))
    if says:
        assert says in tried(tiny_model, settings)
        return
    with pytest.raises(model_trial.TrialFailed):
        tried(tiny_model, settings)


def test_a_trial_that_nobody_waits_for_is_killed(tiny_model: Path, settings: Settings):
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(model_trial.Cancelled):
        model_trial.refusal(tiny_model, "mine", settings, cancelled)


TRIED = """
import resource, sys
from pathlib import Path
from genre_lib.service.model_check import tried
if len(sys.argv) > 3:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
print(tried(Path(sys.argv[1]), int(sys.argv[2]), 2**30))
"""


def tried_elsewhere(packed: Path, folder: Path, *more: str) -> str:
    """What the trial of a zip says, in a process that it may bound."""
    folder.mkdir()
    with packed.open("rb") as file:
        command = [sys.executable, "-c", TRIED, str(folder), str(file.fileno()), *more]
        return subprocess.run(command, pass_fds=[file.fileno()], capture_output=True, text=True, check=True).stdout


def test_a_list_of_members_that_fills_the_memory_is_refused(tmp_path: Path):
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<H", 1) + bytes(16) + b"x"
    count = 700_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(entry) * count, 0, 0)
    (tmp_path / "bomb.zip").write_bytes(entry * count + end)
    assert "more memory than a check may take" in tried_elsewhere(tmp_path / "bomb.zip", tmp_path / "model")


def test_what_the_disk_says_is_handed_on(files: Files, tmp_path: Path):
    (tmp_path / "model.zip").write_bytes(zipped(files))
    said = tried_elsewhere(tmp_path / "model.zip", tmp_path / "model", "1000")
    assert said.strip() == str({"errno": errno.EFBIG})


# --- the route --------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(settings: Settings, tmp_path: Path) -> TestClient:
    """With a key."""
    key = api_keys.generate()
    keyed = settings.model_copy(update={"api_keys": (api_keys.ApiKey("tester", api_keys.digest(key)),)})
    (tmp_path / "shared").mkdir()
    client = client_of(keyed, tmp_path / "shared")
    client.headers["X-API-Key"] = key
    return client


def post(client: TestClient, content: bytes, filename: str = "mine.zip", **fields: str):
    return client.post("/models/upload", files={"file": (filename, content)}, data=fields)


def left(settings: Settings) -> list[str]:
    return [path.name for path in settings.models_path.iterdir()] if settings.models_path.exists() else []


def test_a_model_is_uploaded_and_there(client: TestClient, settings: Settings, files: Files):
    metrics = b'{"accuracy": {"value": 0.75, "low": 0.7, "high": 0.8}}'
    response = post(client, zipped({f"m/{name}": data for name, data in (files | {"metrics.json": metrics}).items()}))
    assert response.status_code == 201, response.text
    entry = ModelEntry.model_validate(response.json())
    assert (entry.name, entry.active, entry.metrics.accuracy.value) == ("mine", False, 0.75)
    assert client.get(response.headers["Location"]).json() == response.json()
    assert left(settings) == ["mine"]
    assert {path.name: path.read_bytes() for path in (settings.models_path / "mine").iterdir()} == files | {
        "metrics.json": metrics
    }
    assert is_error(post(client, zipped(files)), 409, "model_exists")


def test_of_two_uploads_of_a_name_one_wins(client: TestClient, settings: Settings, files: Files):
    with ThreadPoolExecutor(2) as clients:
        sent = [clients.submit(post, client, zipped(files | {"a.txt": text}), name="twin") for text in (b"1", b"2")]
        statuses = [future.result().status_code for future in sent]
    assert sorted(statuses) == [201, 409]
    assert left(settings) == ["twin"]
    assert (settings.models_path / "twin" / "a.txt").read_bytes() == (b"1" if statuses[0] == 201 else b"2")


def test_a_refused_model_leaves_nothing(client: TestClient, settings: Settings, files: Files):
    for content, says in (
        (with_entry(files, "../evil.json"), "leads out"),
        (zipped(files | {"model.safetensors": b"broken"}), "mine holds weights"),
        (b"", "no zip"),
    ):
        response = post(client, content)
        assert is_error(response, 422, "upload_refused")
        assert says in response.json()["detail"]
        assert str(settings.models_path) not in response.text
    assert left(settings) == []
    assert [model["name"] for model in client.get("/models").json()["models"]] == ["tiny"]


@pytest.mark.parametrize(
    ("name", "filename", "status", "code"),
    [
        ("../up", "m.zip", 422, "model_name_invalid"),
        ("", "a b.zip", 422, "model_name_invalid"),
        ("active.json", "m.zip", 422, "model_name_invalid"),
        ("tiny", "m.zip", 409, "model_exists"),
        ("", "x/tiny.zip", 409, "model_exists"),
    ],
)
def test_a_name_is_a_name_and_free(client: TestClient, settings, name: str, filename: str, status: int, code: str):
    assert is_error(post(client, b"x", filename, name=name), status, code)
    assert left(settings) == []


def test_a_form_that_is_wrong(client: TestClient):
    assert is_error(client.post("/models/upload", data={"name": "x"}), 415, "unsupported_media_type")
    assert is_error(client.post("/models/upload", files={"model": b"x"}), 422, "invalid_request")
    assert is_error(post(client, b"x", colour="red"), 422, "invalid_request")
    assert is_error(client.post("/models/upload", files=[("file", b"x"), ("file", b"y")]), 422, "invalid_request")


def test_an_upload_is_bounded_by_its_own_limit(settings: Settings, tmp_path: Path, client: TestClient):
    small = client.app.state.settings.model_copy(update={"max_model_bytes": 1000, "max_audio_bytes": 10})
    other = client_of(small, tmp_path)
    other.headers = client.headers
    assert is_error(post(other, bytes(1000 + FORM_BYTES + 1)), 413, "model_too_large")
    assert is_error(post(other, b"no zip"), 422, "upload_refused")


def test_without_a_key_nothing_is_read(client: TestClient, settings: Settings, tmp_path: Path):
    del client.headers["X-API-Key"]
    assert is_error(post(client, b"x"), 401, "missing_key")
    assert is_error(client.post("/models/upload", content=b"no form at all"), 401, "missing_key")
    closed = client_of(settings, tmp_path)
    assert is_error(post(closed, b"x"), 403, "no_keys_configured")


def test_a_job_keeps_the_name_that_it_will_give(client: TestClient, settings: Settings, monkeypatch):
    monkeypatch.setattr(upload.JobStore, "reserves", lambda self, name: name == "soon")
    assert is_error(post(client, b"x", name="soon"), 409, "model_exists")
