"""Load a running server: several clients post the files of a folder, one in ten of them broken.

    genre serve &
    python benchmarks/load.py ../shared/data/gtzan --clients 8 --requests 200

Prints the statuses by kind of file, latencies, requests a second and the mean batch (by the answers' ``X-Batch-Size``).
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx
from uploads import BROKEN, BROKEN_EVERY


@dataclass(frozen=True)
class Outcome:
    """What became of one request."""

    broken: bool
    status: int
    seconds: float
    batch: int | None


def main() -> int:
    """0 where every good file got 200 and every broken one 4xx."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="audio files to post")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--requests", type=int, default=200)
    given = parser.parse_args()
    files = sorted(file for file in given.folder.rglob("*.mp3") if file.stat().st_size)
    if not files:
        parser.error(f"there is no mp3 file below {given.folder}")
    try:
        httpx.get(f"{given.url}/health", timeout=10)
    except httpx.TransportError as error:
        parser.error(f"no server answers at {given.url} ({error}); start one by genre serve")
    begun = time.perf_counter()
    outcomes = post_all(given.url, files, given.clients, given.requests)
    return report(outcomes, time.perf_counter() - begun)


def post_all(url: str, files: list[Path], clients: int, requests: int) -> list[Outcome]:
    """Every client posts one file after the other, until ``requests`` were posted in all."""
    numbers, outcomes = iter(range(requests)), []
    lock = threading.Lock()

    def client() -> None:
        with httpx.Client(base_url=url, timeout=120) as http:
            while (number := take(numbers, lock)) is not None:
                outcomes.append(post(http, number, files[number % len(files)]))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def take(numbers: itertools.count, lock: threading.Lock) -> int | None:
    with lock:
        return next(numbers, None)


def post(http: httpx.Client, number: int, file: Path) -> Outcome:
    """One request; every tenth with bytes that are no audio."""
    broken = number % BROKEN_EVERY == BROKEN_EVERY - 1
    data = BROKEN[number // BROKEN_EVERY % len(BROKEN)] if broken else file.read_bytes()
    begun = time.perf_counter()
    response = http.post("/predict", files={"file": (file.name, data)})
    batch = response.headers.get("X-Batch-Size")
    return Outcome(broken, response.status_code, time.perf_counter() - begun, int(batch) if batch else None)


def report(outcomes: list[Outcome], seconds: float) -> int:
    """Print the numbers; 1 where an answer was not what it should be."""
    for name, broken in (("good", False), ("broken", True)):
        statuses = Counter(outcome.status for outcome in outcomes if outcome.broken == broken)
        print(f"{name:7} {dict(sorted(statuses.items()))}")
    latencies = sorted(outcome.seconds for outcome in outcomes if not outcome.broken)
    quantiles = statistics.quantiles(latencies, n=100, method="inclusive")
    print(f"latency p50 {quantiles[49]:.3f} s, p90 {quantiles[89]:.3f} s, p99 {quantiles[98]:.3f} s")
    print(f"rate    {len(outcomes) / seconds:.1f} requests/s over {seconds:.1f} s")
    batches = [outcome.batch for outcome in outcomes if outcome.batch]
    # an answer tells its batch's size, so that large batches are told often: the harmonic mean undoes that
    print(f"batch   mean {statistics.harmonic_mean(batches) if batches else 0:.2f}, largest {max(batches, default=0)}")
    return int(any(o.status != 200 if not o.broken else not 400 <= o.status < 500 for o in outcomes))


if __name__ == "__main__":
    sys.exit(main())
