"""How MusicGen draws, and how long a clip may be: what can be refused before anything heavy is imported."""

from __future__ import annotations

import math
from dataclasses import dataclass

from genre_lib.errors import ConfigurationError

MIN_SECONDS = 0.1
"""Length below which none of the pretrained networks hears anything; five frames of MusicGen's codec."""

MAX_SECONDS = 30.0
"""Length of the music that MusicGen learned from; beyond it, it was never told what comes next."""


@dataclass(frozen=True)
class Sampling:
    """How codes are drawn; the defaults are those of MusicGen's authors.

    Args:
        guidance_scale: how much more than by chance the prompt is heeded (Ho and Salimans 2022, arXiv:2207.12598); 1:
            as much as by chance.
        temperature: divides the logits; above 1 for more surprise.
        top_k: the most likely codes that are drawn from.

    Raises:
        ConfigurationError: one is out of range.
    """

    guidance_scale: float = 3.0
    temperature: float = 1.0
    top_k: int = 250

    def __post_init__(self) -> None:
        for name, least in (("guidance_scale", 1), ("top_k", 1)):
            if not math.inf > getattr(self, name) >= least:
                raise ConfigurationError(f"{name} should be {least} or more, and is {getattr(self, name)}.")
        if not math.inf > self.temperature > 0:
            raise ConfigurationError(f"temperature should be above 0, and is {self.temperature}.")


AUTHORS = Sampling()
"""As MusicGen's authors draw."""


def require_length(seconds: float) -> None:
    """Refuse what is no clip, or longer than MusicGen learned to make.

    Raises:
        ConfigurationError: the length is below :data:`MIN_SECONDS`, or above :data:`MAX_SECONDS`.
    """
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise ConfigurationError(
            f"A clip lasts at least {MIN_SECONDS:g} s and at most {MAX_SECONDS:g} s, which is what MusicGen learned to "
            f"make; got {seconds:g}."
        )
