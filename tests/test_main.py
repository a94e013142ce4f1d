"""``genre`` as a process: how it ends where it is stopped, or where its results cannot be written."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.mark.parametrize("arguments", [("--version",), ("models", "list")])
def test_a_full_disk_is_told_in_a_line(arguments: tuple[str, ...]):
    command = [sys.executable, "-m", "genre_lib", *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: No space left on device: standard output, or a file that was being written.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_ended_leaves_no_half_of_a_file(
    tmp_path: Path, tone, write_wav, tiny_model: Path, number: int
):
    for song in range(40):
        write_wav(tmp_path / "music" / f"{song}.wav", tone(15.0))
    command = [
        sys.executable,
        "-m",
        "genre_lib",
        "predict",
        "music",
        "--output",
        "rows.csv",
        "--model",
        str(tiny_model),
    ]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        ends = time.monotonic() + 60
        while not list(tmp_path.glob(".rows.csv.*")) and time.monotonic() < ends:
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    # Python ends by the signal itself, 130 for a shell too, where the interrupt came within an exec, as of a dataclass.
    assert process.returncode in (130, -signal.SIGINT)
    assert said == "error: stopped.\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["music"]


def test_ctrl_c_is_heard_while_the_commands_are_imported():
    code = (
        "import signal, sys, threading, os; from genre_lib.__main__ import main\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt()); sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: stopped.\n")
