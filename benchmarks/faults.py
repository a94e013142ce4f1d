"""The service under load while its processes are killed, its disk fills up, and it is told to end.

    python benchmarks/faults.py ../shared/data/emotify
    python benchmarks/faults.py --clients 4 --seconds 3 --only worker sigterm      # on invented music

Several clients post 30 s of mp3 to ``/predict`` and two to ``/analyze/features`` while one thing after the other goes
wrong. A server that ends is started again here, as a supervisor would do it.

| fault | what happens | what is expected |
|---|---|---|
| worker, analysis | the process is killed (-9) at work | 503 for what it held, 200 for the rest; it is back |
| http | the HTTP process is killed | the server ends with a status that is not 0 |
| job | a fine-tuning job's process is killed | the job has failed and says why; resumed it is completed |
| main | the main process is killed amid a job | the job goes on, and the next server knows it as it is |
| bad | one upload in ten is broken, and one track in each batch | 4xx for these, 200 for all others |
| disk | uploads, cache, models and runs lie on a disk that gets full | 507 or 200; 200 once there is room |
| sigterm | the server is told to end | what was asked before is answered; exit code 0 |

A request that waits for a worker which is started again may be answered with 504, at the deadline. The full disk is a
tmpfs that is mounted for it, which takes root: where mounting is not allowed, this part is left out and a line says so.
Where a fault leaves a process or a file behind, where a request is answered later than ``REQUEST_TIMEOUT``, or with
something else than expected, it is told below the table, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

from fault_injection.causes import FAULTS
from fault_injection.full_disk import DISK, full_disk, small_disk
from fault_injection.outcomes import Part
from fault_injection.report import report
from fault_injection.server import service
from fault_injection.suffering import suffer
from own_service import in_own_folder
from uploads import Upload, add_arguments, prepare, require_arguments


def main() -> int:
    given = parse_arguments()
    return in_own_folder("genre-faults-", lambda place: suffered(place, given))


def suffered(place: Path, given: argparse.Namespace) -> int:
    """Cause every fault, and say what came of it; 1 where something is not as expected."""
    uploads = prepare(given.folder, place, given.files)
    return report(run(place, uploads, given), given.deadline)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, files=16)
    parser.add_argument("--clients", type=int, default=8, help="that predict; beside them two analyse")
    parser.add_argument("--seconds", type=float, default=6, help="of load before each fault, and after it is over")
    parser.add_argument("--deadline", type=float, default=60, help="REQUEST_TIMEOUT of the service")
    parser.add_argument(
        "--only", nargs="+", choices=[*FAULTS, DISK], default=[*FAULTS, DISK], help="these faults alone"
    )
    given = parser.parse_args()
    require_arguments(parser, given)
    if given.clients < 1 or min(given.seconds, given.deadline) <= 0:
        parser.error("clients are 1 or more, and seconds and the deadline more than 0")
    return given


def run(place: Path, uploads: Sequence[Upload], given: argparse.Namespace) -> list[Part]:
    """Every fault that was asked for, one after the other."""
    parts: list[Part] = []
    numbers = itertools.count()
    faults = [name for name in FAULTS if name in given.only]
    if faults:
        with service(given, place / "place", place / "service.log") as server:
            parts += [suffer(name, FAULTS[name], server, uploads, numbers, given) for name in faults]
    if DISK in given.only:
        with small_disk(place / "disk") as mounted:
            if not mounted:
                print("disk      left out: a tmpfs cannot be mounted here; it takes root", flush=True)
            else:
                with service(given, place / "disk", place / "disk.log") as server:
                    parts.append(suffer(DISK, full_disk, server, uploads, numbers, given))
    return parts


if __name__ == "__main__":
    sys.exit(main())
