"""Models of the pretrained families with random weights, in the hub's own form.

What is published under these names is learned, and a fetch away; the same architectures with random weights load,
train, predict and take their time alike. So they stand for them in tests ("tiny") and in measurements ("base").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    EncodecConfig,
    EncodecFeatureExtractor,
    HubertConfig,
    HubertForSequenceClassification,
    HubertModel,
    MusicgenConfig,
    MusicgenDecoderConfig,
    MusicgenForConditionalGeneration,
    MusicgenProcessor,
    PreTrainedConfig,
    PreTrainedModel,
    T5Config,
    T5Tokenizer,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForPreTraining,
    Wav2Vec2ForSequenceClassification,
)

from genre_lib.audioset import BESIDE, CLASSES, read_table
from genre_lib.errors import ConfigurationError
from genre_lib.models.quiet import QuietTransformers

TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
TINY_AST = TINY | {"num_mel_bins": 64, "frequency_stride": 16, "time_stride": 16}
TINY_SPEECH = TINY | {
    "conv_dim": (8, 8), "conv_kernel": (20, 16), "conv_stride": (20, 16), "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 8,
}  # fmt: skip
"""A frame every 320 samples, as the full size has, by two convolutions in place of seven."""

DISTILLED = {
    "num_hidden_layers": 2, "apply_spec_augment": False, "feat_proj_layer_norm": False, "layerdrop": 0.0,
    "final_dropout": 0.0,
}  # fmt: skip


@dataclass(frozen=True)
class Family:
    """A published model.

    Args:
        config: its configuration; the defaults are the published ones, but for ``fields``.
        classifier: the class with a head for genres.
        original: the class that is published.
        extractor: makes its feature extractor of a configuration.
        tiny: fields of the small one.
    """

    config: type[PreTrainedConfig]
    classifier: type[PreTrainedModel]
    original: type[PreTrainedModel]
    extractor: Callable[[Any], Any]
    tiny: dict[str, Any]
    fields: dict[str, Any] = field(default_factory=dict)


def _ast_extractor(config: ASTConfig) -> ASTFeatureExtractor:
    return ASTFeatureExtractor(num_mel_bins=config.num_mel_bins, max_length=config.max_length)


def _waves(config: Any, do_normalize: bool = True) -> Wav2Vec2FeatureExtractor:
    # Those with a norm over the group of a clip's frames were never trained with a mask.
    return Wav2Vec2FeatureExtractor(
        do_normalize=do_normalize, return_attention_mask=config.feat_extract_norm == "layer"
    )


FAMILIES = {
    "ast": Family(  # MIT/ast-finetuned-audioset-10-10-0.4593
        ASTConfig, ASTForAudioClassification, ASTForAudioClassification, _ast_extractor, TINY_AST
    ),
    "hubert": Family(  # facebook/hubert-base-ls960
        HubertConfig, HubertForSequenceClassification, HubertModel, _waves, TINY_SPEECH, {"feat_proj_dropout": 0.1}
    ),
    "distilhubert": Family(  # ntu-spml/distilhubert
        *(HubertConfig, HubertForSequenceClassification, HubertModel),
        *(lambda config: _waves(config, do_normalize=False), TINY_SPEECH, DISTILLED),
    ),
    "wav2vec2": Family(  # facebook/wav2vec2-base
        *(Wav2Vec2Config, Wav2Vec2ForSequenceClassification, Wav2Vec2ForPreTraining, _waves, TINY_SPEECH),
        {"feat_proj_dropout": 0.1, "final_dropout": 0.0, "layerdrop": 0.0},
    ),
}
MUSICGEN = "musicgen"  # facebook/musicgen-small
SIZES = ("tiny", "base")


def make(family: str, size: str, folder: Path | str, genres: Sequence[str] = (), seed: int = 0, **fields: Any) -> Path:
    """Write a model of a family with random weights.

    Args:
        family: ``"ast"``, ``"hubert"``, ``"distilhubert"``, ``"wav2vec2"`` or ``"musicgen"``.
        size: ``"tiny"``, or ``"base"`` for the size of what is published.
        folder: to make.
        genres: classes of its head; none: as published, which is AudioSet's 527 classes for AST, and no head for the
            others.
        seed: of the weights.
        fields: of the configuration, in place of the family's.

    Returns:
        The folder.

    Raises:
        ConfigurationError: no such family or size, or genres for MusicGen.
    """
    if family not in (*FAMILIES, MUSICGEN) or size not in SIZES:
        raise ConfigurationError(
            f"Expected a family of {', '.join((*FAMILIES, MUSICGEN))} and a size of {', '.join(SIZES)}; "
            f"got {family!r} and {size!r}."
        )
    with torch.random.fork_rng(devices=[]), QuietTransformers():
        torch.manual_seed(seed)
        if family == MUSICGEN:
            return _make_musicgen(size, Path(folder), genres)
        return _make(FAMILIES[family], size, Path(folder), genres, fields)


def _make(family: Family, size: str, folder: Path, genres: Sequence[str], fields: dict[str, Any]) -> Path:
    labels = list(genres)
    if not labels and family.config is ASTConfig:
        labels = audioset_labels()
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: row for row, label in enumerate(labels)}}
    shape = (family.tiny if size == "tiny" else {}) | {
        name: value for name, value in family.fields.items() if size == "base" or name != "num_hidden_layers"
    }
    config = family.config(**shape | (names if labels else {}) | fields)
    if genres and hasattr(config, "use_weighted_layer_sum"):
        config.use_weighted_layer_sum = True
    network = (family.classifier if genres else family.original)(config)
    network.save_pretrained(folder)
    family.extractor(config).save_pretrained(folder)
    return folder


def audioset_labels() -> list[str]:
    """As many labels as AudioSet has classes, and among them those of music's genres by their names."""
    named = [*BESIDE, *read_table()]
    return [*named, *(f"Sound {number}" for number in range(len(named), CLASSES))]


