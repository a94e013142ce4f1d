"""What is asked of the service, and of which one: a row of the document is a request, a part of it a route."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from own_service import UNLIMITED, opened_by

from genre_lib import api_keys

HOST, MUSIC, NOBODY = "127.0.0.1:8000", "127.0.0.1:9000", "127.0.0.1:9001"
"""How the document calls the service, the web server that has music, and an address where nobody answers."""

KEY = api_keys.generate()

KEYS = opened_by(KEY)

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
