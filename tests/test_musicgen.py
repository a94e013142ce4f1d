"""MusicGen as a listener: it hears plain transformers' hidden states, and its folder is one of ours."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from conftest import make_tone, write_pcm16
from transformers import (
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForAudioClassification,
    EncodecFeatureExtractor,
    MusicgenConfig,
    MusicgenForConditionalGeneration,
    pipeline,
)

from genre_lib.data.catalogue_table import read
from genre_lib.data.synthetic_tracks import SYNTH_GENRES
from genre_lib.errors import ConfigurationError, ModelInvalid
from genre_lib.evaluation import evaluate
from genre_lib.inference import Predictor
from genre_lib.models import embedding, folder, untrained
from genre_lib.models.folder import GenreModel, InferenceSettings
from genre_lib.models.head import last_layer, with_genres
from genre_lib.models.musicgen import GenreMusicgenConfig, GenreMusicgenForAudioClassification, from_musicgen
from genre_lib.models.probe import Head
from genre_lib.training import fit

RATE = 32_000
NONE = 2048
"""What stands for no code."""
GENRES = ["jazz", "metal", "pop"]


def sounds(*seconds: float) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        make_tone(length, 200.0 * (number + 1), RATE) + rng.normal(0, 0.1, round(length * RATE)).astype(np.float32)
        for number, length in enumerate(seconds)
    ]


def plain_hidden_states(whole: MusicgenForConditionalGeneration, waveform: np.ndarray) -> tuple[torch.Tensor, ...]:
    """What the layers of a whole MusicGen that is given no text say of a clip's codes, delayed as it delays them."""
    books = whole.decoder.num_codebooks
    codes = whole.audio_encoder.encode(torch.from_numpy(waveform)[None, None]).audio_codes[0]
    codes = codes.repeat_interleave(books // codes.shape[1], dim=1)[0]
    prompt = torch.cat([torch.full((books, 1), NONE), codes], dim=1)
    length = prompt.shape[1] + books // whole.decoder.config.audio_channels - 1
    _, steps = whole.decoder.build_delay_pattern_mask(prompt, NONE, max_length=length)
    nothing = whole.get_unconditional_inputs(1)
    with torch.no_grad():
        return whole(
            encoder_outputs=nothing.encoder_outputs,
            attention_mask=nothing.attention_mask,
            decoder_input_ids=steps,
            output_hidden_states=True,
        ).decoder_hidden_states


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a MusicGen that generates."""
    return untrained.make("musicgen", "tiny", tmp_path_factory.mktemp("source") / "musicgen")


@pytest.fixture(scope="module")
def saved(source: Path, tmp_path_factory: pytest.TempPathFactory) -> GenreModel:
    """A listener with a head for three genres, in a folder of its own."""
    network, extractor = from_musicgen(source, layers=(2, 3))
    with_genres(network, GENRES)
    with torch.no_grad():
        network.layer_weights.copy_(torch.tensor([0.5, -0.5]))
        network.norm.running_mean.copy_(torch.linspace(-1, 1, 32))
        network.norm.running_var.copy_(torch.linspace(0.1, 2, 32))
    model = GenreModel(network.eval(), extractor, InferenceSettings(1.0, 1.0))
    return folder.save(model, tmp_path_factory.mktemp("saved") / "listener")


def in_stereo(source: Path, place: Path) -> Path:
    """A MusicGen with twice as many codebooks, left and right in turn, as musicgen-stereo-small is one."""
    config = MusicgenConfig.from_pretrained(source)
    config.decoder.num_codebooks, config.decoder.audio_channels = 8, 2
    torch.manual_seed(0)
    network = MusicgenForConditionalGeneration(config)
    mono = MusicgenForConditionalGeneration.from_pretrained(source)
    network.audio_encoder.load_state_dict(mono.audio_encoder.state_dict())
    network.save_pretrained(place)
    return place


@pytest.mark.parametrize("stereo", [False, True])
def test_its_layers_say_what_those_of_plain_musicgen_say(source: Path, tmp_path: Path, stereo: bool):
    place = in_stereo(source, tmp_path / "stereo") if stereo else source
    whole = MusicgenForConditionalGeneration.from_pretrained(place)
    network, _ = from_musicgen(place, layers=(1, 2, 3))
    heard = [plain_hidden_states(whole, clip) for clip in sounds(1.0, 1.0)]
    inputs = torch.from_numpy(np.stack(sounds(1.0, 1.0)))[:, None]
    means = network.embed(inputs)
    assert means.shape == (2, 3, 16)
    for clip, states in enumerate(heard):
        expected = torch.stack([states[layer][0, 1:].mean(0) for layer in (1, 2, 3)])
        torch.testing.assert_close(means[clip], expected, atol=1e-5, rtol=1e-5)
    assert (means[0] - means[1]).abs().max() > 1e-3, "two sounds should not be heard as one"


def test_weights_are_known_by_the_names_that_they_had_when_musicgen_came_out(source: Path, tmp_path: Path):
    old = shutil.copytree(source, tmp_path / "old")
    tensors = safetensors.torch.load_file(old / "model.safetensors")
    names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    for name in list(tensors):
        for new, before in names.items():
            if new in name:
                tensors[name.replace(new, before)] = tensors.pop(name)
    tensors["decoder.model.decoder.embed_positions.weights"] = torch.zeros(2048, 16)
    safetensors.torch.save_file(tensors, old / "model.safetensors", metadata={"format": "pt"})
    inputs = torch.from_numpy(np.stack(sounds(1.0)))[:, None]
    assert torch.equal(from_musicgen(old)[0].embed(inputs), from_musicgen(source)[0].embed(inputs))


def test_the_middle_layer_is_heard_where_none_is_named(source: Path):
    assert from_musicgen(source)[0].config.layers == [2]
    with pytest.raises(ValueError, match="from 1 to 4, and are \\[2, 5\\]"):
        from_musicgen(source, layers=(5, 2))


def test_a_clip_is_heard_the_same_beside_a_longer_one(source: Path):
    network, extractor = from_musicgen(source)
    # Of whole frames, and followed by so much silence as the codec looks ahead, for at a clip's end it sees a mirror.
    short, long = sounds(0.5, 1.0)
    short[-6400:] = 0
    both = extractor([short, long], sampling_rate=RATE, return_tensors="pt")
    assert both["padding_mask"].sum(-1).tolist() == [RATE // 2, RATE]
    alone = extractor([short], sampling_rate=RATE, return_tensors="pt")
    codes, frames = network.backbone.codes(**both)
    own_codes, _ = network.backbone.codes(**alone)
    assert frames.tolist() == [25, 50] and bool((codes[0, :, 25:] == NONE).all())
    assert torch.equal(codes[0, :, :25], own_codes[0])
    torch.testing.assert_close(network.embed(**both)[0], network.embed(**alone)[0])


def test_codes_are_delayed_a_step_for_each_codebook(source: Path):
    backbone = from_musicgen(source)[0].backbone
    delayed = backbone.delayed(torch.arange(8).reshape(1, 4, 2))[0].tolist()
    assert delayed == [
        [NONE, 0, 1, NONE, NONE, NONE],
        [NONE, NONE, 2, 3, NONE, NONE],
        [NONE, NONE, NONE, 4, 5, NONE],
        [NONE, NONE, NONE, NONE, 6, 7],
    ]


def head_of(network: GenreMusicgenForAudioClassification, means: np.ndarray) -> np.ndarray:
    """What the head of the fixture makes of layers' means [2, 16]."""
    normal = (means.reshape(-1) - np.linspace(-1, 1, 32)) / np.sqrt(np.linspace(0.1, 2, 32) + 1e-5)
    shares = np.exp([0.5, -0.5]) / np.exp([0.5, -0.5]).sum()
    head = Head.of(network)
    return shares @ normal.reshape(2, 16) @ head.weight.numpy().T + head.bias.numpy()


def test_the_head_adds_normalised_layers_in_learned_shares(saved: GenreModel):
    network = saved.network
    inputs = torch.from_numpy(np.stack(sounds(1.0)))[:, None]
    expected = head_of(network, network.embed(inputs).double().numpy()[0])
    with torch.no_grad():
        output = network(inputs, labels=torch.tensor([1]))
    np.testing.assert_allclose(output.logits[0].numpy(), expected, atol=1e-5)
    chance = np.exp(expected) / np.exp(expected).sum()
    assert output.loss.item() == pytest.approx(-np.log(chance[1]), abs=1e-5)


def test_the_head_is_given_what_the_listener_hears(saved: GenreModel):
    inputs = saved.extractor(sounds(1.0, 1.0), sampling_rate=RATE, return_tensors="pt")
    heard = embedding.embed(saved.network, inputs)
    assert heard.shape == (2, 2, 16) and not heard.requires_grad
    with torch.no_grad():
        logits = saved.network(**inputs).logits
        assert torch.equal(embedding.classify(saved.network, heard), logits)
        torch.testing.assert_close(saved.network.classifier(embedding.last_inputs(saved.network, heard)), logits)


def test_only_the_head_learns(saved: GenreModel):
    network = GenreMusicgenForAudioClassification.from_pretrained(saved.folder).train()
    inputs = torch.from_numpy(np.stack(sounds(0.5, 0.5)))[:, None]
    network(inputs, labels=torch.tensor([0, 1])).loss.backward()
    learned = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert learned == {"classifier.weight", "classifier.bias", "layer_weights"}
    assert last_layer(network)[0] == "classifier"
    means = GenreMusicgenForAudioClassification.from_pretrained(saved.folder).embed(inputs).flatten(1)
    expected = 0.9 * torch.linspace(-1, 1, 32) + 0.1 * means.mean(0)
    torch.testing.assert_close(network.norm.running_mean, expected, atol=1e-5, rtol=1e-4)


def test_the_folder_holds_what_is_heard_by_and_no_more(source: Path, saved: GenreModel):
    names = set(saved.network.state_dict())
    assert not [
        name for name in names if "encoder_attn" in name or ("layers.3." in name and "backbone.decoder" in name)
    ]
    assert not [name for name in names if name.startswith("backbone.audio_encoder.decoder") or "text" in name]
    again = folder.load(saved.folder)
    assert again.genres == GENRES and again.network.config.layers == [2, 3]
    for name, tensor in saved.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor), name
    assert (saved.folder / "model.safetensors").stat().st_size < (source / "model.safetensors").stat().st_size


