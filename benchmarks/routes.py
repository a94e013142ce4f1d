"""Every route of the service by curl: a good request, each kind of bad one, and what is answered; docs/api.md says it.

    python benchmarks/routes.py                    # checks all answers, and writes docs/api.md anew
    python benchmarks/routes.py --output other.md

The service is started here on invented music, four times, each time with settings of its own (:data:`SETUPS`), beside
a small web server for ``audio_url``. What a row of the table shows is what was run, by the real ``curl``, with two
addresses and a key put in. An answer differs where its status or code is not the one that stands here, where its
status is not in ``/openapi.json``, where an error is not ``{"detail", "code"}``, or where it tells a path of this
machine. A route of ``/openapi.json`` that is missing here counts, too. 1 where anything differs.

Numbers are rounded, and what changes from run to run (ids, times, versions, how far a job is) is shown as ``…``, so
that a second run writes the same bytes.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil
from serving import ENDING, REPOSITORY, free_port, interrupt_once, running

from genre_lib import api_keys, audio
from genre_lib.data import synthetic
from genre_lib.spotify import invented_music

sys.path.insert(0, str(REPOSITORY / "tests"))

from accounts_service import CLIENT_ID, SECRET, Accounts
from library_server import Bad, serving

HOST, MUSIC, NOBODY = "127.0.0.1:8000", "127.0.0.1:9000", "127.0.0.1:9001"
"""How the document calls the service, the web server that has music, and an address where nobody answers."""

STARTER = REPOSITORY / "pretrained/genre_classifier"
KEY = api_keys.generate()
CURL_SECONDS = 60
JOBS_END_SECONDS = 120
MOST_UNTIL_LIMITED = 300

RATES = ("RATE_LIMIT", "RATE_LIMIT_PREDICTIONS", "RATE_LIMIT_CHANGES", "RATE_LIMIT_FAILED_KEYS")
UNLIMITED = dict.fromkeys(RATES, "")
KEYS = {"API_KEYS": f"ann:{api_keys.digest(KEY)}"}
SMALL = {
    "MAX_AUDIO_BYTES": str(1024**2),
    "MAX_AUDIO_SECONDS": "15",
    "MAX_BATCH_ITEMS": "2",
    "MAX_BATCH_BYTES": str(1024**2),
    "MAX_MODEL_BYTES": str(2 * 1024**2),
    "MAX_QUEUED_JOBS": "1",
    "FETCH_TIMEOUT": "2",
}

OPEN, CLOSED, KEYLESS, STREAMING = "open", "closed", "keyless", "streaming"
SETUPS: dict[str, dict[str, str]] = {
    OPEN: KEYS | UNLIMITED | SMALL,
    CLOSED: KEYS | UNLIMITED | SMALL | {"READ_REQUIRES_KEY": "true", "RATE_LIMIT_FAILED_KEYS": "100/hour"},
    STREAMING: KEYS | UNLIMITED | SMALL | {"SPOTIFY_TIMEOUT": "1", "FETCH_TIMEOUT": "10"},
    KEYLESS: {"RATE_LIMIT": "20/hour", "RATE_LIMIT_PREDICTIONS": "1/hour", "RATE_LIMIT_CHANGES": "10/hour"} | SMALL,
}
"""The service's settings; they run one after another, in this order."""

VOLATILE = frozenset(
    {"model_version", "version", "submitted", "started", "ended", "created", "size_bytes", "pid", "uptime", "seconds"}
    | {"restarts", "passes", "tracks_heard", "mean", "phase", "progress", "epoch", "seconds_left", "history", "time"}
)
VOLATILE_IN_JOBS = frozenset({"metrics", "kept"})
"""Fields that differ from run to run."""

TOLD_HEADERS = ("location", "allow", "retry-after", "www-authenticate", "x-cache")
LONGEST_TEXT = 200
MOST_ENTRIES = 2
DEEPEST = 4


@dataclass(frozen=True)
class Request:
    """A row of the document.

    Args:
        what: it is about.
        command: as the document shows it.
        status: that is expected.
        code: of the error that is expected.
        shows: fields of a JSON body, all by default; of another body, what a line that is shown begins with.
        at: the setup that it is sent to.
        keeps: a name under which the answer's ``job_id`` is kept, for commands behind this one.
        late: it is sent after all others of its setup, for it would change what they find.
    """

    what: str
    command: str
    status: int
    code: str = ""
    shows: str = ""
    at: str = OPEN
    keeps: str = ""
    late: bool = False


@dataclass(frozen=True)
class Route:
    """A part of the document: a route of the service, or (without a method) something else that it answers."""

    method: str
    path: str
    title: str
    requests: list[Request]
    changes: bool = False
    plain: str = ""
    """A good request without a key, for what is asked of all routes."""

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}".strip()


