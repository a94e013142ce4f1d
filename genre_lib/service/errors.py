"""Every error as ``{"detail": a sentence, "code": a word}``, whichever layer it comes from."""

import errno
import http
import logging
import math
import time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from genre_lib.errors import (
    AnalysisBusy,
    AudioError,
    AudioTooLarge,
    CatalogueError,
    CatalogueNotFound,
    FeaturesRefused,
    FetchTimeout,
    GenreLibError,
    GenresUnknown,
    InvalidKey,
    InvalidTrackId,
    JobConflict,
    JobNotFound,
    LabelsInvalid,
    LibraryEmpty,
    MissingKey,
    ModelExists,
    ModelInUse,
    ModelInvalid,
    ModelNameInvalid,
    ModelNotFound,
    NoActiveModel,
    NoAudio,
    NoKeysConfigured,
    NoMetrics,
    NotAllowlisted,
    NotAudio,
    PathNotAllowed,
    PremiumRequired,
    QueueFull,
    RateLimited,
    ReadOnly,
    SpotifyCredentialsInvalid,
    SpotifyForbidden,
    SpotifyNotConfigured,
    SpotifyNotConnected,
    SpotifyNotFound,
    SpotifyTimeout,
    SpotifyUnreachable,
    TooManyItems,
    TrainingSettingsInvalid,
    UnsupportedMediaType,
    UploadRefused,
    UrlRefused,
    UrlUnreachable,
)
from genre_lib.service.schemas import ErrorBody

logger = logging.getLogger(__name__)

STATUS: dict[type[GenreLibError], int] = {
    NotAudio: 415,
    AudioTooLarge: 413,
    AudioError: 422,
    ModelNotFound: 404,
    NoActiveModel: 503,
    ModelExists: 409,
    ModelInUse: 409,
    ModelInvalid: 422,
    ModelNameInvalid: 422,
    NoMetrics: 404,
    UploadRefused: 422,
    NoKeysConfigured: 403,
    MissingKey: 401,
    InvalidKey: 401,
    UnsupportedMediaType: 415,
    TooManyItems: 422,
    AnalysisBusy: 503,
    InvalidTrackId: 422,
    SpotifyNotConfigured: 501,
    SpotifyNotConnected: 409,
    SpotifyCredentialsInvalid: 503,
    PremiumRequired: 503,
    NotAllowlisted: 503,
    SpotifyForbidden: 403,
    SpotifyNotFound: 404,
    NoAudio: 404,
    RateLimited: 429,
    SpotifyTimeout: 504,
    SpotifyUnreachable: 502,
    LibraryEmpty: 422,
    LabelsInvalid: 422,
    UrlRefused: 422,
    UrlUnreachable: 502,
    FetchTimeout: 504,
    CatalogueNotFound: 404,
    CatalogueError: 422,
    GenresUnknown: 422,
    FeaturesRefused: 422,
    PathNotAllowed: 403,
    TrainingSettingsInvalid: 422,
    JobNotFound: 404,
    JobConflict: 409,
    QueueFull: 503,
    ReadOnly: 507,
}
"""The caller's mistakes, the nearest type first; any other error is ours, and 500."""

HEADERS: dict[type[GenreLibError], dict[str, str]] = {
    AnalysisBusy: {"Retry-After": "5"},
    NoActiveModel: {"Retry-After": "10"},
    QueueFull: {"Retry-After": "60"},
    MissingKey: {"WWW-Authenticate": "Bearer"},
    InvalidKey: {"WWW-Authenticate": 'Bearer error="invalid_token"'},
}
"""What goes with an answer beside its body; RFC 6750 asks for these."""

MOST_FINDINGS = 10
LONGEST_SAID = 60
"""Letters of what came that an error repeats."""

DISK_FULL = "The service's disk is full, so the request could not be taken in; tell whoever runs it."
INTERNAL = "The service met an error that it did not expect; its log says more."

