"""A MusicGen of a few thousand random weights, in the folder that the hub would give."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    EncodecConfig,
    EncodecFeatureExtractor,
    GenerationConfig,
    MusicgenConfig,
    MusicgenDecoderConfig,
    MusicgenForConditionalGeneration,
    T5Config,
    T5TokenizerFast,
)

CODES = 32
RATE = 32_000


def config(channels: int = 1, depth: int = 4) -> MusicgenConfig:
    """As musicgen-small's, with fewer layers, channels and codes: 50 frames a second of four codebooks (or eight)."""
    text = T5Config(vocab_size=64, d_model=16, d_kv=4, d_ff=32, num_layers=1, num_heads=4)
    codec = EncodecConfig(
        sampling_rate=RATE,
        target_bandwidths=[1.0],
        upsampling_ratios=[8, 5, 4, 4],
        num_filters=2,
        hidden_size=8,
        codebook_size=CODES,
        codebook_dim=8,
        num_lstm_layers=1,
        use_causal_conv=False,
        use_conv_shortcut=False,
    )
    decoder = MusicgenDecoderConfig(
        vocab_size=CODES,
        hidden_size=24,
        ffn_dim=48,
        num_hidden_layers=depth,
        num_attention_heads=4,
        num_codebooks=4 * channels,
        audio_channels=channels,
        pad_token_id=CODES,
        bos_token_id=CODES,
    )
    return MusicgenConfig(text_encoder=text.to_dict(), audio_encoder=codec.to_dict(), decoder=decoder.to_dict())


def network(channels: int = 1, depth: int = 4) -> MusicgenForConditionalGeneration:
    torch.manual_seed(0)
    made = MusicgenForConditionalGeneration(config(channels, depth)).eval()
    with torch.no_grad():
        codec = made.audio_encoder
        middle = codec.encoder(0.3 * torch.randn(1, 1, RATE)).mean((0, 2))
        for number, book in enumerate(codec.quantizer.layers):  # untrained ones are all zeros, and know one code
            book.codebook.embed.copy_(0.03 * torch.randn_like(book.codebook.embed) + (middle if number == 0 else 0))
        for parameter in made.decoder.parameters():  # larger than at the start of training, so that layers differ
            parameter.add_(0.1 * torch.randn_like(parameter))
    made.generation_config = GenerationConfig(
        do_sample=True,
        guidance_scale=3.0,
        max_length=1500,
        pad_token_id=CODES,
        bos_token_id=CODES,
        decoder_start_token_id=CODES,
    )
    return made


def tokenizer() -> T5TokenizerFast:
    """Letters and words' beginnings, as SentencePiece marks them."""
    letters = "▁abcdefghijklmnopqrstuvwxyz"
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), *((letter, -3.0) for letter in letters)]
    made = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return T5TokenizerFast(tokenizer_object=made, extra_ids=0)


def save(folder: Path, channels: int = 1, depth: int = 4) -> MusicgenForConditionalGeneration:
    """Write the folder, with the files of its feature extractor and its tokenizer, and give the network in it."""
    made = network(channels, depth)
    made.save_pretrained(folder)
    EncodecFeatureExtractor(sampling_rate=RATE, padding_side="left").save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return made
