"""Spotify's accounts service on this machine: its page, and tokens by proof key, by refreshing and by an app's secret.

See https://developer.spotify.com/documentation/web-api/tutorials/code-pkce-flow and RFC 7636. The person at the page
says yes, or declines, without being asked. ``python tests/accounts_service.py ADDRESS`` is their browser.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from genre_lib.settings import Settings, get_settings

CLIENT_ID = "0123456789abcdef0123456789abcdef"
SECRET = "a-secret-of-the-app-that-nobody-may-see"

Told = tuple[int, dict[str, Any]]


@dataclass
class Question:
    """What a browser brought to the page, until its code is exchanged."""

    client_id: str
    redirect_uri: str
    challenge: str
    scope: str


@dataclass
class Accounts:
    """The service, and all it knows.

    Args:
        declines: the person at the page says no.
        token_seconds: that an access token lives.
        revoked: no refresh token is taken any more.
        issued: every code and token that it gave out: none of them may show anywhere.
    """

    declines: bool = False
    token_seconds: float = 3600
    revoked: bool = False
    codes: dict[str, Question] = field(default_factory=dict)
    refresh_tokens: dict[str, str] = field(default_factory=dict)
    access_tokens: dict[str, float] = field(default_factory=dict)
    issued: list[str] = field(default_factory=list)

    def authorize(self, query: dict[str, str]) -> tuple[int, str]:
        """Where the browser is sent, or what the page says."""
        if query.get("client_id") != CLIENT_ID:
            return 400, "INVALID_CLIENT: Invalid client"
        if query.get("response_type") != "code" or query.get("code_challenge_method") != "S256":
            return 400, "unsupported"
        told = {"error": "access_denied"} if self.declines else {"code": self._code(query)}
        return 302, f"{query['redirect_uri']}?{urlencode({**told, 'state': query.get('state', '')})}"

    def token(self, form: dict[str, str], authorization: str) -> Told:
        """What a form is worth."""
        kinds: dict[str, Callable[[dict[str, str], str], Told]] = {
            "authorization_code": self._by_code,
            "refresh_token": self._by_refreshing,
            "client_credentials": self._by_secret,
        }
        return kinds.get(form.get("grant_type", ""), lambda *_: wrong("unsupported_grant_type"))(form, authorization)

    def refusal(self, authorization: str) -> str:
        """Why a call with this header is not answered; ``""`` where it is."""
        ends = self.access_tokens.get(authorization.removeprefix("Bearer "))
        if not authorization.startswith("Bearer "):
            return "No token provided"
        return "Invalid access token" if ends is None else "The access token expired" if ends < time.time() else ""

    def expire(self) -> None:
        """No access token is taken any more; those for refreshing are."""
        self.access_tokens = dict.fromkeys(self.access_tokens, 0.0)

    def _code(self, query: dict[str, str]) -> str:
        code = self._new("code")
        named = (query.get(name, "") for name in ("client_id", "redirect_uri", "code_challenge", "scope"))
        self.codes[code] = Question(*named)
        return code

    def _by_code(self, form: dict[str, str], authorization: str) -> Told:
        question = self.codes.pop(form.get("code", ""), None)  # once and never again
        if question is None or question.redirect_uri != form.get("redirect_uri"):
            return wrong("invalid_grant")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != question.challenge:
            return wrong("invalid_grant")
        return self._tokens(question.scope) if form.get("client_id") == question.client_id else wrong("invalid_client")

    def _by_refreshing(self, form: dict[str, str], authorization: str) -> Told:
        if form.get("client_id") != CLIENT_ID:
            return wrong("invalid_client")
        scope = None if self.revoked else self.refresh_tokens.pop(form.get("refresh_token", ""), None)
        return wrong("invalid_grant") if scope is None else self._tokens(scope)

    def _by_secret(self, form: dict[str, str], authorization: str) -> Told:
        known = base64.b64encode(f"{CLIENT_ID}:{SECRET}".encode()).decode()
        if authorization != f"Basic {known}":
            return wrong("invalid_client")
        return 200, self._access()

    def _tokens(self, scope: str) -> Told:
        refresh = self._new("refresh")
        self.refresh_tokens[refresh] = scope
        return 200, {**self._access(), "scope": scope, "refresh_token": refresh}

    def _access(self) -> dict[str, Any]:
        access = self._new("access")
        self.access_tokens[access] = time.time() + self.token_seconds
        return {"access_token": access, "token_type": "Bearer", "expires_in": round(self.token_seconds)}

    def _new(self, kind: str) -> str:
        self.issued.append(f"{kind}-{secrets.token_urlsafe(18)}")
        return self.issued[-1]


def wrong(error: str) -> Told:
    return 400, {"error": error, "error_description": f"{error.replace('_', ' ')}, it seems"}


def settings_for(server: Any, folder: Path, **changes: Any) -> Settings:
    """Settings of somebody whose Spotify is the server, as if they stood in the environment."""
    given = {
        "spotify_client_id": CLIENT_ID,
        "spotify_api_url": server.url,
        "spotify_accounts_url": server.accounts_url,
        "spotify_path": folder / "spotify",
        "spotify_redirect_port": free_port(),
        "spotify_timeout": 5,
    }
    return get_settings(**{**given, **changes})


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def visit(address: str) -> tuple[int, str]:
    """What a browser does: it goes where it is sent, and shows the page at the end; it keeps no log."""
    try:
        with urllib.request.urlopen(address, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


if __name__ == "__main__":
    print(*visit(sys.argv[1]))
