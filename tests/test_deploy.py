"""The container's files agree with the code: paths, settings, metrics. No image is built here."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from genre_lib.service import metrics, scrape
from genre_lib.service.status import WorkerStatus
from genre_lib.settings import Settings, get_settings

REPOSITORY = Path(__file__).resolve().parents[1]
DEPLOY = REPOSITORY / "deploy"
DASHBOARD = DEPLOY / "grafana/dashboards/genre.json"
PROVISIONING = DEPLOY / "grafana/provisioning"

HISTOGRAMS_OWN = {"le"}
METRIC = re.compile(r"\bgenre_[a-z_]+")
BY = re.compile(r"by \(([^)]*)\)")
LEGEND = re.compile(r"\{\{(\w+)\}\}")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in their order, with continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (REPOSITORY / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(word, rest.strip()) for word, _, rest in (line.strip().partition(" ") for line in lines)]


def all_of(word: str) -> list[str]:
    return [rest for found, rest in instructions() if found == word]


def image_environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for rest in all_of("ENV") for pair in shlex.split(rest))


def compose() -> dict:
    return yaml.safe_load((REPOSITORY / "compose.yaml").read_text())


def tracked() -> list[str]:
    """The files that git knows; the test skips where there is no git, as in an unpacked archive."""
    try:
        listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout")
    return listed.stdout.splitlines()


def is_ignored(path: str) -> bool:
    """Whether .dockerignore keeps a file from the image: the last pattern that fits it or a folder above it decides."""
    ignored = False
    for line in (REPOSITORY / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#") and fits(path, line.removeprefix("!")):
            ignored = not line.startswith("!")
    return ignored


def fits(path: str, pattern: str) -> bool:
    """``*`` and ``?`` stay within a folder's name, ``**/`` is any depth; patterns begin at the root."""
    parts = {r"\*\*/": "(?:.*/)?", r"\*": "[^/]*", r"\?": "[^/]"}
    regex = re.sub(r"\\\*\\\*/|\\\*|\\\?", lambda found: parts[found.group()], re.escape(pattern))
    folders = [path, *(str(folder) for folder in PurePosixPath(path).parents)]
    return any(re.fullmatch(regex, folder) for folder in folders if folder != ".")


# --- the image --------------------------------------------------------------------------------------------------------


def copied() -> list[str]:
    return [source for rest in all_of("COPY") for source in shlex.split(rest)[:-1]]


def test_everything_that_is_copied_is_in_git_and_reaches_the_build():
    files = tracked()
    for source in copied():
        held = [file for file in files if file == source or file.startswith(f"{source}/")]
        assert held, f"{source} is copied, and git knows no such thing"
        assert not [file for file in held if is_ignored(file)]


def test_only_what_is_copied_reaches_the_build():
    reaches = {file.split("/")[0] for file in tracked() if not is_ignored(file)}
    assert reaches == set(copied())


@pytest.mark.parametrize(
    "path",
    [
        *(".env", "genre_lib/.env", "notebooks/.env.local", ".git/config", "data/training/jazz/a.mp3", "demo/run.json"),
        *("tests/conftest.py", "benchmarks/load.py", "models/mine/model.safetensors", "experiments/runs/1/job.json"),
        *("genre_lib/__pycache__/errors.cpython-311.pyc", ".venv/bin/python", "deploy/prometheus.yml"),
    ],
)
def test_what_is_secret_or_not_needed_never_reaches_the_build(path: str):
    assert is_ignored(path)


@pytest.mark.parametrize("path", ["genre_lib/models/cnn.py", "experiments/smoke.yaml", "pyproject.toml"])
def test_what_the_package_needs_reaches_the_build(path: str):
    assert not is_ignored(path)


def test_the_dependencies_are_a_layer_of_their_own_and_pinned():
    steps = instructions()
    install = next(i for i, (word, rest) in enumerate(steps) if word == "RUN" and "--requirement" in rest)
    before = [source for word, rest in steps[:install] if word == "COPY" for source in shlex.split(rest)[:-1]]
    assert before == ["pyproject.toml", "constraints.txt"]
    assert "--constraint constraints.txt" in steps[install][1]
    assert all("--no-deps" in rest for word, rest in steps[install + 1 :] if word == "RUN" and "pip install" in rest)


