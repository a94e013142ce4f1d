"""What describing 30 s of audio costs, step by step, and beside Essentia where that is installed.

    OMP_NUM_THREADS=1 python benchmarks/descriptors.py ../shared/data/gtzan

The first call is measured apart, for it loads what later ones find loaded. Essentia is a peer for the time of tempo
(RhythmExtractor2013, multifeature) and key (KeyExtractor, edma), decoding excluded, and no part of this package: where
it lives in another environment, name its interpreter with ``--essentia-python``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SECONDS = 30
STEPS = ("decode", "spectrum", "tempo", "key", "loudness", "character")

ESSENTIA = """
import json, sys, time
import numpy as np
import essentia
essentia.log.infoActive = essentia.log.warningActive = False
import essentia.standard as es
resample = es.Resample(inputSampleRate=22050, outputSampleRate=44100)
rows = []
for waveform in np.load(sys.argv[1]):
    at_44100 = resample(waveform)
    begun = time.process_time(), time.perf_counter()
    tempo = es.RhythmExtractor2013(method="multifeature")(at_44100)[0]
    key = es.KeyExtractor(profileType="edma")(at_44100)
    end = time.process_time(), time.perf_counter()
    rows.append([end[0] - begun[0], end[1] - begun[1]])
print(json.dumps(rows))
"""


def main() -> None:
    arguments = parse_arguments()
    begun = time.perf_counter()
    from genre_lib import descriptors  # what it loads is part of the first call

    imported = time.perf_counter() - begun
    paths = clips(arguments.folder, arguments.limit)
    begun = time.perf_counter()
    descriptors.analyze_file(paths[0])
    first = time.perf_counter() - begun
    timed = [steps(path) for path in paths]
    print(f"clips: {len(paths)} of {SECONDS} s; medians of CPU and wall time")
    print(f"import: {imported:.2f} s; first call: {first:.2f} s")
    for step in STEPS:
        print(f"{step:12}{line([row[step] for row in timed])}")
    ours = [add(row["spectrum"], row["tempo"], row["key"]) for row in timed]
    print(f"{'tempo + key':12}{line(ours)} (with the spectrum that the others share)")
    theirs = essentia(paths, arguments.essentia_python)
    if theirs is None:
        print("essentia is not importable; name its interpreter with --essentia-python")
        return
    print(f"{'essentia':12}{line(theirs)} (tempo + key)")
    shares = [median(ours, unit) / median(theirs, unit) for unit in (0, 1)]
    print(f"share of Essentia's time: {shares[0]:.0%} CPU, {shares[1]:.0%} wall")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of audio files, walked")
    parser.add_argument("--limit", type=int, default=20, help="clips that are timed")
    parser.add_argument("--essentia-python", default=sys.executable, help="interpreter that imports essentia")
    return parser.parse_args()


def clips(folder: Path, limit: int) -> list[Path]:
    """Files of 30 s or more, taken evenly over the folder."""
    from genre_lib.audio import find, probe

    long = [path for path in find(folder) if (probe(path).duration or 0) >= SECONDS - 0.5]
    return long[:: max(1, len(long) // limit)][:limit]


def load(path: Path) -> np.ndarray:
    from genre_lib import audio
    from genre_lib.analysis.spectrum import RATE

    return audio.load(path, RATE, on_truncated="ignore").waveform[: SECONDS * RATE]


def steps(path: Path) -> dict[str, tuple[float, float]]:
    """CPU and wall seconds of each step of a description."""
    from genre_lib.analysis import character, loudness, rhythm, tonality
    from genre_lib.analysis.spectrum import RATE, mel

    waveform, decode = timed(lambda: load(path))
    bands, spectrum = timed(lambda: mel(waveform))
    beat, tempo = timed(lambda: rhythm.analyze(bands))
    pitch, key = timed(lambda: tonality.analyze(waveform))
    (level, blocks), loud = timed(lambda: loudness.measure(waveform, RATE))
    _, rest = timed(lambda: character.analyze(bands, blocks, level, beat, pitch))
    return dict(zip(STEPS, (decode, spectrum, tempo, key, loud, rest), strict=True))


def timed(work: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    begun = time.process_time(), time.perf_counter()
    result = work()
    return result, (time.process_time() - begun[0], time.perf_counter() - begun[1])


def essentia(paths: list[Path], interpreter: str) -> list[tuple[float, float]] | None:
    """CPU and wall seconds of Essentia's tempo and key of each clip, in a process of its own; None without it."""
    if subprocess.run([interpreter, "-c", "import essentia"], capture_output=True, check=False).returncode:
        return None
    with tempfile.TemporaryDirectory() as folder:
        waveforms = [load(path) for path in paths]
        shortest = min(map(len, waveforms))
        np.save(Path(folder, "clips.npy"), np.stack([waveform[:shortest] for waveform in waveforms]))
        command = [interpreter, "-c", ESSENTIA, str(Path(folder, "clips.npy"))]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [(cpu, wall) for cpu, wall in json.loads(output.splitlines()[-1])]


def add(*times: tuple[float, float]) -> tuple[float, float]:
    return sum(time[0] for time in times), sum(time[1] for time in times)


def median(times: list[tuple[float, float]], unit: int) -> float:
    return statistics.median(time[unit] for time in times)


def line(times: list[tuple[float, float]]) -> str:
    return f"{1000 * median(times, 0):6.1f} ms CPU {1000 * median(times, 1):7.1f} ms wall"


if __name__ == "__main__":
    main()
