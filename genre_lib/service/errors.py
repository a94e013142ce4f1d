"""Every error as ``{"detail": a sentence, "code": a word}``, whichever layer it comes from."""

import http
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from genre_lib.errors import (
    AudioError,
    AudioTooLarge,
    GenreLibError,
    InvalidKey,
    MissingKey,
    ModelNotFound,
    NoKeysConfigured,
    NotAudio,
)
from genre_lib.service.schemas import ErrorBody

logger = logging.getLogger(__name__)

STATUS: dict[type[GenreLibError], int] = {
    NotAudio: 415,
    AudioTooLarge: 413,
    AudioError: 422,
    ModelNotFound: 404,
    NoKeysConfigured: 403,
    MissingKey: 401,
    InvalidKey: 401,
}
"""The caller's mistakes, the nearest type first; any other error is ours, and 500."""

HEADERS: dict[type[GenreLibError], dict[str, str]] = {
    MissingKey: {"WWW-Authenticate": "Bearer"},
    InvalidKey: {"WWW-Authenticate": 'Bearer error="invalid_token"'},
}
"""What goes with an answer beside its body; RFC 6750 asks for these."""

INTERNAL = "The service met an error that it did not expect; its log says more."

MEANING = {
    400: "The request's form cannot be read.",
    401: "The API key is missing, or is not known.",
    403: "No API key is configured, so nobody may do this.",
    404: "There is no model of that name.",
    413: "The upload is larger than allowed.",
    415: "The file is no audio that can be decoded.",
    422: "The file is empty or too long, or a field is missing or out of range.",
    500: "The service met an error that it did not expect.",
    503: "Too many requests are being answered, or the worker is starting; try again after Retry-After seconds.",
    504: "The answer took longer than allowed.",
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error part of a route's documentation."""
    return {status: {"model": ErrorBody, "description": MEANING[status]} for status in statuses}


def status_of(error: GenreLibError) -> int:
    """The HTTP status of one of our errors."""
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def body(detail: str, code: str) -> dict[str, str]:
    return {"detail": detail, "code": code}


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
    came = error.get("input")
    said = f", and is {came!r}" if isinstance(came, str | int | float) else ""
    return f"{place}: {error['msg'][:1].lower()}{error['msg'][1:]}{said}"


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = str(error.detail).rstrip(".")
    if error.status_code in (404, 405):
        detail = f"{detail}: {request.method} {request.url.path}. GET /docs shows what there is"
    return JSONResponse(body(f"{detail}.", code_of(error.status_code)), error.status_code, headers=error.headers)


async def on_invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    said = "; ".join(sentence(finding) for finding in error.errors())
    return JSONResponse(body(f"The request cannot be used: {said}.", "invalid_request"), 422)


async def on_own_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, GenreLibError)
    return JSONResponse(body(str(error), error.code), status_of(error), headers=HEADERS.get(type(error)))


async def on_unexpected_error(_: Request, error: Exception) -> JSONResponse:
    logger.error("a route failed", exc_info=error)
    return JSONResponse(body(INTERNAL, "internal_server_error"), 500)


def install(app: FastAPI) -> None:
    """Make the app answer all of its errors in our shape."""
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(GenreLibError, on_own_error)
    app.add_exception_handler(Exception, on_unexpected_error)
