"""Bounds around every request, as plain ASGI middleware: bytes that come in, requests in flight, seconds to the answer.

Pure ASGI, because Starlette's ``BaseHTTPMiddleware`` reads and answers in other tasks, and so can neither stop an
upload half way nor cancel the route.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genre_lib.service.errors import body

MIB = 1024**2
DRAINED_BYTES = 16 * MIB
"""A refused upload is read on for so long: most clients look at the answer only after they have sent all they have."""

ALWAYS_ANSWERED = frozenset({"/health"})
"""What must be told of an overloaded service too."""


class UploadLimit:
    """413 for a body of more than ``max_bytes``, by its header or while it comes in."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif content_length(scope) > self.max_bytes:
            await self._refuse(scope, receive, send)
        else:
            upload = Upload(receive, send, self.max_bytes)
            with suppress(ClientDisconnect):  # a route that reads by itself raises it; ours answer
                await self.app(scope, upload.receive, upload.send)
            if upload.exceeded and not upload.answered:
                await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"The upload is larger than the {self.max_bytes / MIB:.0f} MiB that are allowed; send a smaller file."
        await refuse(scope, receive, send, 413, body(detail, "audio_too_large"))


class InFlightLimit:
    """503 for a request that comes while ``most`` others are being answered."""

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        self.app = app
        self.most = most
        self.now = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ALWAYS_ANSWERED:
            return await self.app(scope, receive, send)
        if self.now >= self.most:
            detail = f"{self.most} requests are being answered already; try again in a second."
            return await refuse(scope, receive, send, 503, body(detail, "too_many_requests"), {"Retry-After": "1"})
        self.now += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.now -= 1


class Deadline:
    """504 for what is not answered after ``seconds``, the upload included; an answer that has begun goes on."""

    def __init__(self, app: ASGIApp, *, seconds: float) -> None:
        self.app = app
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_in_time(message: Message) -> None:
            timeout.reschedule(None)
            await send(message)

        try:
            async with asyncio.timeout(self.seconds) as timeout:
                await self.app(scope, receive, send_in_time)
        except TimeoutError:
            if not timeout.expired():
                raise
            detail = f"There was no answer within {self.seconds:g} seconds; try again, or send a shorter track."
            await JSONResponse(body(detail, "request_timeout"), 504)(scope, receive, send)


class Upload:
    """A request's two ends: ``receive`` counts, and once too much came, ``send`` holds back what the route says of it.

    The route sees a client that went away; what it answers to that would hide the reason.
    """

    def __init__(self, receive: Receive, send: Send, most: int) -> None:
        self._receive, self._send = receive, send
        self.left = most
        self.answered = False

    @property
    def exceeded(self) -> bool:
        return self.left < 0

    async def receive(self) -> Message:
        if self.exceeded:
            return {"type": "http.disconnect"}
        message = await self._receive()
        self.left -= len(message.get("body", b""))
        return {"type": "http.disconnect"} if self.exceeded else message

    async def send(self, message: Message) -> None:
        if self.answered or not self.exceeded:
            self.answered = True
            await self._send(message)


def content_length(scope: Scope) -> float:
    """What the header says, in bytes; 0 where it says nothing that can be used."""
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    return int(declared) if declared.isdigit() else 0


async def refuse(
    scope: Scope, receive: Receive, send: Send, status: int, content: dict, headers: dict[str, str] | None = None
) -> None:
    """Answer without the route, after the client's body was read away as far as that is reasonable."""
    if b"100-continue" not in dict(scope["headers"]).get(b"expect", b""):
        await drain(receive)
    await JSONResponse(content, status, headers={"Connection": "close", **(headers or {})})(scope, receive, send)


async def drain(receive: Receive) -> None:
    """Read and forget the rest of the body, up to :data:`DRAINED_BYTES`."""
    left, more = DRAINED_BYTES, True
    while more and left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
