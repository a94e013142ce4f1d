"""musicnn's published weights, read from its package (``pip download musicnn --no-deps``) without TensorFlow.

Of its networks the one that was trained on the Million Song Dataset is taken, which knows blues, country and soul
beside rock and pop. Jordi Pons and the Music Technology Group of the Universitat Pompeu Fabra published it under the
ISC licence.
"""

from __future__ import annotations

import io
import math
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from genre_lib.errors import ModelInvalid, first_line
from genre_lib.models.folder import GenreModel, InferenceSettings
from genre_lib.models.logmel import LogMelFeatureExtractor
from genre_lib.models.musicnn import MusicnnForAudioClassification, MusicnnModelConfig
from genre_lib.models.tensorflow_checkpoint import tensors
from genre_lib.networks.musicnn import EPSILON, LAYERS, TEMPORAL_FRAMES, TIMBRAL_SHARES

TAGS = """
rock, pop, alternative, indie, electronic, female vocalists, dance, 00s, alternative rock, jazz, beautiful, metal,
chillout, male vocalists, classic rock, soul, indie rock, mellow, electronica, 80s, folk, 90s, chill, instrumental,
punk, oldies, blues, hard rock, ambient, acoustic, experimental, female vocalist, guitar, hip-hop, 70s, party, country,
easy listening, sexy, catchy, funk, electro, heavy metal, progressive rock, 60s, rnb, indie pop, sad, house, happy
"""
"""Tags of the Million Song Dataset that the network tells, in the order of its outputs."""

GAIN = 10_000.0
"""By which the authors multiply mel power before log10(1 + ...)."""

FRAMES = 187
"""Of the clips that the network was trained on."""

DEAD = 1e-4
"""Norm below which a filter's kernel counts as zero: among the published ones 497 lie below 2e-6, and 64 above 5e-3."""

CHECKPOINT = "musicnn/MSD_musicnn/"


def read(package: Path | str) -> GenreModel:
    """The tagger as a model of ours.

    Args:
        package: musicnn's wheel or source archive, as the package registry holds it.

    Raises:
        ModelInvalid: the file is no such archive.
    """
    try:
        index, data = _files(Path(package))
        network = _network(dict(tensors(index, data)))
    except (OSError, KeyError, ValueError, IndexError, struct.error, RuntimeError, StopIteration) as error:
        raise ModelInvalid(
            f"Expected musicnn's package at {package}, as 'pip download musicnn --no-deps' gets it, and it could not "
            f"be read: {first_line(str(error) or type(error).__name__)}."
        ) from error
    extractor = front_end()
    seconds = ((FRAMES - 1) * extractor.hop_length + extractor.n_fft) / extractor.sampling_rate
    return GenreModel(network, extractor, InferenceSettings(seconds, seconds))


def front_end() -> LogMelFeatureExtractor:
    """What the network was trained on: log10(1 + 10,000 p) of mel power p, which is (ln(p + floor) - mean) / std.

    Frames are not centred, so that clips are slices of the track's; they lie half a frame (16 ms) later than the
    authors'.
    """
    return LogMelFeatureExtractor(
        feature_size=96,
        sampling_rate=16000,
        n_fft=512,
        hop_length=256,
        f_min=0.0,
        mean=-math.log(GAIN),
        std=math.log(10),
        floor=1 / GAIN,
    )


def _files(package: Path) -> tuple[bytes, bytes]:
    """The checkpoint's index and data."""
    if not package.is_file():
        raise ValueError("there is no such file")
    content = package.read_bytes()
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            return archive.read(_named(names, ".index")), archive.read(_named(names, ".data-00000-of-00001"))
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            names = archive.getnames()
            parts = [archive.extractfile(_named(names, end)) for end in (".index", ".data-00000-of-00001")]
            index, data = (part.read() if part else b"" for part in parts)
            return index, data
    except tarfile.TarError as error:
        raise ValueError("it is neither a zip nor a tar archive") from error


def _named(names: list[str], ending: str) -> str:
    found = [name for name in names if name.endswith(CHECKPOINT + ending)]
    if not found:
        raise ValueError(f"it holds no {CHECKPOINT}{ending}")
    return found[0]


BANKS = len(TIMBRAL_SHARES) + len(TEMPORAL_FRAMES)


def _network(tensors: dict[str, np.ndarray]) -> MusicnnForAudioClassification:
    """The network with the filters whose kernels are above zero, and the constant answers of the others folded in."""
    live = [_live(tensors[f"{_numbered('conv2d', bank)}/kernel"]) for bank in range(BANKS)]
    counts = [len(filters) for filters in live]
    config = MusicnnModelConfig.for_labels(
        " ".join(TAGS.split()).split(", "),
        problem_type="multi_label_classification",
        trained_on=["million-song"],
        timbral_filters=counts[: len(TIMBRAL_SHARES)],
        temporal_filters=counts[len(TIMBRAL_SHARES) :],
    )
    network = MusicnnForAudioClassification(config)
    body = network.backbone
    _fill_norm(body.input_norm, tensors, 0)
    for number, (bank, filters) in enumerate(zip(body.banks, live, strict=True)):
        kernel = tensors[f"{_numbered('conv2d', number)}/kernel"].transpose(3, 2, 0, 1)
        _fill(bank.conv, kernel[filters], tensors[f"{_numbered('conv2d', number)}/bias"][filters])  # type: ignore[arg-type]
        _fill_norm(bank.norm, tensors, 1 + number, filters)  # type: ignore[arg-type]
    offsets = np.cumsum([0, *(tensors[f"{_numbered('conv2d', bank)}/bias"].size for bank in range(BANKS))])
    kept = np.concatenate([offset + filters for offset, filters in zip(offsets, live, strict=False)])
    _fill_layers(network, tensors, kept, int(offsets[-1]))
    _fill_head(network, tensors, kept, int(offsets[-1]))
    return network.eval()


