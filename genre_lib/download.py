"""Downloading pretrained models: looking them up, fetching what is needed, and publishing it whole under a name."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genre_lib import registry
from genre_lib.errors import ConfigurationError, DiskFull, DownloadBusy, HubModelUnsuitable, ModelExists, ModelInvalid
from genre_lib.files import write_whole
from genre_lib.hub import Hub
from genre_lib.networks.files import read_json, require_files
from genre_lib.pretrained import INDEX, needed, read_config, repository, with_weights
from genre_lib.registry import SOURCE
from genre_lib.remote_files import PART, RemoteFile, Snapshot
from genre_lib.settings import Settings
from genre_lib.short_names import SHORT_NAMES
from genre_lib.wording import size_told

REVISION = re.compile(r"[\w][\w./+-]{0,249}")
DOWNLOADS = ".downloads"
"""Folder beside the models that holds what is not whole yet."""


@dataclass(frozen=True)
class Plan:
    """What will be fetched, and where it goes.

    Args:
        weights: where the weights are from: the same snapshot, or the conversion of it.
        there: whether this very commit is in place already.
    """

    name: str
    snapshot: Snapshot
    weights: Snapshot
    files: tuple[RemoteFile, ...]
    place: Path
    overwrite: bool = False
    there: bool = False

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def aside(self) -> Path:
        """Where the files gather until they are whole; the same for the next try."""
        return self.place.parent / DOWNLOADS / f"{self.snapshot.repo.replace('/', '--')}@{self.weights.commit[:12]}"

    @property
    def remaining(self) -> int:
        """Bytes that earlier tries did not bring."""
        return sum(max(file.size - _size(self.aside / file.path), 0) for file in self.files)


def plan(
    wanted: str, settings: Settings, hub: Hub, *, name: str = "", revision: str = "main", overwrite: bool = False
) -> Plan:
    """Look a model up: its commit, its licence, and the files that it takes; nothing but its configuration is fetched.

    Args:
        wanted: a short name, or a repository such as ``facebook/hubert-base-ls960``.
        name: what it will be called here; the short name, or the repository's, where it is left out.

    Raises:
        ConfigurationError: it is no short name and no repository's, or the revision is no name of one.
        ModelNameInvalid, ModelExists: it cannot be called that.
        HubNotFound, HubRefused, HubUnreachable: the hub does not say.
        HubModelUnsuitable: it is of another family, or lacks a file.
    """
    repo = repository(wanted)
    if not REVISION.fullmatch(revision):
        raise ConfigurationError(f"--revision is a branch, a tag or a commit, and is {revision[:200]!r}.")
    place = place_for(wanted, settings, name=name, overwrite=overwrite)
    snapshot = hub.snapshot(repo, revision)
    there = place.is_dir() and registry.source_of(place).get("commit") == snapshot.commit
    if place.exists() and not (overwrite or there):
        raise _taken(place)
    config = read_config(hub, snapshot)
    weights = with_weights(hub, snapshot)
    files = needed(snapshot, weights, config)
    return Plan(place.name, snapshot, weights, files, place, overwrite, there and not overwrite)


def place_for(wanted: str, settings: Settings, *, name: str = "", overwrite: bool = False) -> Path:
    """Where a model will lie, as far as that is known before the hub is asked.

    Args:
        wanted, name: as for :func:`plan`.

    Raises:
        ConfigurationError: it is no short name and no repository's.
        ModelNameInvalid, ModelExists: it cannot be called that; a model of the same repository may be the same.
    """
    repo = repository(wanted)
    place = registry.check_name(name or (wanted if wanted in SHORT_NAMES else repo.rpartition("/")[2]), settings)
    if place.exists() and not overwrite and registry.source_of(place).get("repo") != repo:
        raise _taken(place)
    return place


def _taken(place: Path) -> ModelExists:
    return ModelExists(f"There is a model at {place} already; choose another by --name, or replace it by --overwrite.")


def require_room(plans: Sequence[Plan]) -> int:
    """Bytes that are free where the models go.

    Raises:
        DiskFull: too few for all of them.
    """
    existing = next(parent for parent in plans[0].place.absolute().parents if parent.exists())
    free, wanted = shutil.disk_usage(existing).free, sum(plan.remaining for plan in plans if not plan.there)
    if wanted > free:
        raise DiskFull(
            f"{size_told(wanted)} are to be fetched, and {existing} has room for {size_told(free)}; make room."
        )
    return free


def download(plan: Plan, hub: Hub) -> Path:
    """Fetch what a plan names, and publish it under its name; what is there already in whole or in part is not again.

    Returns:
        The model's folder, which is there whole, or as it was before.

    Raises:
        DownloadInterrupted, DownloadCorrupt, HubUnreachable, DiskFull: the next call goes on where this one ended.
        DownloadBusy: another process is at it.
        ModelExists: the name was taken meanwhile.
    """
    if plan.there:
        return plan.place.resolve()
    with _alone(plan):
        digests = {file.path: hub.fetch(plan.snapshot, file, plan.aside) for file in plan.files}
        _require_usable(plan)
        write_whole(plan.aside / SOURCE, json.dumps(_source(plan, digests), indent=2) + "\n")
        place = registry.install(plan.aside, plan.place, plan.overwrite, move=True)
    _forget_older(plan)
    return place


@contextmanager
def _alone(plan: Plan) -> Iterator[None]:
    """The folder of what came, for this process alone; the lock ends with the process."""
    plan.aside.mkdir(parents=True, exist_ok=True)
    lock = os.open(plan.aside, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise DownloadBusy(f"Another process is fetching {plan.snapshot.repo} already; wait for it.") from error
    finally:
        os.close(lock)


def _require_usable(plan: Plan) -> None:
    """Refuse weights that are no safetensors or lack shards, before they are anybody's model."""
    try:
        require_files(plan.aside)
        registry.describe(plan.aside)
        shards = read_json(plan.aside / INDEX)["weight_map"].values() if (plan.aside / INDEX).is_file() else ()
    except (ModelInvalid, ValueError, KeyError, AttributeError) as error:
        raise HubModelUnsuitable(f"{plan.snapshot.repo} holds weights that cannot be read as safetensors.") from error
    if not set(shards) <= {file.path for file in plan.files}:
        raise HubModelUnsuitable(f"{plan.snapshot.repo} has an index of weights that names files which it lacks.")


def _source(plan: Plan, digests: Mapping[str, str]) -> dict[str, Any]:
    """Where the model is from, for whoever asks later."""
    return {
        "repo": plan.snapshot.repo,
        "revision": plan.snapshot.revision,
        "commit": plan.snapshot.commit,
        "weights": {"revision": plan.weights.revision, "commit": plan.weights.commit},
        "licence": plan.snapshot.licence,
        "files": [{"path": file.path, "size": file.size, "sha256": digests[file.path]} for file in plan.files],
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _forget_older(plan: Plan) -> None:
    """Delete what was begun of other commits of the repository, and the folder of downloads where it is empty."""
    for folder in plan.aside.parent.glob(f"{plan.aside.name.partition('@')[0]}@*"):
        shutil.rmtree(folder, ignore_errors=True)
    if not any(plan.aside.parent.iterdir()):
        plan.aside.parent.rmdir()


def _size(file: Path) -> int:
    return next((path.stat().st_size for path in (file, file.with_name(file.name + PART)) if path.is_file()), 0)