MEANING = {
    400: "The body cannot be read: it is no JSON, or its form is cut off.",
    401: "The API key is missing, or is not known.",
    403: "No API key is configured, so nobody may do this.",
    404: "There is no model of that name.",
    409: "What was asked for clashes with how things are: a name is taken, or something is in use.",
    413: "The upload is larger than allowed.",
    415: "The file is no audio that can be decoded, or the body is of another type than this takes.",
    422: "The track is empty or too long, or a field is missing, unknown or out of range.",
    429: "More requests came than are allowed; try again after Retry-After seconds.",
    500: "The service met an error that it did not expect.",
    501: "It is not set up here: an app of Spotify's, or the folder of music that its tracks are found in.",
    502: "The file cannot be fetched from its URL.",
    503: "Too many requests are being answered, the worker is starting, or the active model cannot be loaded; "
    "try again after Retry-After seconds.",
    504: "The answer took longer than allowed.",
    507: "The service's disk is full, or its folder of models cannot be written to.",
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error part of a route's documentation."""
    return {status: {"model": ErrorBody, "description": MEANING[status]} for status in statuses}


def status_of(error: GenreLibError) -> int:
    """The HTTP status of one of our errors."""
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def headers_of(error: GenreLibError) -> dict[str, str]:
    """What goes with the answer beside its body."""
    if isinstance(error, RateLimited):
        return {"Retry-After": str(max(1, math.ceil(error.resume_at - time.time())))}
    return HEADERS.get(type(error), {})


def body(detail: str, code: str) -> dict[str, str]:
    """The error as it is sent. Half of a surrogate pair, which JSON may bring and UTF-8 cannot hold, becomes ``?``."""
    return {"detail": detail.encode("utf-8", "replace").decode("utf-8"), "code": code}


def answer_to(error: BaseException) -> tuple[int, dict[str, str], dict[str, str]]:
    """Status, body and headers for whatever was raised; what nobody foresaw is logged, and told to nobody else."""
    if isinstance(error, GenreLibError):
        return status_of(error), body(str(error), error.code), headers_of(error)
    if isinstance(error, HTTPException):
        detail = f"{str(error.detail).rstrip('.')}."
        return error.status_code, body(detail, code_of(error.status_code)), dict(error.headers or {})
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        logger.error("the disk is full: %s", error)
        return 507, body(DISK_FULL, "disk_full"), {}
    logger.error("a request failed", exc_info=error)
    return 500, body(INTERNAL, "internal_server_error"), {}


def code_of(status: int) -> str:
    """A word for a status that comes without one: 405 becomes ``method_not_allowed``."""
    try:
        return http.HTTPStatus(status).name.lower()
    except ValueError:
        return "error"


def sentence(error: dict[str, Any]) -> str:
    """One of pydantic's findings, said of the field that it is about."""
    place = ".".join(str(part) for part in error["loc"] if part not in ("body", "query", "path")) or "the request"
    if error["type"] == "missing":
        return f"{place} is missing"
    if "UploadFile" in error["msg"]:
        return f"{place} must be an uploaded file, and is a text"
    place = shortened(place)
    if error["type"] == "extra_forbidden":
        return f"{place} is not known here"
    came = error.get("input")
    said = f", and is {shortened(repr(came))}" if isinstance(came, str | int | float) else ""
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}: {message[:1].lower()}{message[1:]}{said}"


def is_about_the_whole(finding: dict[str, Any]) -> bool:
    """Whether a body came, and no object could be read in it."""
    return tuple(finding["loc"]) == ("body",) and finding["type"] in ("model_attributes_type", "dict_type")


def shortened(text: str) -> str:
    """As much of what a stranger sent as fits into a sentence."""
    return text if len(text) <= LONGEST_SAID else f"{text[:LONGEST_SAID]}…"


async def on_error(_: Request, error: Exception) -> JSONResponse:
    status, content, headers = answer_to(error)
    return JSONResponse(content, status, headers=headers)


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code not in (404, 405):
        return await on_error(request, error)
    detail = f"{str(error.detail).rstrip('.')}: {request.method} {shortened(request.url.path)}."
    content = body(f"{detail} GET /docs shows what there is.", code_of(error.status_code))
    return JSONResponse(content, error.status_code, headers=error.headers)


async def on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and any(is_about_the_whole(finding) for finding in error.errors()):
        detail = (
            f"This takes JSON, and came as {shortened(kind) or 'no type at all'}; send an object such as GET /docs "
            "shows, with `-H 'Content-Type: application/json'`."
        )
        return JSONResponse(body(detail, UnsupportedMediaType().code), 415)
    if any(finding["type"] == "json_invalid" for finding in error.errors()):
        detail = "The body is no JSON that can be read; send an object such as GET /docs shows."
        return JSONResponse(body(detail, "invalid_json"), 400)
    findings = error.errors()
    said = "; ".join(sentence(finding) for finding in findings[:MOST_FINDINGS])
    return JSONResponse(body(f"The request cannot be used: {said}.", "invalid_request"), 422)


def install(app: FastAPI) -> None:
    """Make the app answer all of its errors in our shape."""
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(GenreLibError, on_error)
    app.add_exception_handler(OSError, on_error)
    app.add_exception_handler(Exception, on_error)
