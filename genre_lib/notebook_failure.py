"""Why a notebook did not end well: its own error, or what else kept it from its result."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path

from genre_lib import errors
from genre_lib.errors import first_line
from genre_lib.notebook_process import Papermill

RESULT = "result.json"
ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
NO_SPACE = os.strerror(errno.ENOSPC)


def failure(job: Papermill, output: Path) -> str:
    """The notebook's own error, or what else kept it from its result; without a full stop."""
    if any(NO_SPACE in line for line in job.messages):
        return f"There is no space left on a disk that the run in {output.parent} needs; free some and resume it"
    return (notebook_error(output) or process_error(job.process.returncode, job.messages)).rstrip(".")


def notebook_error(output: Path) -> str | None:
    """The first error among the notebook's outputs, without colours; None where there is none.

    One of ours is a sentence for the user as it is; any other needs its type's name to be understood.
    """
    try:
        cells = json.loads(output.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return None
    outputs = [out for cell in cells for out in cell.get("outputs", []) if out.get("output_type") == "error"]
    if not outputs:
        return None
    name, said = outputs[0]["ename"], first_line(ANSI.sub("", outputs[0]["evalue"]))
    kind = getattr(errors, name, None)
    ours = isinstance(kind, type) and issubclass(kind, errors.GenreLibError)
    return said if ours else f"{name}: {said}"


def process_error(code: int, messages: list[str]) -> str:
    """Why papermill ended, where no cell says it."""
    if code == 0:
        return f"The notebook ended and left no {RESULT}; its last cell must write it"
    if code == 138 or any("DeadKernelError" in line for line in messages):
        return "The notebook's kernel died, as it does when memory runs out; try a smaller batch size"
    said = [ANSI.sub("", line).strip() for line in messages if line.strip()]
    return f"papermill ended with {code}: {said[-1] if said else 'it gave no reason'}"
