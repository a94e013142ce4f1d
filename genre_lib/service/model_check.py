"""A process that tries a model that came from outside: unpacked, loaded and run on a second of audio, within bounds.

It bounds itself: in memory, and by ending when the process that started it is gone. In time it is bounded from outside,
by :mod:`genre_lib.service.model_trial`. Its last line is JSON: ``{}``, or ``refused`` with a sentence, or ``errno``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genre_lib.errors import GenreLibError, UploadRefused, first_line
from genre_lib.registry import describe
from genre_lib.service.model_schemas import METRICS, fault, parsed_metrics
from genre_lib.service.model_zip import unpack

if TYPE_CHECKING:
    from genre_lib.inference import Predictor

MIB = 1024**2
UNPACKING_BYTES = 128 * MIB
RUNNING_BYTES = 2048 * MIB
"""What each step may take beyond what the process takes already; loading may take the weights thrice, beside."""

LOOK_SECONDS = 0.5
GENRES = range(2, 1001)
LONGEST_GENRE = 100
CLIP_SECONDS = (0.1, 120.0)
SHORTEST_HOP = 0.1
SAMPLE_RATES = range(4000, 192_001)
CUSTOM_CODE = frozenset({"auto_map", "custom_pipelines"})
"""Keys by which a configuration names code of its own."""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parent", type=int, default=os.getppid(), help="the process that waits for the answer")
    parser.add_argument("--zip", type=int, help="file descriptor of a zip to unpack into the folder first")
    parser.add_argument("--max-bytes", type=int, default=0, help="of the unpacked files")
    asked = parser.parse_args()
    threading.Thread(target=end_with_parent, args=(asked.parent,), daemon=True).start()
    print(json.dumps(tried(asked.folder, asked.zip, asked.max_bytes)), flush=True)
    return 0


def tried(folder: Path, packed: int | None, max_bytes: int) -> dict[str, Any]:
    """What became of it, for the last line."""
    try:
        if packed is not None:
            with os.fdopen(packed, "rb") as source, memory_limit(UNPACKING_BYTES):
                unpack(source, folder, max_bytes)
        check(folder)
    except MemoryError:
        return {"refused": "The model needs more memory than a check may take."}
    except GenreLibError as error:
        return {"refused": str(error)}
    except OSError as error:
        if error.errno is None:
            raise
        return {"errno": error.errno}
    return {}


def check(folder: Path) -> None:
    """Load the model in a folder, and run it once.

    Raises:
        UploadRefused: what it says of itself makes no sense here, or what it answers.
        ModelInvalid: it cannot be described, or cannot be loaded.
    """
    require_plain_json(folder)
    describe(folder)
    require_metrics(folder)
    from genre_lib.engines.names import FLOAT32
    from genre_lib.imports import uncollected

    with uncollected("torch"):
        from genre_lib.inference import Predictor  # seconds of imports, which most refusals come without

    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    with memory_limit(RUNNING_BYTES + 3 * weights), blamed_on_the_model():
        predictor = Predictor.from_folder(folder, device="cpu", engine=FLOAT32)
        require_sane(predictor)
        require_finite(predictor)


def require_plain_json(folder: Path) -> None:
    """Refuse JSON that cannot be read, that names code, or that names weights elsewhere."""
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise UploadRefused(f"{path.name} is no JSON that can be read.") from error
        if not isinstance(content, dict):
            raise UploadRefused(f"{path.name} must hold an object, and holds a {type(content).__name__}.")
        if found := CUSTOM_CODE & keys(content):
            raise UploadRefused(f"{path.name} names code of its own ({', '.join(sorted(found))}), which is never run.")
        named = content.get("weight_map", {})
        if not isinstance(named, dict) or not all(is_beside(folder, name) for name in named.values()):
            raise UploadRefused(f"{path.name} names weights that are not in the zip.")


def require_metrics(folder: Path) -> None:
    """Refuse an evaluation that could not be shown; to have none is allowed."""
    if not (folder / METRICS).is_file():
        return
    try:
        parsed_metrics(folder / METRICS)
    except (ValueError, RecursionError) as error:
        raise UploadRefused(f"{METRICS} is no evaluation that can be read ({fault(error)}); leave it out.") from error


def keys(content: Any) -> set[str]:
    """Every key in some JSON, at any depth."""
    found: set[str] = set()
    waiting = [content]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            found |= one.keys()
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found


def is_beside(folder: Path, name: object) -> bool:
    return isinstance(name, str) and "/" not in name and (folder / name).is_file()


def require_sane(predictor: Predictor) -> None:
    """Refuse names, lengths and rates that nobody means, and that the service would labour under."""
    genres, inference, rate = predictor.genres, predictor.model.inference, predictor.model.sample_rate
    if len(genres) not in GENRES:
        raise UploadRefused(f"The model knows {len(genres)} genres; {GENRES.start} to {GENRES.stop - 1} are taken in.")
    for genre in genres:
        if not genre.strip() or genre != genre.strip() or len(genre) > LONGEST_GENRE or not genre.isprintable():
            raise UploadRefused(
                f"A genre is called {genre[:LONGEST_GENRE]!a}; expected 1 to {LONGEST_GENRE} printable letters."
            )
    if len({genre.casefold() for genre in genres}) < len(genres):
        raise UploadRefused("Two of the model's genres have the same name.")
    clip, hop, (shortest, longest) = inference.clip_seconds, inference.hop_seconds, CLIP_SECONDS
    if not shortest <= clip <= longest or hop < SHORTEST_HOP:
        raise UploadRefused(
            f"The model cuts clips of {clip:g} s every {hop:g} s; expected clips of {shortest:g} to {longest:g} s, at "
            f"least {SHORTEST_HOP:g} s apart."
        )
    if rate not in SAMPLE_RATES:
        raise UploadRefused(f"The model wants {rate} samples a second; 4,000 to 192,000 are taken in.")


def require_finite(predictor: Predictor) -> None:
    """Run a second of noise through the model, and refuse what gives no number for each genre."""
    import numpy as np

    noise = np.random.default_rng(0).normal(0, 0.1, predictor.model.sample_rate).astype(np.float32)
    try:
        logits = predictor.waveform(noise).logits
    except Exception as error:  # whatever a network raises
        raise UploadRefused(
            f"The model cannot be run: {type(error).__name__}: {first_line(str(error))[:200]}."
        ) from error
    if logits is None or logits.shape != (len(predictor.genres),):
        raise UploadRefused("The model does not give one number for each of its genres.")
    if not np.isfinite(logits).all():
        raise UploadRefused("The model gives numbers that are not finite for a second of noise.")


@contextmanager
def blamed_on_the_model() -> Iterator[None]:
    """Whatever a network or a strange configuration raises, as a refusal; what is wrong before is our own fault."""
    try:
        yield
    except (GenreLibError, MemoryError, OSError):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(str(error))[:200]}"
        raise UploadRefused(f"The model cannot be run: {reason}.") from error


@contextmanager
def memory_limit(more: int) -> Iterator[None]:
    """Let this process take so many bytes beyond what it has now; where the system cannot tell, as many as it likes."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    statm = Path("/proc/self/statm")
    if statm.exists():
        limit = int(statm.read_text().split()[0]) * resource.getpagesize() + more
        bounds = [one for one in (limit, *before) if one != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min(bounds), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