def test_auto_classes_and_the_pipeline_read_the_folder(saved: GenreModel):
    assert isinstance(AutoFeatureExtractor.from_pretrained(saved.folder), EncodecFeatureExtractor)
    network = AutoModelForAudioClassification.from_pretrained(saved.folder)
    assert isinstance(network, GenreMusicgenForAudioClassification)
    clip = sounds(1.0)[0]
    inputs = torch.from_numpy(clip)[None, None]
    with torch.no_grad():
        expected = saved.network(inputs).logits[0].softmax(0)
    rows = pipeline("audio-classification", model=str(saved.folder))(clip, top_k=None)
    assert {row["label"]: row["score"] for row in rows} == pytest.approx(
        dict(zip(GENRES, expected.tolist(), strict=True)), abs=1e-6
    )
    backbone = AutoModel.from_pretrained(saved.folder)
    torch.testing.assert_close(backbone(inputs).pooler_output, saved.network.embed(inputs))


def test_a_file_is_predicted_from_plain_hidden_states(source: Path, saved: GenreModel, tmp_path: Path):
    song = write_pcm16(tmp_path / "song.wav", sounds(2.0)[0], RATE)
    track = Predictor.from_folder(saved.folder).file(song)
    whole = MusicgenForConditionalGeneration.from_pretrained(source)
    heard = np.clip(sounds(2.0)[0], -1, 1)
    heard = ((heard * 32767).astype("<i2") / 32768).astype(np.float32)
    logits = []
    for clip in (heard[:RATE], heard[RATE:]):
        states = plain_hidden_states(whole, clip)
        means = torch.stack([states[layer][0, 1:].mean(0) for layer in (2, 3)])
        logits.append(head_of(saved.network, means.numpy()))
    np.testing.assert_allclose(track.logits, np.mean(logits, 0), atol=1e-4)