def test_nothing_is_left_to_compile_at_a_start():
    """The user that serves may not write bytecode beside the packages."""
    runs = all_of("RUN")
    assert [rest for rest in runs if "--requirement pyproject.toml" in rest and "--compile-bytecode" in rest]
    assert [rest for rest in runs if rest.endswith("python -m compileall -q genre_lib")]


def test_the_process_that_serves_is_no_root_and_gets_the_signals():
    words = [word for word, _ in instructions()]
    user = all_of("USER")[-1]
    assert user not in {"root", "0"}
    assert any(f"--uid 1000 {user}" in rest for rest in all_of("RUN"))
    assert "RUN" not in words[words.index("USER") :]
    # a JSON list is no shell command: no shell stands between the signals and the server
    assert [json.loads(all_of(word)[-1]) for word in ("ENTRYPOINT", "CMD")] == [["tini", "--", "genre"], ["serve"]]
    assert all_of("STOPSIGNAL") == ["SIGTERM"]


def test_the_image_sets_known_settings_and_no_secret():
    known = {name for name in image_environment() if not name.startswith("PYTHON")}
    assert {name.lower() for name in known} <= set(Settings.model_fields)
    assert not known & {"API_KEYS", "RATE_LIMIT_STORE"}


def test_what_is_written_lies_in_volumes_that_the_user_owns():
    volumes = json.loads(all_of("VOLUME")[-1])
    environment = image_environment()
    assert {environment[name] for name in ("MODELS_PATH", "RUNS_PATH", "CACHE_PATH")} == set(volumes)
    made = next(rest for rest in all_of("RUN") if "install --directory" in rest)
    assert set(volumes) <= set(shlex.split(made))


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_tells_a_server_that_can_predict_from_one_that_cannot(status: int, code: int):
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *given: object) -> None:
            pass

    command = json.loads(all_of("HEALTHCHECK")[-1].partition("CMD ")[2])
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        nowhere = {"http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
        environment = os.environ | nowhere | {"PORT": str(server.server_port)}
        done = subprocess.run([sys.executable, *command[1:]], env=environment, capture_output=True, timeout=60)
    assert (command[0], done.returncode) == ("python", code), done.stderr.decode()


# --- compose ----------------------------------------------------------------------------------------------------------


def test_compose_sets_settings_that_there_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    environment = compose()["services"]["genre"]["environment"]
    assert {name.lower() for name in environment} <= set(Settings.model_fields)
    monkeypatch.chdir(tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = get_settings()
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)
    assert settings.finetune_data_roots == (settings.fine_tune_data_path,)


def test_compose_says_of_places_what_the_image_says():
    service = compose()["services"]["genre"]
    image = {name: value for name, value in image_environment().items() if not name.startswith("PYTHON")}
    assert {name: service["environment"].get(name) for name in image} == image
    mounted = {volume.split(":")[1] for volume in plain_volumes(service)}
    assert {image[name] for name in ("MODELS_PATH", "RUNS_PATH", "CACHE_PATH", "FINE_TUNE_DATA_PATH")} == mounted


def plain_volumes(service: dict) -> list[str]:
    """With the values that variables have where they are not set."""
    return [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume) for volume in service["volumes"]]


def test_every_port_is_this_machines_alone():
    ports = [port for service in compose()["services"].values() for port in service["ports"]]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_is_mounted_is_there_and_volumes_are_declared():
    files = tracked()
    for service in compose()["services"].values():
        for source in (volume.split(":")[0] for volume in plain_volumes(service)):
            if source.startswith("./deploy"):
                assert any(file.startswith(source.removeprefix("./")) for file in files), source
            elif not source.startswith("."):
                assert source in compose()["volumes"]


