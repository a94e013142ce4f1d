"""The HTTP session that spotipy asks Spotify with: bounded in seconds and bytes, and silent about secrets.

spotipy's own session sleeps through ``Retry-After``, a day if need be; a session that is handed to it does not, and
raises at once. At DEBUG spotipy logs bearer tokens, codes and secrets, so that its loggers never say so much here.
"""

from __future__ import annotations

import io
import logging
import time
from typing import Any

import requests
import spotipy
import urllib3

from genre_lib.settings import MIB

MOST_BYTES = 16 * MIB
"""Of one answer; fifty tracks are about 0.2 MB."""

CONNECT_SECONDS = 10.0
CHUNK = 1 << 16
LOGGERS = ("spotipy", spotipy.client.logger.name, spotipy.oauth2.logger.name)

NO_ANSWER = (requests.RequestException, urllib3.exceptions.HTTPError)
"""What is raised where no answer came, or not the whole of one."""


class Session(requests.Session):
    """Follows no redirects, reads no ``~/.netrc``, and gives up on an answer that takes too long in all.

    Args:
        seconds: that one answer may take from the first question to its last byte.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        hush()
        self.seconds = seconds
        self.auth = lambda request: request  # otherwise a password in ~/.netrc takes the token's place

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        ends = time.monotonic() + self.seconds
        limits = {"timeout": (min(CONNECT_SECONDS, self.seconds), self.seconds)}
        response = super().send(request, **{**options, **limits, "stream": True, "allow_redirects": False})
        with response.raw as raw:
            response.raw = io.BytesIO(whole(raw, ends))
        return response


def whole(raw: urllib3.BaseHTTPResponse, ends: float) -> bytes:
    """All bytes of an answer, read as they come: one that drips takes no longer than it may."""
    content = bytearray()
    while chunk := raw.read1(CHUNK, decode_content=True):
        content += chunk
        if len(content) > MOST_BYTES:
            raise requests.exceptions.ContentDecodingError(f"more than {MOST_BYTES:,} bytes")
        if time.monotonic() > ends:
            raise requests.exceptions.ReadTimeout("the answer came too slowly")
    return bytes(content)


def hush() -> None:
    """Keep spotipy's loggers at INFO, whatever level is set on them, and off standard error."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.addFilter(is_no_secret)
        if logger.level < logging.INFO:
            logger.setLevel(logging.INFO)
    if not logging.getLogger("spotipy").handlers:
        logging.getLogger("spotipy").addHandler(logging.NullHandler())  # its errors become ours, and are said once


def is_no_secret(record: logging.LogRecord) -> bool:
    """What is logged below INFO holds headers and bodies."""
    return record.levelno >= logging.INFO