def test_a_folder_of_another_kind_is_no_musicgen(saved: GenreModel):
    with pytest.raises(ValueError, match="should hold a MusicGen, and holds a genre_musicgen"):
        from_musicgen(saved.folder)


def test_the_configuration_is_read_as_it_was_written(saved: GenreModel):
    config = GenreMusicgenConfig.from_pretrained(saved.folder)
    assert config.decoder.num_hidden_layers == 3 and config.audio_encoder.sampling_rate == RATE
    assert config.hidden_size == 16


def test_a_musicgen_is_a_base_model(source: Path):
    base = folder.load_base(source)
    assert (
        base.sample_rate == RATE
        and base.genres == ["LABEL_0", "LABEL_1"]
        and base.inference == InferenceSettings(10.0, 10.0)
    )
    assert not base.network.training
    inputs = torch.from_numpy(np.stack(sounds(1.0)))[:, None]
    assert torch.equal(base.network.embed(inputs), from_musicgen(source)[0].embed(inputs))


def test_a_musicgen_that_lacks_weights_is_none(source: Path, tmp_path: Path):
    damaged = shutil.copytree(source, tmp_path / "damaged")
    tensors = safetensors.torch.load_file(damaged / "model.safetensors")
    del tensors["decoder.model.decoder.layers.1.fc1.weight"]
    safetensors.torch.save_file(tensors, damaged / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelInvalid, match=r"the weights lack backbone\.decoder\.layers\.1\.fc1"):
        folder.load_base(damaged)


