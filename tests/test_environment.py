"""The three lists of what is installed say the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]


def project() -> dict:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def required() -> list[str]:
    extras = project()["optional-dependencies"]
    return [*project()["dependencies"], *extras["dev"], *extras["openvino"]]


def test_environment_lists_what_pyproject_requires():
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text())
    pip_lines = environment["dependencies"][-1]["pip"]
    named = {line for line in pip_lines if not line.startswith("--")}
    assert named == set(required()), "add a dependency to pyproject.toml and environment.yml together"
    assert {"--constraint constraints.txt", "--editable ."} <= set(pip_lines)


def test_constraints_pin_every_requirement_by_version_alone():
    lines = (REPOSITORY / "constraints.txt").read_text().split()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines)
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    names = {re.split(r"[=<>\[ ;]", line)[0].lower().replace("_", "-") for line in required()}
    assert names <= pinned, f"pin in constraints.txt: {sorted(names - pinned)}"


def test_torch_and_torchaudio_match():
    pins = dict(line.split("==") for line in (REPOSITORY / "constraints.txt").read_text().split())
    minor = {name: pins[name].rsplit(".", 1)[0] for name in ("torch", "torchaudio")}
    assert minor["torch"] == minor["torchaudio"], "torchaudio imports only beside the torch of its own minor version"
