"""Models by name: which there are, which one is served, and putting new ones beside them.

A model is a folder below ``settings.models_path``, the shipped starter, or what ``settings.model_path`` names; its name
is the folder's. The served one is named by the file ``active.json`` in ``models_path``, which is replaced whole, so
that a server can watch it; where nothing was promoted, it is ``settings.model_path``, the starter if that is not set.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genre_lib.audioset import genre_classes
from genre_lib.errors import ModelExists, ModelInUse, ModelInvalid, ModelNameInvalid, ModelNotFound
from genre_lib.files import put_new, replace_folder, staged_folder, write_whole
from genre_lib.models_path import changed
from genre_lib.networks.files import is_encoder, require_genres
from genre_lib.settings import STARTER, Settings
from genre_lib.short_names import SHORT_NAMES
from genre_lib.weights import count_parameters

POINTER = "active.json"
UNREADABLE = "unreadable"
"""Kind of a folder whose configuration or weights cannot be read."""

ENCODER = "encoder"
"""Kind of a pretrained network without genres, which fine-tuning begins from."""

SOURCE = "source.json"
"""What of a downloaded model's folder says where it is from."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a model may be called: no separators and no leading dot, so a name is never a path elsewhere."""


@dataclass(frozen=True)
class ModelInfo:
    """What can be said of a model without loading it."""

    name: str
    folder: Path
    kind: str
    genres: list[str]
    parameters: int
    size_bytes: int
    created: str
    base_model: str | None = None
    active: bool = False
    metrics: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    """Of a downloaded model, what is in :data:`SOURCE`."""


def list_models(settings: Settings) -> list[ModelInfo]:
    """The starter and all published models, by name; folders that hold no model are passed over.

    One that cannot be read is of the kind ``unreadable``, so that it neither hides nor spoils the others.
    """
    served = _served(settings)
    return [_described(folder, folder == served) for folder in _folders(settings)]


def _described(folder: Path, active: bool) -> ModelInfo:
    try:
        return describe(folder, active=active)
    except ModelInvalid:
        return ModelInfo(folder.name, folder, UNREADABLE, [], 0, 0, "", active=active)


def describe(folder: Path, *, active: bool = False) -> ModelInfo:
    """Read a model folder's small files.

    Raises:
        ModelInvalid: there is no configuration, or it is no JSON, or the weights are cut off.
    """
    config = _config(folder)
    base, metrics = config.get("base_model"), _json(folder / "metrics.json")
    written = datetime.fromtimestamp((folder / "config.json").stat().st_mtime, UTC).isoformat(timespec="seconds")
    return ModelInfo(
        name=folder.name,
        folder=folder,
        kind=ENCODER if is_encoder(config) else str(config.get("model_type", "unknown")),
        genres=[] if is_encoder(config) else _genres(folder, config),
        parameters=count_parameters(folder),
        size_bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        created=str(metrics.get("created") or written),  # a copy's files are younger than the model
        base_model=base if isinstance(base, str) else None,
        active=active,
        metrics=metrics,
        source=source_of(folder),
    )


def source_of(folder: Path) -> dict[str, Any]:
    """Where a downloaded model is from: repository, commit, licence and files; empty for a model of one's own."""
    return _json(folder / SOURCE)


def find(name: str, settings: Settings) -> ModelInfo:
    """What can be said of the model of that name; one that cannot be read is of the kind ``unreadable``.

    Raises:
        ModelNotFound: there is none.
    """
    folder = by_name(name, settings)
    return _described(folder, folder == _served(settings))


def by_name(name: str, settings: Settings) -> Path:
    """Folder of the model of that name, and never one outside the models' folder: for names that come from strangers.

    Raises:
        ModelNotFound: there is none; the message lists the names that there are.
    """
    for folder in _folders(settings):
        if folder.name == name:
            return folder
    names = ", ".join(folder.name for folder in _folders(settings)) or "none at all"
    raise ModelNotFound(f"There is no model {name!r}; there are: {names}.")


