"""The files that the commands name, and the folders of the service."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path

import numpy as np
from own_service import STARTER, own_folders

from genre_lib import audio
from genre_lib.data import synthetic


def prepare(folder: Path) -> None:
    """The files that the commands name, beside each other."""
    folder.mkdir()
    tracks = synthetic.make(folder / "invented", tracks_per_genre=synthetic.MIN_TRACKS, seconds=9)
    for name, genre in (("song.wav", "rock"), ("other.wav", "classical")):
        (folder / name).write_bytes(next(iter(sorted((tracks / genre).rglob("*.wav")))).read_bytes())
    song = (folder / "song.wav").read_bytes()
    (folder / "cut.wav").write_bytes(song[: len(song) * 2 // 3])
    (folder / "text.mp3").write_text("this is a text and no audio\n" * 40)
    (folder / "empty.mp3").touch()
    audio.write_wav(folder / "long.wav", np.zeros(16 * 8000, np.float32), 8000)
    (folder / "large.wav").write_bytes(song[:44] + bytes(3 * 1024**2))
    (folder / "large.json").write_text(json.dumps({"filler": "x" * 2 * 1024**2}))
    prepare_zips(folder)


def prepare_zips(folder: Path) -> None:
    """A good model, and what somebody may try."""
    model = {file.name: file.read_bytes() for file in sorted(STARTER.iterdir())}
    config = json.loads(model["config.json"])
    custom = json.dumps(config | {"auto_map": {"AutoModel": "evil.Model"}}).encode()
    link = zipfile.ZipInfo("config.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    packed: dict[str, list[tuple[str | zipfile.ZipInfo, bytes]]] = {
        "mine": list(model.items()),
        "escape": [*model.items(), ("../../escaped.json", b"{}")],
        "absolute": [*model.items(), ("/tmp/escaped.json", b"{}")],
        "link": [(link, b"/etc/passwd")],
        "pickle": [*model.items(), ("pytorch_model.bin", b"\x80\x04.")],
        "code": [*model.items(), ("modeling.py", b"import os\n")],
        "auto_map": list((model | {"config.json": custom}).items()),
        "encrypted": list(model.items()),
        "bomb": [("config.json", model["config.json"]), ("model.safetensors", bytes(64 * 1024**2))],
        "nested": [*model.items(), ("checkpoints/model.safetensors", b"")],
        "twice": [*model.items(), ("CONFIG.json", b"{}")],
        "no_model": [("README.md", b"# Nothing\n")],
        "cut_off": list((model | {"model.safetensors": model["model.safetensors"][:1000]}).items()),
        "empty": [],
    }
    for name, members in packed.items():
        with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in members:
                archive.writestr(member, content)
    encrypt(folder / "encrypted.zip")
    (folder / "large.zip").write_bytes(bytes(4 * 1024**2))


def encrypt(packed: Path) -> None:
    """Say of every file in a zip that it is encrypted, which ``zipfile`` itself cannot make."""
    content = bytearray(packed.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(signature)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(signature, at + 4)
    packed.write_bytes(content)


def prepare_places(temporary: Path) -> dict[str, str]:
    """Music for the service, and a damaged model among its own; as settings."""
    music, models = temporary / "music", Path(own_folders(temporary)["MODELS_PATH"])
    synthetic.make(music / "music", tracks_per_genre=synthetic.MIN_TRACKS, seconds=3)
    synthetic.make(music / "one_genre", genres=("rock",), tracks_per_genre=synthetic.MIN_TRACKS, seconds=3)
    (music / "columns.csv").write_text("file,style\na.wav,rock\n")
    (music / "link").symlink_to(temporary / "files")
    (models / "broken").mkdir(parents=True)
    for name in ("config.json", "preprocessor_config.json"):
        (models / "broken" / name).write_bytes((STARTER / name).read_bytes())
    (models / "broken/model.safetensors").write_bytes((STARTER / "model.safetensors").read_bytes()[:1000])
    return {"MODEL_PATH": str(STARTER), "FINETUNE_DATA_ROOTS": str(music)}
