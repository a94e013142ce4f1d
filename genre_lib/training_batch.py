"""Which batch size fits the memory, found by taking real training steps with batches that grow.

On a GPU the steps go on until they fail for memory, and the largest batch that does not is searched for between the
last two. A processor has no such wall but one that ends the process; there the peak of the process is measured for
each batch, and how much one clip adds to it says how many fit what the machine, or the container, has left.
"""

from __future__ import annotations

import copy
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from lightning.pytorch import seed_everything

from genre_lib import memory
from genre_lib.errors import ConfigurationError
from genre_lib.memory import keep_freed
from genre_lib.models.classifier import GenreClassifier
from genre_lib.models.embedding import embed
from genre_lib.models.folder import GenreModel
from genre_lib.models.head import needs_two
from genre_lib.networks.folder import in_fast_layout
from genre_lib.training_config import TrainingConfig
from genre_lib.training_costs import peak_bytes
from genre_lib.training_hardware import check_hardware, device_of, precision_of
from genre_lib.training_network import build, recipe_of

GENRES = ["a", "b", "c", "d"]
"""Stand for those of the music, whose number hardly matters."""

MARGIN = {"cuda": 0.9, "cpu": 0.8}
"""Share of the memory that is used: a GPU's is scattered after a while, and a processor's is not ours alone."""

SLOWEST_SHARE = 0.95
"""A batch is large enough that reaches this share of the best speed."""

LONGEST_SECONDS = 60.0
"""No batch is tried that would probably take longer than this, on a processor."""


@dataclass(frozen=True)
class Tried:
    """What steps with so many clips took: the most bytes held, and clips a second."""

    batch_size: int
    peak_bytes: int
    clips_per_second: float


