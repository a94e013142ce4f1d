"""``genre models``: listed, shown, promoted."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import is_error

from genre_lib.settings import get_settings


def test_models(genre, tiny_model: Path):
    from genre_lib import registry

    registry.publish(tiny_model, "mine", get_settings(model_path=tiny_model))
    assert [row["name"] for row in json.loads(genre("models", "list", "--format", "json").out)] == ["mine", "tiny"]
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
    assert is_error(genre("models", "remove", "tiny"), 1, "starter")
