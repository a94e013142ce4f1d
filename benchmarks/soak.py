"""A mixed load for many minutes, at a rate that the machine bears: are all answers right, and does memory stay?

    python benchmarks/soak.py ../shared/data/emotify --minutes 20
    python benchmarks/soak.py --minutes 3 --settle 1      # on invented music

The service is started here, with folders and two models of its own, and ended afterwards. The second model is the first
with its head turned around, so it says of every genre what the first says of its mirror image; once a minute the one is
exchanged for the other. What the library says of each track is known before the load begins, and every answer is
compared with it: by the model that answered, which must be one that was active then. ``MIX`` says what is asked.

Requests go out at their times whether others were answered or not. The prediction cache is small here, so that it is
full before the memory counts. The line of each 30 s shows PSS (RSS where that cannot be read), open files and threads
of each process of the service, and what lies in its upload and cache folders. The exit is 1 where a 5xx came, where an
answer was wrong, or where a process grew by more than 5 % of what it was after the first minutes (``--settle``). Growth
is that of anonymous memory: PSS changes with every other program on the machine that has PyTorch loaded, too.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from long_load.clients import client, exchange
from long_load.known import known, make_models
from long_load.processes import Processes
from long_load.report import LINE_SECONDS, left_behind, line, report
from long_load.scene import FIRST, Scene
from own_service import in_own_folder, opened_by, service
from uploads import add_arguments, prepare, require_arguments

from genre_lib import api_keys

SAMPLE_SECONDS = 5.0
PREDICTION_CACHE_BYTES = 256 * 1024


def main() -> int:
    given = parse_arguments()
    return in_own_folder("genre-soak-", lambda temporary: soak(given, temporary))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, files=24)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--settle", type=float, default=5, help="minutes after which memory counts")
    parser.add_argument("--rate", type=float, default=6, help="requests a second")
    parser.add_argument("--clients", type=int, default=24, help="most requests that are under way at once")
    parser.add_argument(
        "--exchange", type=float, default=60, help="seconds from one exchange of the models to the next"
    )
    given = parser.parse_args()
    require_arguments(parser, given)
    if min(given.minutes - given.settle, given.settle, given.rate, given.exchange) <= 0 or given.clients < 1:
        parser.error("rate, exchange, settle and clients are more than 0, and minutes more than settle")
    return given


def soak(given: argparse.Namespace, temporary: Path) -> int:
    """Prepare, load and report."""
    models = temporary / "models"
    make_models(given.model, models)
    tracks = known(prepare(given.folder, temporary, given.files), models, temporary)
    print(f"{given.rate:g} requests a second for {given.minutes:g} minutes", flush=True)
    with loaded(models, temporary) as (url, key):
        scene = Scene(url, key, tracks, given.rate)
        processes = Processes(temporary, url)
        load(scene, given, processes, temporary)
        processes.find_the_restarted()
    return report(scene, processes, given)


@contextmanager
def loaded(models: Path, temporary: Path) -> Iterator[tuple[str, str]]:
    """The service with both models and a key; its address and the key."""
    key = api_keys.generate()
    settings = {"MODEL_PATH": str(models / FIRST), **opened_by(key)}
    with service(temporary, {**settings, "PREDICTION_CACHE_BYTES": str(PREDICTION_CACHE_BYTES)}) as url:
        yield url, key


def load(scene: Scene, given: argparse.Namespace, processes: Processes, temporary: Path) -> None:
    """Ask for so many minutes, exchange models, and look at the processes meanwhile."""
    numbers, begun = itertools.count(), time.perf_counter()
    seconds = given.minutes * 60
    targets = [lambda: client(scene, numbers, begun, seconds) for _ in range(given.clients)]
    targets.append(lambda: exchange(scene, given.exchange))
    threads = [threading.Thread(target=target, daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    try:
        watch(scene, processes, begun, seconds, temporary)
    finally:
        scene.ended.set()
    for thread in threads:
        thread.join()
    print(f"{'after':>6}  {left_behind(temporary)}", flush=True)


def watch(scene: Scene, processes: Processes, begun: float, seconds: float, temporary: Path) -> None:
    """Look at the processes again and again, and print a line now and then, until all was asked."""
    lines = 0
    while (now := time.perf_counter() - begun) < seconds:
        processes.look(now)
        if now >= (lines + 1) * LINE_SECONDS:
            lines += 1
            print(line(scene, processes, now, temporary), flush=True)
        time.sleep(SAMPLE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
