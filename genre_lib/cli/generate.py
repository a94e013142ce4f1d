"""``genre generate``: clips of a genre, or of a prompt, by MusicGen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genre_lib.cli.console import progress_bar, say, write_text
from genre_lib.cli.options import get_settings
from genre_lib.errors import ConfigurationError
from genre_lib.wording import counted

GeneratorOption = Annotated[str, typer.Option(help="Name or folder of a MusicGen.")]
SecondsOption = Annotated[float, typer.Option(help="Length of a clip, 0.1 to 30 s.")]
GuidanceOption = Annotated[float, typer.Option(help="How much more than by chance the prompt is heeded.")]
TemperatureOption = Annotated[float, typer.Option(help="Above 1 for more surprise.")]
TopKOption = Annotated[int, typer.Option(help="The most likely codes that are drawn from.")]
BatchOption = Annotated[int, typer.Option("--batch-size", min=1, help="Clips that are made together.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


LONGEST_PROMPT = 1000
"""Letters; the text encoder takes memory with their square."""


def generate(
    output: Annotated[Path, typer.Option(help="The WAV to write; with --count, or where it is one, a folder.")],
    model: GeneratorOption = "musicgen",
    genre: Annotated[str | None, typer.Option(help="What to play; prompts.csv says how it is asked for.")] = None,
    prompt: Annotated[str | None, typer.Option(help="What to play, in your own words.")] = None,
    seconds: SecondsOption = 8.0,
    count: Annotated[int | None, typer.Option(min=1, help="So many clips, by one seed after the other.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="Of the first clip; the same seed, the same clip.")] = 0,
    guidance_scale: GuidanceOption = 3.0,
    temperature: TemperatureOption = 1.0,
    top_k: TopKOption = 250,
    batch_size: BatchOption = 4,
    device: DeviceOption = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:
    """Make clips of music by MusicGen, of a genre or of a prompt: WAV, mono, at the model's rate."""
    if (genre is None) == (prompt is None):
        raise ConfigurationError("Say what to play, by --genre or by --prompt, and not by both.")
    if prompt is not None and not prompt.strip():
        raise ConfigurationError("--prompt is empty; say what to play.")
    if prompt is not None and len(prompt) > LONGEST_PROMPT:
        raise ConfigurationError(f"--prompt has {len(prompt):,} letters, of which {LONGEST_PROMPT:,} are the most.")
    from genre_lib.sampling import Sampling, require_length

    require_length(seconds)
    sampling = Sampling(guidance_scale, temperature, top_k)
    if count is not None:
        require_folder(output)
    folder = generator_folder(model)
    from genre_lib.generation import Clip, file_name, write

    many = count is not None or output.is_dir()
    seeds = range(seed, seed + (count or 1))
    places = [output / file_name(genre or prompt or "", each) if many else output for each in seeds]
    require_free(places, overwrite)
    clips = [
        Clip.of(genre, each, place) if genre is not None else Clip(prompt or "", each, place)
        for each, place in zip(seeds, places, strict=True)
    ]
    from genre_lib.models.generator import Generator

    generator = Generator.from_folder(folder, device)
    with progress_bar("making music") as bar:
        write(generator, clips, seconds, sampling, batch_size, bar)
    write_text("".join(f"{clip.path}\n" for clip in clips))
    said = f": {clips[0].prompt}" if len(clips) == 1 else ""
    say(f"{counted(len(clips), 'clip')} of {seconds:g} s at {generator.sample_rate} Hz{said}.")


def generator_folder(model: str) -> Path:
    """The folder of a MusicGen, by name or path, before its weights are read.

    Raises:
        ModelNotFound, ModelInvalid: there is none, or it makes no music.
    """
    from genre_lib import registry
    from genre_lib.networks.files import require_generator

    folder = registry.resolve(model, get_settings())
    require_generator(folder)
    return folder


def require_folder(output: Path) -> None:
    """Refuse a file, or what is named as one, where a folder is to be.

    Raises:
        ConfigurationError.
    """
    if output.is_dir():
        return
    if output.exists() or output.suffix.lower() == ".wav":
        came = "is a file" if output.exists() else "is named as a file"
        raise ConfigurationError(f"With --count, --output is a folder; {output} {came}.")


def require_free(places: list[Path], overwrite: bool) -> None:
    """Refuse before the work what could not be written after it.

    Raises:
        ConfigurationError: a file is there, or none can be made there.
    """
    from genre_lib.files import can_be_made

    for place in places:
        if place.suffix.lower() != ".wav":
            raise ConfigurationError(f"--output is a WAV, such as clip.wav, or a folder with --count; came {place}.")
        if place.exists() and not overwrite:
            raise ConfigurationError(f"{place} is there already; choose another, or say --overwrite.")
    if not can_be_made(places[0]):
        raise ConfigurationError(f"--output {places[0]} cannot be written: no file can be made there.")
