from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from genre_lib import registry
from genre_lib.errors import ModelExists, ModelInUse, ModelInvalid, ModelNameInvalid, ModelNotFound
from genre_lib.settings import STARTER, Settings, get_settings


@pytest.fixture
def settings(tmp_path, tiny_model) -> Settings:
    shutil.copytree(tiny_model, tmp_path / "pretrained" / "starter")
    return get_settings(model_path=tmp_path / "pretrained" / "starter", models_path=tmp_path / "models")


def test_the_starter_is_active_until_another_is_promoted(settings, tiny_model):
    assert registry.active(settings) == settings.model_path.resolve()
    registry.publish(tiny_model, "mine", settings)
    registry.promote("mine", settings)
    assert registry.active(settings) == (settings.models_path / "mine").resolve()
    pointer = json.loads((settings.models_path / "active.json").read_text())
    assert set(pointer) == {"name", "promoted_at"} and pointer["name"] == "mine"
    registry.promote("starter", settings)
    assert registry.active(settings) == settings.model_path.resolve()


def test_listing_counts_by_the_files(settings, tiny_model):
    from genre_lib.models.folder import load

    registry.publish(tiny_model, "mine", settings)
    (settings.models_path / "mine" / "metrics.json").write_text('{"accuracy": {"value": 0.5}}')
    (settings.models_path / "rubbish").mkdir()
    shipped, mine, starter = registry.list_models(settings)
    network = load(tiny_model).network
    assert (shipped.name, shipped.folder) == ("genre_classifier", STARTER)
    assert (mine.name, starter.name, mine.active, starter.active) == ("mine", "starter", False, True)
    assert mine.genres == list(network.config.id2label.values())
    assert mine.kind == "genre_cnn"
    assert mine.parameters == sum(value.numel() for value in network.parameters())
    assert mine.size_bytes > mine.parameters * 4
    assert mine.metrics["accuracy"]["value"] == 0.5


def test_resolving_names_and_folders(settings, tiny_model):
    assert registry.resolve("starter", settings) == settings.model_path.resolve()
    assert registry.resolve(tiny_model, settings) == tiny_model
    with pytest.raises(ModelNotFound, match="no model 'other'; there are: genre_classifier, starter"):
        registry.resolve("other", settings)


def test_a_pretrained_model_that_is_not_there_can_be_got(settings, tiny_model):
    with pytest.raises(ModelNotFound, match=r"there are: .*starter\. Get it by: genre models download ast$"):
        registry.resolve("ast", settings)
    registry.publish(tiny_model, "ast", settings)
    assert registry.resolve("ast", settings) == settings.models_path / "ast"


def test_a_folder_without_its_configuration_is_not_whole(settings, tiny_model):
    (registry.publish(tiny_model, "mine", settings) / "config.json").unlink()
    with pytest.raises(ModelInvalid, match=r"mine is no whole model folder: its config\.json is missing"):
        registry.resolve("mine", settings)


@pytest.mark.parametrize("name", ["../pretrained/starter", "/etc", "", "."])
def test_a_stranger_reaches_no_folder_elsewhere(settings, name):
    with pytest.raises(ModelNotFound):
        registry.by_name(name, settings)


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "", "x" * 101, "active.json", "a\n", "ä"])
def test_bad_names_are_refused(settings, tiny_model, name):
    with pytest.raises(ModelNameInvalid, match="name"):
        registry.publish(tiny_model, name, settings)


def test_publishing_does_not_replace_unless_told(settings, tiny_model):
    registry.publish(tiny_model, "mine", settings)
    with pytest.raises(ModelExists):
        registry.publish(tiny_model, "mine", settings)
    registry.publish(tiny_model, "mine", settings, overwrite=True)
    assert [path.name for path in settings.models_path.iterdir()] == ["mine"]
    with pytest.raises(ModelExists, match="starter"):
        registry.publish(tiny_model, "starter", settings, overwrite=True)


def test_of_several_that_publish_at_once_one_gets_the_name(settings, tiny_model, tmp_path):
    for number in range(8):
        shutil.copytree(tiny_model, tmp_path / f"{number}")
        (tmp_path / f"{number}" / "README.md").write_text(f"{number}")

    def publish(number: int) -> int | None:
        try:
            registry.publish(tmp_path / f"{number}", "mine", settings)
        except ModelExists:
            return None
        return number

    with ThreadPoolExecutor(8) as threads:
        won = [number for number in threads.map(publish, range(8)) if number is not None]
    assert len(won) == 1
    assert (settings.models_path / "mine" / "README.md").read_text() == f"{won[0]}"
    assert [path.name for path in settings.models_path.iterdir()] == ["mine"]


