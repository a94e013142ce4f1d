"""``genre serve``: the model over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from genre_lib.cli.options import EngineOption, get_settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="HOST, 127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="PORT, 8000")] = None,
    engine: EngineOption = None,
) -> None:
    """Serve the active model over HTTP, as serve.py does."""
    given = {name: value for name, value in {"host": host, "port": port, "engine": engine}.items() if value is not None}
    settings = get_settings(**given)
    from genre_lib.service import app as service

    service.serve(settings, say=lambda line: print(line, flush=True))