def _fill_layers(
    network: MusicnnForAudioClassification, tensors: dict[str, np.ndarray], kept: np.ndarray, filters: int
) -> None:
    """The layers over time; the first hears what the filters left out always say as one channel of ones."""
    body = network.backbone
    silent = np.setdiff1d(np.arange(filters), kept)
    for number, (layer, norm) in enumerate(zip(body.layers, body.norms, strict=True)):
        name = _numbered("conv2d", BANKS + number)
        weight = tensors[f"{name}/kernel"][:, :, 0].transpose(2, 1, 0)  # [channels out, channels in, frames]
        if number == 0:
            ones = np.einsum("oct,c->ot", weight[:, silent], _constants(tensors)[silent])
            weight = np.concatenate([weight[:, kept], ones[:, None]], axis=1)
        _fill(layer, weight, tensors[f"{name}/bias"])  # type: ignore[arg-type]
        _fill_norm(norm, tensors, 1 + BANKS + number)  # type: ignore[arg-type]


def _fill_head(
    network: MusicnnForAudioClassification, tensors: dict[str, np.ndarray], kept: np.ndarray, filters: int
) -> None:
    """What comes after the pooling; TensorFlow's pooled numbers alternate between a channel's maximum and mean.

    The tags are told by the layer behind the pooling alone: what was pooled has weights of zero in the head.
    """
    body = network.backbone
    number = 1 + BANKS + LAYERS
    channels = np.concatenate([kept, np.arange(filters, filters + LAYERS * network.config.channels)])
    order = np.concatenate([2 * channels, 2 * channels + 1])
    _fill_norm(body.pool_norm, tensors, number, order)
    weight = tensors["dense/kernel"].T
    silent = np.setdiff1d(np.arange(filters), kept)
    said = np.zeros(weight.shape[1])
    for place in (2 * silent, 2 * silent + 1):
        said[place] = _normalised(_constants(tensors)[silent], tensors, number, place)
    _fill(body.dense, weight[:, order], tensors["dense/bias"] + weight @ said)
    _fill_norm(body.dense_norm, tensors, number + 1)
    tags = tensors["dense_1/kernel"].T
    not_heard = np.zeros((len(tags), network.classifier.in_features - tags.shape[1]))
    _fill(network.classifier, np.concatenate([tags, not_heard], 1), tensors["dense_1/bias"])


def _live(kernel: np.ndarray) -> np.ndarray:
    """Filters of a kernel [frames, bands, 1, filters] that hear anything."""
    return np.flatnonzero(np.sqrt((kernel.astype(np.float64) ** 2).sum((0, 1, 2))) > DEAD)


def _constants(tensors: dict[str, np.ndarray]) -> np.ndarray:
    """What each filter says where it hears nothing [filters]: its bias, rectified and normalised."""
    return np.concatenate(
        [
            _normalised(np.maximum(tensors[f"{_numbered('conv2d', bank)}/bias"], 0), tensors, 1 + bank)
            for bank in range(BANKS)
        ]
    )


def _normalised(
    values: np.ndarray, tensors: dict[str, np.ndarray], number: int, at: np.ndarray | slice = slice(None)
) -> np.ndarray:
    """Values as a batch norm, or some of its channels, gives them on."""
    name = _numbered("batch_normalization", number)
    gamma, beta, mean, variance = (tensors[f"{name}/{part}"][at].astype(np.float64) for part in NORM)
    return (values - mean) / np.sqrt(variance + EPSILON) * gamma + beta


NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def _numbered(name: str, number: int) -> str:
    """TensorFlow's name of the layer of that number: the first goes without."""
    return f"{name}_{number}" if number else name


@torch.no_grad()
def _fill(layer: nn.Conv1d | nn.Conv2d | nn.Linear, weight: np.ndarray, bias: np.ndarray) -> None:
    assert layer.bias is not None
    layer.weight.copy_(_tensor(weight))
    layer.bias.copy_(_tensor(bias))


@torch.no_grad()
def _fill_norm(
    norm: nn.BatchNorm1d | nn.BatchNorm2d,
    tensors: dict[str, np.ndarray],
    number: int,
    at: np.ndarray | slice = slice(None),
) -> None:
    name = _numbered("batch_normalization", number)
    places = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    for part, place in zip(NORM, places, strict=True):
        assert place is not None
        place.copy_(_tensor(tensors[f"{name}/{part}"][at]))


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float32))
