"""Asking by curl: what comes, and what of it is not as it should be."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from own_service import REPOSITORY

from api_document.requests import Request, Route

CURL_SECONDS = 60


@dataclass
class Answer:
    """What came back, and what of it is not as it should be."""

    status: int
    headers: dict[str, str]
    body: bytes
    faults: list[str] = field(default_factory=list)

    @property
    def content(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass
class Asker:
    """Runs commands, with what the document's names stand for put in, and checks what they say.

    Args:
        folder: with the files that commands name.
        names: what the document says, and what it stands for.
    """

    folder: Path
    names: dict[str, str]
    document: dict[str, Any] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)

    def differs(self, what: str) -> None:
        """Say it at once, and remember that something did."""
        self.differing.append(what)
        print(f"differs: {what}", flush=True)

    def ask(self, route: Route, request: Request) -> Answer:
        answer = self.run(request.command)
        answer.faults = self.faults(route, request, answer)
        if request.keeps and isinstance(answer.content, dict):
            self.names[f"${request.keeps}"] = str(answer.content.get("job_id"))
        return answer

    def run(self, command: str) -> Answer:
        """What curl brings."""
        body, head = self.folder.parent / "body", self.folder.parent / "head"
        body.write_bytes(b"")
        words = [self.put_in(word) for word in shlex.split(command)]
        options = ["-sS", "-o", str(body), "-D", str(head), "-w", "%{http_code}", "--max-time", str(CURL_SECONDS)]
        ended = subprocess.run(
            [words[0], "-q", *options, "--noproxy", "*", *words[1:]],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=CURL_SECONDS + 10,
        )
        lines = head.read_text(errors="replace").rpartition("HTTP/1.1")[2].splitlines()[1:] if head.exists() else []
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        content = b"" if "--head" in words else body.read_bytes()
        faults = [f"curl ended with {ended.returncode}: {ended.stderr.strip()}"] if ended.returncode else []
        return Answer(int(ended.stdout or 0), headers, content, faults)

    def put_in(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace(name, value)
        return text

    def put_back(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace(value, name)
        return text

    def faults(self, route: Route, request: Request, answer: Answer) -> list[str]:
        """What is not as it should be."""
        found = list(answer.faults)
        content = answer.content
        code = content.get("code", "") if isinstance(content, dict) and answer.status >= 400 else ""
        if (answer.status, code) != (request.status, request.code):
            came = f"{answer.status} {code} {answer.body[:300].decode(errors='replace')}"
            found.append(f"expected {request.status} {request.code}, and came {came}")
        if answer.status >= 400:
            found += shape_faults(content)
        if isinstance(content, dict):
            found += [
                fault for one in content.get("results", []) if one.get("error") for fault in shape_faults(one["error"])
            ]
        if route.method and answer.status != 405:
            told = self.document["paths"].get(route.path, {}).get(route.method.lower(), {}).get("responses", {})
            if str(answer.status) not in told:
                found.append(f"{answer.status} is not in /openapi.json")
        if str(self.folder.parent).encode() in answer.body or str(REPOSITORY).encode() in answer.body:
            found.append("the answer tells a path of this machine")
        return found


def shape_faults(content: Any) -> list[str]:
    good = isinstance(content, dict) and set(content) == {"detail", "code"} and all(map(is_text, content.values()))
    return [] if good else ["the error is not {detail, code}"]


def is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
