"""A model hub on this machine: as much of the Hugging Face hub's HTTP interface as looking up and fetching takes.

Large files are told by their SHA-256 and answered with a redirect to where content lies by its digest, as the hub does
it; small ones by Git's name of their content.
"""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".bin", ".model")
"""Endings of what the hub keeps as large files."""

BOT = "SFconvertbot"
OFFER = "Adding `safetensors` variant of this model"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def blob(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


@dataclass
class Repo:
    """A repository: its commits by their hash, each with its files, and what branches, tags and offers name.

    Args:
        card: the metadata of its model card.
        token: the only one that may see it; empty for anybody's.
        gated: whether its terms must be accepted, which nobody has.
    """

    card: dict[str, Any] = field(default_factory=dict)
    token: str = ""
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, list[str]] = field(default_factory=dict)
    """The history of each, the newest first."""
    offers: list[dict[str, Any]] = field(default_factory=list)

    def commit(self, files: dict[str, bytes], ref: str = "main", onto: str = "main") -> str:
        """A commit of these files, on top of what ``onto`` names."""
        history = self.refs.get(onto, [])
        content = json.dumps([history, sorted((name, sha256(data)) for name, data in files.items())])
        name = hashlib.sha1(content.encode()).hexdigest()
        self.commits[name] = files
        self.refs[ref] = [name, *history]
        return name

    def offer(self, files: dict[str, bytes], author: str = BOT, title: str = OFFER, status: str = "open") -> str:
        """A pull request that adds files to the newest commit."""
        number = len(self.offers) + 1
        self.offers.append({"num": number, "author": author, "title": title, "status": status})
        return self.commit({**self.commits[self.refs["main"][0]], **files}, f"refs/pr/{number}")

    def at(self, revision: str) -> str | None:
        """The commit that a revision names."""
        return revision if revision in self.commits else next(iter(self.refs.get(revision, [])), None)


@dataclass
class HubServer:
    """The hub, and what a test may make it do.

    Args:
        url: its address.
        repos: by ``owner/name``.
        asked: requests as they came: method, path, Range and whether a token came along.
        status: with which every request is answered, in place of what it asks for.
        cut_after: bytes of a large file after which the connection ends, once for each of ``cuts``.
        broken_after: once a connection was cut, the status that requests for large files are answered with.
        corrupt: whether large files come with a wrong byte.
        ignores_range: whether large files come from their beginning whatever was asked for.
        resets: whether a connection is not just cut but reset.
        elsewhere: whether large files lie at another host's name, as they do at the hub.
    """

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    status: int = 0
    cut_after: int = 0
    cuts: int = 0
    broken_after: int = 0
    corrupt: bool = False
    ignores_range: bool = False
    resets: bool = False
    elsewhere: bool = False

    def fetched(self) -> list[str]:
        """Paths of the files that were asked for, by their names in the repository."""
        return [
            asked["path"].split("/resolve/")[1].split("/", 1)[1] for asked in self.asked if "/resolve/" in asked["path"]
        ]