def resolve(name_or_folder: str | Path, settings: Settings) -> Path:
    """A model folder, by its name or its path.

    Raises:
        ModelNotFound: neither is there; says how to get a pretrained one.
        ModelInvalid: there is a folder of that name among the models, and no configuration in it.
    """
    name = str(name_or_folder)
    if NAME.fullmatch(name) and any(folder.name == name for folder in _folders(settings)):
        return by_name(name, settings)
    if Path(name).expanduser().is_dir():
        return Path(name).expanduser()
    if NAME.fullmatch(name) and (settings.models_path / name).is_dir():
        _config(settings.models_path / name)
    try:
        return by_name(name, settings)
    except ModelNotFound as error:
        if name not in SHORT_NAMES:
            raise
        raise ModelNotFound(f"{error} Get it by: genre models download {name}") from error


def active(settings: Settings) -> Path:
    """Folder of the model that is served: the promoted one, else ``settings.model_path``.

    Raises:
        ModelNotFound: the promoted model, or what ``MODEL_PATH`` names, is not there.
    """
    name = _json(settings.models_path / POINTER).get("name")
    if name:
        try:
            return by_name(name, settings)
        except ModelNotFound as error:
            raise ModelNotFound(f"{error} It was promoted; promote another by `genre models promote NAME`.") from error
    return base(None, settings).resolve()


def base(name: str | Path | None, settings: Settings) -> Path:
    """Folder of the model that a training starts from: the one named, or else ``settings.model_path``.

    Raises:
        ModelNotFound, ModelInvalid: as :func:`resolve`; or what ``MODEL_PATH`` names is not there.
    """
    if name:
        return resolve(name, settings)
    if not settings.model_path.is_dir():
        raise ModelNotFound(f"MODEL_PATH is {settings.model_path}, and there is no model folder there.")
    return settings.model_path


def overruled(settings: Settings) -> str | None:
    """A sentence where ``MODEL_PATH`` was set and yet does not say what predicts; None where it does.

    Raises:
        ModelNotFound: as :func:`active`.
    """
    place, served = settings.model_path, active(settings)
    if "model_path" not in settings.model_fields_set or place.resolve() in (served, STARTER):
        return None
    if not place.is_dir():
        return f"MODEL_PATH is {place}, where there is no model folder; {served.name}, which was promoted, predicts."
    return (
        f"MODEL_PATH is {place}, but {served.name} was promoted, which goes before it; "
        "`genre models promote NAME` promotes another."
    )


def promote(name: str, settings: Settings) -> Path:
    """Serve this model from now on. It is loaded once first, so that a broken one is never served.

    Raises:
        ModelNotFound, ModelInvalid: it is not there, or cannot be loaded, or has no genres.
    """
    require_genres(by_name(name, settings))
    from genre_lib.imports import uncollected

    with uncollected("torch"):
        from genre_lib.inference import load_model  # seconds of imports that listing does not need

    load_model(by_name(name, settings))
    return set_active(name, settings)


def set_active(name: str, settings: Settings) -> Path:
    """Name the model that is served from now on; whether it can be loaded is for the caller to know.

    Raises:
        ModelNotFound: it is not there.
        ReadOnly: ``settings.models_path`` cannot be written to.
    """
    folder = by_name(name, settings)
    content = {"name": name, "promoted_at": datetime.now(UTC).isoformat(timespec="seconds")}
    with changed():
        settings.models_path.mkdir(parents=True, exist_ok=True)
        write_whole(settings.models_path / POINTER, json.dumps(content) + "\n")
    return folder


def remove(name: str, settings: Settings) -> None:
    """Delete a published model.

    Raises:
        ModelNotFound: there is none of that name.
        ModelInUse: it is served, or is the starter, or the one that ``MODEL_PATH`` names.
        ReadOnly: ``settings.models_path`` cannot be written to.
    """
    folder = by_name(name, settings)
    if folder == STARTER:
        raise ModelInUse(f"{name} is the starter model, from which all others are trained; it stays.")
    if folder == settings.model_path.resolve():
        raise ModelInUse(f"{name} is the model that MODEL_PATH names, so it stays; name another there first.")
    if folder == _served(settings):
        raise ModelInUse(f"{name} is served at present; promote another model first, then remove it.")
    with changed(), staged_folder(folder) as aside:  # whole or not at all for whoever looks
        folder.replace(aside / folder.name)