def test_a_folder_may_be_moved_into_its_place(settings, tiny_model, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "new")
    registry.publish(tmp_path / "new", "mine", settings, move=True)
    assert not (tmp_path / "new").exists()
    shutil.copytree(tiny_model, tmp_path / "new")
    with pytest.raises(ModelExists):
        registry.publish(tmp_path / "new", "mine", settings, move=True)
    assert (tmp_path / "new" / "config.json").is_file()


def test_a_folder_of_other_things_is_never_replaced(tiny_model, tmp_path):
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "song.mp3").write_bytes(b"x")
    with pytest.raises(ModelExists, match="no model folder"):
        registry.install(tiny_model, tmp_path / "music", overwrite=True)
    assert (tmp_path / "music" / "song.mp3").exists()
    with pytest.raises(ModelInvalid):
        registry.install(tmp_path / "music", tmp_path / "new")


def test_removing(settings, tiny_model):
    registry.publish(tiny_model, "mine", settings)
    registry.promote("mine", settings)
    with pytest.raises(ModelInUse, match="served"):
        registry.remove("mine", settings)
    for name, whose in (("genre_classifier", "starter"), ("starter", "MODEL_PATH")):
        with pytest.raises(ModelInUse, match=whose):
            registry.remove(name, settings)
    registry.promote("starter", settings)
    registry.remove("mine", settings)
    assert [info.name for info in registry.list_models(settings)] == ["genre_classifier", "starter"]
    with pytest.raises(ModelNotFound):
        registry.remove("mine", settings)


def test_a_model_path_below_the_models_folder_is_one_of_them(settings, tiny_model):
    longer = registry.publish(tiny_model, "longer", settings)
    chosen = settings.model_copy(update={"model_path": longer})
    assert [info.name for info in registry.list_models(chosen)] == ["genre_classifier", "longer"]
    assert registry.by_name("genre_classifier", chosen) == STARTER
    assert registry.active(chosen) == longer
    registry.publish(tiny_model, "longer", chosen, overwrite=True)


def test_a_broken_model_is_not_promoted(settings, tiny_model):
    folder = registry.publish(tiny_model, "mine", settings)
    (folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ModelInvalid):
        registry.promote("mine", settings)
    assert registry.active(settings) == settings.model_path.resolve()


def test_an_unreadable_folder_spoils_no_listing(settings, tiny_model):
    for name in ("bad_config", "cut_weights", "good"):
        registry.publish(tiny_model, name, settings)
    (settings.models_path / "bad_config" / "config.json").write_text("{")
    weights = settings.models_path / "cut_weights" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    kinds = {info.name: info.kind for info in registry.list_models(settings)}
    assert kinds == {
        "bad_config": "unreadable",
        "cut_weights": "unreadable",
        "genre_classifier": "musicnn",
        "good": "genre_cnn",
        "starter": "genre_cnn",
    }
    with pytest.raises(ModelInvalid, match="is no JSON"):
        registry.describe(settings.models_path / "bad_config")


def test_a_starter_that_is_not_there_is_named(settings, tmp_path):
    moved = settings.model_copy(update={"model_path": tmp_path / "nope"})
    with pytest.raises(ModelNotFound, match=r"MODEL_PATH is .*nope"):
        registry.active(moved)
    with pytest.raises(ModelNotFound, match=r"MODEL_PATH is .*nope"):
        registry.base(None, moved)
    assert registry.base("starter", settings) == registry.base(None, settings) == settings.model_path


@pytest.mark.parametrize(
    "config", ['{"id2label": {"first": "rock"}}', '{"id2label": ["rock"]}', '{"id2label": 3}', "[" * 100_000, "[]"]
)
def test_a_strange_configuration_spoils_no_listing(settings, tiny_model, config):
    registry.publish(tiny_model, "strange", settings)
    (settings.models_path / "strange" / "config.json").write_text(config)
    assert [info.kind for info in registry.list_models(settings)] == [
        "musicnn",
        "genre_cnn",
        "unreadable",
    ]