def test_monitoring_starts_only_when_asked_for_and_with_pinned_images():
    services = compose()["services"]
    assert "profiles" not in services["genre"]
    for name in ("prometheus", "grafana"):
        assert services[name]["profiles"] == ["monitoring"]
        assert re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+", services[name]["image"])


# --- monitoring -------------------------------------------------------------------------------------------------------


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """The labels of every sample that /metrics can hold, by its name."""
    monkeypatch.setenv(metrics.FOLDER, "")
    metrics.prepare(tmp_path / "metrics")
    try:
        page = scraped(get_settings(models_path=tmp_path / "m", runs_path=tmp_path / "r"))
    finally:
        monkeypatch.undo()
        metrics._instruments.cache_clear()
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return {sample.name: set(sample.labels) for sample in samples}


def scraped(settings: Settings) -> str:
    """The page, after everything was counted once."""
    found = metrics._instruments()
    assert found is not None
    found.request_seconds.labels("/predict", "POST", "200").observe(0.1)
    found.in_flight.inc()
    metrics.observe_pass("tiny", 2, 0.1)
    metrics.set_queue_length(1)
    metrics.cache_hit("models")
    metrics.cache_miss("models")
    metrics.count_error("not_audio")
    metrics.worker_restarted("predict", None)
    worker = SimpleNamespace(status=WorkerStatus(model_name="tiny"), ready=lambda: True)
    return scrape.page(scrape.Present(settings, {"predict": worker}), "")[0].decode()


def panels() -> list[dict]:
    return json.loads(DASHBOARD.read_text())["panels"]


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_every_panel_asks_for_metrics_and_labels_that_there_are(panel: dict, exported: dict[str, set[str]]):
    for target in panel["targets"]:
        query = target["expr"]
        names = METRIC.findall(query)
        assert names and set(names) <= set(exported), query
        shared = set.intersection(*(exported[name] for name in names))
        by = {label.strip() for labels in BY.findall(query) for label in labels.split(",")}
        assert by <= shared, query
        told = set(LEGEND.findall(target["legendFormat"]))
        assert told <= ((by or shared) - HISTOGRAMS_OWN), query
        assert query.count("(") == query.count(")")


def test_the_dashboard_shows_what_a_service_is_watched_by(exported: dict[str, set[str]]):
    asked = {name for panel in panels() for target in panel["targets"] for name in METRIC.findall(target["expr"])}
    stems = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in exported}
    assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked} == {
        stem for stem in stems if stem.startswith("genre_") and stem not in {"genre_build_info", "genre_model_active"}
    }


def test_panels_have_ids_and_places_of_their_own():
    assert len({panel["id"] for panel in panels()}) == len(panels())
    rows = sorted((panel["gridPos"]["y"], panel["gridPos"]["x"], panel["gridPos"]["w"]) for panel in panels())
    assert all(x + w <= 24 for _, x, w in rows)
    assert all(y != next_y or x + w <= next_x for (y, x, w), (next_y, next_x, _) in pairwise(rows))


def test_grafana_asks_the_prometheus_that_asks_the_service():
    (source,) = yaml.safe_load((PROVISIONING / "datasources/prometheus.yml").read_text())["datasources"]
    assert {target["datasource"]["uid"] for panel in panels() for target in panel["targets"]} == {source["uid"]}
    services = compose()["services"]
    (_, host), port = source["url"].split("://"), services["prometheus"]["ports"][0].rsplit(":")[-1]
    assert host == f"prometheus:{port}"
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"genre:{services['genre']['environment']['PORT']}"]}]
    assert job["metrics_path"] in {route.path for route in scrape.router.routes}


def test_grafana_finds_the_dashboard_where_compose_puts_it():
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards/genre.yml").read_text())["providers"]
    grafana = compose()["services"]["grafana"]
    folder = provider["options"]["path"]
    assert f"./{DASHBOARD.parent.relative_to(REPOSITORY)}:{folder}:ro" in grafana["volumes"]
    assert grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == f"{folder}/{DASHBOARD.name}"