# --- learning ---------------------------------------------------------------------------------------------------------

LEARN = {"clip_seconds": 1.0, "num_epochs": 2, "batch_size": 8, "accelerator": "cpu", "devices": 1}


def test_its_head_is_learned_on_what_it_heard_once(source: Path, synthetic_catalogue: Path, tmp_path: Path):
    asked = LEARN | {"base_model": str(source), "data_path": str(synthetic_catalogue), "learning_rate": 1e-2}
    trained = fit(asked | {"method": "head", "output_path": str(tmp_path / "mine")})
    learned, base = folder.load(tmp_path / "mine"), folder.load_base(source)
    assert learned.genres == list(SYNTH_GENRES) and learned.network.config.base_model == "musicgen"
    before = base.network.backbone.state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in learned.network.backbone.state_dict().items())
    assert not torch.equal(learned.network.norm.running_mean, base.network.norm.running_mean)
    assert len(trained.history) == 2
    catalogue = read(synthetic_catalogue / "catalogue.csv")
    scored = evaluate(tmp_path / "mine", catalogue, "valid", compare_to=source, device="cpu")
    assert scored.metrics["comparison"] is None, "there is nothing to compare with in an encoder without genres"


@pytest.mark.parametrize("method", ["lora", "full"])
def test_its_layers_do_not_learn(source: Path, synthetic_catalogue: Path, method: str):
    asked = LEARN | {"base_model": str(source), "data_path": str(synthetic_catalogue), "method": method}
    with pytest.raises(ConfigurationError, match=r"musicgen listens by MusicGen's layers, which rest"):
        fit(asked)
