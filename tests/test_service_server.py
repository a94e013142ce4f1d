"""Where the server may listen."""

from __future__ import annotations

import pytest

from genre_lib.errors import ConfigurationError
from genre_lib.service import server


def test_an_address_that_cannot_be_used_is_refused():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match=r"Port \d+ of localhost cannot be used.*--port"):
            server.require_address("localhost", taken.getsockname()[1])
    with pytest.raises(ConfigurationError, match="HOST must be one of"):
        server.require_address("example.org", 8000)
    with pytest.raises(ConfigurationError, match="from 1024 to 65535"):
        server.require_address("127.0.0.1", 80)
