"""What a command of ``genre`` left on the terminal, and the files that it is tried on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Outcome:
    """What a command left on the terminal."""

    code: int
    out: str
    err: str


def is_error(outcome: Outcome, code: int, *says: str) -> bool:
    """One line, the code, and no traceback."""
    lines = outcome.err.strip().splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("error: ")
    assert all(word in lines[0] for word in says), lines[0]
    return outcome.code == code
