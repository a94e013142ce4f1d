"""musicnn: its weights out of the published package's format, without the filters that say nothing, the same logits."""

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from genre_lib.errors import ModelInvalid
from genre_lib.models import folder
from genre_lib.models.head import with_genres
from genre_lib.models.musicnn_weights import CHECKPOINT, front_end, read
from genre_lib.networks import files, reading
from genre_lib.networks.musicnn import FilterBank, largest_of_one_band

SHAPES = {"timbral": [(7, 38), (7, 67)], "temporal": [(128, 1), (64, 1), (32, 1)]}
FILTERS = {"timbral": 6, "temporal": 4}
CHANNELS, UNITS = 8, 5


def norm(rng: np.random.Generator, size: int) -> dict[str, np.ndarray]:
    return {
        "gamma": rng.normal(size=size),
        "beta": rng.normal(size=size),
        "moving_mean": rng.normal(size=size),
        "moving_variance": rng.uniform(0.5, 2, size),
    }


@pytest.fixture(scope="module")
def checkpoint() -> dict[str, np.ndarray]:
    """Random weights by TensorFlow's names; of each kind some filters hear nothing."""
    rng = np.random.default_rng(0)
    layers, norms = {}, [norm(rng, 1)]
    kernels = [(kind, shape) for kind in SHAPES for shape in SHAPES[kind]]
    for number, (kind, shape) in enumerate(kernels):
        kernel = rng.normal(size=(*shape, 1, FILTERS[kind])) / 10
        kernel[..., 1:3] = 0
        layers[f"conv2d_{number}"] = (kernel, rng.normal(size=FILTERS[kind]))
        norms.append(norm(rng, FILTERS[kind]))
    width = 2 * FILTERS["timbral"] + 3 * FILTERS["temporal"]
    for number, size in enumerate((width, CHANNELS, CHANNELS), len(kernels)):
        layers[f"conv2d_{number}"] = (rng.normal(size=(7, size, 1, CHANNELS)) / 10, rng.normal(size=CHANNELS))
        norms.append(norm(rng, CHANNELS))
    pooled = 2 * (width + 3 * CHANNELS)
    norms += [norm(rng, pooled), norm(rng, UNITS)]
    layers["dense"] = (rng.normal(size=(pooled, UNITS)) / 10, rng.normal(size=UNITS))
    layers["dense_1"] = (rng.normal(size=(UNITS, 50)), rng.normal(size=50))
    tensors = {
        f"batch_normalization_{i}/{part}": values for i, kept in enumerate(norms) for part, values in kept.items()
    }
    for name, (kernel, bias) in layers.items():
        tensors |= {f"{name}/kernel": kernel, f"{name}/bias": bias}
    named = {name.replace("_0/", "/"): values.astype(np.float32) for name, values in tensors.items()}
    return named | {"dense/kernel/Adam": np.zeros(3, np.float32)}


@pytest.fixture
def package(tmp_path: Path, checkpoint: dict[str, np.ndarray]) -> Path:
    """A wheel as the registry's, with the random weights in it."""
    index, data = bundle(checkpoint)
    path = tmp_path / "musicnn-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(CHECKPOINT + ".index", index)
        archive.writestr(CHECKPOINT + ".data-00000-of-00001", data)
    return path


def test_the_logits_are_those_of_the_whole_network(package: Path, checkpoint: dict[str, np.ndarray], monkeypatch):
    shrink(monkeypatch)
    model = read(package)
    clips = torch.rand(3, 96, 60, generator=torch.Generator().manual_seed(0)) * 3
    with torch.no_grad():
        assert torch.allclose(model.network(clips).logits, whole_network(clips, checkpoint), atol=1e-4)
    assert model.network.config.timbral_filters == [4, 4] and model.network.config.temporal_filters == [2, 2, 2]
    kernels = [bank.conv.weight.flatten(1) for bank in model.network.backbone.banks]
    assert all(bool((kernel != 0).any(1).all()) for kernel in kernels)
    assert model.genres[26] == "blues" and model.genres[36] == "country" and len(model.genres) == 50


