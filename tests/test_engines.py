"""Engines: each says what torch says in float32, on small networks with random weights; what cannot be, says why."""

from __future__ import annotations

import logging
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from genre_lib.engines import compiled, machine, making, names, openvino_library
from genre_lib.engines.compiled import CompiledCache
from genre_lib.engines.making import EngineMaker
from genre_lib.engines.names import BF16, ENGINES, FLOAT32, OPENVINO_BF16, OPENVINO_FLOAT32, OPENVINO_INT8
from genre_lib.engines.quantising import quantise
from genre_lib.errors import ConfigurationError, EngineUnavailable
from genre_lib.inference import Predictor, load_model
from genre_lib.models.untrained import make

if find_spec("openvino") is None:  # asked, not imported: it would tell its makers
    pytest.skip("OpenVINO is an extra", allow_module_level=True)

REPOSITORY = Path(__file__).resolve().parents[1]
GENRES = ["jazz", "folk", "rock"]
FAMILIES = ("ast", "hubert", "wav2vec2", "tiny_cnn")

needs_bf16 = pytest.mark.skipif(not machine.has_bf16("cpu"), reason="this processor has no bfloat16")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> dict[str, Path]:
    """Small models with heads that are sure of something: a fresh one says the same of every sound."""
    root = tmp_path_factory.mktemp("families")
    found = {family: make(family, "tiny", root / family, GENRES, initializer_range=0.2) for family in FAMILIES[:3]}
    return found | {"tiny_cnn": tiny_model}


@pytest.fixture(scope="module")
def cache_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def noise(predictor: Predictor, clips: int = 3) -> np.ndarray:
    settings, rate = predictor.model.inference, predictor.model.sample_rate
    rng = np.random.default_rng(1)
    return rng.normal(0, 0.1, (clips, round(settings.clip_seconds * rate))).astype(np.float32)


# --- each says what float32 says --------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("name", "within"), [(OPENVINO_FLOAT32, 1e-4), (BF16, 0.05), (OPENVINO_BF16, 0.05)])
def test_an_engine_says_what_the_network_says(
    family: str, name: str, within: float, folders: dict[str, Path], cache_path: Path
):
    if name != OPENVINO_FLOAT32 and not machine.has_bf16("cpu"):
        pytest.skip("this processor has no bfloat16")
    exact = Predictor.from_folder(folders[family], device="cpu", engine=FLOAT32)
    predictor = Predictor.from_folder(folders[family], device="cpu", engine=name, cache_path=cache_path, batch_size=2)
    clips = noise(exact)
    with torch.inference_mode():
        plain = exact.network(**exact.inputs(clips)).logits.numpy()
    found = predictor.clips(clips)  # a batch of two, and one of one
    assert (predictor.engine.name, predictor.engine_fault) == (name, None)
    assert found.dtype == np.float32
    assert np.abs(plain).max() > 1e-3  # so that it is no comparison of noughts
    np.testing.assert_allclose(found, plain, atol=within * np.abs(plain).max())


def test_eight_bits_say_nearly_the_same(folders: dict[str, Path], tmp_path: Path):
    exact = Predictor.from_folder(folders["ast"], device="cpu", engine=FLOAT32)
    clips = noise(exact, 6)
    engine = quantise(exact.model, [exact.inputs(clip[None]) for clip in clips], CompiledCache(tmp_path))
    plain = exact.clips(clips)
    assert engine.name == OPENVINO_INT8
    assert 0 < np.abs(engine(exact.inputs(clips)).numpy() - plain).max() < 0.2 * np.abs(plain).max()
    kept = Predictor(exact.model, device="cpu", engine=OPENVINO_INT8, cache_path=tmp_path)
    np.testing.assert_allclose(kept.clips(clips), engine(exact.inputs(clips)).numpy(), atol=1e-5)


@needs_bf16
def test_half_precision_leaves_the_network_as_it_is(folders: dict[str, Path]):
    predictor = Predictor.from_folder(folders["ast"], device="cpu", engine=BF16)
    assert {weights.dtype for weights in predictor.network.parameters()} == {torch.float32}
    parameters = sum(weights.numel() for weights in predictor.network.parameters())
    assert predictor.engine.size == 2 * parameters


