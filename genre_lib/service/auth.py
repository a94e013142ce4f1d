"""Who asks: API keys in ``X-API-Key`` or ``Authorization: Bearer``, and what may be done with and without one.

A key is never taken from the query: addresses end up in logs, histories and ``Referer`` headers.
"""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from fastapi.security.base import SecurityBase
from fastapi.security.http import HTTPAuthorizationCredentials
from starlette.datastructures import Headers

from genre_lib import api_keys
from genre_lib.api_keys import ApiKey
from genre_lib.errors import InvalidKey, MissingKey, NoKeysConfigured
from genre_lib.settings import Settings

HEADER = "X-API-Key"

HEADER_SCHEME = APIKeyHeader(
    name=HEADER, scheme_name=HEADER, description="A key that `genre keys create NAME` printed.", auto_error=False
)
BEARER_SCHEME = HTTPBearer(
    scheme_name="bearer", description="The same key as `Authorization: Bearer KEY`.", auto_error=False
)


class Anonymous(SecurityBase):
    """Marks the routes that need no key, for :func:`tell_what_is_open`: FastAPI itself knows no optional security."""

    scheme_name = "anonymous"
    model = APIKeyHeader(name=HEADER).model

    async def __call__(self) -> None:
        return None


HeaderKey = Annotated[str | None, Security(HEADER_SCHEME)]
BearerKey = Annotated[HTTPAuthorizationCredentials | None, Security(BEARER_SCHEME)]
"""Both are there for the OpenAPI document; the key itself is read by :func:`presented`, as the rate limits do."""


async def require_key(request: Request, header: HeaderKey = None, bearer: BearerKey = None) -> None:
    """For routes that change something; leaves the key's name in ``request.state.key_name``.

    Raises:
        NoKeysConfigured: there are no keys, so nobody may: closed by default.
        MissingKey, InvalidKey: none came, or one that is not known.
    """
    settings: Settings = request.app.state.settings
    request.state.key_name = admitted(presented(request.headers), settings.api_keys)


async def may_read(
    request: Request,
    header: HeaderKey = None,
    bearer: BearerKey = None,
    anonymous: Annotated[None, Security(Anonymous())] = None,
) -> None:
    """For routes that change nothing: open to all, or to keys alone where ``READ_REQUIRES_KEY`` says so.

    Raises:
        NoKeysConfigured, MissingKey, InvalidKey: as :func:`require_key`, where a key is needed.
    """
    settings: Settings = request.app.state.settings
    if settings.read_requires_key:
        request.state.key_name = admitted(presented(request.headers), settings.api_keys)
    else:
        key = presented(request.headers)
        request.state.key_name = api_keys.owner(key, settings.api_keys) if key else None


def tell_what_is_open(document: dict[str, Any], settings: Settings) -> None:
    """Say in the OpenAPI document which routes need no key: an empty requirement beside the others."""
    mark: dict[str, list[str]] = {Anonymous.scheme_name: []}
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        if isinstance(operation, dict) and mark in operation.get("security", []):
            operation["security"].remove(mark)
            operation["security"] += [] if settings.read_requires_key else [{}]
    document.get("components", {}).get("securitySchemes", {}).pop(Anonymous.scheme_name, None)


def admitted(key: str | None, keys: Iterable[ApiKey]) -> str:
    """The name of the key, or why it opens nothing."""
    known = tuple(keys)
    if not known:
        raise NoKeysConfigured(
            "This needs an API key, and none is configured here. Whoever runs the service can make one with "
            "`genre keys create NAME`, and put the line that it prints into .env."
        )
    if not key:
        raise MissingKey(f"This needs an API key; send yours as `{HEADER}: KEY` or as `Authorization: Bearer KEY`.")
    name = api_keys.owner(key, known)
    if name is None:
        raise InvalidKey("The API key is not one that is known here; send one that `genre keys create` printed.")
    return name


def presented(headers: Headers) -> str | None:
    """The key that came with a request; ``X-API-Key`` goes before a bearer."""
    key = headers.get(HEADER, "").strip()
    if key:
        return key
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    return (credentials.strip() or None) if scheme.lower() == "bearer" else None
