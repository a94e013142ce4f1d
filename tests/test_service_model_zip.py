"""A zip with a model: what is refused of it by its members, and what is unpacked."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from packed_models import Files, files_of, with_entry, zipped

from genre_lib.errors import UploadRefused
from genre_lib.service import model_zip


@pytest.fixture
def files(tiny_model: Path) -> Files:
    return files_of(tiny_model)


def unpack(content: bytes, folder: Path, max_bytes: int = 2**30) -> dict[str, bytes]:
    model_zip.unpack(io.BytesIO(content), folder, max_bytes)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_zip_is_unpacked_without_its_top_folder(files: Files, tmp_path: Path):
    for number, prefix in enumerate(("", "model/", "a model/")):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        assert unpack(zipped({f"{prefix}{name}": data for name, data in files.items()}), folder) == files


def test_what_file_managers_leave_is_passed_over(files: Files, tmp_path: Path):
    left = {"m/.DS_Store": b"x", "__MACOSX/m/._config.json": b"x", "m/.gitattributes": b"x", "m/": b""}
    assert unpack(zipped({f"m/{name}": data for name, data in files.items()} | left), tmp_path) == files


ESCAPES = [
    "../evil.json",
    "m/../../evil.json",
    "/etc/evil.json",
    "C:/evil.json",
    "C:evil.json",
    "..\\evil.json",
    "a\\b.json",
]
ESCAPES += [
    "\\\\host\\share\\evil.json",
    "evil.json\0.txt",
    "//evil.json",
    "./evil.json",
    "a//b.json",
    "..",
    "new\nline.json",
]


@pytest.mark.parametrize("name", ESCAPES)
def test_names_that_lead_elsewhere_are_refused(files: Files, tmp_path: Path, name: str):
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    with pytest.raises(UploadRefused, match="The zip names"):
        unpack(with_entry(files, name), inside)
    assert not list(inside.iterdir())
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused(files: Files, tmp_path: Path, kind: int):
    with pytest.raises(UploadRefused, match="link or device"):
        unpack(with_entry(files, "evil.json", b"/etc/passwd", kind | 0o777), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pytorch_model.bin", "may hold code"),
        ("model.PT", "may hold code"),
        ("weights.pkl", "may hold code"),
        ("last.ckpt", "may hold code"),
        ("modeling_genre.py", "may hold code"),
        ("run.sh", "no kind"),
        ("model", "no kind"),
        (".hidden.json", "no kind"),
        ("model.safetensors.exe", "no kind"),
        ("figures/a.png", "within"),
        ("ünicode.json", "no kind"),
    ],
)
def test_files_of_other_kinds_are_refused(files: Files, tmp_path: Path, name: str, says: str):
    with pytest.raises(UploadRefused, match=says):
        unpack(with_entry(files, name), tmp_path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["config.json", "CONFIG.json", "Model.SafeTensors"])
def test_a_name_that_comes_twice_is_refused(files: Files, tmp_path: Path, name: str):
    with pytest.raises(UploadRefused, match="same name"):
        unpack(with_entry(files, name), tmp_path)


def test_an_encrypted_member_is_refused(files: Files, tmp_path: Path):
    content = bytearray(zipped(files))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    with pytest.raises(UploadRefused, match="encrypted"):
        unpack(bytes(content), tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_methods_are_refused(files: Files, tmp_path: Path, method: int):
    with pytest.raises(UploadRefused, match="deflate"):
        unpack(zipped(files, method), tmp_path)


def test_too_many_entries_are_refused(tmp_path: Path):
    with pytest.raises(UploadRefused, match="65 entries"):
        unpack(zipped({f"{number}.json": b"{}" for number in range(65)}), tmp_path)


def test_bytes_are_counted_as_they_come_out(files: Files, tmp_path: Path):
    zeros = bytes(3 * 2**20)
    with pytest.raises(UploadRefused, match="1 MiB"):
        unpack(zipped(files | {"more.safetensors": zeros}), tmp_path, max_bytes=2**20)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2**20


def test_a_header_that_lies_about_the_size_is_not_believed(files: Files, tmp_path: Path):
    name = b"more.safetensors"
    content = bytearray(zipped({"more.safetensors": bytes(3 * 2**20)}))
    at = content.index(b"PK\x01\x02")
    assert content[at + 46 : at + 46 + len(name)] == name
    content[at + 24 : at + 28] = struct.pack("<I", 10)  # the uncompressed size, in the list of members
    with pytest.raises(UploadRefused):
        unpack(bytes(content), tmp_path, max_bytes=2**20)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2**20


def test_a_bomb_ends_at_its_ratio(tmp_path: Path):
    bomb = zipped({"model.safetensors": bytes(40 * 2**20)})
    assert len(bomb) < 2**16
    with pytest.raises(UploadRefused, match="16 MiB"):
        unpack(bomb, tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= model_zip.RATIO_FROM


def test_a_file_without_weights_is_small(files: Files, tmp_path: Path):
    noise = os.urandom(9 * 2**20)
    with pytest.raises(UploadRefused, match=r"config\.json unpacks to more than the 8 MiB"):
        unpack(zipped(files | {"config.json": noise}), tmp_path)


@pytest.mark.parametrize("broken", ["text", "cut", "crc", "empty", "no files", "header"])
def test_a_broken_zip_is_refused(files: Files, tmp_path: Path, broken: str):
    content = bytearray(zipped(files, zipfile.ZIP_STORED))
    if broken == "text":
        content = bytearray(b"no zip at all " * 100)
    elif broken == "cut":
        del content[len(content) // 2 :]
    elif broken == "crc":
        content[200] ^= 0xFF
    elif broken == "empty":
        content = bytearray()
    elif broken == "no files":
        content = bytearray(zipped({}))
    elif broken == "header":
        content[30] ^= 0xFF  # the first name, and not in the list of members
    with pytest.raises(UploadRefused, match=r"no zip|empty"):
        unpack(bytes(content), tmp_path)
