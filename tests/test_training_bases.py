"""What a base model cannot learn, told before anything is begun."""

from __future__ import annotations

from pathlib import Path

import pytest

from genre_lib.errors import ConfigurationError, ModelNotFound
from genre_lib.models import untrained
from genre_lib.settings import REPOSITORY
from genre_lib.training_bases import require_layers, require_possible
from genre_lib.training_config import TrainingConfig
from genre_lib.training_defaults import completed


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, Path]:
    """Configurations as the hub has them, without any weights in their files, and the starter."""
    root = tmp_path_factory.mktemp("bases")
    made = {name: untrained.make(name, "tiny", root / name) for name in ("ast", "hubert", "musicgen")}
    for folder in made.values():
        for file in folder.glob("*.safetensors"):
            file.write_bytes(b"")
    return made | {"starter": REPOSITORY / "pretrained" / "genre_classifier"}


def asked(given: dict, base: Path) -> TrainingConfig:
    config = TrainingConfig(**completed(given, base))
    require_possible(config, base)
    require_layers(config, base)
    return config


SOLVED = {"method": "head", "solver": "lbfgs"}


@pytest.mark.parametrize(
    ("base", "given", "said"),
    [
        ("starter", {"method": "lora"}, r"genre_classifier \(musicnn\) has none; take method='head' or method='full'"),
        ("musicgen", {"method": "lora"}, "MusicGen's layers, which rest; learn its head alone, by method='head'"),
        ("musicgen", {"method": "full"}, "MusicGen's layers, which rest"),
        ("hubert", SOLVED, "leave solver out, and method='head' learns these weights too"),
        ("hubert", {"method": "lora", "lora_targets": ["nonsense"]}, "names nonsense, which Hubert.*q_proj"),
        ("ast", {"method": "lora", "lora_targets": ["q_proj", "query"]}, "names query, which AST.*v_proj"),
        ("starter", {"method": "lora", "lora_targets": ["q_proj"]}, "names q_proj, which Musicnn.*dense"),
    ],
)
def test_what_cannot_be_learned_is_told(bases: dict[str, Path], base: str, given: dict, said: str):
    with pytest.raises(ConfigurationError, match=said):
        asked(given, bases[base])


@pytest.mark.parametrize(
    ("base", "given"),
    [
        ("starter", {"method": "head"}),
        ("starter", {"method": "full"}),
        ("starter", {"method": "lora", "lora_targets": ["dense"]}),
        ("starter", {}),
        ("musicgen", {}),
        ("musicgen", SOLVED),
        ("ast", SOLVED),
        ("ast", {"method": "lora", "lora_targets": ["fc1"]}),
        ("hubert", {"method": "lora"}),
        ("hubert", {"method": "full"}),
    ],
)
def test_what_can_be_is_let_through(bases: dict[str, Path], base: str, given: dict):
    config = asked(given, bases[base])
    assert config.method == (given.get("method") or (None if base == "starter" else "head"))


def test_a_base_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(ModelNotFound):
        require_possible(TrainingConfig(method="lora"), tmp_path / "none")
