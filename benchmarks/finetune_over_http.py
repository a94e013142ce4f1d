"""A model fine-tuned over HTTP alone, as a user sees it: started, watched, stopped, resumed, activated, asked.

    python benchmarks/finetune_over_http.py ../shared/data/emotify/tracks.csv
    python benchmarks/finetune_over_http.py            # on invented music

The service is started here, with a key, with folders of its own and the music's folder as its data root, and ended
afterwards with all jobs. Every step is a line: seconds since the start, status, seconds it took, what was answered.
Between them stand the job's events as they came, and (marked ``|``) what ``/finetune/status`` said at that time. At the
end: how good its time left was, and which of the service's metrics are others than before.

The settings are those of an experiment file as far as the API takes them; which it does not is printed.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from followed_job import Session, follow, no_job_left, watched
from own_service import REPOSITORY, STARTER, in_own_folder, opened_by, service
from prometheus_client.parser import text_string_to_metric_families

from genre_lib import api_keys, audio
from genre_lib.data import synthetic

MODEL = "over-http"
SENT = {"num_epochs": "epochs"}
"""Settings of an experiment that the API calls otherwise."""
SHOWN = (
    "genre_jobs",
    "genre_inference_seconds",
    "genre_batch_size",
    "genre_cache",
    "genre_errors",
    "genre_request_",
    "genre_worker_r",
)
LEFT_OUT = ("_bucket", "_created", "_sum")


@dataclass(frozen=True)
class Music:
    """What is trained on, as the API names it below its data root, and a track of it."""

    root: Path
    source: dict[str, str]
    track: Path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("music", type=Path, nargs="?", help="folder or CSV; without one, invented music")
    parser.add_argument("--model", type=Path, default=STARTER, help="model folder")
    parser.add_argument("--experiment", type=Path, default=REPOSITORY / "experiments/finetune_all.yaml")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--clips", type=int, default=4, help="max_clips_per_track")
    given = parser.parse_args()
    if given.music and not given.music.exists():
        parser.error(f"there is no {given.music}")
    return in_own_folder("genre-finetune-", lambda temporary: fine_tuned(temporary, given))


def fine_tuned(temporary: Path, given: argparse.Namespace) -> int:
    """Start the service, and go all steps; 1 as of :func:`go`."""
    music = music_in(given.music, temporary)
    with session_with(given.model.resolve(), music, temporary) as session, no_job_left(session):
        return go(session, music, given)


def go(session: Session, music: Music, given: argparse.Namespace) -> int:
    """All steps; 1 where one was not answered as it should be, or the job did not complete."""
    predict(session, music)
    before = metrics(session)
    start(session, music, settings(session, given))
    with watched(session):
        follow(session, until="epoch_ended")
        session.step("POST", f"/finetune/resume/{session.job}", 409)
        session.step("POST", f"/finetune/stop/{session.job}", 202)
        follow(session)
        session.step("GET", f"/finetune/status/{session.job}")
        session.step("POST", f"/finetune/resume/{session.job}", 202)
        ended = follow(session)
    for entry in session.step("GET", f"/finetune/status/{session.job}")["history"]:
        print("        " + "  ".join(f"{name} {value:.4g}" for name, value in entry.items() if value is not None))
    session.step("GET", f"/models/{MODEL}/metrics")
    session.step("POST", f"/models/{MODEL}/activate", 401, with_key=False)
    session.step("POST", f"/models/{MODEL}/activate")
    predict(session, music)
    predict(session, music)
    tell_difference(before, metrics(session))
    tell_time_left(session)
    return int(session.failed or ended.get("status") != "completed")


# --- music and service ------------------------------------------------------------------------------------------------


def music_in(given: Path | None, temporary: Path) -> Music:
    """The music below its root, and a track of it that is not trained on, where it says so."""
    place = (given or synthetic.make(temporary / "music")).resolve()
    if place.is_dir():
        return Music(place.parent, {"data_path": place.name}, audio.find(place)[0])
    with place.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    row = next((row for row in rows if row.get("split") == "valid"), rows[0])
    return Music(place.parent, {"catalogue": place.name}, place.parent / row["path"])


@contextmanager
def session_with(model: Path, music: Music, temporary: Path) -> Iterator[Session]:
    """The service with a key, and a client of it."""
    key = api_keys.generate()
    settings = {"MODEL_PATH": str(model), **opened_by(key), "FINETUNE_DATA_ROOTS": str(music.root)}
    with service(temporary, settings) as url, httpx.Client(base_url=url, timeout=300, trust_env=False) as http:
        yield Session(http, key)


# --- the steps --------------------------------------------------------------------------------------------------------


def predict(session: Session, music: Music) -> None:
    content = music.track.read_bytes()
    session.step("POST", "/predict", files={"file": (music.track.name, content)}, data={"top_k": "3"})


def metrics(session: Session) -> dict[str, float]:
    """What can be counted, by name and labels."""
    text = session.step("GET", "/metrics")
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    chosen = [s for s in samples if s.name.startswith(SHOWN) and not s.name.endswith(LEFT_OUT)]
    return {f"{s.name}{{{', '.join(f'{n}={v}' for n, v in sorted(s.labels.items()))}}}": s.value for s in chosen}


def settings(session: Session, given: argparse.Namespace) -> dict[str, Any]:
    """The experiment's settings that the API says it takes."""
    known = session.http.get("/openapi.json").json()["components"]["schemas"]["FinetuneSettings"]["properties"]
    wanted = yaml.safe_load(given.experiment.read_text(encoding="utf-8"))
    wanted |= {
        "num_epochs": given.epochs,
        "learning_rate": given.learning_rate,
        "max_clips_per_track": given.clips,
    }
    sent = {SENT.get(name, name): value for name, value in wanted.items()}
    refused = sorted(set(sent) - set(known))
    session.say(f"{given.experiment.name}: the API takes {len(sent) - len(refused)} settings, not {refused or 'none'}")
    return {name: value for name, value in sent.items() if name in known}


def start(session: Session, music: Music, config: dict[str, Any]) -> None:
    asked = {**music.source, "model_name": MODEL, "config": config}
    session.step("POST", "/finetune/start", 401, with_key=False, json=asked)
    session.step("POST", "/finetune/start", 422, json=asked | {"config": {"learning_rat": 1e-3}})
    session.step("POST", "/finetune/start", 403, json={"data_path": "/etc", "model_name": MODEL})
    session.job = session.step("POST", "/finetune/start", 202, json=asked)["job_id"]


# --- what came of it --------------------------------------------------------------------------------------------------


def tell_difference(before: dict[str, float], after: dict[str, float]) -> None:
    print("metrics before and after, where they differ:")
    for name in sorted(set(before) | set(after)):
        was, now = before.get(name, 0.0), after.get(name, 0.0)
        if was != now:
            print(f"  {name}  {was:g} → {now:g}")


def tell_time_left(session: Session) -> None:
    """How far the time left was from what was left of the training, after the job was resumed."""
    if session.ended_training is None or not session.estimates:
        print("no time left was told")
        return
    pairs = [(left, session.ended_training - at) for at, left in session.estimates if at < session.ended_training]
    errors = [abs(left - real) for left, real in pairs]
    if errors:
        mean = statistics.mean(errors)
        print(f"time left: {len(pairs)} times told, wrong by {mean:.1f} s in the mean, {max(errors):.1f} s at most")


if __name__ == "__main__":
    sys.exit(main())
