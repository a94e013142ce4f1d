"""Thousands of requests that schemathesis makes of the service's own OpenAPI document: does any break it?

    python -m venv ST && ST/bin/pip install schemathesis
    python benchmarks/fuzz_api.py --schemathesis ST/bin/st

The service is started here with folders of its own, a key and no limits of rate, and ended afterwards. schemathesis is
not among what this project installs; it is named by its command. It sends what the document allows and what it does
not, with and without the key, in chains of requests, too, and checks that nothing is answered by a status of 500, that
statuses, media types and bodies are those of the document, and that a wrong request is not accepted.

What is after the options is schemathesis': ``-- --phases fuzzing``. The exit is that of schemathesis, or 1 where the
service does not answer any more. Errors that are not the service's are in the document and let pass (:data:`MEANT`): a
host that does not answer, or a Spotify that is not set up.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import httpx
from own_service import UNLIMITED, in_own_folder, opened_by, service

from genre_lib import api_keys
from genre_lib.data import synthetic

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
MEANT = ("501", "502", "503", "504", "507")
KEY = api_keys.generate()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schemathesis", default="st", help="its command")
    parser.add_argument("--examples", type=int, default=100, help="most requests for each operation and phase")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("rest", nargs="*", help="options of schemathesis, after --")
    given = parser.parse_args()
    return in_own_folder("genre-fuzz-", lambda folder: fuzz(folder, given))


def fuzz(folder: Path, given: argparse.Namespace) -> int:
    """Start the service, and let schemathesis at it; its exit status."""
    synthetic.make(folder / "music" / "some", tracks_per_genre=6, seconds=2.0)
    passing = ", ".join(f'"{status}"' for status in ("2xx", "3xx", "4xx", *MEANT))
    (folder / "schemathesis.toml").write_text(f"[checks]\nnot_a_server_error.expected-statuses = [{passing}]\n")
    settings = {**UNLIMITED, **opened_by(KEY), "FINETUNE_DATA_ROOTS": str(folder / "music"), "FETCH_TIMEOUT": "2"}
    with service(folder, settings) as url:
        ended = subprocess.run(arguments(given, url), cwd=folder, check=False).returncode
        answers = httpx.get(f"{url}/health", timeout=30, trust_env=False).status_code
        print(f"afterwards GET /health answers {answers}")
        return ended or int(answers != 200)


def arguments(given: argparse.Namespace, url: str) -> list[str]:
    return [
        *(given.schemathesis, "run", f"{url}/openapi.json", "--checks", CHECKS, "--seed", str(given.seed)),
        *("--max-examples", str(given.examples), "--header", f"X-API-Key: {KEY}", "--no-color"),
        *("--request-timeout", "30", "--continue-on-failure", "--suppress-health-check", "all", *given.rest),
    ]


if __name__ == "__main__":
    sys.exit(main())