def handler_for(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            came = self.headers.get("Authorization", "")
            hub.asked.append(
                {"method": self.command, "path": path, "range": self.headers.get("Range"), "token": came[7:]}
            )
            if hub.status:
                return self.answer(hub.status, b"{}")
            if path.startswith("/content/"):
                return self.content(path.removeprefix("/content/"))
            name = "/".join(path.removeprefix("/api/models").split("/")[1:3])
            repo = hub.repos.get(name)
            if repo is None or (repo.token and came != f"Bearer {repo.token}"):
                return self.refuse(
                    401, "RepoNotFound", "Invalid username or password."
                )  # which of the two it is, it hides
            rest = path.removeprefix("/api/models").removeprefix(f"/{name}/")
            if path.startswith("/api/models"):
                return self.api(name, repo, rest)
            return self.resolve(name, repo, rest.removeprefix("resolve/"))

        def api(self, name: str, repo: Repo, rest: str) -> None:
            if rest.startswith("discussions"):
                told = [self.discussion(name, offer) for offer in repo.offers]
                return self.json({"discussions": told, "count": len(told), "start": 0})
            kind, _, revision = rest.partition("/")
            if repo.at(revision) is None:
                return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            if kind == "commits":
                history = repo.refs.get(revision, [revision])
                return self.json([self.told_commit(one) for one in history])
            sha = repo.at(revision)
            files = [self.sibling(path, data) for path, data in repo.commits[sha].items()]
            return self.json({"id": name, "sha": sha, "cardData": repo.card, "siblings": files, "gated": repo.gated})

        def discussion(self, name: str, offer: dict[str, Any]) -> dict[str, Any]:
            return {
                **offer,
                "author": {"name": offer["author"]},
                "createdAt": "2024-01-01T00:00:00.000Z",
                "repo": {"name": name, "type": "model"},
                "isPullRequest": True,
            }

        def told_commit(self, sha: str) -> dict[str, Any]:
            return {
                "id": sha,
                "authors": [{"user": "ann"}],
                "date": "2024-01-01T00:00:00.000Z",
                "title": "",
                "message": "",
            }

        def sibling(self, path: str, data: bytes) -> dict[str, Any]:
            told = {"rfilename": path, "size": len(data), "blobId": blob(data)}
            if path.endswith(LARGE):
                told["lfs"] = {"size": len(data), "sha256": sha256(data), "pointerSize": 134}
            return told

        def resolve(self, name: str, repo: Repo, rest: str) -> None:
            revision, _, path = rest.partition("/")
            sha = repo.at(revision)
            if repo.gated:
                return self.refuse(403, "GatedRepo", f"Access to model {name} is restricted.")
            data = repo.commits.get(sha or "", {}).get(path)
            if data is None:
                return self.refuse(404, "EntryNotFound", "Entry not found")
            headers = {"X-Repo-Commit": sha, "ETag": f'"{blob(data)}"'}
            if path.endswith(LARGE):
                place = hub.url.replace("127.0.0.1", "localhost") if hub.elsewhere else hub.url
                headers |= {"X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{sha256(data)}"'}
                return self.answer(302, b"", {**headers, "Location": f"{place}/content/{sha256(data)}"})
            return self.answer(200, data, headers)

        def content(self, digest: str) -> None:
            if hub.broken_after and not hub.cuts:
                return self.answer(hub.broken_after, b"")
            contents = (
                data for repo in hub.repos.values() for files in repo.commits.values() for data in files.values()
            )
            data = next(data for data in contents if sha256(data) == digest)
            begin = 0
            if self.headers.get("Range") and not hub.ignores_range:
                begin = int(self.headers["Range"].removeprefix("bytes=").partition("-")[0])
            body = data[begin:]
            if hub.corrupt:
                body = body[:-1] + bytes([body[-1] ^ 1])
            headers = {"ETag": f'"{digest}"', "Accept-Ranges": "bytes"}
            if begin:
                headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
            if hub.cuts:
                hub.cuts -= 1
                return self.answer(206 if begin else 200, body, headers, hub.cut_after)
            return self.answer(206 if begin else 200, body, headers)

        def json(self, content: Any) -> None:
            self.answer(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

        def refuse(self, status: int, code: str, message: str) -> None:
            headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
            self.answer(status, json.dumps({"error": message}).encode(), headers)

        def answer(self, status: int, body: bytes, headers: dict[str, Any] | None = None, cut: int = 0) -> None:
            """Say it; after ``cut`` bytes of the body the connection ends."""
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, str(value))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            self.wfile.write(body[:cut] if cut else body)
            if cut:
                self.wfile.flush()
                if hub.resets:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                else:
                    self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True

    return Handler


@contextmanager
def serving() -> Iterator[HubServer]:
    """A hub that answers until the block ends."""
    hub = HubServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(hub))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a model's folder, as a repository holds them."""
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}
