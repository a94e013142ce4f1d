"""Model folders as they are uploaded: files by name, zipped, well or ill."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from pathlib import Path

from genre_lib.settings import Settings, get_settings

Files = dict[str, bytes]


def files_of(folder: Path) -> Files:
    """A model folder's files by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def with_entry(files: Files, name: str, data: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> bytes:
    """A good model, and beside it one more entry as it stands."""
    content = io.BytesIO(zipped(files))
    info = zipfile.ZipInfo(name)
    info.filename = info.orig_filename = name  # ZipInfo itself cuts at a NUL
    info.create_system, info.external_attr = 3, mode << 16
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr(info, data)
    return content.getvalue()


def config_with(files: Files, **fields) -> Files:
    return files | {"config.json": json.dumps(json.loads(files["config.json"]) | fields).encode()}


def patient_settings(model: Path, folder: Path) -> Settings:
    """Of a service whose trials of models may take long, for the machine is busy with tests."""
    return get_settings(
        model_path=model,
        models_path=folder / "models",
        runs_path=folder / "runs",
        model_check_timeout=600,
        model_timeout=1200,
    )
