"""All routes, in the order in which they are asked, and what is asked of every one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from api_document.finetuning import jobs
from api_document.models import delete, models, upload
from api_document.predicting import batch, features, predict
from api_document.requests import AT, CLOSED, KEYLESS, OPEN, WITH_KEY, Request, Route
from api_document.spotify import spotify


def service() -> list[Route]:
    health = Route("GET", "/health", "How the service is", [Request("always", f"curl {AT}/health", 200)])
    metrics = Route(
        "GET",
        "/metrics",
        "Metrics for Prometheus",
        [Request("all processes", f"curl {AT}/metrics", 200, shows="genre_model_info{ genre_worker_up{ genre_jobs{")],
        plain=f"curl {AT}/metrics",
    )
    bearer = '-H "Authorization: Bearer $GENRE_KEY"'
    others = Route(
        "",
        "",
        "What all routes have in common",
        [
            Request("where to begin", f"curl {AT}/", 200),
            Request("the manual", f"curl {AT}/docs", 200, shows="<title>"),
            Request("the document that programs read", f"curl {AT}/openapi.json", 200, shows="openapi"),
            Request("no such path", f"curl {AT}/predictions", 404, "not_found"),
            Request("what a path takes", f"curl -X OPTIONS {AT}/predict", 204),
            Request("the head alone", f"curl --head {AT}/models", 200),
            Request("a key as a bearer", f"curl {bearer} {AT}/models/mine", 200, shows="name kind", at=CLOSED),
            Request("another scheme", f"curl -u ann:secret {AT}/models", 401, "missing_key", at=CLOSED),
            Request("a key in the address", f'curl "{AT}/models?key=$GENRE_KEY"', 401, "missing_key", at=CLOSED),
            Request(
                "too many wrong keys came from this address; this one is right",
                f"curl {WITH_KEY} {AT}/models",
                429,
                "rate_limited",
                at=CLOSED,
                late=True,
            ),
        ],
    )
    return [health, metrics, others]


def all_routes() -> list[Route]:
    """The document's parts, in the order in which they are asked, too."""
    made = [predict(), batch(), spotify(), features(), upload(), *models(), *jobs(), delete(), *service()]
    return [replace(route, requests=[*route.requests, *common(route)]) for route in made]


def common(route: Route) -> list[Request]:
    """What is asked of every route: the wrong method, no key, a wrong one, too often."""
    if not route.method:
        return []
    address = f"{AT}{route.path.format(name='mine', job_id='$JOB')}"
    found = [Request("another method", f"curl -X PUT {address}", 405, "method_not_allowed")]
    if not route.plain:
        return found
    at = OPEN if route.changes else CLOSED
    wrong = route.plain.replace("curl", 'curl -H "X-API-Key: wrong"', 1)
    found.append(Request("no key", route.plain, 401, "missing_key", at=at))
    found.append(Request("a key that is not known", wrong, 401, "invalid_key", at=at))
    if route.changes:
        found.append(Request("there are no keys", route.plain, 403, "no_keys_configured", at=KEYLESS))
    found.append(Request("too often", route.plain, 429, "rate_limited", at=KEYLESS, late=True))
    return found


def missing(routes: list[Route], document: Mapping[str, Any]) -> list[str]:
    """Routes of ``/openapi.json`` that are not asked here, and those here that it does not know."""
    known = {f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations}
    here = {route.name for route in routes if route.method}
    return sorted(known ^ here)
