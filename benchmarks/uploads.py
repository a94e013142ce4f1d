"""What a benchmark posts: 30 s of mp3 each, of a folder of music or of invented music, and files that are no audio."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import av
from own_service import STARTER

from genre_lib import audio

SECONDS = 30.0
BIT_RATE = 128_000

BROKEN = [b"", b"this is a text and no audio" * 40, b"RIFF\x00\x00\x00\x00WAVE", b"ID3\x04" + bytes(2000)]
BROKEN_EVERY = 10
"""Of so many files one is broken."""


@dataclass(frozen=True)
class Upload:
    """A file as it is posted."""

    name: str
    content: bytes

    def numbered(self, number: int) -> bytes:
        """The same sound as other content: an ID3v2 tag before it, with a frame for private use."""
        owner_and_number = b"benchmark\0" + number.to_bytes(8, "big")
        frame = b"PRIV" + len(owner_and_number).to_bytes(4, "big") + b"\0\0" + owner_and_number
        return b"ID3\x03\0\0" + len(frame).to_bytes(4, "big") + frame + self.content


def add_arguments(parser: argparse.ArgumentParser, files: int) -> None:
    """The music that is posted, how many files of it, and the model that hears it."""
    parser.add_argument("folder", type=Path, nargs="?", help="folder of audio files; without one, invented music")
    parser.add_argument("--model", type=Path, default=STARTER, help="model folder")
    parser.add_argument("--files", type=int, default=files, help="different files to post")


def require_arguments(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Refuse what leads nowhere."""
    given.model = given.model.resolve()
    if given.files < 1:
        parser.error("files are 1 or more")
    if not (given.model / "config.json").is_file():
        parser.error(f"{given.model} is no model folder; name one by --model")
    if given.folder and not given.folder.is_dir():
        parser.error(f"there is no folder {given.folder}")


def prepare(folder: Path | None, temporary: Path, files: int) -> list[Upload]:
    """The first 30 s of so many files, spread over the folder; an mp3 that is no longer is taken as it is."""
    found = audio.find(folder) if folder else sorted(invented(temporary / "music", files).rglob("*.wav"))
    if not found:
        sys.exit(f"error: there is no audio below {folder}; name another folder, or none for invented music")
    chosen = found[:: max(1, len(found) // files)][:files]
    uploads = []
    for number, file in enumerate(chosen):
        short = file.suffix.lower() == ".mp3" and (audio.probe(file).duration or SECONDS + 1) <= SECONDS + 0.5
        content = file if short else cut(file, temporary / f"{number}.mp3")
        uploads.append(Upload(f"{number}.mp3", content.read_bytes()))
    print(f"{len(uploads)} files, {sum(len(u.content) for u in uploads) / len(uploads) / 1e3:.0f} kB each", flush=True)
    return uploads


def invented(folder: Path, files: int) -> Path:
    """The synthetic catalogue, long enough to be cut, as large as is needed."""
    from genre_lib.data import synthetic

    genres = len(synthetic.SYNTH_GENRES)
    tracks = max(synthetic.MIN_TRACKS, -(-files // genres))
    return synthetic.make(folder, tracks_per_genre=tracks, seconds=SECONDS, sample_rate=44100)


def cut(source: Path, target: Path) -> Path:
    """The first 30 s as mp3, in the source's rate and with as many channels, at most two."""
    with av.open(str(source)) as given, av.open(str(target), "w", format="mp3") as made:
        stream = given.streams.audio[0]
        layout = "mono" if stream.codec_context.channels == 1 else "stereo"
        encoder = made.add_stream("libmp3lame", rate=stream.codec_context.sample_rate, layout=layout)
        encoder.bit_rate = BIT_RATE
        for frame in given.decode(stream):
            if frame.time is not None and frame.time >= SECONDS:
                break
            frame.pts = None
            made.mux(encoder.encode(frame))
        made.mux(encoder.encode(None))
    return target
