"""MusicGen as a maker of music: prompts and seeds in, waveforms out.

MusicGen samples one code after another (Copet et al. 2023, arXiv:2306.05284). Here each clip draws from a generator of
its own, by the Gumbel-max trick: the largest of logits with Gumbel noise added is a draw from their softmax. So a clip
is the same, to rounding, whichever others are made beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, LogitsProcessor, LogitsProcessorList, MusicgenForConditionalGeneration

from genre_lib.models.quiet import QuietTransformers
from genre_lib.networks.files import as_model_invalid, require_generator
from genre_lib.networks.folder import resolve_device, weights_digest
from genre_lib.sampling import AUTHORS, Sampling, require_length

MIN_FRAMES = 3
"""Frames below which transformers does not delay the codebooks."""

Progress = Callable[[int, int], None]


class Generator:
    """A MusicGen with its tokenizer, ready to make music. One thread at a time may use it."""

    def __init__(self, network: MusicgenForConditionalGeneration, tokenizer: Any, name: str, version: str) -> None:
        self.network: Any = network.eval()
        self.tokenizer, self.name, self.version = tokenizer, name, version

    @classmethod
    def from_folder(cls, folder: Path | str, device: str = "auto") -> Generator:
        """Read a MusicGen's folder.

        Raises:
            ModelNotFound: there is no such folder.
            ModelInvalid: it is another kind of model, has no tokenizer, or cannot be read.
        """
        folder = Path(folder)
        require_generator(folder)
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        with as_model_invalid(folder), QuietTransformers():
            loaded: Any = MusicgenForConditionalGeneration.from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **options
            )
            network, report = loaded
            if report["missing_keys"]:
                raise ValueError(f"the weights lack {', '.join(sorted(report['missing_keys'])[:3])}")
            tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        network.to(resolve_device(device))
        return cls(network, tokenizer, folder.resolve().name, weights_digest(folder))

    @property
    def sample_rate(self) -> int:
        """Samples a second of what it makes."""
        return int(self.network.config.audio_encoder.sampling_rate)

    def steps(self, seconds: float) -> int:
        """Steps that a batch of clips takes: one for each of the codec's frames, and as many as codebooks lag behind.

        Raises:
            ConfigurationError: the length is out of range.
        """
        require_length(seconds)
        frames = max(math.ceil(round(seconds * self.network.config.audio_encoder.frame_rate, 6)), MIN_FRAMES)
        return frames + self._books // self.network.config.decoder.audio_channels - 1

    def make(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        seconds: float,
        sampling: Sampling = AUTHORS,
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        """A clip for each prompt: float32 [samples], mono, of exactly so many seconds at :attr:`sample_rate`.

        Args:
            seeds: one for each prompt; prompt, seed, length and sampling make the clip.
            progress: called with the steps that are done and their number.

        Raises:
            ConfigurationError: the length is out of range.
        """
        steps = self.steps(seconds)
        tell = None if progress is None else lambda done: progress(done, steps)
        text = self.tokenizer(list(prompts), padding=True, return_tensors="pt").to(self.network.device)
        with QuietTransformers(), torch.inference_mode():
            waves = self.network.generate(
                input_ids=text["input_ids"],
                attention_mask=text["attention_mask"],
                do_sample=False,  # the largest is taken, of logits that noise was added to
                guidance_scale=float(sampling.guidance_scale),
                max_new_tokens=steps,
                logits_processor=_GuidedFirst([_Draw(seeds, self._books, sampling, tell)]),
            )
        samples = round(seconds * self.sample_rate)
        return list(waves.float().mean(1)[:, :samples].cpu().numpy())

    @property
    def _books(self) -> int:
        return int(self.network.config.decoder.num_codebooks)


class _Draw(LogitsProcessor):
    """Logits [clips × codebooks, codes] → those among which the largest is a draw, by each clip's own seed.

    Args:
        tell: called with the steps that were drawn.
    """

    def __init__(
        self, seeds: Sequence[int], books: int, sampling: Sampling, tell: Callable[[int], None] | None = None
    ) -> None:
        # On the CPU, for other devices draw other numbers by the same seed.
        self.random = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.books, self.sampling, self.tell, self.drawn = books, sampling, tell, 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.drawn += 1
        if self.tell:
            self.tell(self.drawn)
        scores = scores / self.sampling.temperature
        if self.sampling.top_k < scores.shape[-1]:
            least = scores.topk(self.sampling.top_k).values[:, -1:]
            scores = scores.masked_fill(scores < least, -torch.inf)
        shape = (self.books, scores.shape[-1])
        waits = [torch.empty(shape).exponential_(generator=random) for random in self.random]
        return scores - torch.cat(waits).log().to(scores.device)


class _GuidedFirst(LogitsProcessorList):
    """MusicGen appends its guidance, which changes the logits and so comes before the draw."""

    def append(self, processor: Any) -> None:
        self.insert(0, processor)
