"""Clips of music by MusicGen: what is asked of it, and the files that come out, each whole.

>>> from genre_lib.models.generator import Generator  # doctest: +SKIP
>>> clips = [Clip.of("jazz", seed, Path(f"jazz-{seed}.wav")) for seed in range(4)]  # doctest: +SKIP
>>> write(Generator.from_folder("models/musicgen"), clips, seconds=8)  # doctest: +SKIP
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genre_lib.audio import write_wav
from genre_lib.labels import clean
from genre_lib.prompts import prompt
from genre_lib.sampling import AUTHORS, Sampling

if TYPE_CHECKING:
    from genre_lib.models.generator import Generator

BATCH = 4
"""Clips made together: on a processor four take little longer than one, for its time goes into reading the weights."""


@dataclass(frozen=True)
class Clip:
    """A clip to make: what it is to be, the seed that it is drawn by, and the file that it goes to."""

    prompt: str
    seed: int
    path: Path

    @classmethod
    def of(cls, genre: str, seed: int, path: Path) -> Clip:
        """A clip of a genre; the seed says by which of its prompts."""
        return cls(prompt(genre, seed), seed, path)


def folder_name(words: str) -> str:
    """Words as the name of a folder, or as the beginning of a file's.

    >>> folder_name("Drum & Bass")
    'drum_bass'
    """
    return re.sub(r"[^\w]+", "_", clean(words)).strip("_")[:60] or "clip"


def file_name(words: str, seed: int) -> str:
    """A file's name for what a clip is to be.

    >>> file_name("Drum & Bass", 3)
    'drum_bass-3.wav'
    """
    return f"{folder_name(words)}-{seed}.wav"


def write(
    generator: Generator,
    clips: Sequence[Clip],
    seconds: float,
    sampling: Sampling = AUTHORS,
    batch_size: int = BATCH,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Make clips, some together, and write each to its file: mono, 16 bits, at the generator's rate.

    Args:
        progress: called with the steps that are done and their number, over all clips.

    Raises:
        ConfigurationError: the length is out of range.
        OSError: a file cannot be written.
    """
    steps = generator.steps(seconds)
    batches = [clips[begin : begin + batch_size] for begin in range(0, len(clips), batch_size)]
    for number, batch in enumerate(batches):

        def tell(done: int, _: int, before: int = number * steps) -> None:
            if progress:
                progress(before + done, len(batches) * steps)

        prompts, seeds = [clip.prompt for clip in batch], [clip.seed for clip in batch]
        waveforms = generator.make(prompts, seeds, seconds, sampling, tell)
        for clip, waveform in zip(batch, waveforms, strict=True):
            clip.path.parent.mkdir(parents=True, exist_ok=True)
            write_wav(clip.path, waveform, generator.sample_rate)
