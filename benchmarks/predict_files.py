"""How fast many files are predicted, how much of that is decoding, and whether memory grows with their number.

    python benchmarks/predict_files.py ../shared/data/emotify --model pretrained/genre_classifier

Every measurement runs in a process of its own, one after the other. "Decoding alone" decodes the same files with as
many threads and does nothing else: its share of the whole says how near prediction comes to what decoding must cost.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FEW = 30


def main() -> None:
    arguments = parse_arguments()
    if arguments.task:
        print(json.dumps(TASKS[arguments.task](arguments)))
        return
    few = in_new_process("predict", arguments, FEW)
    whole = in_new_process("predict", arguments, arguments.limit)
    decode = in_new_process("decode", arguments, arguments.limit)
    tracks, seconds = whole["tracks"], whole["seconds"]
    print(f"tracks: {tracks} ({whole['audio_seconds'] / 60:.1f} minutes of audio, {whole['errors']} with errors)")
    print(f"whole: {seconds:.2f} s, {tracks / seconds:.1f} tracks/s, {1000 * whole['cpu'] / tracks:.0f} ms CPU a track")
    print(
        f"decoding alone: {decode['seconds']:.2f} s, {tracks / decode['seconds']:.1f} tracks/s, "
        f"{1000 * decode['cpu'] / tracks:.0f} ms CPU a track"
    )
    print(f"share of the time that is decoding alone: {decode['seconds'] / seconds:.0%}")
    print(f"share of the CPU time that is decoding alone: {decode['cpu'] / whole['cpu']:.0%}")
    print(
        f"peak memory with {few['tracks']} files: {few['peak_mib']:.0f} MiB, with {tracks}: {whole['peak_mib']:.0f} MiB"
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of audio files, walked")
    parser.add_argument("--model", type=Path, default=Path("pretrained/genre_classifier"), help="model folder")
    parser.add_argument("--workers", type=int, default=None, help="threads that decode")
    parser.add_argument("--limit", type=int, default=None, help="take so many files alone")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--task", choices=sorted(TASKS), help=argparse.SUPPRESS)
    return parser.parse_args()


def in_new_process(task: str, arguments: argparse.Namespace, limit: int | None) -> dict[str, float]:
    """Run a task alone, so that its peak memory is its own."""
    command = [sys.executable, __file__, str(arguments.folder), "--model", str(arguments.model), "--task", task]
    command += ["--device", arguments.device]
    command += ["--limit", str(limit)] if limit else []
    command += ["--workers", str(arguments.workers)] if arguments.workers else []
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} | os.environ  # as `genre predict` has it
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def predict(arguments: argparse.Namespace) -> dict[str, float]:
    from genre_lib.inference import Predictor
    from genre_lib.memory import keep_freed

    keep_freed()  # as `genre predict` does
    predictor = Predictor.from_folder(arguments.model, device=arguments.device)
    paths = find_files(arguments)
    list(predictor.files(paths[:1]))  # the first call prepares what all share
    return measure(
        lambda: ((track.duration, track.error) for track in predictor.files(paths, workers=arguments.workers))
    )


def decode(arguments: argparse.Namespace) -> dict[str, float]:
    from genre_lib.inference import load_model

    paths, rate = find_files(arguments), load_model(arguments.model).sample_rate
    workers = arguments.workers or min(4, os.cpu_count() or 1)
    return measure(lambda: decode_all(paths, rate, workers))


def decode_all(paths: Sequence[Path], sample_rate: int, workers: int) -> Iterator[tuple[float | None, str | None]]:
    from genre_lib.audio import load
    from genre_lib.errors import AudioError

    def one(path: Path) -> tuple[float | None, str | None]:
        try:
            return load(path, sample_rate, on_truncated="ignore").duration, None
        except AudioError as error:
            return None, str(error)

    with ThreadPoolExecutor(workers) as executor:
        yield from executor.map(one, paths)


def find_files(arguments: argparse.Namespace) -> list[Path]:
    from genre_lib.audio import find

    return find(arguments.folder)[: arguments.limit]


def measure(work: Callable[[], Iterator[tuple[float | None, str | None]]]) -> dict[str, float]:
    """Wall and CPU seconds of the work, and the peak memory of this process, in MiB."""
    begun, begun_cpu = time.perf_counter(), time.process_time()
    rows = list(work())
    return {
        "seconds": time.perf_counter() - begun,
        "cpu": time.process_time() - begun_cpu,
        "tracks": len(rows),
        "audio_seconds": sum(duration or 0 for duration, _ in rows),
        "errors": sum(error is not None for _, error in rows),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


TASKS = {"predict": predict, "decode": decode}

if __name__ == "__main__":
    main()
