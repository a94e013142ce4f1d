"""HEAD and OPTIONS, which FastAPI refuses on routes that do not name them, and ``Allow``, which it tells in part."""

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genre_lib.service.limits import STREAMS


class Methods:
    """HEAD answers as GET does, without the body; OPTIONS tells which methods a path has, in ``Allow``.

    A stream's HEAD stays refused: it would have to be read to its end. A method that a path does not have is refused
    with all that it has, where FastAPI names those of the first route alone.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["method"] == "HEAD" and not scope["path"].startswith(STREAMS):
            await self.app({**scope, "method": "GET"}, receive, without_body(with_all_allowed(scope, send)))
        elif scope["method"] == "OPTIONS" and (allowed := methods(scope["app"], scope["path"])):
            await Response(status_code=204, headers={"Allow": ", ".join(allowed)})(scope, receive, send)
        else:
            await self.app(scope, receive, with_all_allowed(scope, send))


def with_all_allowed(scope: Scope, send: Send) -> Send:
    """405 with all methods that the path has."""

    async def send_allowed(message: Message) -> None:
        refused = message["type"] == "http.response.start" and message["status"] == 405
        if refused and (allowed := methods(scope["app"], scope["path"])):
            MutableHeaders(scope=message)["Allow"] = ", ".join(allowed)
        await send(message)

    return send_allowed


def without_body(send: Send) -> Send:
    """The answer's head alone."""

    async def send_head(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_head


def methods(app: FastAPI, path: str) -> list[str]:
    """What may be done with the path, in alphabetical order; nothing where there is no such path.

    A path that stands there as it is goes before one with a name in it: ``/models/upload`` is no model.
    """
    routes = [route for route in iter_route_contexts(app.routes) if route.path and route.methods]
    fitting = [route for route in routes if compile_path(route.path or "")[0].match(path)]
    exact = [route for route in fitting if route.path == path]
    named = {method for route in exact or fitting for method in route.methods or ()}
    heads = {"HEAD"} if "GET" in named and not path.startswith(STREAMS) else set()
    return sorted({*named, "OPTIONS", *heads}) if named else []