def test_in_training_the_norms_see_every_answer_and_nothing_changes_at_rest(package: Path, monkeypatch):
    shrink(monkeypatch)
    bank = read(package).network.backbone.banks[0]
    image = torch.rand(2, 1, 60, 96)
    at_rest = bank(image)
    bank.norm.momentum = 1.0
    bank.train()(image)
    answers = functional.relu(bank.conv(functional.pad(image, (0, 0, 3, 3))))
    assert torch.allclose(bank.norm.running_mean, answers.mean((0, 2, 3)), atol=1e-5)
    assert at_rest.shape == (2, 4, 60)


@pytest.mark.parametrize("frames", [1, 15, 16, 17, 187])
@pytest.mark.parametrize("length", [1, 32, 128])
def test_filters_of_one_band_answer_as_a_convolution_does(frames: int, length: int):
    noise = torch.Generator().manual_seed(frames)
    image = torch.randn(2, 1, frames + length - 1, 96, generator=noise)
    weight = torch.randn(3, 1, length, 1, generator=noise)
    expected = functional.conv2d(image, weight).amax(3)
    assert torch.allclose(largest_of_one_band(image, weight), expected, atol=1e-4)


def test_the_banks_answer_alike_with_norms_of_either_sign():
    torch.manual_seed(0)
    image = torch.randn(2, 1, 40, 96)
    for length, bands in ((7, 38), (32, 1)):
        bank = FilterBank(4, length, bands).eval()
        bank.norm.weight.data = torch.tensor([1.0, -1.0, 0.5, -2.0])
        padded = functional.pad(image, (0, 0, (length - 1) // 2, length // 2))
        assert torch.allclose(bank(image), bank.norm(functional.relu(bank.conv(padded))).amax(3), atol=1e-4)


def test_it_is_a_model_like_any_other(package: Path, tmp_path: Path, monkeypatch):
    shrink(monkeypatch)
    model = read(package)
    place = folder.save(model, tmp_path / "musicnn").folder
    waveform = np.random.default_rng(0).normal(size=48128).astype(np.float32) / 10
    plain = reading.read(place)
    with torch.no_grad():
        expected = model.network(model.extractor.features(waveform)).logits
        theirs = AutoModelForAudioClassification.from_pretrained(place).eval()
        features = AutoFeatureExtractor.from_pretrained(place)(waveform, sampling_rate=16000, return_tensors="pt")
        assert torch.allclose(theirs(**features).logits, expected, atol=1e-5)
        assert torch.allclose(plain.network(plain.extractor.features(waveform)).logits, expected, atol=1e-5)
    assert files.is_plain(place)


def test_genres_get_a_head_of_their_own(package: Path, monkeypatch):
    """A tag's logit answers yes or no, and would drown in those of genres that start at zero."""
    shrink(monkeypatch)
    network = read(package).network
    assert with_genres(network, ["blues", "gamelan"]) == []
    assert network.config.problem_type is None and network.classifier.weight.abs().max() < 0.2


def test_the_front_end_is_the_authors():
    """log10(10000 p + 1), by their formula: of silence 0, and of a band of power 1 log10(10001)."""
    extractor = front_end()
    silence = extractor.features(np.zeros(48128, np.float32))
    assert silence.shape == (1, 96, 187) and silence.abs().max() < 1e-5
    power = torch.tensor([1.0])
    assert ((power + extractor.floor).log() - extractor.mean).div(extractor.std).item() == pytest.approx(
        np.log10(10001)
    )


@pytest.mark.parametrize("damage", ["no archive", "another package", "cut off", "compressed", "not there"])
def test_what_is_no_package_says_so(tmp_path: Path, checkpoint: dict[str, np.ndarray], damage: str):
    path = tmp_path / "package.zip"
    index, data = bundle(checkpoint)
    if damage == "no archive":
        path.write_bytes(b"RIFF" * 100)
    elif damage == "another package":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("setup.py", "")
    elif damage != "not there":
        index = bundle(checkpoint, compressed=True)[0] if damage == "compressed" else index
        with tarfile.open(path, "w:gz") as archive:
            for name, content in ((".index", index), (".data-00000-of-00001", data[: len(data) // 2])):
                entry = tarfile.TarInfo("musicnn-0.1.0/" + CHECKPOINT + name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    with pytest.raises(ModelInvalid, match="pip download musicnn"):
        read(path)


# --- the network as its authors describe it, with all filters ---------------------------------------------------------


def whole_network(clips: torch.Tensor, tensors: dict[str, np.ndarray]) -> torch.Tensor:
    """Clips [batch, mels, frames] → logits, in the order of the published code."""

    def normed(x: torch.Tensor, number: int) -> torch.Tensor:
        name = f"batch_normalization_{number}/" if number else "batch_normalization/"
        gamma, beta, mean, var = (
            torch.tensor(tensors[name + p]) for p in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return functional.batch_norm(x, mean, var, gamma, beta, eps=1e-3)

    def kernel(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        name = f"conv2d_{number}" if number else "conv2d"
        return torch.tensor(tensors[f"{name}/kernel"]).permute(3, 2, 0, 1), torch.tensor(tensors[f"{name}/bias"])

    image = normed(clips.transpose(1, 2)[:, None], 0)
    found = []
    for number in range(5):
        weight, bias = kernel(number)
        before = (weight.shape[2] - 1) // 2
        padded = functional.pad(image, (0, 0, before, weight.shape[2] - 1 - before))
        found.append(normed(functional.relu(functional.conv2d(padded, weight, bias)), 1 + number).amax(3))
    parts = [torch.cat(found, 1)]
    hidden = parts[0]
    for number in range(3):
        weight, bias = kernel(5 + number)
        changed = functional.relu(functional.conv1d(hidden, weight[:, 0].transpose(1, 2), bias, padding=3))
        changed = normed(changed, 6 + number)
        hidden = changed + hidden if number else changed
        parts.append(hidden)
    over_time = torch.cat(parts, 1)
    pooled = torch.stack([over_time.amax(2), over_time.mean(2)], 2).flatten(1)
    dense = functional.relu(
        normed(pooled, 9) @ torch.tensor(tensors["dense/kernel"]) + torch.tensor(tensors["dense/bias"])
    )
    return normed(dense, 10) @ torch.tensor(tensors["dense_1/kernel"]) + torch.tensor(tensors["dense_1/bias"])


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """The importer builds the network with the published widths; here it is a smaller one."""
    from genre_lib.models import musicnn_weights

    whole = musicnn_weights.MusicnnModelConfig.for_labels
    monkeypatch.setattr(
        musicnn_weights.MusicnnModelConfig,
        "for_labels",
        classmethod(lambda cls, labels, **fields: whole(labels, channels=CHANNELS, units=UNITS, **fields)),
    )


# --- TensorFlow's files, written by their description ----------------------------------------------------------------


def bundle(tensors: dict[str, np.ndarray], compressed: bool = False) -> tuple[bytes, bytes]:
    """Index and data of a checkpoint; keys share what they begin with, as in the real one."""
    data, entries = b"", [(b"", b"")]
    for name in sorted(tensors):
        values = tensors[name].astype("<f4")
        sizes = b"".join(field(2, field(1, size)) for size in values.shape)
        entry = field(1, 1) + field(2, sizes) + field(4, len(data)) + field(5, values.nbytes) + bytes([0x35]) + bytes(4)
        entries.append((name.encode(), entry))
        data += values.tobytes()
    body = block(entries)
    handle = varint(0) + varint(len(body))
    index = body + bytes([int(compressed)]) + bytes(4)
    at = len(index)
    index_block = block([(b"zzz", handle)])
    index += index_block + bytes(5)
    footer = (varint(0) + varint(0) + varint(at) + varint(len(index_block))).ljust(40, b"\0") + bytes(8)
    return index + footer, data


def block(entries: list[tuple[bytes, bytes]]) -> bytes:
    written, before = b"", b""
    for key, value in entries:
        shared = next(
            (i for i, (a, b) in enumerate(zip(key, before, strict=False)) if a != b), min(len(key), len(before))
        )
        written += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    return written + struct.pack("<II", 0, 1)


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    written = b""
    while value > 127:
        written += bytes([value & 127 | 128])
        value >>= 7
    return written + bytes([value])