def test_a_clip_of_another_length_or_with_a_mask_is_computed_by_torch(folders: dict[str, Path], cache_path: Path):
    predictor = Predictor.from_folder(folders["hubert"], device="cpu", engine=OPENVINO_FLOAT32, cache_path=cache_path)
    clips = noise(predictor)
    inputs = predictor.inputs(clips)
    masked = inputs | {"attention_mask": torch.ones(clips.shape, dtype=torch.int64)}
    np.testing.assert_allclose(predictor.engine(masked), predictor.engine(inputs), atol=1e-5)
    masked["attention_mask"][:, 8000:] = 0
    with torch.inference_mode():
        heard = predictor.network(**masked).logits
        short = predictor.network(input_values=inputs["input_values"][:, :8000]).logits
    np.testing.assert_array_equal(predictor.engine(masked), heard)
    np.testing.assert_allclose(predictor.engine({"input_values": inputs["input_values"][:, :8000]}), short, atol=1e-5)


# --- compiled networks are kept ---------------------------------------------------------------------------------------


def test_a_network_is_compiled_once(folders: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "genre_lib.engines")
    options = {"device": "cpu", "engine": OPENVINO_FLOAT32, "cache_path": tmp_path}
    first, second = (Predictor.from_folder(folders["ast"], **options) for _ in range(2))
    assert [record.message.split(" in ")[0] for record in caplog.records] == ["compiled openvino-float32 of ast"]
    assert first.engine.compiled_in > 0
    assert second.engine.compiled_in is None
    [kept] = (tmp_path / "engines").glob("??/*.compiled")
    assert first.engine.size == second.engine.size == kept.stat().st_size
    assert not list(folders["ast"].glob("*.compiled"))
    np.testing.assert_array_equal(first.clips(noise(first)), second.clips(noise(first)))


def test_a_damaged_one_is_compiled_anew(folders: dict[str, Path], tmp_path: Path):
    options = {"device": "cpu", "engine": OPENVINO_FLOAT32, "cache_path": tmp_path}
    predictor = Predictor.from_folder(folders["ast"], **options)
    [kept] = (tmp_path / "engines").glob("??/*.compiled")
    kept.write_bytes(b"no network at all")
    again = Predictor.from_folder(folders["ast"], **options)
    assert again.engine.compiled_in > 0
    np.testing.assert_array_equal(predictor.clips(noise(predictor)), again.clips(noise(predictor)))


def test_the_key_hangs_on_weights_engine_and_versions(monkeypatch: pytest.MonkeyPatch):
    keys = {
        compiled.key_of(weights, engine) for weights in ("aa", "bb") for engine in (OPENVINO_FLOAT32, OPENVINO_BF16)
    }
    monkeypatch.setattr(compiled, "versions", lambda: {"openvino": "another"})
    assert len(keys | {compiled.key_of("aa", OPENVINO_BF16)}) == 5


def test_the_cache_is_bounded(tmp_path: Path):
    cache = CompiledCache(tmp_path, max_bytes=2500)
    for number in range(4):
        cache.put(f"key {number}", bytes(1000))
    sizes = [path.stat().st_size for path in (tmp_path / "engines").glob("??/*.compiled")]
    assert sizes == [1000, 1000]
    assert cache.get("key 3") == bytes(1000)


# --- what cannot be ---------------------------------------------------------------------------------------------------


def test_an_unknown_engine_is_refused(folders: dict[str, Path]):
    with pytest.raises(ConfigurationError, match=r"one of auto, torch, openvino, .* and got 'onnx'"):
        Predictor.from_folder(folders["ast"], device="cpu", engine="onnx")


def test_eight_bits_want_a_tuning(folders: dict[str, Path], tmp_path: Path):
    with pytest.raises(EngineUnavailable, match="`genre models tune ast --data-path MUSIC`"):
        Predictor.from_folder(folders["ast"], device="cpu", engine=OPENVINO_INT8, cache_path=tmp_path)


def test_a_gpus_engine_is_none_of_the_processor(folders: dict[str, Path], tmp_path: Path):
    half = (
        r"^torch-float16 does not compute on cpu; choose torch-float32, .*openvino-float32.*; or openvino-int8 after "
    )
    options = {"device": "cpu", "engine": "torch-float16", "cache_path": tmp_path}
    with pytest.raises(EngineUnavailable, match=half + r"`genre models tune ast --data-path MUSIC`\.$"):
        Predictor.from_folder(folders["ast"], **options)
    tuned = compiled.key_of(load_model(folders["ast"]).version, OPENVINO_INT8)
    CompiledCache(tmp_path).put(tuned, b"compiled")
    with pytest.raises(EngineUnavailable, match=r"openvino-int8\.$"):
        Predictor.from_folder(folders["ast"], **options)
    assert names.among("auto", "cuda:1") == ("torch-float32", "torch-bf16", "torch-float16")
    assert names.among("openvino", "cuda") == ()


