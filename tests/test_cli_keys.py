from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from genre_lib import api_keys
from genre_lib.api_keys import ApiKey
from genre_lib.cli import main
from genre_lib.errors import ConfigurationError
from genre_lib.settings import get_settings


@pytest.fixture(autouse=True)
def no_keys_yet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("API_KEYS", raising=False)
    monkeypatch.chdir(tmp_path)


def create(name: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str, str]:
    """The key, the line for .env, and what was said beside them."""
    assert main(["keys", "create", name]) == 0
    said = capsys.readouterr()
    key, line = said.out.splitlines()
    return key, line, said.err


def test_a_key_has_256_random_bits_and_is_shown_beside_its_hash_alone(capsys):
    key, line, said = create("ann", capsys)
    assert key.startswith("genre_")
    assert len(base64.urlsafe_b64decode(key.removeprefix("genre_") + "=")) == 32
    assert line == f"API_KEYS=ann:{hashlib.sha256(key.encode()).hexdigest()}"
    assert key not in line + said
    assert create("ann", capsys)[0] != key


def test_the_lines_of_several_keys_go_into_env_one_after_the_other(capsys, tmp_path: Path):
    first, line, _ = create("ann", capsys)
    (tmp_path / ".env").write_text(line)
    second, line, _ = create("bob.2", capsys)
    (tmp_path / ".env").write_text(line)
    known = get_settings().api_keys
    assert [api_keys.owner(key, known) for key in (first, second, first.upper(), "")] == ["ann", "bob.2", None, None]
    assert main(["keys", "list"]) == 0
    assert capsys.readouterr().out == "ann\nbob.2\n"


def test_a_name_is_taken_once_and_written_plainly(capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("API_KEYS", f"ann:{'0' * 64}")
    for name, said in (
        ("ann", "There is a key of the name ann already"),
        ("a b", "'a b' does not"),
        ("a:b", "does not"),
    ):
        assert main(["keys", "create", name]) == 2
        assert said in capsys.readouterr().err


def test_where_there_are_no_keys_it_says_how_to_make_one(capsys):
    assert main(["keys", "list"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "genre keys create NAME" in said.err


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("genre_secret", "entry 1 is not name:hash"),
        (f"ann:{'0' * 64},genre_secret", "entry 2 is not name:hash"),
        ("ann:genre_secret", "entry 1 is not name:hash"),
        (f"ann:{'0' * 63}", "entry 1 is not name:hash"),
        (f"ann:{'0' * 64}:genre_secret", "entry 1 is not name:hash"),
        (f"ann:{'0' * 64},ann:{'1' * 64}", "two entries have the same name"),
        (f"ann:{'0' * 64},bob:{'0' * 64}", "two entries have the same hash"),
    ],
)
def test_malformed_keys_are_one_error_that_repeats_nothing(text: str, fault: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("API_KEYS", text)
    with pytest.raises(ConfigurationError, match=fault) as caught:
        get_settings()
    assert str(caught.value).startswith("A setting in the environment or .env cannot be used. API_KEYS: ")
    assert "genre_secret" not in f"{caught.value} {caught.value.__cause__}"


def test_hashes_are_read_with_spaces_and_in_capitals_and_not_shown():
    settings = get_settings(api_keys=f" ann:{'A' * 64} ,, bob:{'1' * 64}")
    assert settings.api_keys == (ApiKey("ann", "a" * 64), ApiKey("bob", "1" * 64))
    assert "a" * 64 not in repr(settings)
    assert "1" * 64 not in str(settings)
