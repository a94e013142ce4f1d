"""What happens beside the training itself: events, checkpoints, averages, and a stop where the loss is no number."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint, WeightAveraging

from genre_lib.errors import RunFailed
from genre_lib.runs import Run

TELL_SECONDS = 10.0
"""How often an epoch says how far it is; a run of days shall not fill its file with that."""

NAN_CHECK_STEPS = 20
"""Steps between looks at the loss; each look waits for the GPU."""

SCORES = {
    "train_loss": "train loss",
    "valid_loss": "valid loss",
    "valid_accuracy": "valid accuracy",
    "valid_macro_f1": "valid macro-F1",
}
"""What an epoch's line tells, and what it is called there."""


class EventWriter(Callback):
    """Write each epoch's start and end to ``events.jsonl``; epochs count from one.

    Args:
        run: whose events they are.
        prepared_seconds: spent on features before the first epoch, which that epoch's ``load_seconds`` counts.
        speak: print a line for every epoch, where there is no progress bar.
    """

    def __init__(self, run: Run, prepared_seconds: float = 0.0, speak: bool = False) -> None:
        self.run, self.waited, self.speak = run, prepared_seconds, speak
        self.began = self.last = time.perf_counter()
        self.clips, self.elsewhere = 0, 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.began = self.last = time.perf_counter()
        self.clips, self.elsewhere = 0, 0.0
        if trainer.is_global_zero:
            self.run.event("epoch_started", epoch=trainer.current_epoch + 1)
        self.tell = self.run.telling("batches_trained", TELL_SECONDS)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.waited += time.perf_counter() - self.last
        self.clips += len(batch["targets"])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.last = time.perf_counter()
        if trainer.is_global_zero:
            self.tell(batch_idx + 1, int(trainer.num_training_batches))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.paused = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        paused = time.perf_counter() - self.paused
        self.elsewhere += paused
        self.last += paused  # validation in the midst of an epoch is no loading

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        scores = {name: float(value) for name, value in trainer.callback_metrics.items()}
        seconds = time.perf_counter() - self.began
        fields = {
            "epoch": trainer.current_epoch + 1,
            **scores,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": seconds,
            "train_seconds": seconds - self.elsewhere,
            "load_seconds": self.waited,
            "clips": self.clips,
        }
        self.waited = 0.0
        if trainer.is_global_zero:
            self.run.event("epoch_ended", **fields)
            if self.speak:
                print(epoch_line(fields, trainer.max_epochs or 0), flush=True)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, KeyboardInterrupt) and trainer.is_global_zero:
            self.run.event("run_stopped", epoch=trainer.current_epoch + 1)


class EpochCheckpoints(Checkpoint):
    """Keep ``last.ckpt``, to resume from, after every epoch, and ``best.ckpt`` after every better validation.

    Each is written aside and put in place whole, so that a run killed at any moment leaves one that can be read.
    (Lightning's own goes through the system's temporary folder, from which a move to another disk is a copy.)

    Args:
        run: whose ``checkpoints/`` they are.
        monitor, mode: the score, and which way it gets better; None to keep the last alone.
    """

    def __init__(self, run: Run, monitor: str | None, mode: str) -> None:
        self.run, self.monitor, self.mode = run, monitor, mode
        self.best_score: list[float] | None = None
        self.best_epoch = 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.monitor is None:
            return
        rank = ranking(trainer, self.monitor, self.mode)
        if self.best_score is None or rank > self.best_score:
            self.best_score, self.best_epoch = rank, trainer.current_epoch + 1
            self._save(trainer, best_checkpoint(self.run))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.monitor is None:
            self.best_epoch = trainer.current_epoch + 1
        self._save(trainer, last_checkpoint(self.run))

    def _save(self, trainer: Trainer, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = place.with_suffix(".new")
        trainer.save_checkpoint(aside)
        if trainer.is_global_zero:
            aside.replace(place)
            self.run.event("checkpoint_saved", epoch=trainer.current_epoch + 1, file=place.name)

    def state_dict(self) -> dict[str, Any]:
        return {"best_score": self.best_score, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_score, self.best_epoch = state_dict["best_score"], state_dict["best_epoch"]


class NoBetter(Callback):
    """End the training after so many validations of which none was better, as :class:`EpochCheckpoints` ranks them.

    (Lightning's own goes by the score alone, and would stop while the loss still falls and weights are still kept.)

    Args:
        monitor, mode: the score, and which way it gets better.
        patience: validations without a better one that end it.
    """

    def __init__(self, monitor: str, mode: str, patience: int) -> None:
        self.monitor, self.mode, self.patience = monitor, mode, patience
        self.best_score: list[float] | None = None
        self.waited = 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        rank = ranking(trainer, self.monitor, self.mode)
        if self.best_score is None or rank > self.best_score:
            self.best_score, self.waited = rank, 0
        else:
            self.waited += 1
        ends = trainer.strategy.reduce_boolean_decision(self.waited >= self.patience, all=False)
        trainer.should_stop = trainer.should_stop or ends

    def state_dict(self) -> dict[str, Any]:
        return {"best_score": self.best_score, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_score, self.waited = state_dict["best_score"], state_dict["waited"]


class MovingAverage(WeightAveraging):
    """Exponential moving average of the weights, which is validated and saved in their place.

    The decay grows to its value as (1 + n) / (10 + n) does, so that short runs are not held back by their first steps.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(use_buffers=True, multi_avg_fn=lambda means, news, n: _blend(means, news, decay, int(n)))


class FiniteLoss(Callback):
    """End the run where the loss is no number any more."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx % NAN_CHECK_STEPS and not trainer.is_last_batch:
            return
        if not torch.isfinite(outputs["loss"]):
            raise RunFailed(
                f"The loss is no finite number at step {trainer.global_step} of epoch {trainer.current_epoch + 1}. "
                "Lower learning_rate, set gradient_clip, or use precision 32-true or bf16-mixed."
            )


def last_checkpoint(run: Run) -> Path:
    return run.checkpoints / "last.ckpt"


def best_checkpoint(run: Run) -> Path:
    return run.checkpoints / "best.ckpt"


def ranking(trainer: Trainer, monitor: str, mode: str) -> list[float]:
    """How good the validation was, to be compared; of equal scores, which few tracks often have, a lower loss wins."""
    score = float(trainer.callback_metrics[monitor])
    return [score if mode == "max" else -score, -float(trainer.callback_metrics["valid_loss"])]


def epoch_line(fields: dict[str, Any], epochs: int) -> str:
    """An epoch in a line: ``epoch 3/10  train loss 0.512  valid macro-F1 0.714  (12.3 s)``."""
    scores = "  ".join(f"{label} {fields[name]:.3f}" for name, label in SCORES.items() if name in fields)
    return f"epoch {fields['epoch']}/{epochs}  {scores}  ({fields['seconds']:.1f} s)"


@torch.no_grad()
def _blend(means: list[torch.Tensor], news: list[torch.Tensor], decay: float, updates: int) -> None:
    if means[0].is_floating_point():
        torch._foreach_lerp_(means, news, 1 - min(decay, (1 + updates) / (10 + updates)))
    else:
        torch._foreach_copy_(means, news)  # counts, such as a batch norm's batches
