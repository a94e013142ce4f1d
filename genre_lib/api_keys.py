"""API keys: how they are made, and how they are written down so that the file tells nobody what they are."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

PREFIX = "genre_"
"""What every key begins with, so that scanners for leaked secrets, and people, know it when they see it."""

KEY_BYTES = 32
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ApiKey:
    """A key as the settings hold it: whose it is, and its hash."""

    name: str
    digest: str = field(repr=False)
    """SHA-256 in hex. A slow, salted hash is for passwords, which can be guessed; these are 256 random bits."""

    def __str__(self) -> str:
        return f"{self.name}:{self.digest}"


def generate() -> str:
    """A new key; it is shown once and kept nowhere."""
    return PREFIX + secrets.token_urlsafe(KEY_BYTES)


def digest(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def owner(key: str, keys: Iterable[ApiKey]) -> str | None:
    """The name of the key, or None where it is none of these.

    Every key is compared, in constant time, so that the time taken tells nothing of which one came near.
    """
    given, name = digest(key), None
    for known in keys:
        if hmac.compare_digest(known.digest, given):
            name = known.name
    return name


def parse(text: str) -> tuple[ApiKey, ...]:
    """Read ``name:sha256hex`` pairs, separated by commas.

    Raises:
        ValueError: an entry is no such pair, or stands there twice. Entries are told by their place and never repeated
            in the message: what is wrong with one may be that it is the key itself.
    """
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    keys = tuple(entry_of(number, entry) for number, entry in enumerate(entries, 1))
    for what, values in (("name", [key.name for key in keys]), ("hash", [key.digest for key in keys])):
        if len(set(values)) < len(values):
            raise ValueError(f"two entries have the same {what}; each key needs its own")
    return keys


def entry_of(number: int, entry: str) -> ApiKey:
    """One ``name:sha256hex``."""
    name, _, hexdigest = entry.partition(":")
    if not NAME.fullmatch(name) or not DIGEST.fullmatch(hexdigest.lower()):
        raise ValueError(
            f"entry {number} is not name:hash with the SHA-256 of a key in 64 hex digits; "
            "`genre keys create NAME` prints a line that is"
        )
    return ApiKey(name, hexdigest.lower())