def test_only_what_can_be_had_is_offered(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(openvino_library, "find_spec", lambda name: None)
    monkeypatch.setattr(making, "has_bf16", lambda device: False)
    with pytest.raises(EngineUnavailable, match=r"does not compute on cpu; choose torch-float32\.$"):
        Predictor.from_folder(folders["ast"], device="cpu", engine="torch-float16")


def test_without_the_extra_it_says_how_to_install_it(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(openvino_library, "find_spec", lambda name: None if name == "openvino" else True)
    for engine in ("openvino", OPENVINO_BF16):
        with pytest.raises(EngineUnavailable, match=r'needs openvino, an extra; .*pip install "genre_lib\[openvino\]"'):
            Predictor.from_folder(folders["ast"], device="cpu", engine=engine)
    assert Predictor.from_folder(folders["ast"], device="cpu").engine.name == FLOAT32


def test_a_model_that_takes_features_is_left_to_torch(folders: dict[str, Path], tmp_path: Path):
    model = load_model(folders["tiny_cnn"])
    model.network.config.features_source = "catalogue"
    maker = EngineMaker(model, "cpu", lambda: {"input_values": torch.zeros(2, 128, 130)}, tmp_path)
    with pytest.raises(EngineUnavailable, match="takes more than the sound"):
        maker.make(OPENVINO_FLOAT32)


def test_a_network_that_cannot_be_converted_is_a_sentence(folders: dict[str, Path], tmp_path: Path):
    model = load_model(folders["ast"])
    maker = EngineMaker(model, "cpu", lambda: {"input_values": torch.zeros(2, 3)}, tmp_path)
    root = logging.getLogger()
    before = root.level, root.filters[:], root.handlers[:]
    with pytest.raises(EngineUnavailable, match=r"^OpenVINO cannot convert ast: .+\.$"):
        maker.make(OPENVINO_FLOAT32)
    assert (root.level, root.filters, root.handlers) == before  # OpenVINO alone would leave it at ERROR


def test_names_are_of_libraries_and_numbers():
    assert [name for name in ENGINES if name in names.among("torch")] == [FLOAT32, BF16]
    assert names.among("openvino") == (OPENVINO_FLOAT32, OPENVINO_BF16, OPENVINO_INT8)
    assert names.among(BF16) == (BF16,)
    assert len(names.among("auto")) == 5


# --- nothing leaves the machine, and nothing slows the default --------------------------------------------------------

LISTENING = """
import sys
from pathlib import Path
reached = []
calls = ("socket.connect", "socket.getaddrinfo")
sys.addaudithook(lambda event, given: reached.append(given) if event in calls else None)
from genre_lib.engines.compiled import CompiledCache
from genre_lib.engines.quantising import quantise
from genre_lib.inference import Predictor
import numpy as np
predictor = Predictor.from_folder(sys.argv[1], device="cpu", engine="openvino-float32")
clip = np.random.default_rng(0).normal(0, 0.1, (1, 160000)).astype(np.float32)
quantise(predictor.model, [predictor.inputs(clip)], CompiledCache(Path(sys.argv[2])))
assert sys.modules["openvino_telemetry"] is None
assert not reached, reached
"""


def test_a_conversion_leaves_the_terminal_alone(folders: dict[str, Path]):
    code = (
        "import logging, sys; from pathlib import Path; import torch; from genre_lib.models.folder import load; "
        "from genre_lib.engines.openvino_engine import converted; model = load(Path(sys.argv[1])); "
        "from transformers import logging as told; told.set_verbosity_info(); "
        "config = model.network.config; "
        "converted(model, {'input_values': torch.zeros(1, config.max_length, config.num_mel_bins)}); "
        "assert told.get_verbosity() == logging.INFO"
    )
    # A process of its own, for transformers says it once in each.
    done = subprocess.run([sys.executable, "-c", code, folders["ast"]], capture_output=True, text=True, cwd=REPOSITORY)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nothing_is_told_to_anybody(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    command = [sys.executable, "-c", LISTENING, str(folders["ast"]), str(tmp_path / "cache")]
    found = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert found.returncode == 0, found.stderr
    assert not (tmp_path / "intel").exists()  # where a client's id would be kept


def test_a_default_prediction_imports_no_openvino(tiny_model: Path):
    code = (
        "import sys; from genre_lib.inference import Predictor; "
        f"Predictor.from_folder({str(tiny_model)!r}, device='cpu'); print(*sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    loaded = {name.split(".")[0] for name in found.stdout.split()}
    assert "torch" in loaded
    assert not loaded & {"openvino", "nncf", "transformers"}