def check_name(name: str, settings: Settings) -> Path:
    """Where a new model of that name will lie.

    Raises:
        ModelNameInvalid: it is no name.
        ModelExists: it is the starter's name, or that of a model elsewhere that ``MODEL_PATH`` names.
    """
    if not NAME.fullmatch(name) or name == POINTER:
        raise ModelNameInvalid(
            f"A model's name begins with a letter or digit, goes on with those or '.', '_', '-', has at most 100 of "
            f"them, and is not {name[:120]!r}."
        )
    if name == STARTER.name:
        raise ModelExists(f"{name} is the starter model's name; choose another.")
    place, elsewhere = settings.models_path / name, settings.model_path.resolve()
    if name == elsewhere.name and place.resolve() != elsewhere:
        raise ModelExists(f"{name} is the name of the model that MODEL_PATH names; choose another.")
    return place


def publish(folder: Path | str, name: str, settings: Settings, overwrite: bool = False, *, move: bool = False) -> Path:
    """Copy a model folder to ``settings.models_path`` under a name.

    Args:
        move: the folder itself goes there; it must lie on the same disk.

    Raises:
        ModelNameInvalid: the name is none.
        ModelExists: there is one of that name already, and ``overwrite`` is false.
        ModelInvalid: ``folder`` is no model.
        ReadOnly: ``settings.models_path`` cannot be written to.
    """
    place = check_name(name, settings)
    with changed():
        return install(folder, place, overwrite=overwrite, move=move)


def install(folder: Path | str, place: Path | str, overwrite: bool = False, *, move: bool = False) -> Path:
    """Copy a model folder to any place: aside first, then put there whole. Of several at once, one gets the place.

    Raises:
        ModelExists: something is there already, and ``overwrite`` is false; or what is there is no model.
        ModelInvalid: ``folder`` is no model.
    """
    source, place = Path(folder), Path(place)
    _config(source)
    if place.exists() and not overwrite:
        raise _exists(place)
    if place.exists() and any(place.iterdir()) and not (place / "config.json").is_file():
        raise ModelExists(f"{place} holds files and is no model folder, so it is left alone; choose another place.")
    with staged_folder(place) as aside:
        ready = source if move else Path(shutil.copytree(source, aside / "model"))
        _put(ready, place, overwrite)
    return place.resolve()


def _put(ready: Path, place: Path, overwrite: bool) -> None:
    if overwrite:
        replace_folder(ready, place)
        return
    try:
        put_new(ready, place)
    except FileExistsError as error:
        raise _exists(place) from error


def _exists(place: Path) -> ModelExists:
    return ModelExists(f"There is a model at {place} already; choose another name, or say that it shall be replaced.")


def _folders(settings: Settings) -> list[Path]:
    """Every model folder once; of one name, ``MODEL_PATH``'s goes before the starter, which goes before others."""
    own = (STARTER, settings.model_path.resolve())
    found = {folder.name: folder for folder in own if (folder / "config.json").is_file()}
    for config in sorted(settings.models_path.resolve().glob("*/config.json")):
        if NAME.fullmatch(config.parent.name):
            found.setdefault(config.parent.name, config.parent)
    return [found[name] for name in sorted(found)]


def _served(settings: Settings) -> Path | None:
    try:
        return active(settings)
    except ModelNotFound:
        return None


def _config(folder: Path) -> dict[str, Any]:
    config = _json(folder / "config.json")
    if not config:
        came = "is no JSON" if (folder / "config.json").is_file() else "is missing"
        raise ModelInvalid(f"{folder} is no whole model folder: its config.json {came}. Copy or make the model anew.")
    return config


def _genres(folder: Path, config: dict[str, Any]) -> list[str]:
    labels = config.get("id2label") or {}
    try:
        names = [str(labels[key]) for key in sorted(labels, key=int)]
        return list(genre_classes(names) or names)  # of AudioSet's classes, what they are read as
    except (TypeError, ValueError) as error:
        raise ModelInvalid(f"{folder} names its genres in no order; its id2label must count them from 0.") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
