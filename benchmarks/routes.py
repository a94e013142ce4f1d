"""Every route of the service by curl: a good request, each kind of bad one, and what is answered; docs/api.md says it.

    python benchmarks/routes.py                    # checks all answers, and writes docs/api.md anew
    python benchmarks/routes.py --output other.md

The service is started here on invented music, four times, each time with settings of its own (``SETUPS`` of
:mod:`api_document.requests`), beside a small web server for ``audio_url``. What a row of the table shows is what was
run, by the real ``curl``, with two addresses and a key put in. An answer differs where its status or code is not the
one that stands in :mod:`api_document`, where its status is not in ``/openapi.json``, where an error is not
``{"detail", "code"}``, or where it tells a path of this machine. A route of ``/openapi.json`` that is missing there
counts, too. 1 where anything differs.

Numbers are rounded, and what changes from run to run (ids, times, versions, how far a job is) is shown as ``…``, so
that a second run writes the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from api_document.all_routes import all_routes, missing
from api_document.asking import Asker
from api_document.files import prepare, prepare_places
from api_document.requests import KEY, MUSIC, NOBODY
from api_document.running import ask_all, end_rest
from api_document.web import web_server
from api_document.written import written
from own_service import REPOSITORY, free_port, in_own_folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "docs/api.md", help="where the document is written")
    given = parser.parse_args()
    return in_own_folder("genre-routes-", lambda temporary: checked_and_ended(temporary, given.output))


def checked_and_ended(temporary: Path, output: Path) -> int:
    try:
        return checked(temporary, output)
    finally:
        end_rest(temporary)


def checked(temporary: Path, output: Path) -> int:
    """Ask all, write the document, and say how many answers differ."""
    files = temporary / "files"
    prepare(files)
    settings = prepare_places(temporary)
    routes = all_routes()
    with web_server((files / "song.wav").read_bytes()) as port:
        asker = Asker(files, {"$GENRE_KEY": KEY, MUSIC: f"127.0.0.1:{port}", NOBODY: f"127.0.0.1:{free_port()}"})
        settings["FETCH_ALLOWED_HOSTS"] = f"{asker.names[MUSIC]},{asker.names[NOBODY]}"
        answers = ask_all(routes, asker, settings, temporary)
    strange = missing(routes, asker.document)
    for name in strange:
        asker.differs(f"{name} stands here or in /openapi.json alone")
    faulty = sum(bool(answer.faults) for answer in answers.values())
    before = output.read_text(encoding="utf-8") if output.is_file() else ""
    text = written(routes, answers, asker)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    print(f"routes     {sum(bool(route.method) for route in routes)}, {len(strange)} of them not as in /openapi.json")
    print(f"requests   {len(answers)}, {faulty} of them answered otherwise than expected")
    print(f"written    {output.name}, {'as it was' if text == before else 'changed'}")
    return int(bool(asker.differing))


if __name__ == "__main__":
    sys.exit(main())