@dataclass
class Answer:
    """What came back, and what of it is not as it should be."""

    status: int
    headers: dict[str, str]
    body: bytes
    faults: list[str] = field(default_factory=list)

    @property
    def content(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None


# --- what is asked ----------------------------------------------------------------------------------------------------

AT = f"http://{HOST}"
WITH_KEY = '-H "X-API-Key: $GENRE_KEY"'
IS_JSON = '-H "Content-Type: application/json"'


def posted(path: str, content: object, key: bool = False) -> str:
    """A POST of JSON."""
    text = content if isinstance(content, str) else json.dumps(content)
    return " ".join(filter(None, ["curl", WITH_KEY if key else "", IS_JSON, f"-d {shlex.quote(text)}", AT + path]))


def sent(path: str, *fields: str, key: bool = False) -> str:
    """A POST of a form."""
    return " ".join(filter(None, ["curl", WITH_KEY if key else "", *(f"-F {one}" for one in fields), AT + path]))


def web(path: str, server: str = MUSIC) -> str:
    return f"http://{server}/{path}"


def audio_requests(path: str, good: list[Request]) -> list[Request]:
    """What is asked of a route that takes one track, beside what is good."""

    def by_url(url: str) -> str:
        return posted(path, {"audio_url": url})

    files = [
        Request("no audio", sent(path, "file=@text.mp3"), 415, "not_audio"),
        Request("an empty file", sent(path, "file=@empty.mp3"), 422, "empty_audio"),
        Request("too long", sent(path, "file=@long.wav"), 422, "audio_too_long"),
        Request("too many bytes", sent(path, "file=@large.wav"), 413, "audio_too_large"),
        Request("no file", sent(path, "other=1"), 422, "invalid_request"),
        Request("a text where the file belongs", sent(path, "file=song.wav"), 422, "invalid_request"),
        Request("two files", sent(path, "file=@song.wav", "file=@other.wav"), 422, "invalid_request"),
        Request("a field that is misspelt", sent(path, "file=@song.wav", "topk=3"), 422, "invalid_request"),
        Request(
            "another type of content",
            f'curl -H "Content-Type: audio/wav" --data-binary @song.wav {AT}{path}',
            415,
            "unsupported_media_type",
        ),
        Request(
            "a form without a boundary",
            f'curl -H "Content-Type: multipart/form-data" -d "--x" {AT}{path}',
            400,
            "bad_request",
        ),
        Request("JSON that is none", posted(path, "{"), 400, "invalid_json"),
        Request("JSON without an address", posted(path, {}), 422, "invalid_request"),
        Request("JSON of another type", posted(path, {"audio_url": 3}), 422, "invalid_request"),
        Request("a large body that is no form", posted(path, "@large.json"), 413, "body_too_large"),
    ]
    fetched = [
        Request("a private address", by_url("http://10.0.0.1/song.mp3"), 422, "url_refused"),
        Request("this machine", by_url("http://localhost/song.mp3"), 422, "url_refused"),
        Request("this machine, by IPv6", by_url("http://[::1]/song.mp3"), 422, "url_refused"),
        Request("a cloud's metadata", by_url("http://169.254.169.254/latest"), 422, "url_refused"),
        Request("an address in disguise", by_url("http://2130706433/song.mp3"), 422, "url_refused"),
        Request("a redirect to a private address", by_url(web("to-private")), 422, "url_refused"),
        Request("another port", by_url("http://127.0.0.1:22/song.mp3"), 422, "url_refused"),
        Request("a file of the server", by_url("file:///etc/passwd"), 422, "url_refused"),
        Request("a password in the address", by_url("http://ann:secret@example.com/a.mp3"), 422, "url_refused"),
        Request("nobody there", by_url(web("song.wav", NOBODY)), 502, "url_unreachable"),
        Request("no such file there", by_url(web("missing.wav")), 502, "url_unreachable"),
        Request("redirects without an end", by_url(web("in-circles")), 502, "url_unreachable"),
        Request("a web page", by_url(web("page")), 415, "not_audio"),
        Request("an empty file there", by_url(web("empty")), 422, "empty_audio"),
        Request("too many bytes there", by_url(web("large")), 413, "audio_too_large"),
        Request("too slow", by_url(web("slow")), 504, "fetch_timeout"),
    ]
    return [*good, *files, *fetched]


def predict() -> Route:
    path = "/predict"
    url = web("song.wav")
    good = [
        Request("a file", sent(path, "file=@song.wav"), 200),
        Request("the same sound again: not computed twice", sent(path, "file=@song.wav", "top_k=1"), 200),
        Request("over its length", sent(path, "file=@song.wav", "top_k=1", "timeline=true"), 200, shows="timeline"),
        Request("an address", posted(path, {"audio_url": url, "top_k": 1}), 200),
        Request("by way of a redirect", posted(path, {"audio_url": web("moved"), "top_k": 1}), 200),
        Request("a file that is cut off", sent(path, "file=@cut.wav", "top_k=1"), 200, shows="duration warning"),
        Request("no such model", sent(path, "file=@song.wav", "model_name=nobody"), 404, "model_not_found"),
        Request("a path for a model", sent(path, "file=@song.wav", "model_name=../mine"), 404, "model_not_found"),
        Request("a model that is damaged", sent(path, "file=@song.wav", "model_name=broken"), 422, "model_invalid"),
        Request("out of range", sent(path, "file=@song.wav", "top_k=0"), 422, "invalid_request"),
        Request("a text for a number", posted(path, {"audio_url": url, "top_k": "3"}), 422, "invalid_request"),
        Request(
            "features for a model of sound",
            posted(path, {"audio_url": url, "features": {"tempo": 120}}),
            422,
            "features_refused",
        ),
        Request(
            "a feature that is none",
            posted(path, {"audio_url": url, "features": {"pace": 120}}),
            422,
            "invalid_request",
        ),
        Request("a field twice", sent(path, "file=@song.wav", "top_k=1", "top_k=2"), 422, "invalid_request"),
    ]
    return Route("POST", path, "The genres of a track", audio_requests(path, good), plain=sent(path, "file=@song.wav"))


def batch() -> Route:
    path = "/predict/batch"
    song, other = "files=@song.wav", "files=@other.wav"
    urls = {"audio_urls": [web("song.wav"), "http://10.0.0.1/song.mp3"], "top_k": 1}
    requests = [
        Request("two files", sent(path, song, other, "top_k=1"), 200),
        Request("more tracks than requests are left", sent(path, song, other), 429, "rate_limited", at=KEYLESS),
        Request("a good and a bad one", sent(path, song, "files=@text.mp3", "top_k=1"), 200),
        Request("addresses, one of them private", posted(path, urls), 200),
        Request("no such model", sent(path, song, "model_name=nobody"), 200),
        Request("too many files", sent(path, song, song, song), 422, "invalid_request"),
        Request("too many addresses", posted(path, {"audio_urls": [web("song.wav")] * 3}), 422, "too_many_items"),
        Request("too many bytes", sent(path, "files=@large.wav", song), 413, "audio_too_large"),
        Request("no file", sent(path, "top_k=1"), 422, "invalid_request"),
        Request("no address", posted(path, {"audio_urls": []}), 422, "invalid_request"),
        Request("the other route's field", sent(path, "file=@song.wav"), 422, "invalid_request"),
        Request("out of range", sent(path, song, "top_k=1001"), 422, "invalid_request"),
        Request("JSON that is none", posted(path, "[1"), 400, "invalid_json"),
        Request("JSON that is no object", posted(path, "[1]"), 422, "invalid_request"),
        Request("neither form nor JSON", f"curl -d files=song.wav {AT}{path}", 415, "unsupported_media_type"),
    ]
    return Route("POST", path, "The genres of many tracks", requests, plain=sent(path, song))


@dataclass(frozen=True)
class Tracks:
    """Ids of tracks of the invented library, and what becomes of who asks for them."""

    heard: str
    silent: str
    slow: str
    failing: str
    not_listed: str
    used_up: str

    @classmethod
    def chosen(cls) -> Tracks:
        """The first song that has a file, and five of a genre that has none."""
        songs, ids = invented_music.table(), list(invented_music.world().tracks)
        played = songs["genre"].isin(synthetic.SYNTH_GENRES)
        first = (played & (songs["number"] % invented_music.MISSING != 0)).idxmax()
        return cls(ids[first], *(ids[place] for place in songs.index[~played][:5]))

    def bad(self) -> dict[str, Bad]:
        """What Spotify answers, by the beginning of a path."""
        return {
            f"tracks/{self.slow}": Bad(how="hang"),
            f"tracks/{self.failing}": Bad(503, "Service unavailable"),
            f"tracks/{self.not_listed}": Bad(403, "User not registered in the Developer Dashboard", plain=True),
            f"tracks/{self.used_up}": Bad(429, "API rate limit exceeded", "QUOTA_EXCEEDED", retry_after="86400"),
        }


@contextmanager
def streaming(temporary: Path) -> Iterator[dict[str, dict[str, str]]]:
    """The settings of each setup that a Spotify of our own adds, while it runs."""
    own = invented_music.make(temporary / "own").folder
    with serving(invented_music.world(), Accounts(), bad=Tracks.chosen().bad()) as server:
        nowhere: dict[str, dict[str, str]] = {setup: {} for setup in SETUPS}
        yield nowhere | {
            STREAMING: {
                "SPOTIFY_CLIENT_ID": CLIENT_ID,
                "SPOTIFY_CLIENT_SECRET": SECRET,
                "SPOTIFY_API_URL": server.url,
                "SPOTIFY_ACCOUNTS_URL": server.accounts_url,
                "SPOTIFY_PATH": str(temporary / "spotify"),
                "MUSIC_PATH": str(own),
            }
        }


def spotify() -> Route:
    path, tracks = "/predict/spotify", Tracks.chosen()

    def asked(id: str, **more: object) -> str:
        return posted(path, {"track_id": id, **more})

    good = posted(path, {"track_id": "spotify:track:7ouMYWpwJ422jRcDASZB7P"})
    requests = [
        Request("a track that one has a file of", asked(f"spotify:track:{tracks.heard}", top_k=1), 200, at=STREAMING),
        Request("one that one has no file of", asked(tracks.silent), 404, "no_audio", at=STREAMING),
        Request("one that Spotify does not know", asked("0" * 22), 404, "spotify_not_found", at=STREAMING),
        Request("no such model", asked(tracks.heard, model_name="nobody"), 404, "model_not_found", at=STREAMING),
        Request("Spotify does not answer", asked(tracks.slow), 504, "spotify_timeout", at=STREAMING),
        Request("Spotify answers 503", asked(tracks.failing), 502, "spotify_unreachable", at=STREAMING),
        Request("Spotify does not serve this app", asked(tracks.not_listed), 503, "not_allowlisted", at=STREAMING),
        Request("the calls are used up", asked(tracks.used_up), 429, "quota_exceeded", at=STREAMING, late=True),
        Request("no app of Spotify's", good, 501, "spotify_not_configured"),
        Request("no track's id", posted(path, {"track_id": "spotify:album:1"}), 422, "invalid_track_id"),
        Request("no id", posted(path, {}), 422, "invalid_request"),
        Request("a field that is misspelt", posted(path, {"track": "7ouMYWpwJ422jRcDASZB7P"}), 422, "invalid_request"),
        Request("JSON that is none", posted(path, "{"), 400, "invalid_json"),
        Request("JSON that is not called so", f"curl -d '{{}}' {AT}{path}", 415, "unsupported_media_type"),
        Request("too large", posted(path, "@large.json"), 413, "body_too_large"),
    ]
    return Route("POST", path, "The genres of a track on Spotify", requests, plain=good)


def features() -> Route:
    path = "/analyze/features"
    shows = "duration tempo key mode loudness energy"
    good = [
        Request("a file", sent(path, "file=@song.wav"), 200),
        Request("an address", posted(path, {"audio_url": web("song.wav")}), 200, shows=shows),
    ]
    return Route(
        "POST", path, "Tempo, key, loudness and more", audio_requests(path, good), plain=sent(path, "file=@song.wav")
    )


def upload() -> Route:
    path = "/models/upload"

    def zipped(name: str, *fields: str) -> str:
        return sent(path, f"file=@{name}", *fields, key=True)

    refused = {
        "a path that leads out of the folder": "escape.zip",
        "a path from the root": "absolute.zip",
        "a link": "link.zip",
        "a pickle": "pickle.zip",
        "code": "code.zip",
        "a configuration that names code": "auto_map.zip",
        "an encrypted file": "encrypted.zip",
        "a zip that unpacks to far more": "bomb.zip",
        "folders in the folder": "nested.zip",
        "two files of one name": "twice.zip",
        "no model": "no_model.zip",
        "weights that are cut off": "cut_off.zip",
        "an empty zip": "empty.zip",
        "no zip": "song.wav",
        "an empty file": "empty.mp3",
    }
    named = [("name=spare", "another name"), ("name=mine-1.0", "a third one")]
    requests = [
        Request("a model", zipped("mine.zip"), 201, shows="name active kind genres parameters base_model"),
        *(Request(what, zipped("mine.zip", name), 201, shows="name active") for name, what in named),
        Request("a name that is taken", zipped("mine.zip"), 409, "model_exists"),
        Request("the starter's name", zipped("mine.zip", "name=genre_classifier"), 409, "model_exists"),
        Request("a path for a name", zipped("mine.zip", "name=../mine"), 422, "model_name_invalid"),
        *(Request(what, zipped(name, "name=other"), 422, "upload_refused") for what, name in refused.items()),
        Request("too many bytes", zipped("large.zip"), 413, "model_too_large"),
        Request("no file", sent(path, "name=other", key=True), 422, "invalid_request"),
        Request("a field that is misspelt", zipped("mine.zip", "nam=x"), 422, "invalid_request"),
        Request("no form", posted(path, {"name": "other"}, key=True), 415, "unsupported_media_type"),
        Request(
            "a form without a boundary",
            f'curl {WITH_KEY} -H "Content-Type: multipart/form-data" -d "--x" {AT}{path}',
            400,
            "bad_request",
        ),
    ]
    plain = sent(path, "file=@mine.zip", "name=other")
    return Route("POST", path, "Upload a model", requests, changes=True, plain=plain)


def models() -> list[Route]:
    one = f"{AT}/models"
    shows = "name active kind genres"
    return [
        Route("GET", "/models", "All models", [Request("all", f"curl {one}", 200)], plain=f"curl {one}"),
        Route(
            "GET",
            "/models/{name}",
            "A model",
            [
                Request("the starter", f"curl {one}/genre_classifier", 200),
                Request("one that is damaged", f"curl {one}/broken", 200, shows=shows),
                Request("no such model", f"curl {one}/nobody", 404, "model_not_found"),
                Request("a path", f"curl {one}/..%2F..%2Fetc", 404, "not_found"),
            ],
            plain=f"curl {one}/genre_classifier",
        ),
        Route(
            "GET",
            "/models/{name}/metrics",
            "A model's evaluation",
            [
                Request(
                    "the starter's",
                    f"curl {one}/genre_classifier/metrics",
                    200,
                    shows="split tracks accuracy macro_f1 calibration",
                ),
                Request("of a model that was never evaluated", f"curl {one}/broken/metrics", 404, "no_metrics"),
                Request("no such model", f"curl {one}/nobody/metrics", 404, "model_not_found"),
            ],
            plain=f"curl {one}/genre_classifier/metrics",
        ),
        Route(
            "POST",
            "/models/{name}/activate",
            "Let a model answer",
            [
                Request("a model", f"curl -X POST {WITH_KEY} {one}/spare/activate", 200),
                Request("once more", f"curl -X POST {WITH_KEY} {one}/spare/activate", 200),
                Request("one that is damaged", f"curl -X POST {WITH_KEY} {one}/broken/activate", 422, "model_invalid"),
                Request("no such model", f"curl -X POST {WITH_KEY} {one}/nobody/activate", 404, "model_not_found"),
            ],
            changes=True,
            plain=f"curl -X POST {one}/spare/activate",
        ),
    ]


def delete() -> Route:
    one = f"curl -X DELETE {WITH_KEY} {AT}/models"
    requests = [
        Request("a model", f"{one}/mine-1.0", 204),
        Request("one that is gone", f"{one}/mine-1.0", 404, "model_not_found"),
        Request("the one that answers", f"{one}/spare", 409, "model_in_use"),
        Request("the one that a job starts from", f"{one}/mine", 409, "model_in_use"),
        Request("the starter", f"{one}/genre_classifier", 409, "model_in_use"),
        Request("a path", f"{one}/..%2Fruns", 404, "not_found"),
    ]
    plain = f"curl -X DELETE {AT}/models/spare"
    return Route("DELETE", "/models/{name}", "Delete a model", requests, changes=True, plain=plain)


SHOWN_OF_A_JOB = "job_id status model_name base_model queue_position attempt progress epochs"


def start() -> Route:
    path = "/finetune/start"
    synthetic_music = {"base_model": "mine", "catalogue": "synthetic"}

    def started(**asked: object) -> str:
        return posted(path, asked, key=True)

    def configured(**config: object) -> str:
        return started(catalogue="synthetic", config=config)

    long = {"epochs": 1000, "learning_rate": 0.001}
    requests = [
        Request(
            "a job, which begins at once",
            started(**synthetic_music, model_name="long", config=long),
            202,
            shows=SHOWN_OF_A_JOB,
            keeps="JOB",
        ),
        Request(
            "a second one, on a folder, which waits",
            started(data_path="music", base_model="mine", model_name="next", labels=["rock", "hiphop"]),
            202,
            shows=SHOWN_OF_A_JOB + " request",
            keeps="WAITING",
        ),
        Request("more than may wait", started(**synthetic_music), 503, "queue_full"),
        Request("a name that a model has", started(**synthetic_music, model_name="spare"), 409, "model_exists"),
        Request("a name that a job has", started(**synthetic_music, model_name="next"), 409, "model_exists"),
        Request("a path for a name", started(**synthetic_music, model_name="../x"), 422, "model_name_invalid"),
        Request("no such base", started(catalogue="synthetic", base_model="nobody"), 404, "model_not_found"),
        Request("no such music", started(data_path="nothing"), 404, "catalogue_not_found"),
        Request("a path that leads out", started(data_path="../.."), 403, "path_not_allowed"),
        Request("a path from the root", started(data_path="/etc"), 403, "path_not_allowed"),
        Request("a link that leads out", started(data_path="link"), 403, "path_not_allowed"),
        Request("music of one genre", started(data_path="one_genre"), 422, "catalogue_invalid"),
        Request("a table without its columns", started(catalogue="columns"), 422, "catalogue_invalid"),
        Request(
            "a genre without tracks", started(catalogue="synthetic", labels=["rock", "polka"]), 422, "genres_unknown"
        ),
        Request("no app of Spotify's", started(spotify_user_id="me"), 501, "spotify_not_configured"),
        Request("nobody signed in", started(spotify_user_id="me"), 409, "spotify_not_connected", at=STREAMING),
        Request("labels that are none", started(spotify_user_id="me", labels="mood"), 422, "training_settings_invalid"),
        Request("a table from elsewhere", started(spotify_user_id="me", labels="csv:/etc/x"), 403, "path_not_allowed"),
        Request("genres of a user", started(spotify_user_id="me", labels=["rock", "pop"]), 422, "invalid_request"),
        Request("no music", started(), 422, "invalid_request"),
        Request("music twice", started(catalogue="synthetic", data_path="music"), 422, "invalid_request"),
        Request("a field that is misspelt", started(catalog="synthetic"), 422, "invalid_request"),
        Request("a setting that is misspelt", configured(epoch=3), 422, "training_settings_invalid"),
        Request("a setting out of range", configured(epochs=0), 422, "training_settings_invalid"),
        Request("a setting of another type", configured(learning_rate="fast"), 422, "training_settings_invalid"),
        Request("a place among the settings", configured(output_path="/tmp"), 422, "training_settings_invalid"),
        Request("JSON that is none", posted(path, "{", key=True), 400, "invalid_json"),
        Request("a form", sent(path, "catalogue=synthetic", key=True), 415, "unsupported_media_type"),
        Request("too large", posted(path, "@large.json", key=True), 413, "body_too_large"),
    ]
    plain = posted(path, {"catalogue": "synthetic"})
    return Route("POST", path, "Start a fine-tuning", requests, changes=True, plain=plain)


def jobs() -> list[Route]:
    one = f"{AT}/finetune"
    post = f"curl -X POST {WITH_KEY} {one}"
    nobody, path = "20260131-174501-mine-8f2c0d91ab", "..%2F..%2Fetc"
    state = "job_id status queue_position attempt"
    status = Route(
        "GET",
        "/finetune/status/{job_id}",
        "See how a job goes",
        [
            Request("one that runs", f"curl {one}/status/$JOB", 200),
            Request("one that waits", f"curl {one}/status/$WAITING", 200, shows=state),
            Request("no such job", f"curl {one}/status/{nobody}", 404, "job_not_found"),
            Request("a path", f"curl {one}/status/{path}", 404, "not_found"),
        ],
        plain=f"curl {one}/status/$JOB",
    )
    listed = Route(
        "GET",
        "/finetune",
        "List the jobs",
        [
            Request("all", f"curl {one}", 200, shows="total limit offset"),
            Request("those that wait", f'curl "{one}?status=queued&limit=1"', 200),
            Request("no such status", f'curl "{one}?status=lost"', 422, "invalid_request"),
            Request("out of range", f'curl "{one}?limit=0&offset=-1"', 422, "invalid_request"),
        ],
        plain=f"curl {one}",
    )
    stop = Route(
        "POST",
        "/finetune/stop/{job_id}",
        "Stop a job",
        [
            Request("one that waits", f"{post}/stop/$WAITING", 202, shows=state),
            Request("once more: nothing changes", f"{post}/stop/$WAITING", 202, shows=state),
            Request("one that runs", f"{post}/stop/$JOB", 202, shows="job_id status", late=True),
            Request("no such job", f"{post}/stop/{nobody}", 404, "job_not_found"),
        ],
        changes=True,
        plain=f"curl -X POST {one}/stop/$WAITING",
    )
    events = Route(
        "GET",
        "/finetune/events/{job_id}",
        "Follow a job",
        [
            Request(
                "a job that has ended, from its beginning", f"curl -N {one}/events/$WAITING", 200, shows="event: id:"
            ),
            Request("after its end", f'curl -N -H "Last-Event-ID: 0-end" {one}/events/$WAITING', 204),
            Request("no such job", f"curl -N {one}/events/{nobody}", 404, "job_not_found"),
        ],
        plain=f"curl -N {one}/events/$WAITING",
    )
    resume = Route(
        "POST",
        "/finetune/resume/{job_id}",
        "Let a job go on",
        [
            Request("one that was stopped", f"{post}/resume/$WAITING", 202, shows=state),
            Request("one that waits already", f"{post}/resume/$WAITING", 409, "job_conflict"),
            Request("one that runs", f"{post}/resume/$JOB", 409, "job_conflict"),
            Request("no such job", f"{post}/resume/{nobody}", 404, "job_not_found"),
        ],
        changes=True,
        plain=f"curl -X POST {one}/resume/$WAITING",
    )
    return [start(), status, listed, stop, events, resume]


def service() -> list[Route]:
    health = Route("GET", "/health", "How the service is", [Request("always", f"curl {AT}/health", 200)])
    metrics = Route(
        "GET",
        "/metrics",
        "Metrics for Prometheus",
        [Request("all processes", f"curl {AT}/metrics", 200, shows="genre_model_info{ genre_worker_up{ genre_jobs{")],
        plain=f"curl {AT}/metrics",
    )
    bearer = '-H "Authorization: Bearer $GENRE_KEY"'
    others = Route(
        "",
        "",
        "What all routes have in common",
        [
            Request("where to begin", f"curl {AT}/", 200),
            Request("the manual", f"curl {AT}/docs", 200, shows="<title>"),
            Request("the document that programs read", f"curl {AT}/openapi.json", 200, shows="openapi"),
            Request("no such path", f"curl {AT}/predictions", 404, "not_found"),
            Request("what a path takes", f"curl -X OPTIONS {AT}/predict", 204),
            Request("the head alone", f"curl --head {AT}/models", 200),
            Request("a key as a bearer", f"curl {bearer} {AT}/models/mine", 200, shows="name kind", at=CLOSED),
            Request("another scheme", f"curl -u ann:secret {AT}/models", 401, "missing_key", at=CLOSED),
            Request("a key in the address", f'curl "{AT}/models?key=$GENRE_KEY"', 401, "missing_key", at=CLOSED),
            Request(
                "too many wrong keys came from this address; this one is right",
                f"curl {WITH_KEY} {AT}/models",
                429,
                "rate_limited",
                at=CLOSED,
                late=True,
            ),
        ],
    )
    return [health, metrics, others]


def all_routes() -> list[Route]:
    """The document's parts, in the order in which they are asked, too."""
    made = [predict(), batch(), spotify(), features(), upload(), *models(), *jobs(), delete(), *service()]
    return [replace(route, requests=[*route.requests, *common(route)]) for route in made]


def common(route: Route) -> list[Request]:
    """What is asked of every route: the wrong method, no key, a wrong one, too often."""
    if not route.method:
        return []
    address = f"{AT}{route.path.format(name='mine', job_id='$JOB')}"
    found = [Request("another method", f"curl -X PUT {address}", 405, "method_not_allowed")]
    if not route.plain:
        return found
    at = OPEN if route.changes else CLOSED
    wrong = route.plain.replace("curl", 'curl -H "X-API-Key: wrong"', 1)
    found.append(Request("no key", route.plain, 401, "missing_key", at=at))
    found.append(Request("a key that is not known", wrong, 401, "invalid_key", at=at))
    if route.changes:
        found.append(Request("there are no keys", route.plain, 403, "no_keys_configured", at=KEYLESS))
    found.append(Request("too often", route.plain, 429, "rate_limited", at=KEYLESS, late=True))
    return found


# --- what is sent -----------------------------------------------------------------------------------------------------


def prepare(folder: Path) -> None:
    """The files that the commands name, beside each other."""
    folder.mkdir()
    tracks = synthetic.make(folder / "invented", tracks_per_genre=synthetic.MIN_TRACKS, seconds=9)
    for name, genre in (("song.wav", "rock"), ("other.wav", "classical")):
        (folder / name).write_bytes(next(iter(sorted((tracks / genre).rglob("*.wav")))).read_bytes())
    song = (folder / "song.wav").read_bytes()
    (folder / "cut.wav").write_bytes(song[: len(song) * 2 // 3])
    (folder / "text.mp3").write_text("this is a text and no audio\n" * 40)
    (folder / "empty.mp3").touch()
    audio.write_wav(folder / "long.wav", np.zeros(16 * 8000, np.float32), 8000)
    (folder / "large.wav").write_bytes(song[:44] + bytes(3 * 1024**2))
    (folder / "large.json").write_text(json.dumps({"filler": "x" * 2 * 1024**2}))
    prepare_zips(folder)


def prepare_zips(folder: Path) -> None:
    """A good model, and what somebody may try."""
    model = {file.name: file.read_bytes() for file in sorted(STARTER.iterdir())}
    config = json.loads(model["config.json"])
    custom = json.dumps(config | {"auto_map": {"AutoModel": "evil.Model"}}).encode()
    link = zipfile.ZipInfo("config.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    packed: dict[str, list[tuple[str | zipfile.ZipInfo, bytes]]] = {
        "mine": list(model.items()),
        "escape": [*model.items(), ("../../escaped.json", b"{}")],
        "absolute": [*model.items(), ("/tmp/escaped.json", b"{}")],
        "link": [(link, b"/etc/passwd")],
        "pickle": [*model.items(), ("pytorch_model.bin", b"\x80\x04.")],
        "code": [*model.items(), ("modeling.py", b"import os\n")],
        "auto_map": list((model | {"config.json": custom}).items()),
        "encrypted": list(model.items()),
        "bomb": [("config.json", model["config.json"]), ("model.safetensors", bytes(64 * 1024**2))],
        "nested": [*model.items(), ("checkpoints/model.safetensors", b"")],
        "twice": [*model.items(), ("CONFIG.json", b"{}")],
        "no_model": [("README.md", b"# Nothing\n")],
        "cut_off": list((model | {"model.safetensors": model["model.safetensors"][:1000]}).items()),
        "empty": [],
    }
    for name, members in packed.items():
        with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in members:
                archive.writestr(member, content)
    encrypt(folder / "encrypted.zip")
    (folder / "large.zip").write_bytes(bytes(4 * 1024**2))


def encrypt(packed: Path) -> None:
    """Say of every file in a zip that it is encrypted, which ``zipfile`` itself cannot make."""
    content = bytearray(packed.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(signature)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(signature, at + 4)
    packed.write_bytes(content)


def prepare_places(temporary: Path) -> dict[str, str]:
    """Folders of the service's own, with music and a damaged model in them; as settings."""
    music, models = temporary / "music", temporary / "models"
    synthetic.make(music / "music", tracks_per_genre=synthetic.MIN_TRACKS, seconds=3)
    synthetic.make(music / "one_genre", genres=("rock",), tracks_per_genre=synthetic.MIN_TRACKS, seconds=3)
    (music / "columns.csv").write_text("file,style\na.wav,rock\n")
    (music / "link").symlink_to(temporary / "files")
    (models / "broken").mkdir(parents=True)
    for name in ("config.json", "preprocessor_config.json"):
        (models / "broken" / name).write_bytes((STARTER / name).read_bytes())
    (models / "broken/model.safetensors").write_bytes((STARTER / "model.safetensors").read_bytes()[:1000])
    return {
        "MODEL_PATH": str(STARTER),
        "MODELS_PATH": str(models),
        "RUNS_PATH": str(temporary / "runs"),
        "CACHE_PATH": str(temporary / "cache"),
        "FINETUNE_DATA_ROOTS": str(music),
    }


class Web(BaseHTTPRequestHandler):
    """What an ``audio_url`` may meet."""

    song = b""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/song.wav":
            self.answer(200, "audio/wav", self.song)
        elif path == "/page":
            self.answer(200, "text/html", b"<title>No audio</title>")
        elif path == "/empty":
            self.answer(200, "audio/wav", b"")
        elif path == "/large":
            self.answer(200, "audio/wav", bytes(2 * 1024**2))
        elif path == "/slow":
            time.sleep(3)
            self.answer(200, "audio/wav", self.song)
        elif path in REDIRECTS:
            self.answer(302, "text/plain", b"", REDIRECTS[path])
        else:
            self.answer(404, "text/plain", b"nothing here")

    def answer(self, status: int, kind: str, content: bytes, location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        try:
            self.wfile.write(content)
        except ConnectionError:  # it was refused by its length, or waited for too long
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the document says what was asked."""


REDIRECTS = {"/moved": "/song.wav", "/in-circles": "/in-circles", "/to-private": "http://192.168.0.1/song.wav"}


@contextmanager
def web_server(song: bytes) -> Iterator[int]:
    """The web server in a thread; its port."""
    Web.song = song
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


# --- asking -----------------------------------------------------------------------------------------------------------


@dataclass
class Asker:
    """Runs commands, with what the document's names stand for put in, and checks what they say.

    Args:
        folder: with the files that commands name.
        names: what the document says, and what it stands for.
    """

    folder: Path
    names: dict[str, str]
    document: dict[str, Any] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)

    def differs(self, what: str) -> None:
        """Say it at once, and remember that something did."""
        self.differing.append(what)
        print(f"differs: {what}", flush=True)

    def ask(self, route: Route, request: Request) -> Answer:
        answer = self.run(request.command)
        answer.faults = self.faults(route, request, answer)
        if request.keeps and isinstance(answer.content, dict):
            self.names[f"${request.keeps}"] = str(answer.content.get("job_id"))
        return answer

    def run(self, command: str) -> Answer:
        """What curl brings."""
        body, head = self.folder.parent / "body", self.folder.parent / "head"
        body.write_bytes(b"")
        words = [self.put_in(word) for word in shlex.split(command)]
        options = ["-sS", "-o", str(body), "-D", str(head), "-w", "%{http_code}", "--max-time", str(CURL_SECONDS)]
        ended = subprocess.run(
            [words[0], "-q", *options, "--noproxy", "*", *words[1:]],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=CURL_SECONDS + 10,
        )
        lines = head.read_text(errors="replace").rpartition("HTTP/1.1")[2].splitlines()[1:] if head.exists() else []
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        content = b"" if "--head" in words else body.read_bytes()
        faults = [f"curl ended with {ended.returncode}: {ended.stderr.strip()}"] if ended.returncode else []
        return Answer(int(ended.stdout or 0), headers, content, faults)

    def put_in(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace(name, value)
        return text

    def put_back(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace(value, name)
        return text

    def faults(self, route: Route, request: Request, answer: Answer) -> list[str]:
        """What is not as it should be."""
        found = list(answer.faults)
        content = answer.content
        code = content.get("code", "") if isinstance(content, dict) and answer.status >= 400 else ""
        if (answer.status, code) != (request.status, request.code):
            came = f"{answer.status} {code} {answer.body[:300].decode(errors='replace')}"
            found.append(f"expected {request.status} {request.code}, and came {came}")
        if answer.status >= 400:
            found += shape_faults(content)
        if isinstance(content, dict):
            found += [
                fault for one in content.get("results", []) if one.get("error") for fault in shape_faults(one["error"])
            ]
        if route.method and answer.status != 405:
            told = self.document["paths"].get(route.path, {}).get(route.method.lower(), {}).get("responses", {})
            if str(answer.status) not in told:
                found.append(f"{answer.status} is not in /openapi.json")
        if str(self.folder.parent).encode() in answer.body or str(REPOSITORY).encode() in answer.body:
            found.append("the answer tells a path of this machine")
        return found


def shape_faults(content: Any) -> list[str]:
    good = isinstance(content, dict) and set(content) == {"detail", "code"} and all(map(is_text, content.values()))
    return [] if good else ["the error is not {detail, code}"]


def is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def asked_in_order(routes: list[Route], setup: str) -> list[tuple[Route, Request]]:
    """A setup's requests: the late ones last."""
    found = [(route, request) for route in routes for request in route.requests if request.at == setup]
    return sorted(found, key=lambda pair: pair[1].late)


def ask_all(routes: list[Route], asker: Asker, settings: Mapping[str, str], temporary: Path) -> dict[int, Answer]:
    """Every answer, by the ``id`` of its request: one service after another."""
    answers: dict[int, Answer] = {}
    for setup, own in SETUPS.items():
        port = free_port()
        asker.names[HOST] = f"127.0.0.1:{port}"
        command = [sys.executable, str(REPOSITORY / "serve.py"), "--port", str(port)]
        with streaming(temporary) as spotify, running(command, {**settings, **own, **spotify[setup]}, temporary, setup):
            asker.document = httpx.get(f"http://127.0.0.1:{port}/openapi.json", trust_env=False).json()
            was_late = False
            for route, request in asked_in_order(routes, setup):
                if request.late and not was_late:
                    was_late = True
                    exhaust(setup, asker)
                answer = answers[id(request)] = asker.ask(route, request)
                for fault in answer.faults:
                    asker.differs(f"{setup}: {route.name or route.title}: {request.what}: {fault}")
            if setup == OPEN:
                end_jobs(asker)
    return answers


def exhaust(setup: str, asker: Asker) -> None:
    """Use up what may be asked, for what is late."""
    ways: dict[str, list[tuple[str, str]]] = {
        OPEN: [],
        CLOSED: [("GET", "/models")],
        KEYLESS: [("GET", "/models"), ("POST", "/predict"), ("DELETE", "/models/nobody")],
        STREAMING: [],
    }
    with httpx.Client(base_url=asker.put_in(AT), headers={"X-API-Key": "wrong"}, trust_env=False) as http:
        for method, path in ways[setup]:
            if not any(http.request(method, path).status_code == 429 for _ in range(MOST_UNTIL_LIMITED)):
                asker.differs(f"{setup}: {method} {path} met no limit in {MOST_UNTIL_LIMITED} requests")


def end_jobs(asker: Asker) -> None:
    """Stop what still waits or runs, and wait until it has ended."""
    deadline = time.monotonic() + JOBS_END_SECONDS
    left = ["?"]
    with httpx.Client(base_url=asker.put_in(AT), headers={"X-API-Key": KEY}, timeout=30, trust_env=False) as http:
        while left and time.monotonic() < deadline:
            listed = http.get("/finetune").json()["jobs"]
            left = [job["job_id"] for job in listed if job["status"] in ("queued", "running", "stopping")]
            for job in listed:
                if job["status"] in ("queued", "running"):
                    http.post(f"/finetune/stop/{job['job_id']}")
            time.sleep(0.5)
    if left:
        asker.differs(f"{len(left)} jobs did not end within {JOBS_END_SECONDS} seconds")


def end_rest(temporary: Path) -> None:
    """Jobs outlive their server: end what was started in the folder, whatever became of it."""
    for process in psutil.process_iter(["cmdline"]):
        if process.pid != psutil.Process().pid and any(
            str(temporary) in word for word in process.info["cmdline"] or []
        ):
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue


# --- the document -----------------------------------------------------------------------------------------------------

INTRODUCTION = """# The service, route by route

What it answers to good requests and to bad ones. Made by `python benchmarks/routes.py`, which sent every command of
this page to a running service by curl and compared what came. `/docs` of a running service is the manual; this page is
its proof.

The service stands at `http://127.0.0.1:8000`, and `$GENRE_KEY` holds an API key. `http://127.0.0.1:9000` is a web
server with a song, opened by `FETCH_ALLOWED_HOSTS=127.0.0.1:9000,127.0.0.1:9001`; at 9001 nobody answers. `$JOB` and
`$WAITING` are the `job_id`s of the jobs that are started below, the second of which waits while the first runs.
`mine.zip` is a zipped model folder, `broken` a model whose weights were damaged on the disk. `…` stands for what
differs from time to time, or is cut short here. Numbers are rounded.

Limits are small here, so that they can be met:
{limits}.

Rows marked ¹ were sent to a service with `READ_REQUIRES_KEY=true`, rows marked ² to one without API keys and with
{rates}, rows marked ³ to one whose Spotify is a small server with an invented library, and whose MUSIC_PATH holds some
of its music; nobody has signed in to it.

Every error is `{{"detail": a sentence, "code": a word}}`. The code stays the same over versions.
"""

MARKS = {OPEN: "", CLOSED: " ¹", KEYLESS: " ²", STREAMING: " ³"}


def written(routes: list[Route], answers: Mapping[int, Answer], asker: Asker) -> str:
    """The document."""
    limits = listed(SMALL)
    rates = listed({name: value for name, value in SETUPS[KEYLESS].items() if name in RATES})
    parts = [INTRODUCTION.format(limits=limits, rates=rates)]
    for route in routes:
        heading = f"`{route.name}`\n\n{route.title}." if route.method else route.title
        rows = [row(request, answers[id(request)], asker) for request in route.requests]
        parts.append(
            "\n".join([f"## {heading}\n", "| what | command | status | answer |", "|---|---|---|---|", *rows, ""])
        )
    return "\n".join(parts)


def listed(settings: Mapping[str, str]) -> str:
    return ", ".join(f"`{name}={value}`" for name, value in settings.items())


def row(request: Request, answer: Answer, asker: Asker) -> str:
    told = [told_header(name, answer, asker) for name in TOLD_HEADERS if name in answer.headers]
    cells = "<br>".join(map(code, [*told, *shown(request, answer, asker)])) or "nothing"
    return f"| {request.what}{MARKS[request.at]} | {code(request.command)} | {answer.status} | {cells} |"


def code(text: str) -> str:
    """As code in a cell of a table."""
    text = text.replace("|", "\\|")
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def told_header(name: str, answer: Answer, asker: Asker) -> str:
    value = "…" if answer.status == 429 else asker.put_back(answer.headers[name])
    shown_name = {"www-authenticate": "WWW-Authenticate"}.get(name, name.title())
    return f"{shown_name}: {value}"


def shown(request: Request, answer: Answer, asker: Asker) -> list[str]:
    """What the document says of a body."""
    wanted = request.shows.split()
    if answer.content is None:
        lines = re.sub(r'version="[^"]+"', 'version="…"', answer.body.decode(errors="replace")).splitlines()
        return [shortened(asker.put_back(line.strip())) for line in lines if line.strip().startswith(tuple(wanted))]
    content = stable(answer.content)
    if wanted and isinstance(content, dict):
        content = {name: content[name] for name in wanted if name in content} | {"…": "…"}
    text = json.dumps(content, ensure_ascii=False).replace('"…": "…"', "…").replace('"…"', "…")
    text = asker.put_back(text)
    return [re.sub(r"in \d+ seconds|at \d{4}-\d\d-\d\d [\d:]+", later, text) if answer.status == 429 else text]


def later(found: re.Match[str]) -> str:
    """A time in a sentence, which is another one each time."""
    return "in … seconds" if found[0].startswith("in") else "at …"


def stable(value: Any, depth: int = 0) -> Any:
    """A body without what differs from run to run, and without most of what is long."""
    if isinstance(value, dict):
        if depth >= DEEPEST:
            return "…"
        hidden = VOLATILE | (VOLATILE_IN_JOBS if "job_id" in value else frozenset())
        return {
            name: "…" if name in hidden and one is not None else stable(one, depth + 1) for name, one in value.items()
        }
    if isinstance(value, list):
        kept = [stable(one, depth + 1) for one in value[:MOST_ENTRIES]]
        return kept + ["…"] * (len(value) > MOST_ENTRIES)
    if isinstance(value, float):
        return round(value, 2)
    return shortened(value) if isinstance(value, str) and depth > 1 else value


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


# --- all of it --------------------------------------------------------------------------------------------------------


def missing(routes: list[Route], document: Mapping[str, Any]) -> list[str]:
    """Routes of ``/openapi.json`` that are not asked here, and those here that it does not know."""
    known = {f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations}
    here = {route.name for route in routes if route.method}
    return sorted(known ^ here)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "docs/api.md", help="where the document is written")
    given = parser.parse_args()
    for number in ENDING:
        signal.signal(number, interrupt_once)
    with tempfile.TemporaryDirectory(prefix="genre-routes-") as name:
        temporary = Path(name)
        try:
            return checked(temporary, given.output)
        except KeyboardInterrupt:
            print("interrupted; the service was ended", file=sys.stderr)
            return 130
        finally:
            end_rest(temporary)


def checked(temporary: Path, output: Path) -> int:
    """Ask all, write the document, and say how many answers differ."""
    files = temporary / "files"
    prepare(files)
    settings = prepare_places(temporary)
    routes = all_routes()
    with web_server((files / "song.wav").read_bytes()) as port:
        asker = Asker(files, {"$GENRE_KEY": KEY, MUSIC: f"127.0.0.1:{port}", NOBODY: f"127.0.0.1:{free_port()}"})
        settings["FETCH_ALLOWED_HOSTS"] = f"{asker.names[MUSIC]},{asker.names[NOBODY]}"
        answers = ask_all(routes, asker, settings, temporary)
    strange = missing(routes, asker.document)
    for name in strange:
        asker.differs(f"{name} stands here or in /openapi.json alone")
    faulty = sum(bool(answer.faults) for answer in answers.values())
    before = output.read_text(encoding="utf-8") if output.is_file() else ""
    text = written(routes, answers, asker)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    print(f"routes     {sum(bool(route.method) for route in routes)}, {len(strange)} of them not as in /openapi.json")
    print(f"requests   {len(answers)}, {faulty} of them answered otherwise than expected")
    print(f"written    {output.name}, {'as it was' if text == before else 'changed'}")
    return int(bool(asker.differing))


if __name__ == "__main__":
    sys.exit(main())
