"""A file that was decoded and described before the network hears it, or why it could not be."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from genre_lib.audio import Audio, Limits, load
from genre_lib.beside_sound import Features
from genre_lib.errors import AudioError


@dataclass(frozen=True)
class Decoded:
    """A file, its audio and what was described of it, or why there is none."""

    path: str
    audio: Audio | None = None
    features: Features | None = None
    error: AudioError | None = None


def decoded_file(
    path: str | os.PathLike, sample_rate: int, limits: Limits | None, describe: Callable[[], Features | None]
) -> Decoded:
    """Decode a file and have it described; what cannot be decoded is told, and a truncated one is taken as it is."""
    try:
        audio = load(path, sample_rate, limits=limits, on_truncated="ignore")
        return Decoded(os.fspath(path), audio, describe())
    except AudioError as error:
        return Decoded(os.fspath(path), error=error)
