"""``/docs`` as a manual that works without the internet, ``/openapi.json`` with our errors, and what ``/`` answers."""

from collections.abc import Iterator
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from genre_lib import __version__
from genre_lib.service.auth import tell_what_is_open
from genre_lib.service.errors import body, code_of, responses
from genre_lib.service.manual import ERROR_EXAMPLES, TAGS, manual
from genre_lib.service.schemas import ErrorBody
from genre_lib.settings import Settings

ASSETS = "/docs/assets"
FASTAPIS_PAGES = frozenset({"/docs", "/docs/oauth2-redirect", "/redoc"})
"""They load their scripts from elsewhere; ReDoc's page its logo too, whatever is set."""

POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The browser asks nobody but us, even if a later version of the page would like to."""

LOOK = {"docExpansion": "list", "defaultModelsExpandDepth": 0, "tryItOutEnabled": True, "validatorUrl": None}

ANY_ROUTE = (429, 500, 503, 504)
"""How the layers before every route may refuse."""
ANY_BODY = (400, 413, 415, 422)
"""How they may refuse a request that has a body."""

METHODS = frozenset({"get", "put", "post", "delete", "patch"})


def install(app: FastAPI, settings: Settings) -> None:
    """Put the pages in the place of FastAPI's."""
    app.title, app.version, app.summary = "genre_lib", __version__, "What genre is this track?"
    app.description, app.openapi_tags = manual(settings), TAGS
    app.license_info = {"name": "MIT", "identifier": "MIT"}
    app.router.routes = [r for r in app.router.routes if not (isinstance(r, Route) and r.path in FASTAPIS_PAGES)]
    app.mount(ASSETS, StaticFiles(directory=Path(str(files("fastapi_offline"))) / "static"), name="assets")
    app.add_api_route("/docs", page, include_in_schema=False)
    app.add_api_route("/", welcome, include_in_schema=False)
    app.openapi = lambda: document(app)  # type: ignore[method-assign]


def page(request: Request) -> Response:
    """Swagger UI, from our own files; where scripts are off, a list of the routes."""
    html = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="genre_lib",
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon.png",
        swagger_ui_parameters=LOOK,
    )
    plain = f"<noscript>\n{routes_told(request.app.openapi())}</noscript>\n</body>"
    whole = bytes(html.body).decode().replace("</body>", plain)
    return HTMLResponse(whole, headers={"Content-Security-Policy": POLICY})


def routes_told(made: dict[str, Any]) -> str:
    """The document's routes as HTML: each with its summary, its parameters and the statuses that it answers."""
    lines = [f"<h1>{escape(made['info']['title'])} {escape(made['info']['version'])}</h1>"]
    lines.append('<p>This manual needs JavaScript; <a href="/openapi.json">/openapi.json</a> holds all of it.</p>')
    for tag in dict.fromkeys(operation["tags"][0] for _, _, operation in operations(made)):
        told = [route_told(*each) for each in operations(made) if each[-1]["tags"][0] == tag]
        lines += [f"<h2>{escape(tag)}</h2>", "<dl>", *told, "</dl>"]
    return "".join(f"{line}\n" for line in lines)


def route_told(path: str, method: str, operation: dict[str, Any]) -> str:
    """A route; one that a browser can ask for as it stands is a link."""
    name = f"<code>{method.upper()} {escape(path)}</code>"
    if method == "get" and "{" not in path:
        name = f'<a href="{escape(path)}">{name}</a>'
    takes = [each["name"] for each in operation.get("parameters", [])]
    takes += [f"a body of {kind}" for kind in operation.get("requestBody", {}).get("content", {})]
    given = f" Takes {', '.join(map(escape, takes))}." if takes else ""
    return f"<dt>{name}<dd>{escape(operation['summary'])}.{given} Answers {', '.join(operation['responses'])}."


def welcome(request: Request) -> Response:
    """Where to go from here: browsers to the manual, programs to what they need."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/docs")
    links = {name: f"/{name}" for name in ("docs", "health", "models", "predict")}
    return JSONResponse({"name": "genre_lib", "version": __version__, **links, "openapi": "/openapi.json"})


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, in which every error has our shape and an example."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            tags=app.openapi_tags,
            license_info=app.license_info,
            routes=app.routes,
        )
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        for path, _, operation in operations(made):
            complete(operation, path)
        schemas["ErrorBody"] = ErrorBody.model_json_schema()
        for foreign in ("HTTPValidationError", "ValidationError"):
            schemas.pop(foreign, None)
        tell_what_is_open(made, app.state.settings)
        app.openapi_schema = made
    return app.openapi_schema


def operations(made: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every route's part of the document, after its path and its method."""
    for path, by_method in made["paths"].items():
        yield from ((path, method, operation) for method, operation in by_method.items() if method in METHODS)


def complete(operation: dict[str, Any], path: str) -> None:
    """Add the refusals that all routes share, and show each with an example."""
    told = operation["responses"]
    if "HTTPValidationError" in str(told.get("422")):
        del told["422"]
    shared = () if path == "/health" else ANY_ROUTE
    takes_input = "requestBody" in operation or "parameters" in operation
    for status in (*shared, *(ANY_BODY if "requestBody" in operation else (422,) if takes_input else ())):
        told.setdefault(str(status), refusal(status))
    for status, response in told.items():
        content = response.get("content", {}).get("application/json", {})
        if "ErrorBody" in str(content.get("schema")):
            content.setdefault("example", ERROR_EXAMPLES.get(int(status), plain(int(status))))
    operation["responses"] = dict(sorted(told.items()))


def plain(status: int) -> dict[str, str]:
    """An example that says no more than the status."""
    return body(responses(status)[status]["description"], code_of(status))


def refusal(status: int) -> dict[str, Any]:
    """A status in the document."""
    description = responses(status)[status]["description"]
    schema = {"$ref": "#/components/schemas/ErrorBody"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
