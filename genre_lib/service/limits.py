"""Bounds around every request, as plain ASGI middleware: bytes that come in, requests in flight, seconds to the answer.

Pure ASGI, because Starlette's ``BaseHTTPMiddleware`` reads and answers in other tasks, and so can neither stop an
upload half way nor cancel the route.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genre_lib.service.errors import body

MIB = 1024**2
DRAINED_BYTES = 16 * MIB
"""A refused upload is read on for so long: most clients look at the answer only after they have sent all they have."""

ALWAYS_ANSWERED = frozenset({"/health"})
"""What must be told of an overloaded service too."""

STREAMS = ("/finetune/events/",)
"""Beginnings of the paths whose answers last as long as a job: they take no place from those who want an answer."""

DEADLINE = "genre_lib.deadline"
"""Key in the scope: the event loop's time at which the request is answered with 504."""


@dataclass(frozen=True)
class Bound:
    """The most that a route's form may hold, and the word for what holds more."""

    max_bytes: int
    code: str = "body_too_large"


class UploadLimit:
    """413 for a body that is too large, by its header or while it comes in.

    Args:
        max_bytes: of any body.
        forms: by path, for multipart forms alone, since only these carry files.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, forms: Mapping[str, Bound] | None = None) -> None:
        self.app = app
        self.others = Bound(max_bytes)
        self.forms = dict(forms or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        bound = self.bound(scope)
        if content_length(scope) > bound.max_bytes:
            return await self._refuse(bound, scope, receive, send)
        upload = Upload(receive, send, bound.max_bytes)
        with suppress(ClientDisconnect):  # a route that reads by itself raises it; ours answer
            await self.app(scope, upload.receive, upload.send)
        if upload.exceeded and not upload.answered:
            await self._refuse(bound, scope, receive, send)
        return None

    def bound(self, scope: Scope) -> Bound:
        """What this request's body may hold."""
        is_form = header(scope, b"content-type").lower().startswith(b"multipart/form-data")
        return self.forms.get(scope["path"], self.others) if is_form else self.others

    async def _refuse(self, bound: Bound, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"The body is larger than the {size(bound.max_bytes)} that are allowed here; send less."
        await refuse(scope, receive, send, 413, body(detail, bound.code))


class InFlightLimit:
    """503 for a request that comes while ``most`` others are being answered; :data:`STREAMS` count by themselves."""

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        self.app = app
        self.most = most
        self.now = {True: 0, False: 0}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ALWAYS_ANSWERED:
            return await self.app(scope, receive, send)
        is_stream = scope["path"].startswith(STREAMS)
        if self.now[is_stream] >= self.most:
            detail = f"{self.most} requests are being answered already; try again in a second."
            return await refuse(scope, receive, send, 503, body(detail, "too_many_requests"), {"Retry-After": "1"})
        self.now[is_stream] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.now[is_stream] -= 1


class Deadline:
    """504 for what is not answered after ``seconds``, the upload included; an answer that has begun goes on.

    Args:
        under: other seconds for paths by how they begin.
    """

    def __init__(self, app: ASGIApp, *, seconds: float, under: Mapping[str, float] | None = None) -> None:
        self.app = app
        self.seconds = seconds
        self.under = dict(under or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        seconds = next((own for begin, own in self.under.items() if scope["path"].startswith(begin)), self.seconds)
        scope[DEADLINE] = asyncio.get_running_loop().time() + seconds

        async def send_in_time(message: Message) -> None:
            timeout.reschedule(None)
            await send(message)

        try:
            async with asyncio.timeout(seconds) as timeout:
                await self.app(scope, receive, send_in_time)
        except TimeoutError:
            if not timeout.expired():
                raise
            detail = f"There was no answer within {seconds:g} seconds; try again, or send a shorter track."
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
    declared = header(scope, b"content-length")
    return int(declared) if declared.isdigit() and len(declared) < 20 else 0


def header(scope: Scope, name: bytes) -> bytes:
    """A request's header, empty where it has none of that name (in lower case)."""
    return dict(scope["headers"]).get(name, b"")


def size(count: int) -> str:
    """Bytes for a person: in MiB, or as they are where that would say 0."""
    return f"{count / MIB:.0f} MiB" if count >= MIB else f"{count:,} bytes"


async def refuse(
    scope: Scope, receive: Receive, send: Send, status: int, content: dict, headers: dict[str, str] | None = None
) -> None:
    """Answer without the route, after the client's body was read away as far as that is reasonable."""
    if b"100-continue" not in header(scope, b"expect"):
        await drain(receive)
    await JSONResponse(content, status, headers={"Connection": "close", **(headers or {})})(scope, receive, send)


async def drain(receive: Receive) -> None:
    """Read and forget the rest of the body, up to :data:`DRAINED_BYTES`."""
    left, more = DRAINED_BYTES, True
    while more and left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
