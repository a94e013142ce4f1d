"""The limits of how often a client may ask, and the store that counts: as they are set."""

from __future__ import annotations

import importlib.util
from enum import StrEnum

import limits
from pydantic import SecretStr

from genre_lib.errors import ConfigurationError
from genre_lib.settings import Settings

STORES = ("memory", "redis", "rediss", "redis+unix")


class Kind(StrEnum):
    """What a request costs, and so which limit it falls under."""

    read = "read"
    prediction = "prediction"
    change = "change"
    failed_key = "failed_key"


SETTINGS = {
    Kind.read: "rate_limit",
    Kind.prediction: "rate_limit_predictions",
    Kind.change: "rate_limit_changes",
    Kind.failed_key: "rate_limit_failed_keys",
}

Rates = dict[Kind, limits.RateLimitItem]
"""A kind that is missing has no limit."""


def read_rates(settings: Settings) -> Rates:
    """The limits that are set.

    Raises:
        ConfigurationError: one is not written as ``600/minute``.
    """
    texts = {kind: str(getattr(settings, name)).strip() for kind, name in SETTINGS.items()}
    return {kind: parse(SETTINGS[kind], text) for kind, text in texts.items() if text}


def parse(name: str, text: str) -> limits.RateLimitItem:
    """``600/minute``, ``10/second``, ``100/5 minutes``."""
    try:
        found = limits.parse_many(text)
    except ValueError:
        found = []
    if len(found) != 1 or found[0].amount < 1 or found[0].get_expiry() < 1:
        raise ConfigurationError(
            f"{name.upper()} must be a number of requests a second, minute, hour or day, such as 600/minute, or empty "
            f"for no limit; it is {text!r}."
        )
    return found[0]


def rate_limit_store(settings: Settings) -> SecretStr:
    """The address of the store that counts. One that cannot be used is refused before anything starts.

    Raises:
        ConfigurationError: it is neither memory nor Redis, or Redis' client is not installed. The address is not
            repeated, for it may hold a password.
    """
    scheme, separator, _ = settings.rate_limit_store.get_secret_value().partition("://")
    if not separator or scheme not in STORES:
        raise ConfigurationError(
            "RATE_LIMIT_STORE must be memory://, or Redis' address such as redis://host:6379/0, and is neither."
        )
    if scheme != "memory" and importlib.util.find_spec("redis") is None:
        raise ConfigurationError(
            "RATE_LIMIT_STORE names Redis, whose client is not installed: pip install 'genre_lib[redis]'."
        )
    return settings.rate_limit_store
