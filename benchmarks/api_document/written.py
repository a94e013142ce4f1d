"""The document: what was asked and answered, without what differs from run to run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from own_service import RATES

from api_document.asking import Answer, Asker
from api_document.requests import CLOSED, KEYLESS, OPEN, SETUPS, SMALL, STREAMING, Request, Route

VOLATILE = frozenset(
    {"model_version", "version", "submitted", "started", "ended", "created", "size_bytes", "pid", "uptime", "seconds"}
    | {"restarts", "passes", "tracks_heard", "mean", "phase", "progress", "epoch", "seconds_left", "history", "time"}
)

VOLATILE_IN_JOBS = frozenset({"metrics", "kept"})
"""Fields that differ from run to run."""

TOLD_HEADERS = ("location", "allow", "retry-after", "www-authenticate", "x-cache")

LONGEST_TEXT = 200

MOST_ENTRIES = 2

DEEPEST = 4

INTRODUCTION = """# The service, route by route

What it answers to good requests and to bad ones. Made by `python benchmarks/routes.py`, which sent every command of
this page to a running service by curl and compared what came. `/docs` of a running service is the manual; this page is
its proof.

The service stands at `http://127.0.0.1:8000`, and `$GENRE_KEY` holds an API key. `http://127.0.0.1:9000` is a web
server with a song, opened by `FETCH_ALLOWED_HOSTS=127.0.0.1:9000,127.0.0.1:9001`; at 9001 nobody answers. `$JOB` and
`$WAITING` are the `job_id`s of the jobs that are started below, the second of which waits while the first runs.
`mine.zip` is a zipped model folder, `broken` a model whose weights were damaged on the disk. `…` stands for what
differs from time to time, or is cut short here. Numbers are rounded.

Limits are small here, so that they can be met:
{limits}.

Rows marked ¹ were sent to a service with `READ_REQUIRES_KEY=true`, rows marked ² to one without API keys and with
{rates}, rows marked ³ to one whose Spotify is a small server with an invented library, and whose MUSIC_PATH holds some
of its music; nobody has signed in to it.

Every error is `{{"detail": a sentence, "code": a word}}`. The code stays the same over versions.
"""

MARKS = {OPEN: "", CLOSED: " ¹", KEYLESS: " ²", STREAMING: " ³"}


def written(routes: list[Route], answers: Mapping[int, Answer], asker: Asker) -> str:
    """The document."""
    limits = listed(SMALL)
    rates = listed({name: value for name, value in SETUPS[KEYLESS].items() if name in RATES})
    parts = [INTRODUCTION.format(limits=limits, rates=rates)]
    for route in routes:
        heading = f"`{route.name}`\n\n{route.title}." if route.method else route.title
        rows = [row(request, answers[id(request)], asker) for request in route.requests]
        parts.append(
            "\n".join([f"## {heading}\n", "| what | command | status | answer |", "|---|---|---|---|", *rows, ""])
        )
    return "\n".join(parts)


def listed(settings: Mapping[str, str]) -> str:
    return ", ".join(f"`{name}={value}`" for name, value in settings.items())


def row(request: Request, answer: Answer, asker: Asker) -> str:
    told = [told_header(name, answer, asker) for name in TOLD_HEADERS if name in answer.headers]
    cells = "<br>".join(map(code, [*told, *shown(request, answer, asker)])) or "nothing"
    return f"| {request.what}{MARKS[request.at]} | {code(request.command)} | {answer.status} | {cells} |"


def code(text: str) -> str:
    """As code in a cell of a table."""
    text = text.replace("|", "\\|")
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def told_header(name: str, answer: Answer, asker: Asker) -> str:
    value = "…" if answer.status == 429 else asker.put_back(answer.headers[name])
    shown_name = {"www-authenticate": "WWW-Authenticate"}.get(name, name.title())
    return f"{shown_name}: {value}"


def shown(request: Request, answer: Answer, asker: Asker) -> list[str]:
    """What the document says of a body."""
    wanted = request.shows.split()
    if answer.content is None:
        lines = re.sub(r'version="[^"]+"', 'version="…"', answer.body.decode(errors="replace")).splitlines()
        return [shortened(asker.put_back(line.strip())) for line in lines if line.strip().startswith(tuple(wanted))]
    content = stable(answer.content)
    if wanted and isinstance(content, dict):
        content = {name: content[name] for name in wanted if name in content} | {"…": "…"}
    text = json.dumps(content, ensure_ascii=False).replace('"…": "…"', "…").replace('"…"', "…")
    text = asker.put_back(text)
    return [re.sub(r"in \d+ seconds|at \d{4}-\d\d-\d\d [\d:]+", later, text) if answer.status == 429 else text]


def later(found: re.Match[str]) -> str:
    """A time in a sentence, which is another one each time."""
    return "in … seconds" if found[0].startswith("in") else "at …"


def stable(value: Any, depth: int = 0) -> Any:
    """A body without what differs from run to run, and without most of what is long."""
    if isinstance(value, dict):
        if depth >= DEEPEST:
            return "…"
        hidden = VOLATILE | (VOLATILE_IN_JOBS if "job_id" in value else frozenset())
        return {
            name: "…" if name in hidden and one is not None else stable(one, depth + 1) for name, one in value.items()
        }
    if isinstance(value, list):
        kept = [stable(one, depth + 1) for one in value[:MOST_ENTRIES]]
        return kept + ["…"] * (len(value) > MOST_ENTRIES)
    if isinstance(value, float):
        return round(value, 2)
    return shortened(value) if isinstance(value, str) and depth > 1 else value


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
