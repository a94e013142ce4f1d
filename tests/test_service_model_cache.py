"""The worker's models: exchanged, kept within a limit in bytes, loaded once by however many ask."""

from __future__ import annotations

import gc
import os
import shutil
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from genre_lib import registry
from genre_lib.errors import ModelInvalid, ModelNotFound, NoActiveModel
from genre_lib.inference import Predictor
from genre_lib.service import model_cache
from genre_lib.service.model_cache import ModelCache, bytes_of
from genre_lib.settings import Settings, get_settings
from genre_lib.weights import bytes_of_tensors


@pytest.fixture
def settings(tiny_model: Path, tmp_path: Path) -> Settings:
    return get_settings(model_path=tiny_model, models_path=tmp_path / "models")


@pytest.fixture
def size(tiny_model: Path) -> int:
    """Bytes of one model; all in these tests are alike."""
    return bytes_of(Predictor.from_folder(tiny_model, device="cpu"))


class Counted:
    """Loads, and remembers what it loaded."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, folder: Path) -> Predictor:
        self.names.append(folder.name)
        return Predictor.from_folder(folder, device="cpu")


@pytest.fixture
def load() -> Counted:
    return Counted()


@pytest.fixture
def models(settings: Settings, load: Counted) -> ModelCache:
    cache = ModelCache(settings, load)
    cache.start()
    return cache


@pytest.fixture
def publish(settings: Settings, tiny_model: Path) -> Callable[..., None]:
    def publish(*names: str, overwrite: bool = False) -> None:
        for name in names:
            registry.publish(tiny_model, name, settings, overwrite=overwrite)

    return publish


def limited(cache: ModelCache, limit: int) -> None:
    cache.settings = cache.settings.model_copy(update={"model_cache_bytes": limit})


# --- what is promoted -------------------------------------------------------------------------------------------------


def test_a_promoted_model_is_exchanged(models: ModelCache, settings: Settings, publish):
    before = models.active
    models.follow()
    assert models.active is before
    publish("other")
    registry.promote("other", settings)
    models.follow()
    assert models.active.model.name == "other"
    assert models.error is None


def test_where_the_promoted_model_is_broken_the_old_one_goes_on(models: ModelCache, settings: Settings, publish):
    publish("broken")
    registry.promote("broken", settings)
    weights = settings.models_path / "broken" / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(b"broken")
    models.follow()
    assert models.active.model.name == "tiny"
    assert models.error.startswith("broken cannot be served: Expected an audio classifier in broken, ")
    assert str(settings.models_path) not in models.error
    assert models.error.endswith("The model before goes on.")
    weights.write_bytes(content)  # mended: served without being promoted again
    models.follow()
    assert (models.active.model.name, models.error) == ("broken", None)


def test_where_the_promoted_model_is_gone_the_old_one_goes_on(models: ModelCache, settings: Settings, publish):
    publish("gone")
    registry.promote("gone", settings)
    shutil.rmtree(settings.models_path / "gone")
    models.follow()
    assert models.active.model.name == "tiny"
    assert "no model 'gone'" in models.error


def test_without_a_model_before_those_with_names_are_served(settings: Settings, load: Counted, publish, caplog):
    publish("broken", "good")
    registry.promote("broken", settings)
    (settings.models_path / "broken" / "model.safetensors").write_bytes(b"broken")
    models = ModelCache(settings, load)
    with pytest.raises(ModelInvalid):  # a server does not begin like this
        models.start()
    for _ in range(3):
        models.follow()
    assert [record.levelname for record in caplog.records] == ["ERROR"]  # and not for every look
    with pytest.raises(NoActiveModel) as caught:
        models.named(None)
    assert str(caught.value).startswith("broken cannot be served: Expected an audio classifier in broken, ")
    assert "POST /models/NAME/activate" in str(caught.value)
    assert str(settings.models_path) not in str(caught.value)
    assert models.named("good").model.name == "good"
    registry.promote("good", settings)
    models.follow()
    assert (models.named(None).model.name, models.error) == ("good", None)


# --- the limit --------------------------------------------------------------------------------------------------------


def test_a_models_bytes_are_those_of_its_parameters_and_buffers(tiny_model: Path):
    predictor = Predictor.from_folder(tiny_model, device="cpu")
    state = predictor.network.state_dict().values()
    assert bytes_of(predictor) >= sum(tensor.numel() * tensor.element_size() for tensor in state)
    before = bytes_of(predictor)
    predictor.network.register_buffer("extra", torch.zeros(1000, dtype=torch.float64))
    assert bytes_of(predictor) == before + 8000
    predictor.network.register_buffer("same", predictor.network.extra)
    assert bytes_of(predictor) == before + 8000


def test_the_least_used_is_forgotten_and_never_the_active_one(models: ModelCache, load: Counted, publish, size: int):
    limited(models, 3 * size)
    publish("a", "b", "c")
    first = models.active
    assert models.named("a") is models.named("a")
    models.named("b")
    models.named("a")
    models.named("c")  # tiny, which is active, a, b and c are one too many, and b was used least recently
    assert models.size == 3 * size
    models.named("a")
    models.named("b")
    assert load.names == ["tiny", "a", "b", "c", "b"]
    assert models.named(None) is models.named("tiny") is first


def test_the_limit_holds_while_a_model_is_loaded_too(models: ModelCache, load: Counted, publish, size: int, settings):
    publish("a", "b")
    assert bytes_of_tensors(settings.models_path / "a") == pytest.approx(size, rel=0.01)
    limited(models, 2 * size)
    models.named("a")
    sizes = []
    models.load = lambda folder: sizes.append(models.size) or load(folder)
    models.named("b")
    assert sizes == [size]  # a is gone before b comes


def test_a_model_above_the_limit_is_served_and_not_kept(models: ModelCache, load: Counted, publish, size: int):
    publish("a", "b")
    models.named("a")
    limited(models, 2 * size - 1)
    assert models.named("b").model.name == "b"
    assert models.named("b").model.name == "b"
    assert load.names == ["tiny", "a", "b", "b"]
    limited(models, 0)
    registry.promote("b", models.settings)
    models.follow()
    assert models.active.model.name == "b"
    assert models.named("b") is models.active


def test_what_was_active_may_be_forgotten(models: ModelCache, publish, size: int, settings: Settings):
    limited(models, size)
    publish("a")
    registry.promote("a", settings)
    models.follow()
    assert models.size == size
    assert models.named("a") is models.active


def test_a_model_that_was_replaced_frees_the_old_one(models: ModelCache, publish, size: int):
    publish("a")
    before = models.named("a")
    freed = weakref.ref(before)
    publish("a", overwrite=True)
    assert models.named("a") is not before
    assert models.size == 2 * size
    del before
    gc.collect()
    assert freed() is None


def test_a_model_that_was_deleted_is_freed(models: ModelCache, publish, size: int, settings: Settings):
    publish("a")
    models.named("a")
    registry.remove("a", settings)
    models.follow()
    assert models.size == size
    with pytest.raises(ModelNotFound):
        models.named("a")


# --- several at once, and failures ------------------------------------------------------------------------------------


def test_of_many_that_ask_for_an_absent_model_one_loads_it(models: ModelCache, load: Counted, publish):
    publish("a", "b")
    together = threading.Barrier(8)

    def ask(number: int) -> Predictor:
        together.wait()
        return models.named("a" if number % 2 else "b")

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(ask, range(8)))
    assert sorted(load.names) == ["a", "b", "tiny"]
    assert len({id(predictor) for predictor in found}) == 2


def test_a_model_that_cannot_be_loaded_is_not_tried_for_every_request(
    models: ModelCache, load: Counted, publish, settings: Settings, monkeypatch
):
    publish("broken")
    weights = settings.models_path / "broken" / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(b"broken")
    said = []
    for _ in range(5):
        with pytest.raises(ModelInvalid) as error:
            models.named("broken")
        said.append(str(error.value))
    assert load.names == ["tiny", "broken"]
    assert len(set(said)) == 1
    assert said[0].startswith("Expected an audio classifier in broken, ")  # and not where it lies
    assert str(settings.models_path) not in said[0]
    weights.write_bytes(content)  # other files, so it is tried at once
    assert models.named("broken").model.name == "broken"
    monkeypatch.setattr(model_cache, "RETRY_SECONDS", 0.0)
    os.utime(weights)
    models.load = lambda folder: load.names.append("tried") or 1 / 0
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            models.named("broken")
    assert load.names[-2:] == ["tried", "tried"]


def test_all_that_wait_for_a_model_learn_that_it_failed(models: ModelCache, publish):
    publish("a")
    tried = []
    loading = threading.Event()

    def fails(folder: Path) -> Predictor:
        tried.append(folder.name)
        assert loading.wait(10)
        raise ModelInvalid("no")

    models.load = fails
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(models.named, "a") for _ in range(4)]
        while len(tried) < 1:
            pass
        loading.set()
        assert {str(future.exception()) for future in asked} == {"no"}
    assert tried == ["a"]


def test_an_encoder_predicts_nothing(models: ModelCache, settings: Settings, tmp_path: Path):
    from genre_lib.models import untrained
    from genre_lib.service.messages import refusal

    registry.publish(untrained.make("hubert", "tiny", tmp_path / "made"), "hubert", settings)
    with pytest.raises(ModelInvalid, match="hubert is an encoder without genres") as caught:
        models.named("hubert")
    answer = refusal(caught.value)
    assert (answer.status, answer.content["code"]) == (422, "model_invalid")
    assert str(tmp_path) not in answer.content["detail"]
