"""``genre models``: listed, shown, promoted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from command_line import is_error

from genre_lib.settings import get_settings


def test_models(genre, tiny_model: Path):
    from genre_lib import registry

    registry.publish(tiny_model, "mine", get_settings(model_path=tiny_model))
    assert [row["name"] for row in json.loads(genre("models", "list", "--format", "json").out)] == [
        "genre_classifier",
        "mine",
        "tiny",
    ]
    assert "mine is the active model now" in genre("models", "promote", "mine").out
    shown = json.loads(genre("models", "show", "mine", "--format", "json").out)
    assert (shown["active"], shown["kind"]) == (True, "genre_cnn")
    assert "genre_cnn" in genre("models", "show", tiny_model).out
    assert "●" in genre("models", "list").out
    assert is_error(genre("models", "remove", "mine"), 1, "served at present")
    genre("models", "promote", "tiny")
    assert genre("models", "remove", "mine").out == "mine is removed.\n"
    assert is_error(genre("models", "show", "mine"), 1, "no model 'mine'")
    assert is_error(genre("models", "promote", "mine"), 1, "no model 'mine'")
    assert is_error(genre("models", "remove", "tiny"), 1, "MODEL_PATH")
    assert is_error(genre("models", "remove", "genre_classifier"), 1, "starter")


def test_a_model_path_that_does_not_decide(genre, tiny_model: Path, tmp_path: Path, tone, write_wav, monkeypatch):
    from genre_lib import registry

    wav = write_wav(tmp_path / "a.wav", tone(1.0))
    for name in ("mine", "longer"):
        registry.publish(tiny_model, name, get_settings())
    longer = get_settings().models_path / "longer"
    for place, said in (
        (longer, f"warning: MODEL_PATH is {longer}, but mine was promoted, which goes before it"),
        (
            "nope",
            "warning: MODEL_PATH is nope, where there is no model folder; mine, which was promoted, predicts.",
        ),
    ):
        registry.set_active("mine", get_settings())
        monkeypatch.setenv("MODEL_PATH", str(place))
        for command in (("models", "list"), ("predict", wav, "--format", "jsonl")):
            outcome = genre(*command)
            assert outcome.code == 0 and outcome.err.count("\n") == 1 and outcome.err.startswith(said), outcome.err
        assert not genre("predict", wav, "--model", "mine", "--format", "jsonl").err
        (get_settings().models_path / registry.POINTER).unlink()
        assert genre("models", "list").err.startswith("warning: no model is active." if place == "nope" else "")
        assert {"genre_classifier", "longer", "mine"} <= set(genre("models", "list").out.split())
    assert is_error(genre("predict", wav), 1, "MODEL_PATH is nope")
    monkeypatch.setenv("MODEL_PATH", "")
    assert not genre("models", "list").err
    assert registry.active(get_settings()).name == "genre_classifier"


def test_a_score_is_shown_with_what_it_is_of(genre, tiny_model: Path):
    from genre_lib import registry

    place = registry.publish(tiny_model, "mine", get_settings())
    score = {"value": 0.8387, "low": 0.71, "high": 0.94}
    (place / "metrics.json").write_text(
        json.dumps({"accuracy": score, "macro_f1": score, "split": "valid", "tracks": 31})
    )
    listed = genre("models", "list").out
    assert "0.839 (31 valid)" in listed and "(166 valid)" in listed  # the starter's are of other music
    assert "scored on  31 valid\n" in genre("models", "show", "mine").out
    (place / "metrics.json").write_text(json.dumps({"accuracy": score, "macro_f1": score, "tracks": "many"}))
    assert "0.839 " in genre("models", "list").out
    assert "scored on  –\n" in genre("models", "show", "mine").out


def test_models_with_broken_scores_or_none_at_all(genre, tiny_model: Path, tmp_path: Path, monkeypatch):
    from genre_lib import registry

    registry.publish(tiny_model, "mine", get_settings())
    (get_settings().models_path / "mine" / "metrics.json").write_text('{"accuracy": 3, "macro_f1": {"value": "x"}}')
    listed, shown = genre("models", "list"), genre("models", "show", "mine")
    assert (listed.code, shown.code) == (0, 0), listed.err + shown.err
    assert "mine" in listed.out and "accuracy" not in shown.out
    monkeypatch.setenv("MODEL_PATH", "nowhere")
    monkeypatch.setenv("MODELS_PATH", "nobody")
    monkeypatch.setattr(registry, "STARTER", tmp_path / "absent")
    assert genre("models", "list").err == "There is no model: MODEL_PATH is nowhere, and MODELS_PATH is nobody.\n"
    os.mkfifo(tmp_path / "pipe")
    assert is_error(genre("models", "import", tmp_path / "pipe"), 1, "no such file")


def test_removing_is_asked_in_a_terminal_and_not_in_a_script(genre, tiny_model: Path, tmp_path: Path):
    from genre_lib import registry

    def typed(text: bytes, *options: str) -> tuple[int, str]:
        keyboard, terminal = os.openpty()
        os.write(keyboard, text)
        command = [sys.executable, "-m", "genre_lib", "models", "remove", "mine", *options]
        ended = subprocess.run(command, stdin=terminal, capture_output=True, text=True, timeout=120, check=False)
        os.close(keyboard)
        os.close(terminal)
        return ended.returncode, ended.stdout

    place = registry.publish(tiny_model, "mine", get_settings())
    code, out = typed(b"n\n")
    assert code == 130 and f"Delete {place}? [y/N]" in out and place.is_dir()
    code, out = typed(b"y\n")
    assert code == 0 and out.endswith("mine is removed.\n") and not place.exists()
    registry.publish(tiny_model, "mine", get_settings())
    assert typed(b"", "--yes") == (0, "mine is removed.\n") and not place.exists()
    registry.publish(tiny_model, "mine", get_settings())
    assert genre("models", "remove", "mine").out == "mine is removed.\n"
