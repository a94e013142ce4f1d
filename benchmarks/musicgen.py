"""MusicGen at the published size with random weights: what listening and making cost, and that listening is right.

python benchmarks/musicgen.py ../shared/data/emotify --folder /tmp/musicgen-base
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import torch
from transformers import MusicgenForConditionalGeneration

from genre_lib import audio
from genre_lib.inference import Predictor
from genre_lib.models import folder, untrained
from genre_lib.models.generator import Generator
from genre_lib.models.head import with_genres


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("music", help="a folder of music; its first file is heard")
    parser.add_argument("--folder", type=Path, required=True, help="where the model goes; 2.4 GB")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of the clip that is made")
    parser.add_argument("--part", choices=["listen", "make"], help="one of the two alone, for its memory")
    arguments = parser.parse_args()
    source = arguments.folder
    if not (source / "config.json").is_file():
        untrained.make("musicgen", "base", source)
    if arguments.part != "make":
        listen(source, str(audio.find(arguments.music)[0]))
    if arguments.part != "listen":
        make(source, arguments.seconds)
    print(f"memory at its peak: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def listen(source: Path, song: str) -> None:
    base = folder.load_base(source)
    with_genres(base.network, ["jazz", "rock"])
    base.network.norm.running_var.fill_(1e-3)  # so that random hidden states make logits that differ
    model = folder.save(base, source.with_name(f"{source.name}-listener"))
    size = sum(file.stat().st_size for file in Path(model.folder or "").glob("*.safetensors"))
    whole = sum(file.stat().st_size for file in source.glob("*.safetensors"))
    print(f"folder of the listener {size / 1e6:.0f} MB, of the MusicGen that it is from {whole / 1e6:.0f} MB")
    waveform = audio.load(song, 32_000).waveform[: 20 * 32_000]
    predictor = Predictor.from_folder(model.folder or "")
    began = time.perf_counter()
    logits = predictor.clip_logits([waveform])[0]
    print(f"listening to {len(logits)} clips of 10 s: {time.perf_counter() - began:.1f} s")
    largest = max(
        np.abs(logits[clip] - by_transformers(source, model, waveform[clip * 320_000 :][:320_000])).max()
        for clip in range(2)
    )
    print(f"largest difference of logits from plain transformers': {largest:.1e}, of logits like {logits[0]}")


@torch.inference_mode()
def by_transformers(source: Path, model: folder.GenreModel, clip: np.ndarray) -> np.ndarray:
    """Logits by the hidden states of a whole MusicGen, delayed by its own method and told no text."""
    whole = MusicgenForConditionalGeneration.from_pretrained(source, dtype=torch.float32).eval()
    pad, books = whole.config.decoder.pad_token_id, whole.decoder.num_codebooks
    codes = whole.audio_encoder.encode(torch.from_numpy(clip)[None, None]).audio_codes[0, 0]
    prompt = torch.cat([torch.full((books, 1), pad), codes], dim=1)
    _, steps = whole.decoder.build_delay_pattern_mask(prompt, pad, max_length=prompt.shape[1] + books - 1)
    nothing = whole.get_unconditional_inputs(1)
    states = whole(
        encoder_outputs=nothing.encoder_outputs,
        attention_mask=nothing.attention_mask,
        decoder_input_ids=steps,
        output_hidden_states=True,
    ).decoder_hidden_states
    network = model.network
    mean = states[network.config.layers[0]][0, 1:].mean(0)
    normal = (mean - network.norm.running_mean) / (network.norm.running_var + network.norm.eps).sqrt()
    return network.classifier(normal).numpy()


def make(source: Path, seconds: float) -> None:
    generator = Generator.from_folder(source, "cpu")
    for prompts in (["slow jazz"], ["slow jazz"] * 4):
        began = time.perf_counter()
        clips = generator.make(prompts, range(len(prompts)), seconds)
        took = time.perf_counter() - began
        print(f"making {len(clips)} of {seconds:g} s ({len(clips[0])} samples) together: {took:.1f} s", flush=True)


if __name__ == "__main__":
    main()
