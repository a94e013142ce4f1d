"""What the check of a catalogue costs beside decoding alone, and what its fingerprints find.

python benchmarks/check_catalogue.py ../shared/data/gtzan
python benchmarks/check_catalogue.py ../shared/data/emotify --tracks 100 --recall
"""

from __future__ import annotations

import argparse
import io
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np

from genre_lib import audio
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.catalogue_source import build
from genre_lib.data.check import check
from genre_lib.data.fingerprint import LEAST_SHARE, SAMPLE_RATE, Fingerprint, matches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a folder or CSV of music")
    parser.add_argument("--tracks", type=int, help="only so many, spread over the catalogue")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--recall", action="store_true", help="look for degraded excerpts of the tracks among them")
    arguments = parser.parse_args()
    catalogue = build(arguments.source)
    if arguments.tracks:
        every = max(1, len(catalogue) // arguments.tracks)
        catalogue = Catalogue(catalogue.tracks[::every].head(arguments.tracks))
    compare_times(catalogue, arguments.workers)
    if arguments.recall:
        recall(catalogue)


def compare_times(catalogue: Catalogue, workers: int) -> None:
    began = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        seconds = sum(pool.map(decoded_seconds, catalogue.tracks["path"]))
    decoding = time.perf_counter() - began
    began = time.perf_counter()
    report = check(catalogue, workers=workers)
    checking = time.perf_counter() - began
    print(f"{len(catalogue)} tracks, {seconds / 3600:.2f} h, {workers} threads")
    print(f"decoding alone {decoding:6.1f} s   {decoding / seconds * 30_000:5.0f} ms per 30 s of audio")
    print(f"check          {checking:6.1f} s   {checking / seconds * 30_000:5.0f} ms   {checking / decoding:.2f} times")
    print(f"found: {report.counts() or 'nothing'}")


def decoded_seconds(path: str) -> float:
    return audio.load(path, SAMPLE_RATE, on_truncated="ignore").duration


def recall(catalogue: Catalogue) -> None:
    """Share of the excerpts, at a random place, that match the track that they are from; and matches with others."""
    random = np.random.default_rng(0)
    waveforms = [audio.load(path, SAMPLE_RATE, on_truncated="ignore").waveform for path in catalogue.tracks["path"]]
    waveforms = [waveform for waveform in waveforms if len(waveform) >= 15 * SAMPLE_RATE]
    whole = [Fingerprint.of(waveform) for waveform in waveforms]
    known = {(match.first, match.second) for match in matches(whole)}
    print(f"\nexcerpts of {len(whole)} tracks, share of common words >= {LEAST_SHARE}; found, and false matches:")
    for name, degrade in DEGRADATIONS.items():
        print(f"{name:22s}", end="")
        for seconds in (3, 5, 10):
            starts = [random.integers(0, len(waveform) - seconds * SAMPLE_RATE) for waveform in waveforms]
            parts = [
                waveform[start:][: seconds * SAMPLE_RATE] for waveform, start in zip(waveforms, starts, strict=True)
            ]
            found = matches([*whole, *(Fingerprint.of(degrade(part)) for part in parts)])
            pairs = {(m.first, m.second - len(whole)) for m in found if m.first < len(whole) <= m.second}
            own = sum(first == second for first, second in pairs)
            false = sum(first != second and tuple(sorted((first, second))) not in known for first, second in pairs)
            print(f"   {seconds:2d} s: {own / len(whole):4.0%}, {false}", end="")
        print()


def with_noise(waveform: np.ndarray) -> np.ndarray:
    level = 0.1 * np.sqrt(np.mean(waveform**2))
    return (waveform + np.random.default_rng(0).normal(0, level, len(waveform))).astype(np.float32)


def coded(form: str, codec: str, bit_rate: int, sample_rate: int) -> Callable[[np.ndarray], np.ndarray]:
    """Encode and decode again."""

    def through(waveform: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        with av.open(file, "w", format=form) as container:
            stream = container.add_stream(codec, rate=sample_rate, layout="mono", bit_rate=bit_rate)
            frame = av.AudioFrame.from_ndarray(waveform[None], "flt", "mono")
            frame.sample_rate = SAMPLE_RATE
            queue = av.AudioFifo()
            resampler = av.AudioResampler(stream.format.name, "mono", sample_rate)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                part.pts = None
                queue.write(part)
            for part in [*queue.read_many(stream.codec_context.frame_size or 1024), queue.read(0), None]:
                container.mux(stream.encode(part))
        return audio.load(file.getvalue(), SAMPLE_RATE, on_truncated="ignore").waveform

    return through


DEGRADATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "14 dB quieter": lambda waveform: 0.2 * waveform,
    "8 bits": lambda waveform: np.round(127 * waveform) / 127,
    "12 dB quieter, 8 bits": lambda waveform: np.round(127 * 0.25 * waveform) / 127,
    "noise at -20 dB": with_noise,
    "mp3 at 64 kbit/s": coded("mp3", "libmp3lame", 64_000, 22_050),
    "mp3 at 24 kbit/s": coded("mp3", "libmp3lame", 24_000, 22_050),
    "opus at 16 kbit/s": coded("ogg", "libopus", 16_000, 48_000),
}


if __name__ == "__main__":
    main()