def _make_musicgen(size: str, folder: Path, genres: Sequence[str]) -> Path:
    if genres:
        raise ConfigurationError("MusicGen is published without genres; make it so, and fine-tune it.")
    network = MusicgenForConditionalGeneration(_musicgen_config(size))
    _fill_codebooks(network.audio_encoder)
    silence = 2048  # what stands for "nothing yet" and "no more" among the codes
    for name in ("decoder_start_token_id", "pad_token_id", "bos_token_id"):
        setattr(network.generation_config, name, silence)
    network.generation_config.update(do_sample=True, guidance_scale=3.0, max_length=1500)
    network.save_pretrained(folder)
    waves = EncodecFeatureExtractor(sampling_rate=network.config.sampling_rate, padding_side="left")
    MusicgenProcessor(waves, _tokenizer()).save_pretrained(folder)
    waves.save_pretrained(folder)
    return folder


@torch.no_grad()
def _fill_codebooks(codec: Any) -> None:
    """Random codes around what the encoder says of noise; by themselves they are all zeros, and every sound is one."""
    heard = codec.encoder(torch.randn(1, 1, codec.config.sampling_rate) / 3)
    spread, middle = heard.std(-1, keepdim=True).mean(), heard.mean((0, 2))
    for number, layer in enumerate(codec.quantizer.layers):
        codes = layer.codebook.embed
        codes.copy_(spread * torch.randn_like(codes) + (middle if number == 0 else 0))


def _musicgen_config(size: str) -> MusicgenConfig:
    """T5-base, EnCodec at 32 kHz (four codes every 640 samples) and the decoder of the small model, or tiny ones."""
    text: dict[str, Any] = {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12}
    sound: dict[str, Any] = {"num_filters": 64, "hidden_size": 128, "codebook_dim": 128}
    decoder: dict[str, Any] = {}
    if size == "tiny":
        text = {"d_model": 16, "d_ff": 32, "num_layers": 1, "num_heads": 2, "d_kv": 8, "vocab_size": 512}
        sound = {"num_filters": 2, "hidden_size": 16, "codebook_dim": 16, "num_lstm_layers": 1}
        decoder = {"hidden_size": 16, "ffn_dim": 32, "num_hidden_layers": 4, "num_attention_heads": 2}
    codec = EncodecConfig(
        sampling_rate=32000, target_bandwidths=[2.2], upsampling_ratios=[8, 5, 4, 4], codebook_size=2048,
        use_causal_conv=False, use_conv_shortcut=False, **sound,
    )  # fmt: skip
    return MusicgenConfig(text_encoder=T5Config(**text), audio_encoder=codec, decoder=MusicgenDecoderConfig(**decoder))


def _tokenizer() -> T5Tokenizer:
    """One that reads letter by letter: the published one's pieces are learned, and a file of their own."""
    letters = [chr(code) for code in range(33, 127)]
    pieces = ["<pad>", "</s>", "<unk>", "▁", *letters]
    return T5Tokenizer(vocab=[(piece, -float(row > 2)) for row, piece in enumerate(pieces)], extra_ids=0)
