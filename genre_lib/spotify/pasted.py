"""What a person pastes into the terminal, read beside other things that are waited for."""

from __future__ import annotations

import os
from typing import TextIO

LONGEST_READ = 1 << 14


class Pasted:
    """Lines that a person types or pastes, without waiting for them; none where there is nobody.

    Args:
        typed: a file of the operating system's, such as standard input.
    """

    def __init__(self, typed: TextIO | None) -> None:
        self.sources: list[int] = []
        self._rest = b""
        try:
            self.sources = [typed.fileno()] if typed else []
        except (OSError, ValueError):  # closed, or no file of the operating system's
            return

    def lines(self) -> list[str]:
        """Those that are whole by now and not blank; at its end the file's last is whole."""
        came = os.read(self.sources[0], LONGEST_READ)
        if not came:
            self.sources = []
        *whole, self._rest = (self._rest + (came or b"\n")).split(b"\n")
        return [text for line in whole if (text := line.decode(errors="replace").strip())]
