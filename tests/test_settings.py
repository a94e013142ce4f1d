from __future__ import annotations

import re
from pathlib import Path

import pytest

from genre_lib.errors import ConfigurationError
from genre_lib.settings import REPOSITORY, STARTER, Settings, get_settings, unknown_lines


def test_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("PORT=8123\nMODEL_PATH=./mine\n")
    monkeypatch.setenv("PORT", "8124")
    settings = get_settings()
    assert (settings.port, settings.model_path) == (8124, Path("mine"))


def test_a_changed_environment_is_seen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PORT", "8125")
    assert get_settings().port == 8125
    monkeypatch.setenv("PORT", "8126")
    assert get_settings().port == 8126


def test_a_bad_value_is_named(monkeypatch: pytest.MonkeyPatch):
    for name, given, said in (
        ("PORT", "eighty", "expected a whole number, such as 8000, and got 'eighty'"),
        ("CACHE_MAX_BYTES", "lots", "expected a whole number, such as 21474836480, and got 'lots'"),
        ("MAX_AUDIO_SECONDS", "1 h", "expected a number, such as 3600, and got '1 h'"),
        ("TAG_SOURCES", "maybe", "expected true or false, and got 'maybe'"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, given)
            with pytest.raises(ConfigurationError, match=rf"cannot be used\. {name}: {said}\.$"):
                get_settings()


def test_a_bad_option_is_named_as_one(monkeypatch: pytest.MonkeyPatch):
    for given, said in (
        ({"port": 99999}, "--port: input should be less than or equal to 65535, and is 99999."),
        ({"engine": "bogus"}, "--engine: expected one of auto, torch, .*openvino-int8, and got 'bogus'."),
        ({"port": 0, "engine": "auto"}, "--port: input should be greater than or equal to 1, and is 0."),
    ):
        with pytest.raises(ConfigurationError) as caught:
            get_settings(**given)
        assert re.fullmatch(said, str(caught.value))
    monkeypatch.setenv("ENGINE", "bogus")
    with pytest.raises(ConfigurationError, match=r"\.env cannot be used\. ENGINE: Expected .*, and got 'bogus'\.$"):
        get_settings(port=8000)
    assert get_settings(engine="torch").engine == "torch"


def test_a_folder_that_is_left_empty_is_none_and_not_the_current_one(monkeypatch: pytest.MonkeyPatch):
    for name in ("MUSIC_PATH", "MODELS_PATH", "MODEL_PATH", "HOST", "PORT"):
        monkeypatch.setenv(name, "")
    found = get_settings()
    assert (found.music_path, found.models_path, found.model_path) == (None, Path("models"), STARTER)
    assert (found.host, found.port) == ("127.0.0.1", 8000)
    assert "model_path" not in found.model_fields_set
    monkeypatch.setenv("RATE_LIMIT", "")
    assert get_settings().rate_limit == ""


def test_the_example_names_every_setting():
    example = (REPOSITORY / ".env.example").read_text()
    named = {line.split("=")[0].strip("# ").lower() for line in example.splitlines() if "=" in line}
    assert named == set(Settings.model_fields) - {"notebooks_path"}


def test_lines_of_the_file_that_change_nothing_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert list(unknown_lines()) == []
    (tmp_path / ".env").write_text(
        "MODEL_PAHT=x\nexport API_KEY=x\nGENRE_DEVICE=cpu\nSPOTIFY_NAME=x\nport=1\n# CACHE_PTAH=x\n"
        "REPORT=x\nHF_TOKEN=x\nDB_HOST=x\nWANDB_API_KEY=x\nMUSIC=x\nTORCH_BACKEND=x\nAWS_REGION=x\n"
    )
    told = [
        re.fullmatch(r"\.env names (\w+), which is no setting and changes nothing; (.*)", s) for s in unknown_lines()
    ]
    assert [match and match.groups() for match in told] == [
        ("MODEL_PAHT", "did you mean MODEL_PATH?"),
        ("API_KEY", "did you mean API_KEYS?"),
        ("GENRE_DEVICE", "did you mean DEVICE?"),
        ("SPOTIFY_NAME", "`.env.example` names all settings."),
    ]


def test_every_setting_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("".join(f"{name.upper()}=x\n" for name in Settings.model_fields))
    assert list(unknown_lines()) == []


def test_lines_that_are_none_are_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("# a comment\n\nPORT=8127\nMODEL_PATH ./x\nDEVICE\nEMPTY=\n")
    assert list(unknown_lines()) == [
        "Line 4 of .env is not NAME=value and changes nothing: 'MODEL_PATH ./x'.",
        "Line 5 of .env is not NAME=value and changes nothing: 'DEVICE'.",
    ]
    assert get_settings().port == 8127
    assert not caplog.records