@dataclass(frozen=True)
class Fit:
    """What was found.

    Args:
        tried: by batch size.
        largest: the most clips that fit, or that were asked for.
        bound: what ``largest`` is bound by: ``memory``, or ``most``, which was asked for.
        memory_bytes: what there is for the training.
        clips_per_step: those of the configuration, ``batch_size`` times ``accumulate``.
    """

    tried: list[Tried]
    largest: int
    bound: str
    memory_bytes: int
    clips_per_step: int
    device: str = "cpu"

    @property
    def batch_size(self) -> int:
        """To use: the smallest that is about as fast as any, of those that fit and are no more than a step's clips."""
        fitting = [row for row in self.tried if row.batch_size <= min(self.largest, self.clips_per_step)]
        best = max(row.clips_per_second for row in fitting)
        return next(row.batch_size for row in fitting if row.clips_per_second >= SLOWEST_SHARE * best)

    @property
    def accumulate(self) -> int:
        """Batches of that size for a step of the configuration."""
        return -(-self.clips_per_step // self.batch_size)


@dataclass
class Search:
    """Batches that grow until they no longer fit; ``run`` tries one, and gives None where it does not."""

    run: Callable[[int], Tried | None]
    most: int
    least: int = 1
    tried: dict[int, Tried] = field(default_factory=dict)

    def works(self, batch_size: int) -> bool:
        found = self.run(batch_size)
        if found is not None:
            self.tried[batch_size] = found
        return found is not None

    def until_it_fails(self) -> tuple[int, str]:
        """The most clips that work, to an eighth, by doubling and then halving the rest; and what ended it."""
        works, fails, size = 0, self.most + 1, self.least
        while size < fails:
            if self.works(size):
                works, size = size, min(2 * size, self.most) if size < self.most else fails
            else:
                fails = size
        while fails - works > max(works // 8, 1) and works:
            middle = (works + fails) // 2
            works, fails = (middle, fails) if self.works(middle) else (works, middle)
        return works, "most" if works == self.most else "memory"

    def while_it_lasts(self, available: int, seconds: float = LONGEST_SECONDS) -> tuple[int, str]:
        """The most clips that fit into so many bytes, by what each one adds; and what ended it."""
        size = self.least
        while size <= self.most:
            began = time.perf_counter()
            if size > 2 * self.least and expected(list(self.tried.values()), size) > available:
                break
            self.works(size)
            if size > self.least and 2 * (time.perf_counter() - began) > seconds:
                break
            size = min(2 * size, self.most) if size < self.most else self.most + 1
        largest = min(fitting(list(self.tried.values()), available), self.most)
        return largest, "most" if largest == self.most else "memory"


def fitting(tried: Sequence[Tried], available: int) -> int:
    """Clips whose steps stay within so many bytes, where each adds as many: a line through the peaks; 0 for none."""
    if len(tried) < 2:
        return int(tried[0].peak_bytes <= available)
    slope, start = _line(tried)
    if slope <= 0:  # so small that the process's other memory hides it
        return max(row.batch_size for row in tried)
    return max(int((available - start) / slope + 1e-6), 0)  # a line through whole numbers is a little off them


def expected(tried: Sequence[Tried], batch_size: int) -> float:
    """Bytes that a step of so many clips will have at its peak, by a line through those of two batches or more."""
    slope, start = _line(tried)
    return float(start + slope * batch_size)


def _line(tried: Sequence[Tried]) -> tuple[float, float]:
    """Bytes that each clip adds to the peak, and those of no clip."""
    slope, start = np.polyfit([row.batch_size for row in tried], [row.peak_bytes for row in tried], 1)
    return float(slope), float(start)


def fit_batch(config: TrainingConfig, most: int = 256, told: Callable[[Tried], None] = lambda _: None) -> Fit:
    """Take training steps as the configuration has them, on the device that it names, with batches that grow.

    Args:
        most: clips that are enough in any case.
        told: called with each batch that was tried.

    Raises:
        ConfigurationError, ModelError: the training cannot be done at all.
    """
    if config.solver == "lbfgs":
        raise ConfigurationError(
            "The head is solved for at once and without batches; have steps taken, as --method full does, or an "
            "experiment such as experiments/finetune_all.yaml by --file."
        )
    keep_freed()
    seed_everything(config.seed, verbose=False)
    model = build(config, GENRES, None).model
    check_hardware(config, model)
    device = device_of(config)
    available = int(MARGIN[device] * memory_for(device))
    steps = Steps(config, model, device)

    def run(batch_size: int) -> Tried | None:
        found = steps.measured(batch_size)
        if found is not None:
            told(found)
        return found

    least = 2 if needs_two(steps.module.network) else 1
    if most < least:
        raise ConfigurationError("A batch norm needs two clips in a batch at least; name more by --most.")
    search = Search(run, most, least)
    largest, bound = search.until_it_fails() if device == "cuda" else search.while_it_lasts(available)
    if device == "cuda" and bound == "memory":
        largest = max(int(MARGIN[device] * largest), min(largest, 1))
    tried = [search.tried[size] for size in sorted(search.tried)]
    return Fit(tried, largest, bound, available, config.batch_size * config.accumulate, device)


class Steps:
    """Training steps on noise: forward, backward and AdamW, with all that the configuration adds to their memory."""

    def __init__(self, config: TrainingConfig, model: GenreModel, device: str) -> None:
        self.device, self.bf16 = device, precision_of(config) == "bf16-mixed"
        if config.gradient_checkpointing:
            model.network.gradient_checkpointing_enable({"use_reentrant": False})
        self.clip = one_clip(model) if config.method != "head" else heard(model)
        network = in_fast_layout(model.network)
        recipe, embedded = recipe_of(config, model), config.method == "head"
        self.module = GenreClassifier(network, recipe, embedded=embedded, compiled=config.compile).to(device).train()
        self.module.to_learn()
        self.average = copy.deepcopy(model.network) if config.ema_decay else None
        self.optimizer = torch.optim.AdamW(self.module.groups(), lr=1e-9, fused=True)  # the network shall stay as it is

    def measured(self, batch_size: int) -> Tried | None:
        """Two steps, of which the second is timed; None where the GPU's memory does not do."""
        self._forget()
        try:
            self._step(batch_size)
            began = time.perf_counter()
            self._step(batch_size)
            seconds = time.perf_counter() - began
        except torch.OutOfMemoryError:
            self._forget()
            return None
        return Tried(batch_size, peak_bytes(self.device == "cuda"), batch_size / seconds)

    def _step(self, batch_size: int) -> None:
        inputs = self.clip.expand(batch_size, *self.clip.shape[1:]).to(self.device).contiguous()
        targets = torch.eye(len(GENRES), device=self.device)[torch.arange(batch_size) % len(GENRES)]
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            loss = self.module.loss(self.module(inputs), targets)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.device == "cuda":
            torch.cuda.synchronize()

    def _forget(self) -> None:
        gc.collect()
        memory.reset_peak()
        if self.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def one_clip(model: GenreModel) -> torch.Tensor:
    """What the network takes of a clip of noise: [1, ...]."""
    samples = round(model.inference.clip_seconds * model.sample_rate)
    noise = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)
    inputs = model.extractor([noise], sampling_rate=model.sample_rate, return_tensors="pt")  # type: ignore[operator]
    return inputs[model.network.main_input_name]


@torch.no_grad()
def heard(model: GenreModel) -> torch.Tensor:
    """What the head is given of a clip of noise: [1, ...]."""
    return embed(model.network.eval(), {model.network.main_input_name: one_clip(model)})


def memory_for(device: str) -> int:
    """Bytes that a training may take on the device: what is free, and what this process holds already."""
    if device == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return free + torch.cuda.memory_reserved()
    return memory.available_bytes()
