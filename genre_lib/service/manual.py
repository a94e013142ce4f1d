"""The text of ``/docs``: how to begin, who may do what, how much, what goes wrong, and what can be sent."""

from typing import Any

from genre_lib.service.errors import STATUS, status_of
from genre_lib.settings import MIB, Settings

TAGS: list[dict[str, Any]] = [
    {"name": "prediction", "description": "What genres tracks have."},
    {"name": "analysis", "description": "What tracks sound like: tempo, key, loudness and more."},
    {"name": "models", "description": "Which models there are, which one predicts, and how good they are."},
    {"name": "finetuning", "description": "Models for your own genres, trained as jobs that survive a restart."},
    {"name": "service", "description": "How the service is."},
]
"""In the order of the page."""

WITHOUT_A_TYPE = {
    "invalid_request": (422, "A field is missing, unknown or out of range; the sentence names it."),
    "invalid_json": (400, "The body is no JSON."),
    "bad_request": (400, "The form cannot be read; it was cut off, say."),
    "not_found": (404, "There is nothing at the path."),
    "method_not_allowed": (405, "The path takes other methods, which `Allow` names."),
    "body_too_large": (413, "The body is larger than a request of its kind may be."),
    "model_too_large": (413, "The model's zip is larger than the limit."),
    "rate_limited": (429, "Too many requests came from you, or go to Spotify; `Retry-After` says when to go on."),
    "internal_server_error": (500, "Something that nobody foresaw; the service's log says more."),
    "too_many_requests": (503, "The service answers as many requests as it can."),
    "worker_died": (503, "The process that held the request ended, and is being started again."),
    "not_ready": (503, "The worker is starting."),
    "request_timeout": (504, "There was no answer in time."),
    "item_timeout": (504, "A track of a batch was not predicted in time."),
    "disk_full": (507, "The service's disk is full."),
}
"""Codes of errors that no type stands for."""


def codes() -> dict[str, tuple[int, str]]:
    """Every code with its status and its meaning, by status; a type's meaning is its docstring's first line."""
    kinds = {kind for known in STATUS for kind in (known, *known.__subclasses__())}
    errors = [kind.__new__(kind) for kind in kinds]
    typed = {error.code: (status_of(error), str(error.__doc__).strip().splitlines()[0]) for error in errors}
    return dict(sorted({**typed, **WITHOUT_A_TYPE}.items(), key=lambda entry: (entry[1][0], entry[0])))


ERROR_EXAMPLES = {
    400: {
        "detail": "The body is no JSON that can be read; send an object such as GET /docs shows.",
        "code": "invalid_json",
    },
    401: {"detail": "This needs an API key; send yours as `X-API-Key: KEY`.", "code": "missing_key"},
    403: {"detail": "This needs an API key, and none is configured here.", "code": "no_keys_configured"},
    404: {"detail": "There is no model 'jaz'; there are: genre_classifier, mine.", "code": "model_not_found"},
    409: {"detail": "mine predicts at present; activate another model first.", "code": "model_in_use"},
    413: {"detail": "The body is larger than the 201 MiB that are allowed here; send less.", "code": "audio_too_large"},
    415: {
        "detail": "song.mp3 is not audio that can be decoded: its bytes are in no known format.",
        "code": "not_audio",
    },
    422: {"detail": "The request cannot be used: topk is not known here.", "code": "invalid_request"},
    429: {"detail": "Too many requests came from you; try again in 12 seconds.", "code": "rate_limited"},
    500: {"detail": "The service met an error that it did not expect.", "code": "internal_server_error"},
    501: {"detail": "This version has no access to Spotify.", "code": "spotify_not_configured"},
    502: {"detail": "example.com does not answer.", "code": "url_unreachable"},
    503: {"detail": "64 requests are being answered already; try again in a second.", "code": "too_many_requests"},
    504: {"detail": "There was no answer within 60 seconds; try again.", "code": "request_timeout"},
    507: {"detail": "The service's disk is full.", "code": "disk_full"},
}
"""One for each status, for the OpenAPI document."""

TEXT = """
Send a track, get its genres. Everything below can be tried out on this page.

## Getting started

```bash
curl -F file=@song.mp3 -F top_k=3 http://{host}:{port}/predict
curl -F file=@song.mp3 -F 'features={{"tempo": 120, "energy": 0.8}}' http://{host}:{port}/predict  # if the model does
curl -F file=@song.mp3 http://{host}:{port}/analyze/features
curl -F files=@one.mp3 -F files=@two.mp3 http://{host}:{port}/predict/batch
curl -H 'Content-Type: application/json' -d '{{"audio_url": "https://example.com/song.mp3"}}' \\
     http://{host}:{port}/predict
```

## Keys

{keys}

Send a key as `X-API-Key: KEY` or as `Authorization: Bearer KEY`. Whoever runs the service makes one with
`genre keys create NAME`.

## Formats

Any audio that FFmpeg decodes: mp3, m4a, ogg, opus, flac, wav, aiff, webm and more; the content counts, not the name.
Stereo is averaged. A track that is shorter than it claims is heard as far as it goes, and the answer has a `warning`.
An `audio_url` is fetched once, from public addresses alone, and not kept.

## Limits

| what | most |
|---|---|
| a file | {file} MiB |
| a track | {seconds:g} seconds |
| a batch | {items} tracks, {batch} MiB together |
| any other body | 1 MiB |
| requests at the same time | {in_flight} |
| time to an answer | {timeout:g} seconds |

Each client may send so many requests; `X-RateLimit-Limit`, `-Remaining` and `-Reset` in every answer say how many are
left, and 429 comes with `Retry-After`.

## Errors

Every error is `{{"detail": "a sentence for people", "code": "a_word_for_programs"}}`. The sentence says what was
expected, what came and what to do; the code stays the same over versions.

| code | status | meaning |
|---|---|---|
{codes}
"""

OPEN_READING = (
    "Prediction, analysis and what changes nothing need none. Training, uploading, activating and deleting do."
)
CLOSED_READING = "Every route needs one, but `/health` and this page."


def manual(settings: Settings) -> str:
    """The text with this service's own address and limits, in Markdown."""
    rows = "\n".join(f"| `{code}` | {status} | {meaning} |" for code, (status, meaning) in codes().items())
    return TEXT.format(
        host="127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host,
        port=settings.port,
        keys=CLOSED_READING if settings.read_requires_key else OPEN_READING,
        file=settings.max_audio_bytes // MIB,
        batch=settings.max_batch_bytes // MIB,
        seconds=settings.max_audio_seconds,
        items=settings.max_batch_items,
        in_flight=settings.max_requests_in_flight,
        timeout=settings.request_timeout,
        codes=rows,
    ).strip()
