"""Serve the active model over HTTP: ``python serve.py [--host HOST] [--port PORT] …``, the same as ``genre serve``."""

from __future__ import annotations

import argparse
import sys

from genre_lib.errors import ConfigurationError, GenreLibError
from genre_lib.settings import get_settings, unknown_lines


def main() -> int:
    """0 after an ordered end, 2 for a setting that cannot be used, 1 for anything else that kept it from serving."""
    parser = argparse.ArgumentParser(description="Serve the active model over HTTP.")
    parser.add_argument("--host", help="address to listen on (default: HOST, 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default: PORT, 8000)")
    parser.add_argument("--engine", help="what computes the network, such as openvino-bf16 (default: ENGINE, auto)")
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    for line in unknown_lines():
        print(f"warning: {line}", file=sys.stderr)
    try:
        settings = get_settings(**given)
        from genre_lib.service.app import serve  # after --help and the settings' faults, which need no server

        serve(settings, say=lambda line: print(line, flush=True))
    except GenreLibError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigurationError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
